"""The peers themselves: what the other tests believe about them."""

from __future__ import annotations

import base64
import os
import pwd
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import paramiko
import psycopg
import pytest
import sqlalchemy as sa

from tests.peers import availability
from tests.peers import postgres as postgres_peer
from tests.peers import sshd as sshd_peer
from tests.peers.accounts import AccountCommandFailed, LocalAccounts
from tests.peers.postgres import PostgresServer
from tests.peers.sshd import SshdDidNotStart, SshServer


def log_in(server: SshServer, user: str, password: str) -> paramiko.SSHClient:
    kind, body = server.host_key_line.split()[:2]
    client = paramiko.SSHClient()
    known = client.get_host_keys()
    known.add(
        f"[{server.host}]:{server.port}", kind, paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    )
    client.connect(
        server.host, server.port, user, password, allow_agent=False, look_for_keys=False, timeout=20
    )
    return client


def run(client: paramiko.SSHClient, command: str, stdin: str = "") -> tuple[int, str]:
    pipe, output, _ = client.exec_command(command, timeout=30)
    pipe.write(stdin)
    pipe.channel.shutdown_write()
    text = output.read().decode()
    return output.channel.recv_exit_status(), text


def new_password() -> str:
    return f"Kt-{secrets.token_hex(8)}-Q9"


