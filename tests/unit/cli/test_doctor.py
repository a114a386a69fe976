"""Doctor tells what could hurt, from the data directory of any of the engine's processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from engine.cli import doctor_database, doctor_host
from engine.cli.findings import WORKER_NAME, Finding, Result
from engine.operations.models import operation
from engine.processes import worker
from engine.record.models import audit_entry
from engine.settings import Settings
from engine.store.clock import now
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import upgrade
from tests.exported import given_receiver, given_worker
from tests.unit.cli.conftest import Keyturn
from tests.unit.operations.room import Room


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty database of this release."""
    path = tmp_path_factory.mktemp("upgraded") / "keyturn.sqlite"
    made = Database(f"sqlite:///{path}")
    upgrade(made)
    made.dispose()
    return path.read_bytes()


@pytest.fixture
def data(tmp_path: Path, upgraded: bytes) -> Path:
    """A data directory of `keyturn up` that is in order."""
    folder = tmp_path / "data"
    for each in (folder, folder / "keys", folder / "journal"):
        each.mkdir(mode=0o700)
    (folder / "keyturn.sqlite").write_bytes(upgraded)
    for name in ("admin.token", "pepper"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o400)
    return folder


@pytest.fixture
def embedded(data: Path) -> Any:
    """The engine of that directory, with one device and one worker that lives."""
    database = Database(f"sqlite:///{data / 'keyturn.sqlite'}")
    (data / "journal").rmdir()
    made = Room(database, data)
    for each in (data / "journal").iterdir():
        each.chmod(0o600)
    (data / "journal").chmod(0o700)
    with database.writing() as connection:
        given_worker(connection, "w1")
    yield made
    made.journal.close()
    database.dispose()


def told(found: list[Finding], check: str) -> str:
    return "\n".join(f"{each.result}: {each.detail}" for each in found if each.check == check)


def of_database(data: Path, **settings: Any) -> list[Finding]:
    return list(doctor_database.checked(Settings(data=data, **settings)))


def of_host(data: Path, **settings: Any) -> list[Finding]:
    return list(doctor_host.checked(Settings(data=data, **settings)))


def distributed(data: Path, **settings: Any) -> Settings:
    return Settings(data=data, database="postgresql+psycopg://kt@192.0.2.1/kt", **settings)


def bad(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.result is Result.BAD]


def test_an_engine_in_order_has_nothing_bad(embedded: Room) -> None:
    found = of_database(embedded.folder)
    assert bad(found) == []
    assert told(found, "schema").startswith("good: the database's schema is ")
    assert told(found, "clock").startswith("good")
    assert told(found, "workers") == "good: every zone that has devices has a worker; 1 in all"
    assert told(found, "time to lease") == "good: no operation ended lately, and none is late"
    assert told(found, "mode") == "good: changes are allowed"
    assert told(found, "receivers").startswith("note: none")
    assert told(found, "callbacks") == "good: requesters may name no host"


def test_a_zone_without_a_worker_is_bad(embedded: Room) -> None:
    with embedded.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM worker")
    found = of_database(embedded.folder)
    assert told(found, "workers") == (
        "bad: zone default has devices and no worker that lives: `keyturn up` is not running"
    )


def test_how_long_operations_wait_is_told(embedded: Room) -> None:
    embedded.change(embedded.account("ann"))
    assert "of 1 lately" in told(of_database(embedded.folder), "time to lease")
    asked = embedded.ask(embedded.account("bob")).operation_id
    embedded.set(operation, asked, due=now() - 60)
    assert "note: an operation of zone default is due for 6" in told(
        of_database(embedded.folder), "time to lease"
    )
    embedded.set(operation, asked, due=now() - 600)
    assert "bad: an operation of zone default" in told(of_database(embedded.folder), "time to lease")


def test_claims_that_nobody_took_over_are_told(embedded: Room) -> None:
    embedded.claim(embedded.ask(embedded.account("ann")).operation_id)
    embedded.leases_end()
    assert "1 operations of zone default wait to be taken over" in told(
        of_database(embedded.folder), "time to lease"
    )


