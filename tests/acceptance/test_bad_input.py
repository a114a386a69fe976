"""Bad input is normal input: a clear sentence, the exit code of the table, and nothing lost or changed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.access import tokens
from engine.access.service import Role
from engine.cli.exits import Exit
from engine.store.database import Database
from tests.acceptance.engine import ADD, FROM_INPUT, Ended, RunningEngine, Site, running
from tests.peers.accounts import LocalAccounts
from tests.peers.availability import require_peer
from tests.peers.ssh_drive import LINUX, key_pair, new_password
from tests.peers.sshd import SshServer

LISTS = ("devices", "credentials", "operations", "profiles", "policies")
MIB = 1024 * 1024
OWN_TEMPLATE = LINUX / "linux-own-password.template"
NOWHERE = ("--executor", "ssh", "--address", "127.0.0.1", "--port", "9", "--login", "someone")


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sshd: SshServer, accounts: LocalAccounts
) -> Iterator[Site]:
    with running(RunningEngine(tmp_path_factory.mktemp("bad") / "data")) as engine:
        yield Site(engine, sshd, accounts)


@pytest.fixture(scope="module")
def box(site: Site) -> str:
    return site.device()


def everything(site: Site) -> dict[str, Any]:
    """All that the engine knows, as its API shows it."""
    return {name: site.engine.api("GET", f"/{name}").json() for name in LISTS}


@contextmanager
def nothing_changed(site: Site) -> Iterator[None]:
    before = everything(site)
    yield
    assert everything(site) == before


def test_an_unknown_device_is_named(site: Site) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, "app@nowhere", *FROM_INPUT, stdin=new_password())
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "unknown_device")
    assert "nowhere" in said.detail
    assert "device add" in said.detail


def test_an_unknown_credential_is_named(site: Site, box: str) -> None:
    for verb in ("rotate", "verify", "show", "history", "resume"):
        said = site.refused("credential", verb, f"nobody@{box}")
        assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "unknown_credential")
        assert f"nobody@{box}" in said.detail


def test_a_duplicate_account_names_the_first(site: Site, box: str) -> None:
    first = site.engine.ask(*ADD, f"twin@{box}", *FROM_INPUT, stdin=new_password())
    with nothing_changed(site):
        said = site.refused(*ADD, f"twin@{box}", *FROM_INPUT, stdin=new_password())
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "duplicate_credential")
    assert f"twin@{box} (id {first['id']})" in said.detail


def test_a_duplicate_device_names_the_first(site: Site, box: str) -> None:
    with nothing_changed(site):
        said = site.refused("device", "add", box, "--address", "192.0.2.1", "--port", "ssh=22")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "duplicate_device")


def test_without_a_profile_nothing_is_touched(site: Site) -> None:
    site.engine.ask("device", "add", "oddbox", "--address", "127.0.0.1", "--port", "gopher=70")
    site.engine.ask(*ADD, "app@oddbox", *FROM_INPUT, stdin=new_password())
    with nothing_changed(site):
        for command in (("profile", "match"), ("credential", "enable")):
            said = site.refused(*command, "app@oddbox")
            assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "no_profile")
            assert "services: gopher" in said.detail
    assert "no profile" in site.credential("app@oddbox")["obstacle"]


def test_a_tie_of_profiles_names_both_and_touches_nothing(site: Site) -> None:
    device = site.device(None, "--tag", "tied")
    site.engine.ask(*ADD, f"app@{device}", *FROM_INPUT, stdin=new_password())
    rules = {"executor": "ssh", "service": "ssh", "priority": 5, "match": {"tags": ["tied"]}}
    document = site.document(rules | {"templates": {"change_secret": "linux-own-password"}})
    for name in ("one", "other"):
        site.engine.ask("profile", "add", name, document)
    with nothing_changed(site):
        said = site.refused("credential", "enable", f"app@{device}")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "profile_tie")
    assert "one and other" in said.detail


def test_a_profile_with_a_template_that_is_not_there_serves_nothing(site: Site) -> None:
    device = site.device(None, "--tag", "hollow")
    rules = {"executor": "ssh", "service": "ssh", "priority": 5, "match": {"tags": ["hollow"]}}
    document = site.document(rules | {"templates": {"change_secret": "not-there"}})
    site.engine.ask("profile", "add", "hollow", document)
    _, name = site.own("hol", secret := new_password(), device)
    with nothing_changed(site):
        said = site.refused("credential", "rotate", name)
    assert said.exit == Exit.INPUT_REFUSED
    assert "not-there" in said.detail
    assert site.revealed(name) == secret


TEMPLATES = {
    "an unknown directive": ("[change]\nrun true\nfrobnicate\n", 3, "frobnicate"),
    "an unknown tag": ("[change]\nrun echo [#NO_SUCH_TAG#]\n", 2, "NO_SUCH_TAG"),
    "an unknown section": ("[status]\nrun true\n[perhaps]\nrun true\n", 3, "perhaps"),
    "a header that does not end": ("---\nname: half\n", 1, ""),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_that_does_not_parse_says_line_and_reason(site: Site, tmp_path: Path, kind: str) -> None:
    body, line, quoted = TEMPLATES[kind]
    file = tmp_path / "broken.template"
    file.write_text(body)
    elsewhere = RunningEngine(tmp_path / "none")
    done = elsewhere.run(
        "template", "run", file, *NOWHERE, "--login-secret-file", "-", "--json", stdin=new_password()
    )
    assert done.returncode == Exit.TEMPLATE, done.stderr
    shown = json.loads(done.stdout)
    assert shown["outcome"] == "bad_template"
    assert f"line {line}" in shown["message"]
    assert quoted in shown["message"]
    assert shown["steps"] == []


def test_a_tag_without_a_value_is_named_before_anybody_logs_in(site: Site, tmp_path: Path) -> None:
    elsewhere = RunningEngine(tmp_path / "none")
    done = elsewhere.run(
        "template", "run", OWN_TEMPLATE, *NOWHERE, "--login-secret-file", "-", "--json", stdin=new_password()
    )
    assert done.returncode == Exit.INPUT_REFUSED
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "unresolvable_tag"
    assert "[#NEW_PASSWORD#]" in error["detail"]


def test_a_credential_whose_template_lacks_a_value_is_stopped_before_anybody_logs_in(
    site: Site, box: str
) -> None:
    _, via = site.own("via", new_password(), box)
    old = new_password()
    user, name = site.own("app", old, box, "--auth", via, "--template", "linux-by-su")
    logins = site.sshd.log_path.read_text().count("Accepted")
    ended = site.rotate(name)
    assert ended.end == (Exit.TEMPLATE, "failed", "bad_template")
    assert "BECOME" in site.operation(ended.operation)["reason"]
    assert site.sshd.log_path.read_text().count("Accepted") == logins
    assert site.accounts.opens(user, old)
    assert site.revealed(name) == old


POLICIES = {
    "more of a class than fits": {"length": 4, "min_lower": 3, "min_digit": 3},
    "a class without characters": {"alphabet": "abcDEF123", "min_symbol": 1},
    "nothing left": {"alphabet": "abc", "exclude": "abc"},
}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_that_no_generator_can_satisfy_is_refused(site: Site, kind: str) -> None:
    document = site.document({"generator": POLICIES[kind]})
    with nothing_changed(site):
        said = site.refused("policy", "add", "impossible", document)
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "unsatisfiable_policy")
    assert "no password can meet this policy" in said.detail


def test_an_unknown_policy_is_answered_with_those_there_are(site: Site, box: str) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, f"app@{box}", "--policy", "none-such")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "unknown_policy")
    assert "default" in said.detail


@pytest.mark.parametrize(
    "secret", ["two\nlines Q7", "carriage\rreturn Q7", "bell \x07 Q7", "mark \u202e Q7", ""]
)
def test_a_secret_that_cannot_be_one_is_refused_without_quoting_it(site: Site, box: str, secret: str) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, f"app@{box}", *FROM_INPUT, stdin=secret)
        answer = site.engine.api("POST", "/credentials", json={"name": f"app@{box}", "secret": secret})
    assert said.exit == Exit.INPUT_REFUSED
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Q7" not in said.detail + answer.text


def test_a_key_may_have_lines_and_a_password_may_not_when_it_is_set_either(site: Site, box: str) -> None:
    pem, _ = key_pair()
    key = site.engine.ask(*ADD, f"keyed@{box}", "--kind", "ssh_key", *FROM_INPUT, stdin=pem)
    site.engine.ask(*ADD, f"worded@{box}", *FROM_INPUT, stdin=(old := new_password()))
    site.engine.ask("credential", "set", f"keyed@{box}", *FROM_INPUT, stdin=pem)
    assert site.revealed(f"keyed@{box}") == pem.removesuffix("\n")
    with nothing_changed(site):
        assert site.refused("credential", "set", f"worded@{box}", *FROM_INPUT, stdin=pem).code == "bad_secret"
        answer = site.engine.api("PUT", f"/credentials/{key['id'] + 1}/secret", json={"secret": pem})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_value")
    assert site.revealed(f"worded@{box}") == old


def test_a_secret_that_is_too_long_is_refused(site: Site, box: str) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, f"app@{box}", *FROM_INPUT, stdin="x" * 70_000)
        assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "bad_secret")
        assert site.refused(*ADD, f"app@{box}", *FROM_INPUT, stdin="x" * 5_000).exit == Exit.INPUT_REFUSED


def test_a_secret_file_that_is_not_there_is_named(site: Site, box: str, tmp_path: Path) -> None:
    said = site.refused(*ADD, f"app@{box}", "--secret-file", tmp_path / "absent")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "bad_secret")
    assert "absent" in said.detail


def test_nobody_is_their_own_parent(site: Site, box: str) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, f"ouroboros@{box}", "--parent", f"ouroboros@{box}", "--link", "own")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "parent_cycle")


def test_a_parent_needs_the_kind_of_its_link(site: Site, box: str) -> None:
    site.engine.ask(*ADD, f"top@{box}")
    with nothing_changed(site):
        said = site.refused(*ADD, f"below@{box}", "--parent", f"top@{box}")
    assert said.exit == Exit.INPUT_REFUSED
    assert "--link same" in said.detail


def test_a_family_that_is_too_deep_is_refused(site: Site, box: str) -> None:
    above = f"level0@{box}"
    site.engine.ask(*ADD, above)
    for level in range(1, 9):
        body = {"name": f"level{level}@{box}", "parent": above, "link": "own"}
        assert site.engine.api("POST", "/credentials", json=body).status_code == 201
        above = body["name"]
    with nothing_changed(site):
        said = site.refused(*ADD, f"level9@{box}", "--parent", above, "--link", "own")
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "too_deep")


@pytest.mark.parametrize(
    "user", ["krbtgt", "krbtgt_8245", "WEB1$", "MSOL_0a1b2c", "AZUREADSSOACC", "rdsadmin"]
)
def test_an_account_that_is_never_touched_is_refused_with_the_reason(site: Site, box: str, user: str) -> None:
    with nothing_changed(site):
        said = site.refused(*ADD, f"{user}@{box}", *FROM_INPUT, stdin=new_password())
    assert (said.exit, said.code) == (Exit.INPUT_REFUSED, "never_touched")
    assert len(said.detail) > len(user) + 20


def test_a_body_that_is_too_large_is_refused(site: Site) -> None:
    body = json.dumps({"name": "x" * 2 * MIB}).encode()
    with nothing_changed(site):
        announced = site.engine.api("POST", "/devices", data=body)
        streamed = site.engine.api("POST", "/devices", data=iter([body[:MIB], body[MIB:]]))
    assert (announced.status_code, announced.json()["code"]) == (413, "too_large")
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")


BODIES: dict[str, tuple[str, Any]] = {
    "a port as text": ("ports.ssh", {"name": "x", "address": "192.0.2.1", "ports": {"ssh": "22"}}),
    "a port of nowhere": ("ports.ssh", {"name": "x", "address": "192.0.2.1", "ports": {"ssh": 70_000}}),
    "a name that is a list": ("name", {"name": ["x"], "address": "192.0.2.1", "ports": {"ssh": 22}}),
    "a field too many": ("sudo", {"name": "x", "address": "192.0.2.1", "ports": {"ssh": 22}, "sudo": 1}),
    "a field too few": ("ports", {"name": "x", "address": "192.0.2.1"}),
    "a list": ("", [1, 2, 3]),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_wrong_type_names_the_field(site: Site, kind: str) -> None:
    field, body = BODIES[kind]
    with nothing_changed(site):
        answer = site.engine.api("POST", "/devices", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "bad_input"
    assert any(field in each["field"] for each in problem["errors"])


def test_what_is_no_json_is_refused(site: Site) -> None:
    headers = {"Content-Type": "application/json"}
    with nothing_changed(site):
        answer = site.engine.api("POST", "/devices", data=b'{"name": ', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_input")


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "ssh=abc"),
        ("--port", "22"),
        ("--port", "ssh=22", "--limit", "many"),
        ("--port", "ssh=22", "--wat"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(site: Site, options: tuple[str, ...]) -> None:
    with nothing_changed(site):
        done = site.engine.run("device", "add", "x", "--address", "192.0.2.1", *options)
    assert done.returncode == Exit.USAGE
    assert "Error" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--address", "192.0.2.1:22", "--port", "ssh=22"),
        ("--address", "192.0.2.1", "--port", "ssh=0"),
        ("--address", "192.0.2.1", "--port", "ssh=22", "--host-key", "ssh-ed25519 notbase64"),
        ("--address", "192.0.2.1", "--port", "ssh=22", "--zone", "mars"),
        ("--address", "192.0.2.1", "--port", "ssh=22", "--jump", "nobody@nowhere"),
    ],
)
def test_a_device_that_cannot_be_is_refused_as_a_whole(site: Site, options: tuple[str, ...]) -> None:
    with nothing_changed(site):
        assert site.refused("device", "add", "x", *options).exit == Exit.INPUT_REFUSED


def test_an_expired_token_opens_nothing(site: Site, tmp_path: Path) -> None:
    data = site.engine.data
    database = Database(f"sqlite:///{data / 'keyturn.sqlite'}")
    with database.writing() as connection:
        pepper = tokens.pepper(data / "pepper")
        old = tokens.create(connection, pepper, "a test", "late", Role.ADMIN, time.time() - 1)
    database.dispose()
    for presented in (old.reveal(), "kt_0000000000000000_" + "A" * 43, "nonsense"):
        answer = site.engine.api("GET", "/devices", token=presented)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    (tmp_path / "engine.json").write_text((data / "engine.json").read_text())
    (tmp_path / "admin.token").write_text(old.reveal())
    done = RunningEngine(tmp_path).run("device", "list", "--json")
    assert done.returncode == Exit.NOT_PERMITTED
    assert done.stdout == ""
    assert "token" in json.loads(done.stderr)["error"]["detail"]


def test_a_data_directory_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    engine = RunningEngine(tmp_path / "data")
    with running(engine):
        pass
    with sqlite3.connect(engine.data / "keyturn.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9999_from_the_future'")
        database.execute("UPDATE engine_state SET supports = '9999'")
    database.close()
    before = contents(engine.data)
    done = engine.run("up", "--data", engine.data, "--listen", "127.0.0.1:0", "--json")
    assert done.returncode == Exit.NOT_READY
    assert "Traceback" not in done.stderr
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert "v9999_from_the_future" in error["detail"]
    assert "newer" in error["detail"]
    assert contents(engine.data) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Files by name; SQLite's own shared memory comes and goes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


# A full disk


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 24 MiB of its own."""
    place = tmp_path / "volume"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=24m,mode=0700", "keyturn-test", str(place)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    require_peer("tmpfs", mounted, "run the tests as root, where root may mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(volume: Path, leave: int) -> Path:
    filler = volume / "filler"
    with filler.open("wb", buffering=0) as file:
        free = 24 * MIB - sum(each.stat().st_size for each in volume.rglob("*") if each.is_file())
        try:
            for _ in range((free - leave) // 4096 + 1):
                file.write(bytes(4096))
        except OSError:
            assert leave == 0
    return filler


def waits_untouched(site: Site, name: str, old: str) -> Ended:
    """Ask for a change, which must not begin; the operation as it stands."""
    logins = site.sshd.log_path.read_text().count("Accepted")
    waiting = site.rotate(name, timeout=4)
    assert (waiting.exit, waiting.state) == (Exit.WAIT_TIMEOUT, "scheduled")
    assert site.sshd.log_path.read_text().count("Accepted") == logins
    assert site.accounts.opens(name.partition("@")[0], old)
    assert "sent" not in {each["status"] for each in site.history(name)}
    return waiting


def goes_on(site: Site, waiting: Ended, name: str) -> None:
    ended = site.wait("operation", "wait", str(waiting.operation), "--timeout", "50")
    assert ended.end == (Exit.OK, "succeeded", "ok")
    assert site.vault_opens(name)


def test_with_a_full_journal_volume_nothing_begins_until_there_is_room(
    small_volume: Path, tmp_path: Path, sshd: SshServer, accounts: LocalAccounts
) -> None:
    journal = ("--journal", small_volume / "journal")
    engine = RunningEngine(tmp_path / "data", *journal, min_free_disk=str(8 * MIB))
    with running(engine):
        site = Site(engine, sshd, accounts)
        _, name = site.own("disk", old := new_password(), site.device())
        filler = fill(small_volume, leave=4 * MIB)
        waiting = waits_untouched(site, name, old)
        told = "the volume of the escrow journal is full"
        shown = site.operation(waiting.operation)
        assert told in shown["reason"]
        assert shown["attempts"] == []
        assert engine.status("/readyz") == 503
        filler.unlink()
        goes_on(site, waiting, name)
        assert engine.status("/readyz") == 200


def test_a_journal_that_takes_no_byte_stops_a_change_before_the_target_is_touched(
    small_volume: Path, tmp_path: Path, sshd: SshServer, accounts: LocalAccounts
) -> None:
    engine = RunningEngine(tmp_path / "data", "--journal", small_volume / "journal", min_free_disk="0")
    with running(engine):
        site = Site(engine, sshd, accounts)
        _, name = site.own("full", old := new_password(), site.device())
        filler = fill(small_volume, leave=0)
        use_up_the_last_page(site)
        waiting = waits_untouched(site, name, old)
        assert "room" in site.operation(waiting.operation)["reason"]
        said = site.refused("credential", "set", name, *FROM_INPUT, stdin=new_password())
        assert (said.exit, said.code) == (Exit.NOT_READY, "disk_full")
        assert site.revealed(name) == old
        filler.unlink()
        engine.ask("operation", "retry", str(waiting.operation))
        goes_on(site, waiting, name)


def use_up_the_last_page(site: Site) -> None:
    """Where the journal ends there is still room for some records: a volume gives out whole pages."""
    path = f"/credentials/{site.engine.ask(*ADD, f'decoy@{site.device()}')['id']}/secret"
    answers = (site.engine.api("PUT", path, json={"secret": new_password()}) for _ in range(50))
    refused = next(each for each in answers if not each.ok)
    assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")


def test_with_a_full_data_volume_nothing_begins_and_a_restart_with_room_goes_on(
    tmp_path: Path, sshd: SshServer, accounts: LocalAccounts
) -> None:
    data = tmp_path / "data"
    with running(RunningEngine(data)) as roomy:
        site = Site(roomy, sshd, accounts)
        _, name = site.own("data", old := new_password(), site.device())
    full = RunningEngine(data, min_free_disk=str(2**60))
    full.launch()
    try:
        full.wait_until(answers(full), "the engine did not answer")
        waiting = waits_untouched(Site(full, sshd, accounts), name, old)
        reason = Site(full, sshd, accounts).operation(waiting.operation)["reason"]
        assert "the data directory is full" in reason
    finally:
        full.end()
    with running(RunningEngine(data)) as again:
        goes_on(Site(again, sshd, accounts), waiting, name)


def answers(engine: RunningEngine) -> Callable[[], bool]:
    """It is not ready, on purpose, but it answers."""

    def answering() -> bool:
        try:
            return engine.status("/healthz") == 200
        except (OSError, ValueError):
            return False

    return answering
