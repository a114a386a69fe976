"""SSH keys changed in authorized_keys by the whole engine; the file and the logins of a real sshd judge."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwnam
from typing import Any

import pytest
from sqlalchemy import select, update

import engine.access.models  # noqa: F401 - declares its tables
from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import credential
from engine.catalog.rules import add_profile
from engine.catalog.ssh_keys import public_key
from engine.catalog.states import Action, CredentialKind, CredentialState
from engine.operations.models import operation
from engine.store.clock import now
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.vault.models import secret_version
from engine.vault.service import import_secret
from executors.contract import Secret, Verdict
from tests.peers import workdir
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import at, fresh, key, key_pair, new_password, prove
from tests.peers.sshd import SshServer
from tests.unit.operations.room import ACTOR, Room, room  # noqa: F401
from tests.unit.work.test_conductor import At, Killed
from triggers.parent_changed import expand

FOREIGN = [
    "# a comment, which stays",
    "",
    'command="echo \\"AAAA BBBB\\" # not one",no-pty ssh-rsa AAAAB3NzaC1yc2EAAAADAQABforeign a@b\r',
    "  ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPforeign   two  blanks ",
    'this is no line that sshd understands "',
]
OPTIONS = 'from="127.0.0.1,::1",restrict,pty,environment="NOTE=a b \\"c\\""'
OVERLAP = 600.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'keyturn.sqlite'}")
    metadata.create_all(made.engine)
    yield made
    made.dispose()


class Place:
    """Accounts of one sshd that log in by key; `web1`, `web2` … are devices there."""

    def __init__(self, room: Room, sshd: SshServer, accounts: LocalAccounts) -> None:  # noqa: F811
        self.room, self.sshd, self.accounts = room, sshd, accounts
        self.device("web1")
        room.policy("overlaps", overlap_seconds=OVERLAP)
        room.policy("at-once")

    def device(self, name: str, server: SshServer | None = None) -> None:
        place = server or self.sshd
        with self.room.database.writing() as connection:
            keys = (place.host_key_line,)
            ports = {"ssh": place.port}
            add_device(connection, ACTOR, NewDevice(name, place.host, ports, "default", host_keys=keys))

    def account(self, suffix: str, lines: list[str] | None = None, **options: Any) -> str:
        user = fresh(self.accounts, suffix, **options)
        if lines is not None:
            folder = ssh_folder(user)
            folder.mkdir(mode=0o700)
            keys_of(user).write_bytes(("\n".join(lines) + "\n").encode())
            keys_of(user).chmod(0o640)
            for path in (folder, keys_of(user)):
                own(path, user)
        return user

    def credential(
        self, name: str, secret: str | None, kind: CredentialKind = CredentialKind.SSH_KEY, **fields: Any
    ) -> int:
        fields = {"policy": "at-once", **fields}
        with self.room.database.writing() as connection:
            made = add_credential(connection, ACTOR, NewCredential(name, kind=kind, **fields)).id
            if secret is not None:
                import_secret(connection, self.room.journal, made, Secret(secret), ACTOR)
            values = {"enabled": True, "state": CredentialState.MANAGED}
            connection.execute(update(credential).where(credential.c.id == made).values(**values))
            versions = update(secret_version).where(secret_version.c.credential_id == made)
            connection.execute(versions.values(proven_at=now()))
        return made

    def own_key(self, suffix: str, options: str = "", **fields: Any) -> tuple[str, int, str]:
        """An account whose key may change itself: its name, its credential and that key."""
        pem, line = key_pair()
        user = self.account(suffix, [*FOREIGN[:2], f"{options} {line}".strip(), *FOREIGN[2:]])
        return user, self.credential(f"{user}@web1", pem, **fields), pem

    def asked(self, of: int, action: Action) -> list[Any]:
        with self.room.database.reading() as connection:
            mine = (operation.c.credential_id == of, operation.c.action == action)
            return list(connection.execute(select(operation).where(*mine).order_by(operation.c.id)))

    def removals(self, of: int) -> list[Any]:
        return self.asked(of, Action.REMOVE_OLD_SECRET)

    def remove_old(self, of: int, **how: Any) -> str | None:
        """What is asked for already, now that it is due."""
        self.room.due_now()
        return self.room.work(self.removals(of)[-1].id, **how)

    def verdict(self, user: str, pem: str) -> Verdict:
        return prove(at(self.sshd), key(user, pem)).verdict

    def key_of(self, of: int) -> str:
        return self.room.secret(of)


@pytest.fixture
def place(room: Room, sshd: SshServer, accounts: LocalAccounts) -> Place:  # noqa: F811
    return Place(room, sshd, accounts)


@pytest.fixture
def central() -> Iterator[Path]:
    """Where every account may read: sshd looks for keys with the rights of the account."""
    folder = workdir.make("keys")
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def with_root(central: Path, room: Room, accounts: LocalAccounts) -> Iterator[Place]:  # noqa: F811
    """An sshd that lets this machine's root in by a key that only it knows; `root@web1` logs in with it."""
    pem, line = key_pair()
    central.joinpath("root.keys").write_text(line)
    files = f"{central}/%u.keys .ssh/authorized_keys"
    server = SshServer({"AuthorizedKeysFile": files, "StrictModes": "no"})
    made = Place(room, server, accounts)
    made.credential("root@web1", pem)
    yield made
    server.stop()


