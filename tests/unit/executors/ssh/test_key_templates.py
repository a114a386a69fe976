"""The templates for authorized_keys run one script; each begins it as the account whose file it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import templates
from engine.templating.header import parse_file
from executors.contract import Literal, Section, Tag
from executors.ssh import grammar
from executors.ssh.program import Command

FILES = sorted((Path(templates.__file__).parent / "linux").glob("linux-ssh-key*.template"))


def script(path: Path) -> Command:
    file = parse_file(path.read_bytes(), path.stem)
    [command] = grammar.parse(file.body, file.first_line_of_body).sections[Section.CHANGE]
    return command


def lines(path: Path) -> list[str]:
    [*parts] = [part for text in script(path).inputs for part in text]
    assert all(isinstance(part, Literal) for part in parts), "a value never becomes a part of the script"
    return [part.text for part in parts if isinstance(part, Literal)]


def test_there_is_one_to_change_and_one_to_remove_for_each_way_in() -> None:
    assert len(FILES) == 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_run_the_same_script(path: Path) -> None:
    assert lines(path) == lines(FILES[0])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_secret_stands_in_a_command_line(path: Path) -> None:
    tags = {part.name for part in script(path).text if isinstance(part, Tag)}
    assert tags <= {"USERNAME", "NEW_PUBLIC_KEY", "CURRENT_PUBLIC_KEY", "OLD_PUBLIC_KEYS"}


def test_a_script_that_is_cut_off_does_nothing(tmp_path: Path) -> None:
    whole = lines(FILES[0])
    for length in range(0, len(whole), 3):
        said = _run("\n".join(whole[:length]), tmp_path)
        assert "keyturn" not in said
    assert "keyturn-refused: no home directory" in _run("\n".join(whole), tmp_path)


def _run(text: str, folder: Path) -> str:
    words = ["sh", "-s", "--", "add", "no-such-account-here", "ssh-ed25519 AAAA new", ""]
    done = subprocess.run(words, input=text, capture_output=True, text=True, cwd=folder, check=False)
    return done.stdout