def test_a_clock_that_went_back_is_bad(embedded: Room) -> None:
    embedded.engine(clock_high=now() + 100)
    assert "bad: the database's clock went back by 100 s" in told(of_database(embedded.folder), "clock")


def test_clocks_that_differ_are_bad(embedded: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.operations.figures.clock_skew", lambda _: -7.0)
    assert "differ by 7 s" in told(bad(of_database(embedded.folder)), "clock")


def test_what_waits_for_people_is_told(embedded: Room) -> None:
    asked = embedded.ask(embedded.account("ann")).operation_id
    embedded.claim(asked)
    embedded.leases_end()
    embedded.set(operation, asked, state="in_doubt", needs_person=True)
    embedded.engine(restored=True)
    found = of_database(embedded.folder)
    assert "note: 1 operations wait for a person" in told(found, "in doubt")
    assert "bad: restored" in told(found, "mode")
    embedded.engine(restored=False, paused=True)
    assert told(of_database(embedded.folder), "mode") == "note: all changes are paused"


def test_what_no_tick_has_numbered_is_bad(embedded: Room) -> None:
    with embedded.database.writing() as connection:
        connection.execute(update(audit_entry).values(at=now() - 100))
    assert "audit entries wait to be sealed, the oldest for 10" in told(
        bad(of_database(embedded.folder)), "audit"
    )


def test_receivers_that_fail_or_lag_or_lost_something_are_bad(embedded: Room) -> None:
    with embedded.database.writing() as connection:
        given_receiver(connection, "siem", failures=4)
        given_receiver(connection, "off", failures=9, enabled=False)
    found = bad(of_database(embedded.folder))
    assert told(found, "receivers") == "bad: siem failed 4 times in a row: `keyturn receiver show siem`"


def test_hosts_of_callbacks_are_named(embedded: Room) -> None:
    found = of_database(embedded.folder, callback_hosts=("tickets.test",))
    assert told(found, "callbacks") == "good: requesters may name tickets.test"


def test_without_a_database_there_is_one_finding(tmp_path: Path) -> None:
    assert [each.detail for each in of_database(tmp_path)] == [
        "there is no database yet; `keyturn up` makes it"
    ]


def test_a_file_that_is_no_database_is_bad(tmp_path: Path) -> None:
    (tmp_path / "keyturn.sqlite").write_bytes(b"not a database " * 100)
    (found,) = of_database(tmp_path)
    assert (found.check, found.result) == ("schema", Result.BAD)


def test_an_empty_database_is_bad_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "keyturn.sqlite").touch()
    (found,) = of_database(tmp_path)
    assert "keyturn migrate" in found.detail


def test_a_database_that_lost_its_own_row_is_bad(embedded: Room) -> None:
    with embedded.database.writing() as connection:
        connection.execute(engine_state.delete())
    (found,) = of_database(embedded.folder)
    assert "holds no engine" in found.detail


def test_a_password_that_cannot_be_read_is_bad(tmp_path: Path) -> None:
    settings = distributed(tmp_path, database_password_file=tmp_path / "none")
    (found,) = doctor_database.checked(settings)
    assert "password cannot be read: No such file" in found.detail


# What the host shows


def test_a_data_directory_in_order_has_only_notes(embedded: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_host, "connect", lambda _: NoFault())
    found = of_host(embedded.folder)
    assert bad(found) == []
    assert told(found, "broker") == "good: none is needed in one process"
    assert told(found, "separation").startswith("note: embedded")
    assert "own volume" in told(found, "journal")


class NoFault:
    def ready(self) -> list[str]:
        return []


def test_an_api_process_needs_no_key_and_a_worker_does(data: Path) -> None:
    api = list(doctor_host.checked(distributed(data)))
    assert told(api, "zone key").startswith("good: there is no private key")
    assert told(api, "separation").startswith("good")
    (data / "worker.name").write_text("w1")
    found = list(doctor_host.checked(distributed(data)))
    assert told(found, "zone key").startswith("bad: ")
    (data / "admin.token").unlink()
    found = list(doctor_host.checked(distributed(data)))
    assert told(found, "token").startswith("note: ")


