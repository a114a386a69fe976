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