def ssh_folder(user: str) -> Path:
    return Path(getpwnam(user).pw_dir) / ".ssh"


def keys_of(user: str) -> Path:
    return ssh_folder(user) / "authorized_keys"


def own(path: Path, user: str) -> None:
    os.chown(path, getpwnam(user).pw_uid, getpwnam(user).pw_gid, follow_symlinks=False)


def lines_of(user: str) -> list[str]:
    return keys_of(user).read_bytes().decode().split("\n")[:-1]


def half(pem: str) -> str:
    public = public_key(Secret(pem))
    assert public is not None
    return public


def leftovers(user: str) -> list[str]:
    return [path.name for path in ssh_folder(user).iterdir() if path.name != "authorized_keys"]


def test_an_account_changes_its_own_key_and_the_old_one_goes_when_the_overlap_is_over(place: Place) -> None:
    user, ann, old = place.own_key("own", OPTIONS, policy="overlaps")
    before = keys_of(user).stat()
    assert place.room.change(ann) == "succeeded"
    new = place.key_of(ann)
    assert (place.verdict(user, new), place.verdict(user, old)) == (Verdict.OPENS, Verdict.OPENS)
    assert lines_of(user) == [*FOREIGN[:2], f"{OPTIONS} {half(old)}", *FOREIGN[2:], lines_of(user)[-1]]
    assert lines_of(user)[-1] == f"{OPTIONS} {half(new)} keyturn:{user}@web1:2"
    [removal] = place.removals(ann)
    assert (removal.state, removal.trigger, round(removal.due - removal.created)) == (
        "scheduled",
        "secret_replaced",
        OVERLAP,
    )
    assert place.room.work(removal.id) is None, "not due yet"

    assert place.remove_old(ann) == "succeeded"
    assert (place.verdict(user, new), place.verdict(user, old)) == (Verdict.OPENS, Verdict.REFUSED)
    assert lines_of(user) == [*FOREIGN, f"{OPTIONS} {half(new)} keyturn:{user}@web1:2"]
    after = keys_of(user).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert leftovers(user) == []
    assert place.room.state(ann) == "managed"
    assert place.room.versions(ann) == {1: "previous", 2: "current"}


def test_without_overlap_the_old_key_is_due_for_removal_at_once(place: Place) -> None:
    _, ann, _ = place.own_key("once")
    assert place.room.change(ann) == "succeeded"
    assert place.room.work(place.removals(ann)[0].id) == "succeeded"


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa-3072"])
def test_the_policy_says_what_a_new_key_is(place: Place, kind: str) -> None:
    place.room.policy("other-keys", ssh_key=kind)
    user, ann, _ = place.own_key("kind", policy="other-keys")
    for _ in range(2):
        assert place.room.change(ann) == "succeeded"
        assert place.remove_old(ann) == "succeeded"
    assert half(place.key_of(ann)).startswith(
        {"rsa-3072": "ssh-rsa", "ecdsa-p256": "ecdsa-sha2-nistp256"}[kind]
    )
    assert lines_of(user) == [*FOREIGN, f"{half(place.key_of(ann))} keyturn:{user}@web1:3"]


