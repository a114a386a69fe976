"""Many accounts of a real sshd changed over one administrative connection; sshd's own log is the judge."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import engine.access.models
import engine.operations.models  # noqa: F401 - each import declares its tables
from engine.catalog.credentials import NewCredential, add_credential
from engine.catalog.devices import NewDevice, add_device
from engine.catalog.models import credential
from engine.operations.batches import following
from engine.operations.claims import Claim
from engine.operations.models import attempt
from engine.store.database import Database
from engine.store.metadata import metadata
from engine.vault.refs import credential_ref
from engine.vault.sealing import Purpose, open_bytes
from engine.vault.service import import_secret
from engine.work.conductor import Conductor, Observer, nothing
from engine.work.forkserver.client import Child, ForkServer
from executors.contract import Secret
from executors.session import Job
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import fresh, key_pair, new_password
from tests.peers.sshd import SshServer
from tests.unit.operations.room import ACTOR, Room

SUDO = ("/usr/sbin/chpasswd", "/usr/bin/passwd")
MANY = 20
_numbers = itertools.count(1)


class Site:
    """One engine without API, one sshd of its own, real accounts."""

    def __init__(self, room: Room, server: SshServer, accounts: LocalAccounts, children: ForkServer) -> None:
        self.room, self.server, self.accounts, self.children = room, server, accounts, children
        self.device = f"real{next(_numbers)}"
        new = NewDevice(
            self.device, server.host, {"ssh": server.port}, "default", host_keys=(server.host_key_line,)
        )
        with room.database.writing() as connection:
            add_device(connection, ACTOR, new)

    def login(self, user: str, secret: str, **fields: Any) -> str:
        """Somebody who may change others. Returns the credential's name."""
        name = f"{user}@{self.device}"
        with self.room.database.writing() as connection:
            made = add_credential(connection, ACTOR, NewCredential(name, **fields))
            import_secret(connection, self.room.journal, made.id, Secret(secret), ACTOR)
        self.room.set(credential, made.id, enabled=True, state="managed")
        return name

    def sudoer(self) -> tuple[str, str]:
        secret = new_password()
        user = fresh(self.accounts, "adm", secret, sudo=SUDO)
        return user, self.login(user, secret)

    def account(self, auth: str, user: str | None = None) -> tuple[str, int]:
        """An account whose password nobody knows: user name, and its credential."""
        user = user or fresh(self.accounts, "app", new_password())
        with self.room.database.writing() as connection:
            made = add_credential(connection, ACTOR, NewCredential(f"{user}@{self.device}", auth=auth))
        self.room.set(credential, made.id, enabled=True, state="managed")
        return user, made.id

    def following(self, claim: Claim) -> Sequence[int]:
        with self.room.database.reading() as connection:
            return following(connection, claim)

    def conduct(self, asked: int, at: Observer = nothing) -> str | None:
        room = self.room
        return Conductor(
            room.ledger(),
            self.children,
            room.keys,
            room.journal,
            60.0,
            at=at,
            following=self.following,
        ).conduct(asked)

    def logins(self, user: str) -> int:
        """How often sshd let the account in."""
        return len(re.findall(rf"Accepted \S+ for {user} from", self.server.log_path.read_text()))

    def vault_opens(self, user: str, credential_id: int) -> bool:
        return self.accounts.opens(user, self.room.secret(credential_id))

    def transcript(self, operation_id: int, credential_id: int) -> str:
        """Of the operation's last attempt."""
        with self.room.database.reading() as connection:
            mine = attempt.c.operation_id == operation_id
            query = select(attempt.c.epoch, attempt.c.transcript).where(mine).order_by(attempt.c.id.desc())
            epoch, sealed = connection.execute(query.limit(1)).one()
            context = credential_ref(connection, credential_id).context(epoch, Purpose.TRANSCRIPT)
        return open_bytes(sealed, self.room.keys.private("default"), context).decode()


@pytest.fixture(scope="module")
def children() -> Iterator[ForkServer]:
    with ForkServer(("ssh",)) as server:
        yield server


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    database = Database(f"sqlite:///{tmp_path / 'keyturn.sqlite'}")
    metadata.create_all(database.engine)
    made = Room(database, tmp_path)
    yield made
    made.journal.close()
    database.dispose()


@pytest.fixture
def site(room: Room, sshd: SshServer, accounts: LocalAccounts, children: ForkServer) -> Iterator[Site]:
    server = SshServer()
    yield Site(room, server, accounts, children)
    server.stop()