def test_an_account_logs_in_with_its_password(sshd: SshServer, accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("login", password)
    with log_in(sshd, user, password) as client:
        assert run(client, "id -un") == (0, f"{user}\n")


def test_a_wrong_password_is_refused(sshd: SshServer, accounts: LocalAccounts) -> None:
    user = accounts.add("refused", new_password())
    with pytest.raises(paramiko.AuthenticationException):
        log_in(sshd, user, new_password())


def test_the_shadow_record_accepts_the_password_and_nothing_else(accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("shadow", password)
    assert accounts.shadow_hash(user).startswith("$y$")
    assert accounts.opens(user, password)
    assert not accounts.opens(user, password[:-1])
    assert not accounts.opens(user, "")


def test_a_locked_password_opens_nothing_until_it_is_unlocked(accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("locked", password)
    accounts.lock(user)
    assert not accounts.opens(user, password)
    accounts.unlock(user)
    assert accounts.opens(user, password)


def test_an_account_without_a_password_is_locked(accounts: LocalAccounts) -> None:
    user = accounts.add("none")
    assert accounts.shadow_hash(user) == "!"
    assert not accounts.opens(user, "")


def test_an_expired_password_still_authenticates_but_runs_nothing(
    sshd: SshServer, accounts: LocalAccounts
) -> None:
    password = new_password()
    user = accounts.add("expired", password, expired=True)
    with log_in(sshd, user, password) as client:
        assert run(client, "id -un") == (1, "")


def test_a_disabled_account_is_refused(sshd: SshServer, accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("disabled", password)
    accounts.disable(user)
    with pytest.raises(paramiko.AuthenticationException):
        log_in(sshd, user, password)


def test_the_shell_can_be_one_that_runs_nothing(sshd: SshServer, accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("nologin", password)
    accounts.set_shell(user, "/usr/sbin/nologin")
    with log_in(sshd, user, password) as client:
        assert run(client, "id -un")[0] == 1


def test_sudo_lets_an_admin_run_the_named_command_only(sshd: SshServer, accounts: LocalAccounts) -> None:
    old, new, admin_password = new_password(), new_password(), new_password()
    user = accounts.add("target", old)
    admin = accounts.add("admin", admin_password, sudo=["/usr/sbin/chpasswd"])
    with log_in(sshd, admin, admin_password) as client:
        assert run(client, "sudo -S -k -p '' chpasswd", f"{admin_password}\n{user}:{new}\n") == (0, "")
        assert run(client, "sudo -S -k -p '' id", f"{admin_password}\n")[0] == 1
    assert accounts.opens(user, new)
    assert not accounts.opens(user, old)


def test_a_sudo_rule_that_sudo_cannot_read_is_never_installed(accounts: LocalAccounts) -> None:
    rules = Path("/etc/sudoers.d") / accounts.run_id
    before = rules.read_text() if rules.exists() else None
    with pytest.raises(AccountCommandFailed, match="visudo"):
        accounts.add("badsudo", sudo=["chpasswd without a path"])
    assert (rules.read_text() if rules.exists() else None) == before


def test_a_name_too_long_for_useradd_is_refused(accounts: LocalAccounts) -> None:
    with pytest.raises(ValueError, match="shorter suffix"):
        accounts.add("x" * 32)


@pytest.mark.usefixtures("sshd")
def test_accounts_of_a_killed_run_are_removed_by_the_next() -> None:
    # A process that makes an account and ends at once is a test run that was killed.
    script = (
        "import os; from tests.peers.accounts import LocalAccounts;"
        "print(LocalAccounts().add('orphan', sudo=['/usr/bin/id']), flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    orphan = done.stdout.strip()
    assert pwd.getpwnam(orphan).pw_gecos.startswith("keyturn-test ")
    LocalAccounts()
    with pytest.raises(KeyError):
        pwd.getpwnam(orphan)
    assert not (Path("/etc/sudoers.d") / orphan.partition("_")[0]).exists()


def test_accounts_of_a_living_run_are_left_alone(accounts: LocalAccounts) -> None:
    user = accounts.add("alive")
    LocalAccounts()
    assert pwd.getpwnam(user)


@pytest.mark.usefixtures("sshd")
def test_a_server_takes_options_of_its_own_and_leaves_nothing_behind(accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("keysonly", password)
    server = SshServer({"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no"})
    with pytest.raises(paramiko.BadAuthenticationType):
        log_in(server, user, password)
    folder = server.log_path.parent
    server.stop()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection((server.host, server.port)):
        pass


@pytest.mark.usefixtures("sshd")
def test_stopping_the_server_cuts_the_sessions_it_serves(accounts: LocalAccounts) -> None:
    password = new_password()
    user = accounts.add("cut", password)
    server = SshServer()
    with log_in(server, user, password) as client:
        _, output, _ = client.exec_command("sleep 600", timeout=30)
        server.stop()
        assert output.read() == b""


@pytest.mark.usefixtures("sshd")
def test_an_option_that_sshd_does_not_know_says_so() -> None:
    with pytest.raises(SshdDidNotStart, match="Bad configuration option: NoSuchThing"):
        SshServer({"NoSuchThing": "yes"})


@pytest.mark.usefixtures("sshd", "postgres")
@pytest.mark.parametrize(("peer", "server"), [(sshd_peer, "SshServer"), (postgres_peer, "PostgresServer")])
def test_a_server_of_a_killed_run_is_ended_by_the_next(peer: ModuleType, server: str) -> None:
    script = (
        f"import os; from {peer.__name__} import {server} as Server;"
        "server = Server(); print(server.port, server.log_path.parent, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    port, folder = done.stdout.split()
    socket.create_connection(("127.0.0.1", int(port))).close()
    peer.clear_abandoned()
    assert not Path(folder).exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port))):
        pass


def test_postgresql_answers(postgres: PostgresServer) -> None:
    engine = sa.create_engine(postgres.create_database())
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select 1")) == 1
    engine.dispose()


def test_postgresql_refuses_a_wrong_password(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=postgres.host,
            port=postgres.port,
            user=postgres.superuser,
            password="wrong",
            dbname="postgres",
        )


def test_what_postgresql_committed_survives_a_crash(postgres: PostgresServer) -> None:
    engine = sa.create_engine(postgres.create_database(), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("create table kept (n integer)"))
        connection.execute(sa.text("insert into kept values (7)"))
    postgres.stop(immediate=True)
    with pytest.raises(sa.exc.OperationalError):
        engine.connect()
    postgres.start()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select n from kept")) == 7


def test_a_missing_peer_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_asked", {})
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no teapot here: buy one"):
        availability.require_peer("teapot", False, "buy one")
    assert availability.summary(3).endswith("teapot no; tests skipped: 3")


def test_a_missing_peer_fails_the_test_in_continuous_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_asked", {})
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no teapot here: buy one"):
        availability.require_peer("teapot", False, "buy one")


def test_no_setting_of_this_machine_reaches_a_test() -> None:
    assert not [name for name in os.environ if name.startswith("KEYTURN_")]
