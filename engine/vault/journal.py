"""The escrow journal: every candidate is on a second volume before the first byte goes to a target.

One append-only file per process, named `HOST-BOOT-PID[-N].journal`; a file is never continued by another
process. A record is one line, `LENGTH CHECKSUM JSON`: eight hexadecimal digits of the JSON's length in
bytes, 32 of its SHA-256. JSON holds no raw line feed, so reading picks up again at the line after a damaged
one. A last line without its line feed is a write that never returned: it is dropped. The secrets inside are
sealed; the rest is in clear, for people who have nothing but `less`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
import stat
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.vault.errors import JournalBroken, JournalFull
from engine.vault.keys import sync_directory

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{32}) (.*)\n", re.DOTALL)
COMMITTED = "committed"


class Kind(StrEnum):
    CANDIDATE = "candidate"  # generated here, maybe sent
    IMPORTED = "imported"  # given by a person or another system


@dataclass(frozen=True, slots=True)
class Mark:
    """Says that one record's row was committed to the database. `digest` is of its sealed bytes."""

    incarnation: str
    epoch: int
    authority: str
    account: str
    credential: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Record:
    """One secret version, sealed. `at` is Unix time in seconds (UTC)."""

    kind: Kind
    incarnation: str
    epoch: int
    authority: str
    account: str
    credential: str
    version: int
    sealed: bytes
    key_id: str
    at: float

    @property
    def mark(self) -> Mark:
        """What says that this record, and no other with the same names, is in the database."""
        return Mark(
            self.incarnation,
            self.epoch,
            self.authority,
            self.account,
            self.credential,
            self.version,
            sha256(self.sealed).hexdigest()[:32],
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that cannot be read: `offset` and `length` are bytes of `path`. A torn last line is harmless."""

    path: Path
    offset: int
    length: int
    reason: str
    torn: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.length} bytes at {self.offset}: {self.reason}"


@dataclass(frozen=True, slots=True)
class JournalView:
    """What a set of journal files holds, in file order. Torn last lines are in `torn`, not in `damages`.

    `living` are the marks, written or not, of records whose writer still ran after they were read.
    """

    records: tuple[Record, ...]
    marks: frozenset[Mark]
    damages: tuple[Damage, ...]
    torn: tuple[Damage, ...]
    living: frozenset[Mark] = frozenset()

    def by_credential(self) -> Mapping[tuple[str, str, str], Sequence[Record]]:
        """Records by (authority, account, credential), ordered by version, then time."""
        groups: dict[tuple[str, str, str], list[Record]] = {}
        for record in sorted(self.records, key=lambda record: (record.version, record.at)):
            groups.setdefault((record.authority, record.account, record.credential), []).append(record)
        return groups

    def watermark(self) -> Mapping[tuple[str, str, str], int]:
        """The highest epoch by (incarnation, authority, account)."""
        highest: dict[tuple[str, str, str], int] = {}
        entries: Iterable[Record | Mark] = (*self.records, *self.marks)
        for entry in entries:
            account = (entry.incarnation, entry.authority, entry.account)
            highest[account] = max(entry.epoch, highest.get(account, entry.epoch))
        return highest

    def uncommitted(self) -> Sequence[Record]:
        """Records without a mark: the process died around W1, or before the mark reached the disk."""
        return [record for record in self.records if record.mark not in self.marks]


class JournalWriter:
    """Appends to this process's file, from any thread. The file is made at the first append, and locked as
    long as this process and its forks have it open: so others see that its writer lives.

    The directory's parent must exist: making it would hide that the journal's volume is not mounted.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._descriptor = -1
        self._path = directory
        self._pid = 0
        self._good = 0  # bytes up to the end of the last whole write
        _guarded(directory, self._make_directory)

    def append(self, records: Sequence[Record]) -> None:
        """On disk when this returns: one write, one fdatasync.

        Raises JournalFull, JournalBroken: then the target must not be touched.
        """
        if records:
            self._write(b"".join(_frame(_record_fields(record)) for record in records), sync=True)

    def mark_committed(self, records: Iterable[Record]) -> None:
        """Written, not synced: a lost mark only costs a probe.

        Raises JournalFull, JournalBroken; the operation may go on all the same.
        """
        marks = b"".join(_frame({"kind": COMMITTED, **asdict(record.mark)}) for record in records)
        if marks:
            self._write(marks, sync=False)

    def close(self) -> None:
        with self._lock:
            self._abandon()

    def _make_directory(self) -> None:
        if not self._directory.exists():
            self._directory.mkdir(mode=0o700)
            sync_directory(self._directory.parent)
        if stat.S_IMODE(self._directory.stat().st_mode) & 0o022:
            raise JournalBroken(f"others can remove journals: chmod 0700 '{self._directory}'")
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "this user cannot write there")

    def _write(self, data: bytes, *, sync: bool) -> None:
        with self._lock:
            if self._pid != os.getpid():  # first use, or forked: the parent's file stays the parent's
                self._abandon()
            if self._descriptor < 0:
                _guarded(self._directory, self._open)
            _guarded(self._path, lambda: self._write_whole(data))
            if sync:
                _guarded(self._path, self._sync)

    def _open(self) -> None:
        pid, boot = os.getpid(), BOOT_ID.read_text().strip()
        host = re.sub(r"[^A-Za-z0-9._]", "_", socket.gethostname())
        for number in range(1_000_000):  # pids come again, in containers at every start
            path = self._directory / f"{host}-{boot}-{pid}{f'-{number}' if number else ''}.journal"
            try:
                self._descriptor = os.open(
                    path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
                )
            except FileExistsError:
                continue
            self._path, self._pid, self._good = path, pid, 0
            with suppress(
                OSError
            ):  # without locks there, a living writer is taken for a dead one: see `held`
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                sync_directory(self._directory)
            except OSError:
                self._abandon()
                raise
            return

    def _write_whole(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                written = os.write(self._descriptor, rest)
                if not written:
                    raise OSError(errno.EIO, "nothing was written")
                rest = rest[written:]
        except OSError as error:
            self._take_back(error)
            raise
        self._good += len(data)

    def _take_back(self, error: OSError) -> None:
        """Leave no half record before the next one: cut it off, or go on in another file."""
        try:
            os.ftruncate(self._descriptor, self._good)
        except OSError:
            self._abandon()
            return
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            self._abandon()

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            # Linux reports a write-back error once and then calls the lost pages clean: no more of this file.
            self._abandon()
            raise

    def _abandon(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def read_all(where: Path | Iterable[Path]) -> JournalView:
    """Read journal files, or all `*.journal` of directories. They may be written meanwhile.

    Raises JournalBroken for one that is missing or unreadable.
    """
    records: list[Record] = []
    marks: set[Mark] = set()
    damages: list[Damage] = []
    living: set[Mark] = set()
    for path in _files([where] if isinstance(where, Path) else where):
        before = len(records)
        for entry in _entries(path):
            match entry:
                case Record():
                    records.append(entry)
                case Mark():
                    marks.add(entry)
                case Damage():
                    damages.append(entry)
        if held(path):
            living.update(record.mark for record in records[before:])
    return JournalView(
        tuple(records),
        frozenset(marks),
        tuple(damage for damage in damages if not damage.torn),
        tuple(damage for damage in damages if damage.torn),
        frozenset(living),
    )


def held(path: Path) -> bool:
    """Whether the process that writes the file lives, by its flock(2); False where there are no such locks.

    Asked after reading, a writer that ended before its last record was read is known to have ended. Raises
    JournalBroken.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP):
            return False
        raise JournalBroken(
            f"the journal {path} cannot be opened ({error.strerror}); a restore needs all of it"
        ) from None
    return False


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob("*.journal"), key=lambda path: path.stem)
        else:
            yield place


def _entries(path: Path) -> Iterator[Record | Mark | Damage]:
    offset = 0
    try:
        with path.open("rb") as file:
            for line in file:
                entry = _parse(line)
                if isinstance(entry, str):
                    yield Damage(path, offset, len(line), entry, torn=not line.endswith(b"\n"))
                else:
                    yield entry
                offset += len(line)
    except OSError as error:
        what = f"the journal {path} cannot be read at {offset} ({error.strerror})"
        raise JournalBroken(f"{what}; a restore needs all of it: mount its volume or copy it") from None


def _parse(line: bytes) -> Record | Mark | str:
    """The entry of one line, or what is wrong with it."""
    if not line.endswith(b"\n"):
        return "the line ends early: the last write was cut off"
    match = LINE.fullmatch(line)
    if not match:
        return "not a journal line"
    length, checksum, body = match.groups()
    if len(body) != int(length, 16):
        return f"{len(body)} bytes where {int(length, 16)} were written"
    if _checksum(body) != checksum.decode():
        return "the checksum is wrong"
    try:
        return _entry(json.loads(body))
    except (ValueError, TypeError, KeyError):  # intact, so written by another release
        return "not a record that this release knows"


def _entry(fields: Any) -> Record | Mark:
    if not isinstance(fields, dict):
        raise TypeError("not an object")
    kind = fields.pop("kind")
    if kind == COMMITTED:
        return Mark(**fields)
    return Record(**{**fields, "kind": Kind(kind), "sealed": b64decode(fields["sealed"], validate=True)})


def _record_fields(record: Record) -> dict[str, Any]:
    return {**asdict(record), "sealed": b64encode(record.sealed).decode("ascii")}


def _frame(fields: Mapping[str, Any]) -> bytes:
    body = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode("ascii")
    return b"%08x %s %s\n" % (len(body), _checksum(body).encode(), body)


def _checksum(body: bytes) -> str:
    return sha256(body).hexdigest()[:32]


def _guarded(path: Path, step: Callable[[], None]) -> None:
    """Turn an OSError into what a person can do about it."""
    try:
        step()
    except OSError as error:
        if error.errno in NO_ROOM:
            what = f"no room for the escrow journal at {path} ({error.strerror})"
            raise JournalFull(
                f"{what}: nothing is sent to targets until there is; free space there"
            ) from None
        what = f"the escrow journal at {path} cannot be written ({error.strerror})"
        raise JournalBroken(f"{what}: nothing is sent to targets until it can; check the volume") from None
