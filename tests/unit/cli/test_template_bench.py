"""`keyturn template test`: a recorded dialogue played to a template, and where they part."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.exits import Exit
from tests.unit.cli.conftest import Keyturn

FOLDER = Path("SSH/Change password")
BODY = (
    'expect "*$ "\nexec "passwd [#USERNAME#]"\nexpect "*word:"\nexec "[#NEW_PASSWORD#]"\nexpect "*ok*"\nend\n'
)
DIALOGUE = "< host$ \n> passwd [#username#]\n< New password: \n> [#NEW_PASSWORD#]\n< \\nok\\n"


@pytest.fixture
def file(keyturn: Keyturn) -> Path:
    FOLDER.mkdir(parents=True)
    (FOLDER / "Own").write_text(BODY)
    (FOLDER / "Own.lines").write_text(DIALOGUE)
    return FOLDER / "Own"


def test_the_dialogue_is_played_in_every_way(keyturn: Keyturn, file: Path) -> None:
    played = keyturn.json("template", "test", str(file))
    assert len({(each["secrets"], each["reads"], each["device"]) for each in played}) == len(played) == 8
    assert {(each["good"], each["outcome"], each["message"]) for each in played} == {(True, "ok", "")}


@pytest.mark.parametrize(
    ("said", "instead", "told"),
    [
        ("passwd [", "usermod [", "dialogue line 2: the device heard 'passwd someone\\n'"),
        ("> [#NEW", ">> [#NEW", "after the dialogue the device heard '\\n'"),
        ("ok", "no", "ok"),
        ("< \\nok\\n", "< \\nok\\n\n> logout", "dialogue line 6: this was never sent"),
    ],
)
def test_where_they_part_is_named(keyturn: Keyturn, file: Path, said: str, instead: str, told: str) -> None:
    file.with_name("Own.lines").write_text(DIALOGUE.replace(said, instead))
    played = keyturn.json("template", "test", str(file), code=Exit.TEMPLATE)
    assert not any(each["good"] for each in played)
    assert told in played[0]["message"]


@pytest.mark.parametrize(
    ("dialogue", "told"),
    [
        (b"host$", "line 1: a line of a dialogue begins with"),
        (b"< \n> [#ADD_INFO#]", "line 2: the template does not use [#ADD_INFO#]"),
        (b"< \xff", "is not UTF-8"),
    ],
)
def test_what_is_no_dialogue_is_refused(keyturn: Keyturn, file: Path, dialogue: bytes, told: str) -> None:
    file.with_name("Own.lines").write_bytes(dialogue)
    result = keyturn("template", "test", str(file))
    assert result.exit_code == Exit.INPUT_REFUSED
    assert told in result.stderr


def test_what_is_not_there_or_no_terminals_is_refused(keyturn: Keyturn, file: Path) -> None:
    assert "cannot be read" in keyturn("template", "test", str(file), "--dialogue", "none").stderr
    assert "cannot be read" in keyturn("template", "test", "none").stderr
    file.write_text("# nothing\n")
    assert "holds no dialogue" in keyturn("template", "test", str(file)).stderr


def test_a_template_with_a_header_is_played_too(keyturn: Keyturn, file: Path) -> None:
    header = "---\nname: own\nexecutor: ssh\naction: change_secret\nversion: 1\nsummary: s\ntags: {}\n---\n"
    file.write_text(header + BODY)
    assert len(keyturn.json("template", "test", str(file))) == 8


# Native templates

NATIVE = """---
name: own
executor: ssh
action: change_secret
version: 1
summary: s
tags:
  USERNAME: username
  CURRENT_PASSWORD: secret
  NEW_PASSWORD: secret