def test_a_second_change_puts_the_removal_off_and_it_then_removes_both(place: Place) -> None:
    user, ann, first = place.own_key("twice", policy="overlaps")
    assert place.room.change(ann) == "succeeded"
    place.room.set(operation, place.removals(ann)[0].id, due=now() + 5)
    second = place.key_of(ann)
    assert place.room.change(ann) == "succeeded"
    [removal] = place.removals(ann)
    assert removal.due - removal.created > OVERLAP - 5
    assert place.remove_old(ann) == "succeeded"
    assert [place.verdict(user, each) for each in (first, second)] == [Verdict.REFUSED, Verdict.REFUSED]
    assert lines_of(user) == [*FOREIGN, f"{half(place.key_of(ann))} keyturn:{user}@web1:3"]


def test_root_adds_a_key_where_there_is_no_authorized_keys_and_no_secret_known(with_root: Place) -> None:
    user = with_root.account("bare")
    ann = with_root.credential(f"{user}@web1", None, auth="root@web1")
    assert with_root.room.change(ann) == "succeeded"
    assert lines_of(user) == [f"{half(with_root.key_of(ann))} keyturn:{user}@web1:1"]
    for path, mode in ((ssh_folder(user), 0o700), (keys_of(user), 0o600)):
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (mode, getpwnam(user).pw_uid)
    assert with_root.removals(ann) == [], "nothing was replaced"


def test_root_changes_and_removes_the_key_of_another_account(with_root: Place) -> None:
    pem, line = key_pair()
    user = with_root.account("app", [*FOREIGN, f"{OPTIONS} {line}".strip()])
    with_root.accounts.set_shell(user, "/usr/sbin/nologin")
    ann = with_root.credential(f"{user}@web1", pem, auth="root@web1")
    assert with_root.room.change(ann) == "succeeded"
    assert with_root.remove_old(ann) == "succeeded"
    assert lines_of(user) == [*FOREIGN, f"{OPTIONS} {half(with_root.key_of(ann))} keyturn:{user}@web1:2"]
    assert with_root.verdict(user, pem) is Verdict.REFUSED
    assert keys_of(user).stat().st_uid == getpwnam(user).pw_uid


def test_an_authorized_keys_that_is_a_link_stays_one(with_root: Place) -> None:
    pem, line = key_pair()
    user = with_root.account("link", [line.strip()])
    elsewhere = Path(getpwnam(user).pw_dir) / "dotfiles"
    elsewhere.mkdir()
    own(elsewhere, user)
    keys_of(user).rename(elsewhere / "keys")
    keys_of(user).symlink_to(elsewhere / "keys")
    ann = with_root.credential(f"{user}@web1", pem, auth="root@web1")
    assert with_root.room.change(ann) == "succeeded"
    assert keys_of(user).is_symlink()
    assert len(lines_of(user)) == 2


def test_root_is_not_led_astray_by_a_link_to_a_file_of_its_own(with_root: Place, central: Path) -> None:
    pem, line = key_pair()
    # sshd reads as the account too: with the first file no key opens, and so nothing shows what was done.
    for number, (mode, ended) in enumerate({0o600: "in_doubt", 0o644: "failed"}.items()):
        user = with_root.account("astray", [line.strip()])
        roots = central / f"roots{number}"
        roots.write_text(line)
        roots.chmod(mode)
        keys_of(user).unlink()
        keys_of(user).symlink_to(roots)
        ann = with_root.credential(f"{user}@web1", pem, auth="root@web1")
        asked = with_root.room.ask(ann).operation_id
        assert with_root.room.work(asked) == ended
        assert (roots.read_text(), roots.stat().st_uid, roots.stat().st_mode & 0o777) == (line, 0, mode)


@pytest.mark.parametrize("rule", ["(ALL) /bin/sh", "(ALL) NOPASSWD: /bin/sh"])
def test_a_sudoer_changes_and_removes_the_key_of_another_account(place: Place, rule: str) -> None:
    secret = new_password()
    boss = fresh(place.accounts, "adm", secret, sudo=[f"/usr/bin/true, {rule}"])
    place.credential(f"{boss}@web1", secret, CredentialKind.PASSWORD)
    user, ann, old = place.own_key("sud", OPTIONS, auth=f"{boss}@web1")
    assert place.room.change(ann) == "succeeded"
    assert place.verdict(user, old) is Verdict.OPENS
    assert place.remove_old(ann) == "succeeded"
    assert place.verdict(user, old) is Verdict.REFUSED
    assert lines_of(user) == [*FOREIGN, f"{OPTIONS} {half(place.key_of(ann))} keyturn:{user}@web1:2"]


