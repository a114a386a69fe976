"""`keyturn up` on the data directory of the first release: everything reads, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executors.fake.target import FakeTarget
from tests.acceptance.engine import RunningEngine, running
from tests.old_release import ACCOUNTS, data_directory

KEPT = {f"keep_{what}": "1000000" for what in ("transcripts", "operations", "notices")}  # it grows old


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    data = data_directory(tmp_path_factory.mktemp("old") / "data")
    with running(RunningEngine(data, **KEPT)) as started:
        yield started


def target(engine: RunningEngine) -> FakeTarget:
    return FakeTarget(engine.data / "target")


def test_what_was_registered_is_there(engine: RunningEngine) -> None:
    assert [row["name"] for row in engine.ask("device", "list")] == ["box"]
    assert {row["name"] for row in engine.ask("credential", "list")} == {f"{name}@box" for name in ACCOUNTS}
    assert {row["username"] for row in engine.ask("credential", "list")} == set(ACCOUNTS)


def test_what_was_begun_goes_on_until_it_is_proven(engine: RunningEngine) -> None:
    """dora's change was cut off after the target had applied it; bob's had not begun."""

    def ended() -> bool:
        left = [row for row in engine.ask("operation", "list") if row["state"] != "succeeded"]
        return not left

    engine.wait_until(ended, "not everything that was begun has ended well")


@pytest.mark.parametrize("name", ACCOUNTS)
def test_every_stored_secret_opens_its_account(engine: RunningEngine, name: str) -> None:
    found = engine.ask("credential", "show", f"{name}@box")
    answer = engine.api("POST", f"/credentials/{found['id']}/reveal", json={"reason": "compared by a test"})
    assert answer.ok, answer.text
    assert target(engine).opens(name, answer.json()["secret"])


def test_a_change_goes_through(engine: RunningEngine) -> None:
    before = target(engine).history("carol")
    done = engine.ask("credential", "rotate", "carol@box", "--wait")
    assert done["state"] == "succeeded"
    assert len(target(engine).history("carol")) == len(before) + 1


def test_the_audit_record_is_whole_from_the_first_release_on(engine: RunningEngine) -> None:
    engine.wait_until(lambda: engine.ask("audit", "verify")["unsealed"] == 0, "not everything is sealed")
    assert engine.ask("audit", "verify")["whole"]


def test_it_is_not_taken_for_a_restored_database(engine: RunningEngine) -> None:
    assert engine.ask("restored", "show") == {"restored": False, "credentials": []}


def test_nothing_went_wrong_on_the_way(engine: RunningEngine) -> None:
    assert "Traceback" not in engine.log()
