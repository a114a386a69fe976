from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.vault import journal
from engine.vault.errors import JournalBroken, JournalFull
from engine.vault.journal import JournalWriter, Kind, Record, read_all

RECORD = Record(
    Kind.CANDIDATE, "inc-1", 5, "dir.example", "svc", "password", 3, b"\1sealed\n\0\xff", "ab" * 16, 1.5
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def writer(directory: Path) -> JournalWriter:
    return JournalWriter(directory)


def only_file(directory: Path) -> Path:
    (path,) = directory.glob("*.journal")
    return path


def numbered(count: int) -> list[Record]:
    return [replace(RECORD, version=version) for version in range(count)]


any_name = st.text(max_size=10)


@given(
    st.builds(
        Record, st.sampled_from(Kind), any_name, st.integers(), any_name, any_name, any_name, st.integers(),
        st.binary(), any_name, st.floats(allow_nan=False, allow_infinity=False),
    )
)  # fmt: skip
def test_every_record_and_its_mark_read_back_equal(record: Record) -> None:
    assert journal._parse(journal._frame(journal._record_fields(record))) == record
    marked = journal._frame({"kind": "committed", **asdict(record.mark)})
    assert journal._parse(marked) == record.mark


def test_records_come_back_in_order(directory: Path, writer: JournalWriter) -> None:
    writer.append(numbered(3))
    writer.append([replace(RECORD, kind=Kind.IMPORTED, version=9)])
    view = read_all(directory)
    assert view.records == (*numbered(3), replace(RECORD, kind=Kind.IMPORTED, version=9))
    assert view.damages == view.torn == ()


def test_a_batch_is_one_write_and_one_sync(writer: JournalWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.append([RECORD])
    calls: list[str] = []
    write, sync = os.write, os.fdatasync

    def counted_write(descriptor: int, data: memoryview) -> int:
        calls.append("write")
        return write(descriptor, data)

    def counted_sync(descriptor: int) -> None:
        calls.append("sync")
        sync(descriptor)

    monkeypatch.setattr(os, "write", counted_write)
    monkeypatch.setattr(os, "fdatasync", counted_sync)
    writer.append(numbered(50))
    assert calls == ["write", "sync"]
    writer.mark_committed(numbered(50))
    assert calls == ["write", "sync", "write"]
    writer.append([])
    writer.mark_committed([])
    assert calls == ["write", "sync", "write"]


def test_a_new_file_and_its_directory_are_synced_at_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(journal, "sync_directory", synced.append)
    writer = JournalWriter(tmp_path / "journal")
    writer.append([RECORD])
    writer.append([RECORD])
    assert synced == [tmp_path, tmp_path / "journal"]


def test_modes_are_for_the_owner_alone(directory: Path, writer: JournalWriter) -> None:
    writer.append([RECORD])
    assert directory.stat().st_mode & 0o777 == 0o700
    assert only_file(directory).stat().st_mode & 0o777 == 0o600


def test_the_file_is_named_for_host_boot_and_pid(directory: Path, writer: JournalWriter) -> None:
    writer.append([RECORD])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert only_file(directory).name.endswith(f"-{boot}-{os.getpid()}.journal")


def test_a_pid_that_comes_again_gets_a_file_of_its_own(directory: Path, writer: JournalWriter) -> None:
    writer.append(numbered(1))
    JournalWriter(directory).append(numbered(2))
    assert len(list(directory.glob("*.journal"))) == 2
    assert len(read_all(directory).records) == 3


def test_a_mark_is_for_one_sealed_value_only(directory: Path, writer: JournalWriter) -> None:
    twin = replace(RECORD, sealed=b"another candidate under the same names")
    writer.append([RECORD, twin])
    writer.mark_committed([RECORD])
    assert read_all(directory).uncommitted() == [twin]


def test_a_mark_in_another_file_counts(directory: Path, writer: JournalWriter) -> None:
    writer.append([RECORD])
    JournalWriter(directory).mark_committed([RECORD])
    assert read_all(directory).uncommitted() == []


def test_records_group_by_credential_in_order_of_versions(directory: Path, writer: JournalWriter) -> None:
    other = replace(RECORD, credential="ssh_key")
    writer.append([replace(RECORD, version=2), other, replace(RECORD, version=1)])
    groups = read_all(directory).by_credential()
    assert [record.version for record in groups["dir.example", "svc", "password"]] == [1, 2]
    assert groups["dir.example", "svc", "ssh_key"] == [other]


def test_the_watermark_is_the_highest_epoch_of_records_and_marks(directory: Path) -> None:
    old, new = replace(RECORD, incarnation="inc-0", epoch=90), replace(RECORD, epoch=7)
    JournalWriter(directory).append([old, replace(old, epoch=3)])
    JournalWriter(directory).mark_committed([new])
    assert read_all(directory).watermark() == {
        ("inc-0", "dir.example", "svc"): 90,
        ("inc-1", "dir.example", "svc"): 7,
    }


def test_a_writer_goes_on_after_a_restore_with_the_new_incarnation(
    directory: Path, writer: JournalWriter
) -> None:
    both = [RECORD, replace(RECORD, incarnation="inc-2")]
    for record in both:
        writer.append([record])
    assert read_all(directory).records == tuple(both)


def test_records_are_living_as_long_as_their_writer_is(directory: Path, writer: JournalWriter) -> None:
    ended = JournalWriter(directory)
    ended.append(numbered(2))
    ended.close()
    writer.append([replace(RECORD, version=9)])
    assert read_all(directory).living == {replace(RECORD, version=9).mark}
    writer.close()
    assert read_all(directory).living == set()


def test_a_fork_that_writes_a_file_of_its_own_leaves_the_lock_with_its_parent(
    directory: Path, writer: JournalWriter
) -> None:
    writer.append([RECORD])
    child = os.fork()
    if child == 0:
        writer.append(numbered(1))
        os._exit(0)
    os.waitpid(child, 0)
    assert read_all(directory).living == {RECORD.mark}


def test_without_locks_on_the_volume_no_writer_is_taken_for_living(
    directory: Path, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("engine.vault.journal.fcntl.flock", refused)
    writer.append([RECORD])
    view = read_all(directory)
    assert (view.records, view.living) == ((RECORD,), frozenset())


def test_threads_may_append_at_once(directory: Path, writer: JournalWriter) -> None:
    def append(thread: int) -> None:
        for version in range(20):
            writer.append([replace(RECORD, epoch=thread, version=version)])

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view = read_all(only_file(directory))
    assert {(record.epoch, record.version) for record in view.records} == {
        (epoch, version) for epoch in range(8) for version in range(20)
    }
    assert view.damages == view.torn == ()


def test_a_torn_last_record_is_dropped_wherever_it_was_cut(directory: Path, writer: JournalWriter) -> None:
    writer.append(numbered(3))
    path = only_file(directory)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last + 1, len(whole)):
        path.write_bytes(whole[:length])
        view = read_all(path)
        assert view.records == tuple(numbered(2))
        assert view.damages == ()
        assert [(damage.offset, damage.length) for damage in view.torn] == [(last, length - last)]


def test_every_damaged_byte_in_the_middle_is_reported_with_its_place(
    directory: Path, writer: JournalWriter
) -> None:
    writer.append(numbered(3))
    path = only_file(directory)
    whole = path.read_bytes()
    size = len(whole) // 3
    for position in range(size, 2 * size):
        damaged = bytearray(whole)
        damaged[position] ^= 0x11
        path.write_bytes(damaged)
        view = read_all(path)
        records = {record.version for record in view.records}
        assert {0} <= records <= {0, 2}
        assert view.damages
        assert view.damages[0].path == path
        assert view.damages[0].offset == size
        assert f"at {size}" in str(view.damages[0])
        if position < 2 * size - 1:  # the line feed still ends the line
            assert records == {0, 2}


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], b"\0" * len(lines[1]), lines[2]],
        lambda lines: [lines[0], lines[1][:40] + b"\0" * (len(lines[1]) - 41) + b"\n", lines[2]],
        lambda lines: [lines[0], b"\n", lines[1], lines[2]],
        lambda lines: [lines[0], lines[1][20:], lines[2]],
        lambda lines: [lines[0], lines[1].replace(b"candidate", b"candidatf"), lines[2]],
    ],
)
def test_lost_blocks_in_the_middle_are_damage_and_the_first_record_survives(
    directory: Path, writer: JournalWriter, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    writer.append(numbered(3))
    path = only_file(directory)
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    view = read_all(path)
    assert view.records[0].version == 0
    assert len(view.damages) == 1


def test_an_intact_line_of_a_later_release_is_reported_not_guessed(directory: Path) -> None:
    directory.mkdir()
    later: list[dict[str, Any]] = [
        {"kind": "later"},
        {},
        {"kind": "candidate", "sealed": "AA=="},
        {"kind": "committed", "x": 1},
    ]
    for number, fields in enumerate(later):
        (directory / f"{number}.journal").write_bytes(journal._frame(fields))
    assert [damage.reason for damage in read_all(directory).damages] == [
        "not a record that this release knows"
    ] * 4


@given(st.binary(max_size=400))
def test_any_bytes_as_a_line_are_read_without_an_error(line: bytes) -> None:
    assert isinstance(journal._parse(line), str)
    assert isinstance(
        journal._parse(b"%08x %s %s\n" % (len(line), journal._checksum(line).encode(), line)), str
    )


def test_a_missing_journal_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="cannot be read"):
        read_all([tmp_path / "gone"])