---
[status]
run passwd -S [#USERNAME#]
  capture status ^\\S+ (\\S+)
  map status P=active L=locked

[change]
dialogue passwd
  answer "Current password: " [#CURRENT_PASSWORD#]
  answer "New password: " [#NEW_PASSWORD#]
  refuse refused_by_policy "BAD PASSWORD"
  exit 10 bad_login
run chpasswd
  input [#USERNAME|field#]:[#NEW_PASSWORD#]

[persist]
shell
  answer "router#" write
  expect "[OK]"
  until "router#"
"""
STATUS = "$ passwd -S [#USERNAME#]\n< [#AUTH_USER#] P 2026-11-22\\n\n<< 0\n"
CHANGE = (
    "$ passwd\n< Current password: \n> [#CURRENT_PASSWORD#]\n< New password: \n> [#NEW_PASSWORD#]\n<< 0\n"
    "$ chpasswd\n> [#USERNAME|field#]:[#NEW_PASSWORD#]\n<< 0\n"
)
REFUSED = CHANGE.partition("<< 0")[0] + "< BAD PASSWORD: short\\n\n"
PERSIST = "$\n< hello\\nrouter# \n> write\n< Building [OK]\\nrouter# \n"


@pytest.fixture
def native(keyturn: Keyturn) -> Path:
    Path("own.template").write_text(NATIVE)
    return Path("own.template")


def played(keyturn: Keyturn, file: Path, dialogue: str, code: int = 0) -> list[dict[str, object]]:
    file.with_name(file.name + ".lines").write_text(dialogue)
    shown: list[dict[str, object]] = keyturn.json("template", "test", str(file), code=code)
    return shown


def test_a_native_template_is_played_command_by_command(keyturn: Keyturn, native: Path) -> None:
    rows = played(keyturn, native, STATUS + CHANGE + PERSIST)
    assert len(rows) == 8
    assert {(each["good"], each["outcome"], each["message"]) for each in rows} == {(True, "ok", "")}


@pytest.mark.parametrize(
    ("dialogue", "outcome"),
    [
        (STATUS.replace(" P ", " L "), "account_disabled"),
        (STATUS + CHANGE.replace("<< 0", "<< 10", 1).partition("$ chp")[0], "bad_login"),
        (STATUS + REFUSED, "refused_by_policy"),
        (STATUS + "$ passwd\n< Current password: \n> [#CURRENT_PASSWORD#]\n<< lost\n", "unreachable"),
        (STATUS + "$ passwd\n< Who are you? \n", "timeout"),
        (STATUS + CHANGE + "$\n< router# \n> write\n<<\n", "not_saved"),
    ],
)  # fmt: skip
def test_an_end_that_is_meant_is_said_in_the_dialogue(
    keyturn: Keyturn, native: Path, dialogue: str, outcome: str
) -> None:
    rows = played(keyturn, native, dialogue + f"= {outcome}\n")
    assert {each["outcome"] for each in rows} == {outcome}
    assert not any(each["good"] for each in played(keyturn, native, dialogue, Exit.TEMPLATE))


@pytest.mark.parametrize(
    ("said", "instead", "told"),
    [
        ("$ chpasswd", "$ chpasswd -e", "another command was started: run chpasswd"),
        ("|field#]:", "|field#] ", "the device heard"),
        (PERSIST, "", "the device is not asked for: shell"),
        ("> write\n", "> write\n> again\n", "this was never sent"),
    ],
)
def test_where_a_native_template_parts_from_it_is_named(
    keyturn: Keyturn, native: Path, said: str, instead: str, told: str
) -> None:
    rows = played(keyturn, native, (STATUS + CHANGE + PERSIST).replace(said, instead), Exit.TEMPLATE)
    assert not any(each["good"] for each in rows)
    assert told in str(rows[0]["message"])


@pytest.mark.parametrize("dialogue", ["= fine\n", "# a comment\n", "< [#ADD_INFO|sh\n= \n"])
def test_what_is_no_turn_is_refused(keyturn: Keyturn, native: Path, dialogue: str) -> None:
    native.with_name("own.template.lines").write_text(dialogue)
    assert keyturn("template", "test", str(native)).exit_code == Exit.INPUT_REFUSED


def test_a_device_may_say_what_looks_like_a_tag(keyturn: Keyturn, file: Path) -> None:
    file.with_name("Own.lines").write_text(DIALOGUE.replace("< host$", "< [\\#NO_TAG#] host$"))
    assert all(each["good"] for each in keyturn.json("template", "test", str(file)))


def test_the_sections_of_a_template_of_the_field_are_played_in_their_order(
    keyturn: Keyturn, file: Path
) -> None:
    file.write_text('[persist]\nexec "save"\nexpect "*saved"\n[change]\n' + BODY)
    file.with_name("Own.lines").write_text(DIALOGUE + "\n> save\n< \\nsaved\\n")
    assert all(each["good"] for each in keyturn.json("template", "test", str(file)))
