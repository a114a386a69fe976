"""The fake target: one SQLite file that behaves like a device with accounts, and keeps the record that tests
believe.

It stores plain secrets, in that file alone: it *is* the target, and only a record of what really opens each
account can show that none was lost. SQLite's own fcntl locks serialise processes; nothing is fsynced, because
a test kills processes and not machines. Time is the system's plus what `advance` added, so that no test has
to sleep.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

SCHEMA = """
CREATE TABLE clock (ahead REAL NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE account (
    name TEXT PRIMARY KEY, behaviour TEXT NOT NULL,
    logins INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0,
    last_failure REAL NOT NULL DEFAULT 0, locked_until REAL NOT NULL DEFAULT 0,
    saves INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE password (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, content TEXT NOT NULL,
    opens_from REAL NOT NULL, opens_until REAL
);
CREATE INDEX password_account ON password (account);
CREATE TABLE request (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, account TEXT NOT NULL, by TEXT NOT NULL, content TEXT NOT NULL,
    applied INTEGER NOT NULL
);
"""


class Reply(StrEnum):
    """How a change is answered. All but `honest` make reply and deed differ, or give no reply."""

    HONEST = "honest"
    REFUSES_AFTER_APPLYING = "refuses_after_applying"
    ACCEPTS_WITHOUT_APPLYING = "accepts_without_applying"
    HANGS_AFTER_APPLYING = "hangs_after_applying"
    HANGS_WITHOUT_APPLYING = "hangs_without_applying"
    DROPS_AFTER_APPLYING = "drops_after_applying"
    DROPS_WITHOUT_APPLYING = "drops_without_applying"

    @property
    def applies(self) -> bool:
        return not self.value.endswith("without_applying")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the target treats one account. Times in seconds; zero means the feature is off."""

    admin: bool = False
    reply: Reply = Reply.HONEST
    delay_before: float = 0.0  # really slept, before a change is judged
    delay_after: float = 0.0  # really slept, between the change and its reply
    applies_after: float = 0.0  # a change opens the account so much later
    overlap: float = 0.0  # the old secret keeps opening so long
    truncate_at: int = 0  # characters that count
    folds_case: bool = False
    lockout_threshold: int = 0  # failed logins in a row
    lockout_window: float = 0.0  # seconds that a lock lasts, and after which failures are forgotten
    minimum_age: float = 0.0  # applies to self-change, as does the history
    history_depth: int = 0
    minimum_length: int = 0
    must_change: bool = False
    disabled: bool = False
    save_fails: bool = False
    unreachable_until: float = 0.0  # an instant of `FakeTarget.now`


class Access(StrEnum):
    """How a login ended."""

    OPENS = "opens"
    REFUSED = "refused"
    LOCKED = "locked"
    DISABLED = "disabled"
    MUST_CHANGE = "must_change"
    UNREACHABLE = "unreachable"


class Judgement(StrEnum):
    """What the target's rules say of a change."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    TOO_SHORT = "too_short"
    TOO_YOUNG = "too_young"
    USED_BEFORE = "used_before"


@dataclass(frozen=True, slots=True)
class Change:
    """One change request as the target saw it. Plain text: see the module's head."""

    at: float
    account: str
    by: str
    password: str
    applied: bool


class NoTarget(ConnectionError):
    """There is no target file at that path; create one with `FakeTarget.create`."""


class FakeTarget:
    """One target. Cheap to make anew; no connection is kept, so it may be used on both sides of a fork."""

    def __init__(self, path: Path) -> None:
        """Raises NoTarget."""
        self.path = path
        if not path.is_file():
            raise NoTarget(f"no fake target at {path}")

    @classmethod
    def create(cls, path: Path) -> FakeTarget:
        """Raises sqlite3.OperationalError if the file is there already."""
        with closing(sqlite3.connect(path)) as connection:
            # the rollback journal survives a SIGKILL without any fsync; keeping its file spares two directory
            # writes
            connection.executescript(SCHEMA)
        return cls(path)

    # what tests arrange

    def set(self, account: str, password: str, behaviour: Behaviour | None = None) -> None:
        """Create the account, or make `password` the only one that opens it, whatever the rules say."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO account (name, behaviour) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                (account, _dump(behaviour or Behaviour())),
            )
            if behaviour:
                db.execute("UPDATE account SET behaviour = ? WHERE name = ?", (_dump(behaviour), account))
            _replace(db, account, password, _now(db), Behaviour())

    def behave(self, account: str, behaviour: Behaviour) -> None:
        with self._writing() as db:
            db.execute("UPDATE account SET behaviour = ? WHERE name = ?", (_dump(behaviour), account))

    def advance(self, seconds: float) -> None:
        """Let time pass on the target."""
        with self._writing() as db:
            db.execute("UPDATE clock SET ahead = ahead + ?", (seconds,))

    def unlock(self, account: str) -> None:
        with self._writing() as db:
            db.execute("UPDATE account SET locked_until = 0, counted = 0 WHERE name = ?", (account,))

    # what tests believe

    def now(self) -> float:
        with self._reading() as db:
            return _now(db)

    def opens(self, account: str, password: str) -> bool:
        """Whether that secret is right now; costs no failed login and does not mind locks."""
        with self._reading() as db:
            return _matches(db, account, password, self._behaviour(db, account))

    def history(self, account: str) -> tuple[str, ...]:
        """All secrets that the account ever had, oldest first."""
        with self._reading() as db:
            rows = db.execute("SELECT content FROM password WHERE account = ? ORDER BY id", (account,))
            return tuple(content for (content,) in rows)

    def logins(self, account: str) -> int:
        """All logins that were let in ever, proofs among them."""
        return self._number("logins", account)

    def failed_logins(self, account: str) -> int:
        """All failed logins ever."""
        return self._number("failed", account)

    def saves(self, account: str) -> int:
        """How many times `save` was run for the account."""
        return self._number("saves", account)

    def requests(self, account: str) -> tuple[Change, ...]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT at, account, by, content, applied FROM request WHERE account = ? ORDER BY id",
                (account,),
            )
            return tuple(
                Change(at, name, by, content, bool(applied)) for at, name, by, content, applied in rows
            )

    # what the executor does

    def login(self, account: str, password: str) -> Access:
        """One login attempt: counted, and locking as the account's behaviour says."""
        with self._writing() as db:
            behaviour = self._behaviour(db, account)
            now = _now(db)
            if now < behaviour.unreachable_until:
                return Access.UNREACHABLE
            if self._column(db, "locked_until", account) > now:
                return Access.LOCKED
            if not _matches(db, account, password, behaviour):
                _count_failure(db, account, now, behaviour)
                return Access.REFUSED
            db.execute("UPDATE account SET counted = 0, logins = logins + 1 WHERE name = ?", (account,))
            if behaviour.disabled:
                return Access.DISABLED
            return Access.MUST_CHANGE if behaviour.must_change else Access.OPENS

    def behaviour(self, account: str) -> Behaviour:
        with self._reading() as db:
            return self._behaviour(db, account)

    def locked(self, account: str) -> bool:
        with self._reading() as db:
            return self._column(db, "locked_until", account) > _now(db)

    def exists(self, account: str) -> bool:
        with self._reading() as db:
            return db.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is not None

    def change(self, account: str, password: str, by: str) -> Judgement:
        """Judge a change by `by`, log it, and apply it where rules and `reply` let it through."""
        with self._writing() as db:
            behaviour = self._behaviour(db, account)
            now = _now(db)
            judgement = self._judge(db, account, password, by)
            applied = judgement is Judgement.ACCEPTED and behaviour.reply.applies
            db.execute(
                "INSERT INTO request (at, account, by, content, applied) VALUES (?, ?, ?, ?, ?)",
                (now, account, by, password, applied),
            )
            if applied:
                _replace(db, account, password, now, behaviour)
            return judgement

    def forget(self, account: str) -> None:
        """End the overlap: nothing but the newest secret opens the account from now on."""
        with self._writing() as db:
            if self._behaviour(db, account).reply.applies:
                past = "UPDATE password SET opens_until = ? WHERE account = ? AND opens_until > ?"
                db.execute(past, (_now(db), account, _now(db)))

    def save(self, account: str) -> bool:
        with self._writing() as db:
            if self._behaviour(db, account).save_fails:
                return False
            db.execute("UPDATE account SET saves = saves + 1 WHERE name = ?", (account,))
            return True

    def _judge(self, db: sqlite3.Connection, account: str, password: str, by: str) -> Judgement:
        behaviour = self._behaviour(db, account)
        if db.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is None:
            return Judgement.MISSING
        if by != account and not self._behaviour(db, by).admin:
            return Judgement.FORBIDDEN
        if len(password) < behaviour.minimum_length:
            return Judgement.TOO_SHORT
        if by != account:  # a reset minds neither age nor history, as in most directories
            return Judgement.ACCEPTED
        past = db.execute(
            "SELECT content, opens_from FROM password WHERE account = ? ORDER BY id DESC", (account,)
        ).fetchall()
        if past and behaviour.minimum_age and past[0][1] + behaviour.minimum_age > _now(db):
            return Judgement.TOO_YOUNG
        if any(_same(content, password, behaviour) for content, _ in past[: behaviour.history_depth]):
            return Judgement.USED_BEFORE
        return Judgement.ACCEPTED

    def _number(self, column: str, account: str) -> int:
        with self._reading() as db:
            return int(self._column(db, column, account))

    def _column(self, db: sqlite3.Connection, column: str, account: str) -> float:
        query = f"SELECT {column} FROM account WHERE name = ?"  # noqa: S608 - our own column names
        row = db.execute(query, (account,)).fetchone()
        return float(row[0]) if row else 0.0

    def _behaviour(self, db: sqlite3.Connection, account: str) -> Behaviour:
        row = db.execute("SELECT behaviour FROM account WHERE name = ?", (account,)).fetchone()
        return _load(row[0]) if row else Behaviour()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():  # taken away while in use: sqlite3 would make an empty one
            raise NoTarget(f"no fake target at {self.path}")
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA journal_mode = PERSIST")
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")


def _now(db: sqlite3.Connection) -> float:
    return time.time() + float(db.execute("SELECT ahead FROM clock").fetchone()[0])


def _dump(behaviour: Behaviour) -> str:
    return json.dumps(asdict(behaviour))


def _load(text: str) -> Behaviour:
    data = json.loads(text)
    data["reply"] = Reply(data["reply"])
    return Behaviour(**{field.name: data[field.name] for field in fields(Behaviour)})


def _same(stored: str, given: str, behaviour: Behaviour) -> bool:
    if behaviour.truncate_at:
        stored, given = stored[: behaviour.truncate_at], given[: behaviour.truncate_at]
    return stored.casefold() == given.casefold() if behaviour.folds_case else stored == given


def _matches(db: sqlite3.Connection, account: str, password: str, behaviour: Behaviour) -> bool:
    now = _now(db)
    rows = db.execute(
        "SELECT content FROM password"
        " WHERE account = ? AND opens_from <= ? AND (opens_until IS NULL OR opens_until > ?)",
        (account, now, now),
    )
    return any(_same(content, password, behaviour) for (content,) in rows)


def _replace(db: sqlite3.Connection, account: str, password: str, now: float, behaviour: Behaviour) -> None:
    start = now + behaviour.applies_after
    db.execute(
        "UPDATE password SET opens_until = ? WHERE account = ? AND opens_until IS NULL",
        (start + behaviour.overlap, account),
    )
    db.execute(
        "INSERT INTO password (account, content, opens_from) VALUES (?, ?, ?)", (account, password, start)
    )


def _count_failure(db: sqlite3.Connection, account: str, now: float, behaviour: Behaviour) -> None:
    row = db.execute("SELECT counted, last_failure FROM account WHERE name = ?", (account,)).fetchone()
    if row is None:
        return
    counted, last = row
    counted = 1 if behaviour.lockout_window and now - last > behaviour.lockout_window else counted + 1
    locks = behaviour.lockout_threshold and counted >= behaviour.lockout_threshold
    db.execute(
        "UPDATE account SET failed = failed + 1, counted = ?, last_failure = ?, locked_until = ?"
        " WHERE name = ?",
        (0 if locks else counted, now, now + behaviour.lockout_window if locks else 0, account),
    )