def test_a_sudoer_changes_twenty_accounts_over_one_connection(site: Site) -> None:
    admin, auth = site.sudoer()
    made = [site.account(auth) for _ in range(MANY)]
    asked = [site.room.ask(which).operation_id for _, which in made]
    assert site.conduct(asked[0]) == "succeeded"
    assert {site.room.operation(each).state for each in asked} == {"succeeded"}
    assert all(site.vault_opens(*each) for each in made)
    assert site.logins(admin) == 1
    assert all(site.logins(user) == 1 for user, _ in made), "each proof is a fresh login"


def test_root_by_key_changes_accounts_over_one_connection(
    room: Room, sshd: SshServer, accounts: LocalAccounts, children: ForkServer, tmp_path: Path
) -> None:
    pem, line = key_pair()
    (tmp_path / "root.keys").write_text(line)
    server = SshServer({"AuthorizedKeysFile": str(tmp_path / "%u.keys"), "StrictModes": "no"})
    try:
        site = Site(room, server, accounts, children)
        auth = site.login("root", pem, kind="ssh_key")
        made = [site.account(auth) for _ in range(5)]
        asked = [site.room.ask(which).operation_id for _, which in made]
        site.conduct(asked[0])
        assert {site.room.operation(each).state for each in asked} == {"succeeded"}
        assert all(site.vault_opens(*each) for each in made)
        assert site.logins("root") == 1
    finally:
        server.stop()


def test_one_that_is_not_there_harms_nobody(site: Site) -> None:
    _, auth = site.sudoer()
    made = [site.account(auth) for _ in range(2)]
    made.append(site.account(auth, user="kt-nobody-of-this-name"))
    made += [site.account(auth) for _ in range(2)]
    asked = [site.room.ask(which).operation_id for _, which in made]
    for each in asked:
        site.conduct(each)
    ends = [site.room.operation(each).state for each in asked]
    assert ends == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
    assert site.room.operation(asked[2]).outcome == "account_missing"
    assert all(site.vault_opens(*each) for each in made if each is not made[2])


def test_a_connection_that_sshd_ended_meanwhile_is_made_anew(site: Site) -> None:
    admin, auth = site.sudoer()
    made = [site.account(auth) for _ in range(3)]
    asked = [site.room.ask(which).operation_id for _, which in made]
    passed = 0

    def cut(point: str) -> None:
        nonlocal passed
        passed += point == "claim.before"
        if point == "claim.before" and passed == 2:
            site.server.end_sessions()

    site.conduct(asked[0], at=cut)
    assert {site.room.operation(each).state for each in asked} == {"succeeded"}
    assert all(site.vault_opens(*each) for each in made)
    assert site.logins(admin) == 2


def test_a_child_killed_in_the_middle_leaves_the_rest_to_others(site: Site) -> None:
    _, auth = site.sudoer()
    made = [site.account(auth) for _ in range(4)]
    asked = [site.room.ask(which).operation_id for _, which in made]
    born: list[Child] = []
    plain = site.children.open

    def watched(job: Job) -> Child:
        born.append(plain(job))
        return born[-1]

    passed = 0

    def kill(point: str) -> None:
        nonlocal passed
        passed += point == "apply.before"
        if point == "apply.before" and passed == 2:
            born[0].kill()

    site.children.open = watched  # type: ignore[method-assign]
    try:
        site.conduct(asked[0], at=kill)
    finally:
        del site.children.open
    for _ in range(3):
        site.room.due_now()
        for each in asked:
            site.conduct(each)
    assert {site.room.operation(each).state for each in asked} == {"succeeded"}
    assert all(site.vault_opens(*each) for each in made)


def test_no_transcript_of_a_batch_holds_a_secret_of_any_of_its_accounts(site: Site) -> None:
    admin, auth = site.sudoer()
    made = [site.account(auth) for _ in range(4)]
    asked = [site.room.ask(which).operation_id for _, which in made]
    site.conduct(asked[0])
    told = [site.transcript(each, which) for each, (_, which) in zip(asked, made, strict=True)]
    for number, (user, which) in enumerate(made):
        assert user in told[number]
        assert not any(site.room.secret(which) in text for text in told)
        assert [user in text for text in told].count(True) == 1, "each tells of its own account only"
    assert f"logged in at {site.device} as {admin}" in told[0]
    assert all("goes on over the connection" in text for text in told[1:])