def test_several_directories_and_files_are_read_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        JournalWriter(tmp_path / name).append([replace(RECORD, account=name)])
    (tmp_path / "one" / "notes.txt").write_text("not a journal")
    view = read_all([tmp_path / "one", only_file(tmp_path / "two")])
    assert [record.account for record in view.records] == ["one", "two"]
    assert view.damages == ()


def test_the_parent_directory_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(JournalBroken, match="nothing is sent"):
        JournalWriter(tmp_path / "volume-not-mounted" / "journal")


def test_a_directory_that_others_can_write_is_refused_with_the_cure(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(JournalBroken, match="chmod 0700"):
        JournalWriter(directory)


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def after_some_bytes(code: int) -> Callable[[int, memoryview], int]:
    """Write half, then fail: a short write as a full disk makes it."""
    write, calls = os.write, iter([True])

    def some(descriptor: int, data: memoryview) -> int:
        if next(calls, False):
            return write(descriptor, data[: len(data) // 2])
        raise OSError(code, os.strerror(code))

    return some


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, JournalFull),
        (errno.EDQUOT, JournalFull),
        (errno.EFBIG, JournalFull),
        (errno.EIO, JournalBroken),
    ],
)
@pytest.mark.parametrize("failpoint", [failing, after_some_bytes])
def test_a_failed_write_leaves_a_journal_that_reads_and_goes_on(
    directory: Path,
    writer: JournalWriter,
    code: int,
    error: type[Exception],
    failpoint: Callable[[int], Callable[..., int]],
) -> None:
    writer.append(numbered(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", failpoint(code))
        with pytest.raises(error, match="nothing is sent"):
            writer.append([replace(RECORD, version=99)])
    writer.append([replace(RECORD, version=1)])
    view = read_all(directory)
    assert [record.version for record in view.records] == [0, 1]
    assert view.damages == view.torn == ()


def test_a_write_of_nothing_is_an_error_not_a_loop(writer: JournalWriter) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda *_: 0)
        with pytest.raises(JournalBroken):
            writer.append([RECORD])


def test_short_writes_are_completed(
    directory: Path, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    writer.append(numbered(4))
    assert read_all(directory).records == tuple(numbered(4))


def test_when_the_half_record_cannot_be_cut_off_the_next_goes_to_another_file(
    directory: Path, writer: JournalWriter
) -> None:
    writer.append(numbered(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", after_some_bytes(errno.ENOSPC))
        patch.setattr(os, "ftruncate", failing(errno.EIO))
        with pytest.raises(JournalFull):
            writer.append([replace(RECORD, version=99)])
    writer.append([replace(RECORD, version=1)])
    view = read_all(directory)
    assert sorted(record.version for record in view.records) == [0, 1]
    assert view.damages == ()
    assert len(view.torn) == 1


def test_after_a_failed_sync_the_file_is_not_trusted_again(directory: Path, writer: JournalWriter) -> None:
    writer.append(numbered(1))
    first = only_file(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(JournalBroken, match="check the volume"):
            writer.append([replace(RECORD, version=99)])
    size = first.stat().st_size
    writer.append([replace(RECORD, version=1)])
    assert first.stat().st_size == size
    assert {0, 1} <= {record.version for record in read_all(directory).records}


def test_a_file_whose_name_could_not_be_synced_is_not_used(directory: Path, writer: JournalWriter) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "sync_directory", failing(errno.EIO))
        with pytest.raises(JournalBroken):
            writer.append([RECORD])
    writer.append([RECORD])
    assert len(read_all(directory).records) == 1


def test_after_close_the_next_append_opens_another_file(directory: Path, writer: JournalWriter) -> None:
    writer.append(numbered(1))
    writer.close()
    writer.close()
    writer.append([replace(RECORD, version=1)])
    assert len(read_all(directory).records) == 2
