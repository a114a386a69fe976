"""The data directory of an engine of the first release, as `tests/golden/upgrade` keeps it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from executors.fake.target import Behaviour, FakeTarget

GOLDEN = Path(__file__).parent / "golden" / "upgrade"
ACCOUNTS = ("ann", "bob", "boss", "carol", "dora")


def data_directory(place: Path) -> Path:
    """A copy with the modes that an engine gives; version control keeps none. The device is where the target
    is now."""
    shutil.copytree(GOLDEN / "0001", place)
    for path in (place, *place.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o400 if path.suffix in (".key", ".token") else 0o600)
    _target(place)
    with closing(sqlite3.connect(place / "keyturn.sqlite")) as db, db:
        db.executescript((GOLDEN / "0001.sql").read_text())
        db.execute("UPDATE device SET address = ?", (str(place / "target"),))
    (place / "keyturn.sqlite").chmod(0o600)
    return place


def _target(place: Path) -> None:
    """The fake target is this release's, with the secrets that the old one's accounts had in the end."""
    file = place / "target.json"
    target = FakeTarget.create(place / "target")
    for name, secret in json.loads(file.read_text()).items():
        target.set(name, secret, Behaviour(admin=name == "boss"))
    file.unlink()