def test_a_worker_is_known_by_the_file_that_it_leaves() -> None:
    assert WORKER_NAME == worker.NAME_FILE


def test_an_api_process_on_a_workers_directory_is_bad(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_host, "connect", lambda _: NoFault())
    (data / "worker.name").write_text("w1")
    (data / "engine.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    found = list(doctor_host.checked(distributed(data)))
    assert told(found, "separation").startswith("bad: an API process was started on")


def test_password_files_that_others_can_read_are_bad(data: Path) -> None:
    secret = data.parent / "broker-password"
    secret.write_text("x")
    secret.chmod(0o644)
    found = of_host(data, broker="redis://192.0.2.1", broker_password_file=secret)
    assert f"{secret} is open to others (0644): chmod 0600" in told(bad(found), "modes")


def test_a_broker_that_does_not_answer_is_bad_and_its_password_is_not_told(data: Path) -> None:
    """The resolver of these tests does not know it."""
    secret = data.parent / "broker-password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    found = of_host(data, broker="redis://user@192.0.2.1:6379/0", broker_password_file=secret)
    assert "bad: redis://user@192.0.2.1:6379/0 does not answer" in told(found, "broker")
    assert "hunter2" not in str(found)
    found = of_host(data, broker="redis://user@192.0.2.1:6379/0", broker_password_file=data / "none")
    assert "does not answer (FileNotFoundError)" in told(found, "broker")


def test_who_may_read_metrics_is_told(data: Path) -> None:
    assert told(of_host(data), "metrics").startswith("note: this process serves none")
    assert told(of_host(data, metrics="127.0.0.1:9470"), "metrics").startswith("good")
    assert told(of_host(data, metrics="[::1]:9470"), "metrics").startswith("good")
    assert "whoever reaches" in told(of_host(data, metrics="0.0.0.0:9470"), "metrics")


def test_swap_on_a_plain_disk_is_told_and_other_swap_is_not(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swaps = tmp_path / "swaps"
    monkeypatch.setattr(doctor_host, "SWAPS", swaps)
    monkeypatch.setattr(doctor_host, "BLOCK_DEVICES", tmp_path / "block")
    uuid = tmp_path / "block" / "dm-0" / "dm" / "uuid"
    uuid.parent.mkdir(parents=True)
    uuid.write_text("CRYPT-PLAIN-swap")
    swaps.write_text("Filename Type\n/dev/dm-0 partition\n/dev/zram0 partition\n")
    assert told(of_host(data), "swap").startswith("good")
    swaps.write_text("Filename Type\n/dev/dm-0 partition\n/dev/sda9 partition\n")
    assert told(of_host(data), "swap").startswith("note: memory can be swapped to /dev/sda9,")


def test_cores_that_the_kernel_hands_to_a_program_are_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = tmp_path / "core_pattern"
    monkeypatch.setattr(doctor_host, "CORE_PATTERN", pattern)
    monkeypatch.setattr("resource.getrlimit", lambda _: (0, 0))
    pattern.write_text("core\n")
    assert told(of_host(data), "core dumps").startswith("good")
    pattern.write_text("|/lib/systemd/systemd-coredump %P\n")
    assert "hands cores to /lib/systemd/systemd-coredump" in told(of_host(data), "core dumps")
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 1024))
    assert "ulimit -c 0" in told(of_host(data), "core dumps")


def test_a_full_volume_is_bad(data: Path) -> None:
    found = of_host(data, min_free_disk=2**62)
    assert "bad: the volume of the escrow journal is full" in told(found, "journal")


def test_settings_that_are_wrong_are_refused_by_name(keyturn: Keyturn, data: Path) -> None:
    (data / "keyturn.toml").write_text("tick = -1\n")
    result = keyturn("doctor", "--data", str(data))
    assert result.exit_code == 3
    assert "tick" in result.stderr
