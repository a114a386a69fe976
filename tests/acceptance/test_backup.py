"""A backup is taken while the engine changes passwords, and put back later: the drill of docs/backup.md."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.fake.target import FakeTarget
from tests.acceptance.engine import RunningEngine, running

NAMES = [f"user{number}" for number in range(3)]
WINDOW = 2  # seconds of the lockout window: after a restore every account waits for its end


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    return FakeTarget.create(tmp_path / "target")


@pytest.fixture
def engine(tmp_path: Path, target: FakeTarget) -> Iterator[RunningEngine]:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"lockout": {"threshold": 4, "window_seconds": WINDOW}}))
    # The journal is on a volume of its own, or might be: it is not put back.
    with running(RunningEngine(tmp_path / "data", "--journal", tmp_path / "journal")) as made:
        made.ask("policy", "add", "hasty", rules)
        made.ask("device", "add", "box", "--address", target.path, "--port", "fake=1")
        for name in NAMES:
            target.set(name, f"first-of-{name}")
            add = ("credential", "add", f"{name}@box", "--secret-file", "-", "--policy", "hasty", "--enable")
            made.ask(*add, stdin=f"first-of-{name}\n")
        made.wait_until(lambda: states(made) == {"managed"}, "they were not proven")
        yield made


def states(engine: RunningEngine) -> set[str]:
    return {row["state"] for row in engine.ask("credential", "list")}


def change(engine: RunningEngine) -> None:
    """Every password once."""
    for name in NAMES:
        done = engine.ask("credential", "rotate", f"{name}@box", "--wait", "--timeout", "50")
        assert done["state"] == "succeeded", done


def put_back(engine: RunningEngine, backup: Path) -> None:
    for file in engine.data.glob("keyturn.sqlite*"):
        file.unlink()
    shutil.copyfile(backup / "keyturn.sqlite", engine.data / "keyturn.sqlite")
    (engine.data / "keyturn.sqlite").chmod(0o600)


def revealed(engine: RunningEngine, name: str) -> str:
    found = engine.ask("credential", "show", f"{name}@box")
    answer = engine.api("POST", f"/credentials/{found['id']}/reveal", json={"reason": "compared by a test"})
    assert answer.ok, f"{answer.text}\n{engine.log()[-2000:]}"
    return str(answer.json()["secret"])


def test_what_was_changed_after_the_backup_is_not_lost_when_it_is_put_back(
    engine: RunningEngine, target: FakeTarget, tmp_path: Path
) -> None:
    changing = threading.Thread(target=change, args=(engine,))
    changing.start()
    told = engine.ask("backup", "--to", tmp_path / "backup")  # under load
    changing.join()
    assert told["audit"]["sealed"] > 0
    change(engine)
    assert engine.stop() == 0

    put_back(engine, tmp_path / "backup")
    engine.start()
    view = engine.ask("restored", "show")
    assert view["restored"]
    assert {row["credential"] for row in view["credentials"]} == {f"{name}@box" for name in NAMES}
    refused = engine.run("credential", "rotate", f"{NAMES[0]}@box")
    assert (refused.returncode, "restored" in refused.stderr) == (3, True)

    engine.wait_until(lambda: states(engine) == {"managed"}, "not every account was found again")
    assert all(not target.locked(name) for name in NAMES)
    engine.ask("restored", "end")
    assert all(target.opens(name, revealed(engine, name)) for name in NAMES)
    change(engine)
    assert all(target.opens(name, revealed(engine, name)) for name in NAMES)
    assert engine.ask("audit", "verify")["whole"]
    assert "Traceback" not in engine.log()


def test_journals_of_a_lost_host_are_restored_into_a_running_engine(
    engine: RunningEngine, target: FakeTarget, tmp_path: Path
) -> None:
    """The engine starts without its journals, as on a new host; they are found afterwards."""
    engine.ask("backup", "--to", tmp_path / "backup")
    change(engine)
    assert engine.stop() == 0
    put_back(engine, tmp_path / "backup")
    (tmp_path / "journal").rename(tmp_path / "of the lost host")
    engine.start()
    assert not engine.ask("restored", "show")["restored"]

    told = engine.ask("restore", "--journal", tmp_path / "of the lost host")
    assert (told["restored"], sorted(told["imported"])) == (True, [f"{name}@box" for name in NAMES])
    assert engine.ask("restore", "--journal", tmp_path / "of the lost host")["imported"] == []
    assert engine.stop() == 0  # nobody is left, so nothing need be waited for
    engine.start()
    engine.wait_until(lambda: states(engine) == {"managed"}, "not every account was found again")
    engine.ask("restored", "end")
    assert all(target.opens(name, revealed(engine, name)) for name in NAMES)