def test_a_sudoer_that_logs_in_with_a_key_needs_no_password(place: Place) -> None:
    pem, line = key_pair()
    boss = place.account("admkey", [line.strip()], sudo=["/usr/bin/true, (ALL) NOPASSWD: /bin/sh"])
    place.credential(f"{boss}@web1", pem)
    way = "linux-ssh-key-by-sudoer-nopasswd"
    templates = {"change_secret": way, "remove_old_secret": f"{way}-remove-old"}
    rules = {"name": way, "executor": "ssh", "service": "ssh", "templates": templates, "login": "other"}
    with place.room.database.writing() as connection:
        add_profile(connection, ACTOR, rules | {"match": {"kind": "ssh_key"}, "priority": 1})
    user, ann, old = place.own_key("sudkey", OPTIONS, auth=f"{boss}@web1")
    assert place.room.change(ann) == "succeeded"
    assert place.remove_old(ann) == "succeeded"
    assert place.verdict(user, old) is Verdict.REFUSED
    assert lines_of(user) == [*FOREIGN, f"{OPTIONS} {half(place.key_of(ann))} keyturn:{user}@web1:2"]


def test_a_folder_that_cannot_be_written_to_fails_and_nothing_is_lost(place: Place) -> None:
    user, ann, old = place.own_key("ro")
    os.chown(ssh_folder(user), 0, 0)
    ssh_folder(user).chmod(0o755)
    before = keys_of(user).read_bytes()
    asked = place.room.ask(ann).operation_id
    assert place.room.work(asked) == "failed"
    assert place.room.operation(asked).outcome == "permission_denied"
    assert "no right to write" in place.room.operation(asked).reason
    assert place.room.versions(ann) == {1: "current", 2: "unused"}
    assert (keys_of(user).read_bytes(), place.verdict(user, old)) == (before, Verdict.OPENS)
    assert place.removals(ann) == []


@pytest.mark.parametrize("point", ["mark.after", "apply.after", "probe.after"])
def test_whoever_takes_over_finds_out_which_key_opens(place: Place, point: str) -> None:
    user, ann, old = place.own_key("kill", policy="overlaps")
    asked = place.room.ask(ann).operation_id
    with pytest.raises(Killed):
        place.room.work(asked, at=At(point, Killed()))
    place.room.leases_end()
    assert place.room.work(asked) == "succeeded"
    assert lines_of(user)[:-1] == [*FOREIGN[:2], half(old), *FOREIGN[2:]]
    assert place.verdict(user, place.key_of(ann)) is Verdict.OPENS
    assert len(place.removals(ann)) == 1


@pytest.mark.parametrize("point", ["mark.after", "apply.after", "close.before"])
def test_a_removal_that_was_killed_is_ended_by_whoever_takes_over(place: Place, point: str) -> None:
    user, ann, old = place.own_key("gone")
    assert place.room.change(ann) == "succeeded"
    with pytest.raises(Killed):
        place.remove_old(ann, at=At(point, Killed()))
    place.room.leases_end()
    assert place.remove_old(ann) == "succeeded"
    assert lines_of(user) == [*FOREIGN, f"{half(place.key_of(ann))} keyturn:{user}@web1:2"]
    assert place.verdict(user, old) is Verdict.REFUSED


def test_a_removal_is_no_success_while_the_old_key_opens_in_another_way(
    with_root: Place, central: Path
) -> None:
    pem, line = key_pair()
    user = with_root.account("twoways", [line.strip()])
    central.joinpath(f"{user}.keys").write_text(line)
    central.joinpath(f"{user}.keys").chmod(0o644)
    ann = with_root.credential(f"{user}@web1", pem)
    assert with_root.room.change(ann) == "succeeded"
    assert with_root.remove_old(ann) == "failed"
    [removal] = with_root.removals(ann)
    assert "still opens" in removal.reason
    assert with_root.room.state(ann) == "managed"
    assert with_root.room.account_of(ann).failures == 0


