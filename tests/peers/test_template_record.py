"""`keyturn template record` writes down real dialogues, and `keyturn template test` plays them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import templates
from engine.cli.exits import Exit
from engine.cli.frame import Shared
from engine.cli.main import main
from executors.emulated.account import Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.scripted import Hear, Offer, ScriptedDevice
from executors.emulated.ssh import SshDevice
from executors.emulated.telnet import TelnetDevice
from executors.emulated.trouble import Drop, Point
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import fresh, new_password
from tests.peers.sshd import SshServer
from tests.peers.terminal_drive import PASSWD
from tests.peers.test_field_language import IOS

OLD, NEW = "Old-pass1", "New-pass2 \"'$x%#"
PLAIN = "Next-pass3"
SHELL = """---
name: own
executor: ssh
action: change_secret
version: 1
summary: s
login: self
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
[change]
shell
  answer "Router#" configure terminal
  answer "(config)#" username [#USERNAME#] secret [#NEW_PASSWORD#]
  refuse refused_by_policy "% "
  answer "(config)#" end
  until "Router#"

[persist]
shell
  answer "Router#" write memory
  expect "[OK]"
  until "Router#"
"""
NATIVE = Path(templates.__file__).parent / "linux" / "linux-own-password.template"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)  # `main` lowers the core limit for good


@pytest.fixture
def ios() -> Iterator[SshDevice]:
    with SshDevice(
        Device(PLATFORMS["ios"], [Account("ann", OLD)], banner="Only for ann, ask bob.\n")
    ) as made:
        yield made


def template(body: str | Path, folder: str = "SSH") -> Path:
    place = Path(folder, "Change password")
    place.mkdir(parents=True)
    if isinstance(body, Path):
        (place / body.name).write_bytes(body.read_bytes())
        return place / body.name
    (place / "Own").write_text(body)
    return place / "Own"


def keyturn(*words: str) -> Result:
    return CliRunner().invoke(main, ["template", *words], obj=Shared())


def record(file: Path, port: int, *more: str, new: str = PLAIN, old: str = OLD, user: str = "ann") -> Result:
    Path("old").write_text(old)
    Path("new").write_text(new)
    to = ("--address", "127.0.0.1", "--port", str(port), "--login", user, "--login-secret-file", "old")
    how = more if "--executor" in more else (*more, "--executor", "ssh", "--accept-any-host-key")
    return keyturn("record", str(file), *to, "--secret-tag", "NEW_PASSWORD=new", *how)


def lines_of(file: Path) -> str:
    return file.with_name(file.name + ".lines").read_text()


def plays_again(file: Path, *secrets: str) -> list[dict[str, Any]]:
    """In all eight ways; and no secret is in the file."""
    written = lines_of(file)
    for secret in (OLD, *secrets):
        assert secret not in written
    result = keyturn("test", str(file), "--json")
    assert result.exit_code == 0, result.output
    played: list[dict[str, Any]] = json.loads(result.stdout)
    assert len(played) == 8
    return played


def test_a_routers_dialogue_is_written_down_with_its_values_as_tags(ios: SshDevice) -> None:
    file = template(IOS)
    result = record(file, ios.port)
    assert result.exit_code == 0, result.output
    assert "proof: opens" in result.output
    assert lines_of(file).splitlines() == [
        "< Only for [#USERNAME#], ask bob.\\n",
        "< Router#",
        "> configure terminal",
        "< Enter configuration commands, one per line.  End with CNTL/Z.\\n",
        "< Router(config)#",
        "> username [#USERNAME#] secret [#NEW_PASSWORD#]",
        "< Router(config)#",
        "> end",
        "< Router#",
        "> write memory",
        *lines_of(file).splitlines()[-3:],
    ]
    plays_again(file, PLAIN)


def test_a_native_template_is_recorded_command_by_command(sshd: SshServer, accounts: LocalAccounts) -> None:
    old = new_password()
    user = fresh(accounts, "rec", old)
    file = template(NATIVE)
    result = record(file, sshd.port, new=NEW, old=old, user=user)
    assert result.exit_code == 0, result.output
    written = lines_of(file)
    assert written.count("\n$ ") + written.startswith("$ ") >= 1
    assert "> [#CURRENT_PASSWORD#]\n" in written
    assert written.count("> [#NEW_PASSWORD#]\n") == 2
    assert "<< 0\n" in written
    assert user not in written
    plays_again(file, old, NEW)


def test_a_native_shell_that_stays_open_is_recorded_as_one(ios: SshDevice) -> None:
    file = template(SHELL)
    result = record(file, ios.port)
    assert result.exit_code == 0, result.output
    written = lines_of(file)
    assert written.count("$ ") == 1
    assert "> username [#USERNAME#] secret [#NEW_PASSWORD#]\n" in written
    assert "> write memory\n" in written
    plays_again(file, PLAIN)


def test_the_fields_language_is_recorded_on_openssh(sshd: SshServer, accounts: LocalAccounts) -> None:
    old = new_password()
    user = fresh(accounts, "ref", old)
    file = template('expect "*$"' + PASSWD)
    assert record(file, sshd.port, new=NEW, old=old, user=user).exit_code == 0
    assert user not in lines_of(file)
    plays_again(file, old, NEW)


def test_a_script_that_logs_in_by_telnet_is_recorded_with_its_login() -> None:
    file = template(
        'expect "*sername:"\nexec "[#USERNAME#]"\nexpect "*ssword:"\nexec "[#CURRENT_PASSWORD#]"\n' + IOS,
        "Telnet",
    )
    with TelnetDevice(Device(PLATFORMS["ios"], [Account("ann", OLD)])) as served:
        result = record(file, served.port, "--executor", "telnet", "--cleartext")
    assert result.exit_code == 0, result.output
    assert "> [#USERNAME#]\n< Password: \n> [#CURRENT_PASSWORD#]\n" in lines_of(file)
    plays_again(file, PLAIN)


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # of the server, in this process
def test_an_old_device_is_recorded_with_its_consent() -> None:
    file = template(IOS)
    with SshDevice(Device(PLATFORMS["ios"], [Account("ann", OLD)]), old=True) as served:
        refused = record(file, served.port)
        assert refused.exit_code == Exit.TEMPLATE
        assert not file.with_name("Own.lines").exists()
        result = record(file, served.port, "--weak-algorithms")
    assert result.exit_code == 0, result.output
    plays_again(file, PLAIN)


# What goes wrong on the device is an example too


def test_a_refusal_is_recorded_and_plays_to_the_same_end() -> None:
    file = template(NATIVE)
    device = Device(PLATFORMS["debian"], [Account("ann", OLD, privilege=1)], rules=Rules(min_length=30))
    with SshDevice(device) as served:
        result = record(file, served.port)
    assert result.exit_code == Exit.TARGET_REFUSED, result.output
    assert "= refused_by_policy\n" in lines_of(file)
    assert {each["outcome"] for each in plays_again(file, PLAIN)} == {"refused_by_policy"}


def test_a_lost_connection_is_recorded_and_plays_to_the_same_end() -> None:
    file = template(IOS)
    device = Device(PLATFORMS["ios"], [Account("ann", OLD)], troubles={Point.AFTER_CHANGE: [Drop()]})
    with SshDevice(device) as served:
        result = record(file, served.port)
    assert result.exit_code == Exit.TARGET_UNREACHABLE, result.output
    assert lines_of(file).splitlines()[-1] == "= unreachable"
    plays_again(file, PLAIN)


# Nothing is written


def told(
    device: ScriptedDevice, body: str = 'expect "*ready"\nexec "[#NEW_PASSWORD#]"\nexpect "*done"\n'
) -> Result:
    file = template(body)
    with SshDevice(device) as served:
        result = record(file, served.port)
    assert not file.with_name("Own.lines").exists()
    assert PLAIN not in result.stderr
    return result


@pytest.mark.parametrize(
    "shown",
    [
        PLAIN.encode().hex(),
        "TmV4dC1wYXNzMw==",  # base64 of it
        "Next-\npass3",  # folded
        "Next\\x2dpass3",
    ],
)
def test_a_secret_in_a_form_that_is_no_tag_is_not_written(shown: str) -> None:
    result = told(ScriptedDevice([Offer("ready"), Hear(), Offer(f"{shown}\ndone\n")]))
    assert result.exit_code == Exit.TEMPLATE
    assert "secret" in result.stderr


def test_a_dialogue_that_only_these_values_bring_about_is_not_written() -> None:
    """The device's own word for itself is the account's name, and the template waits for it."""
    body = 'expect "*ann ready"\nexec "[#USERNAME#] [#NEW_PASSWORD#]"\nexpect "*done"\n'
    result = told(ScriptedDevice([Offer("ann ready"), Hear(), Offer("done\n")]), body)
    assert result.exit_code == Exit.TEMPLATE
    assert "does not play again with other values" in result.stderr


def test_an_existing_dialogue_is_not_written_over(ios: SshDevice) -> None:
    file = template(IOS)
    file.with_name("Own.lines").write_text("< mine\n")
    result = record(file, ios.port)
    assert result.exit_code == Exit.INPUT_REFUSED
    assert lines_of(file) == "< mine\n"


def test_a_wrong_login_leaves_no_dialogue(ios: SshDevice) -> None:
    file = template(IOS)
    result = record(file, ios.port, old="Wrong-pass9")
    assert result.exit_code == Exit.TEMPLATE
    assert "bad_login" in result.stderr
    assert not file.with_name("Own.lines").exists()