def test_nothing_is_removed_where_the_key_in_force_is_not_in_the_file(with_root: Place) -> None:
    pem, line = key_pair()
    user = with_root.account("odd", [line.strip()])
    ann = with_root.credential(f"{user}@web1", pem, auth="root@web1")
    assert with_root.room.change(ann) == "succeeded"
    keys_of(user).write_text(line)  # somebody put the old file back
    assert with_root.remove_old(ann) == "failed"
    assert keys_of(user).read_text() == line
    verification = with_root.asked(ann, Action.VERIFY)[0].id
    assert with_root.room.work(verification) == "succeeded"
    assert with_root.room.versions(ann) == {1: "current", 2: "previous"}, "what opens was adopted"


def test_a_key_that_comes_from_elsewhere_is_not_given_a_line_without_its_restrictions(
    with_root: Place, central: Path
) -> None:
    pem, line = key_pair()
    user = with_root.account("central", [FOREIGN[2]])
    central.joinpath(f"{user}.keys").write_text(f"restrict {line}")
    central.joinpath(f"{user}.keys").chmod(0o644)
    ann = with_root.credential(f"{user}@web1", pem)
    asked = with_root.room.ask(ann).operation_id
    for _ in range(4):
        with_root.room.due_now()
        with_root.room.work(asked)
    assert with_root.room.operation(asked).state == "failed"
    assert "the key in force is not in" in with_root.room.operation(asked).reason
    assert lines_of(user) == [FOREIGN[2]]


def test_one_key_on_three_hosts_changes_at_its_owner_first_and_then_at_the_others(place: Place) -> None:
    pem, line = key_pair()
    users = [place.account(f"host{number}", [*FOREIGN, line.strip()]) for number in (1, 2, 3)]
    place.device("web2")
    place.device("web3")
    owner = place.credential(f"{users[0]}@web1", pem, policy="overlaps")
    link: dict[str, Any] = {"parent": f"{users[0]}@web1", "link": "same", "policy": "overlaps"}
    others = [
        place.credential(f"{user}@web{number}", pem, **link) for number, user in enumerate(users[1:], 2)
    ]
    assert place.room.change(owner) == "succeeded"
    new = place.key_of(owner)
    assert [place.verdict(user, new) for user in users] == [Verdict.OPENS, Verdict.REFUSED, Verdict.REFUSED]
    with place.room.database.writing() as connection:
        while expand(connection):
            pass
    for child in others:
        [asked] = place.asked(child, Action.CHANGE_SECRET)
        assert place.room.work(asked.id) == "succeeded"
        assert place.key_of(child) == new
    assert [place.verdict(user, new) for user in users] == [Verdict.OPENS] * 3
    assert [place.verdict(user, pem) for user in users] == [Verdict.OPENS] * 3, "until the overlap is over"
    for one in (owner, *others):
        assert place.remove_old(one) == "succeeded"
    assert [place.verdict(user, pem) for user in users] == [Verdict.REFUSED] * 3
    for number, user in enumerate(users, 1):
        assert lines_of(user) == [*FOREIGN, f"{half(new)} keyturn:{user}@web{number}:2"]


def test_a_replaced_secret_that_was_never_a_key_does_not_stand_in_the_way_of_a_removal(place: Place) -> None:
    user, ann, pem = place.own_key("nokey")
    place.room.store(ann, "-----BEGIN OPENSSH PRIVATE KEY-----\nlocked\n")
    place.room.store(ann, pem)
    place.room.set(credential, ann, state=CredentialState.MANAGED)
    assert place.room.work(place.room.ask(ann, Action.REMOVE_OLD_SECRET).operation_id) == "succeeded"
    assert place.verdict(user, pem) is Verdict.OPENS


def test_no_private_key_reaches_a_command_line_or_a_disk_of_the_target(place: Place) -> None:
    user, ann, _ = place.own_key("leak")
    assert place.room.change(ann) == "succeeded"
    body = "".join(place.key_of(ann).split("\n")[1:-2])[40:]
    found = subprocess.run(
        ["grep", "-rlF", body[-40:], getpwnam(user).pw_dir], capture_output=True, check=False
    )
    assert found.stdout == b""
