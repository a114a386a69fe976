"""`keyturn template lint` and `import`: which files of a tree are looked at, and what is said of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.cli.errors import CommandFailed
from engine.cli.exits import Exit
from executors.language.findings import RULES
from tests.unit.cli.conftest import Keyturn

GOOD = 'expect "*$ "\nexec "passwd [#USERNAME#]"\nexpect "*word:"\nexec "[#NEW_PASSWORD#]"\nexpect "*ok*"\n'
FOLDER = Path("tree/SSH/Change password")
HEADER = "---\nname: own\nexecutor: fake\naction: change_secret\nversion: 1\nsummary: s\ntags:\n"
NATIVE = f"{HEADER}  USERNAME: username\n  NEW_PASSWORD: secret\n---\n[change]\nset [#NEW_PASSWORD#]\n"


@pytest.fixture
def tree(keyturn: Keyturn) -> Path:
    FOLDER.mkdir(parents=True)
    (FOLDER / "Linux - Own").write_text(GOOD)
    return Path("tree")


def codes(shown: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {each["path"]: [found["code"] for found in each["findings"]] for each in shown}


def test_lint_prints_exactly_what_others_rely_on(keyturn: Keyturn, tree: Path) -> None:
    (FOLDER / "Linux - Own").write_text(GOOD + "end")
    (FOLDER / "Empty").write_bytes(b"")
    assert keyturn.json("template", "lint", str(tree), code=1) == [
        {
            "path": "tree/SSH/Change password/Empty",
            "executor": "ssh",
            "action": "change_secret",
            "status": "error",
            "findings": [
                {
                    "code": "empty",
                    "line": 1,
                    "message": RULES["empty"].sentence,
                }
            ],
        },
        {
            "path": "tree/SSH/Change password/Linux - Own",
            "executor": "ssh",
            "action": "change_secret",
            "status": "ok",
            "findings": [
                {
                    "code": "no-newline-at-end",
                    "line": 6,
                    "message": RULES["no-newline-at-end"].sentence,
                }
            ],
        },
    ]


def test_warnings_alone_end_well_and_people_get_a_table(keyturn: Keyturn, tree: Path) -> None:
    (FOLDER / "Caf\udce9\n").write_bytes(b'\xef\xbb\xbfexec "caf\xe9"\n')
    result = keyturn("template", "lint", str(tree))
    assert result.exit_code == 0
    assert ":1: not-utf8: the bytes are not UTF-8" in result.stdout
    assert "Caf\ufffd" in result.stdout


def test_a_file_is_looked_at_once_and_its_folders_count_from_anywhere(
    keyturn: Keyturn, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(keyturn.json("template", "lint", str(tree), str(tree), f"{FOLDER}/Linux - Own")) == 1
    monkeypatch.chdir(FOLDER)
    [shown] = keyturn.json("template", "lint", "Linux - Own")
    assert (shown["path"], shown["executor"]) == ("Linux - Own", "ssh")


def test_what_lies_beside_templates_is_left_alone(keyturn: Keyturn, tree: Path) -> None:
    for name in ("tree/README.md", "tree/LICENSE", "tree/SSH/.hidden", f"{FOLDER}/Linux - Own.lines"):
        Path(name).write_text("words")
    Path("tree/.git/SSH/Change password").mkdir(parents=True)
    Path("tree/.git/SSH/Change password/x").write_text(GOOD)
    os.symlink(Path("tree").absolute(), "tree/loop")
    assert len(keyturn.json("template", "lint", str(tree))) == 1


def test_files_that_cannot_be_read_or_are_too_long_are_errors(keyturn: Keyturn, tree: Path) -> None:
    os.mkfifo(FOLDER / "pipe")
    (FOLDER / "huge").write_bytes(b"x" * 3_000_000)
    found = codes(keyturn.json("template", "lint", str(tree), code=1))
    assert found[f"{FOLDER}/pipe"] == ["unreadable"]
    assert "too-long" in found[f"{FOLDER}/huge"]


def test_what_is_not_there_is_refused_by_its_name(keyturn: Keyturn) -> None:
    refused = keyturn("template", "lint", "nowhere")
    assert refused.exit_code == Exit.INPUT_REFUSED
    assert "there is no nowhere" in refused.stderr


def stored(change: str, version: int = 1) -> dict[str, Any]:
    return {"change": change, "version": version, "findings": []}


LINUX, OWN = "PUT /templates/our/ssh/change-password/linux-own", "PUT /templates/own"


def test_import_sends_each_file_under_its_name(keyturn: Keyturn, tree: Path) -> None:
    (tree / "own.template").write_text(NATIVE)
    (FOLDER / "Empty").write_text("")
    (tree / "odd").write_text(GOOD)
    keyturn.engine.answer(LINUX, stored("new"))
    keyturn.engine.answer(OWN, stored("changed", 2))
    shown = keyturn.json("template", "import", str(tree), "--prefix", "our")
    assert [(each["name"], each["version"], each["result"]) for each in shown] == [
        (None, None, "left out"),
        ("our/ssh/change-password/linux-own", 1, "new"),
        (None, None, "left out"),
        ("own", 2, "changed"),
    ]
    assert shown[0]["message"].startswith("line 1: the file holds nothing")
    assert "folders say neither" in shown[2]["message"]
    assert keyturn.engine.sent(LINUX) == {"content": GOOD, "executor": "ssh", "action": "change_secret"}


def test_a_dry_run_needs_no_engine(keyturn: Keyturn, tree: Path) -> None:
    result = keyturn("template", "import", str(tree), "--dry-run")
    assert result.exit_code == 0
    assert "1 would import" in result.stdout
    assert keyturn.engine.calls == []


def test_what_the_engine_refuses_does_not_stop_the_others(keyturn: Keyturn, tree: Path) -> None:
    (tree / "own.template").write_text(NATIVE)
    keyturn.engine.answer(LINUX, CommandFailed(Exit.INPUT_REFUSED, "it is taken"))
    keyturn.engine.answer(OWN, stored("new"))
    shown = keyturn.json("template", "import", str(tree), "--prefix", "our", code=Exit.INPUT_REFUSED)
    assert [(each["result"], each["message"]) for each in shown] == [
        ("refused", "it is taken"),
        ("new", None),
    ]


def test_an_engine_that_is_away_ends_the_import(keyturn: Keyturn, tree: Path) -> None:
    keyturn.engine.answer(LINUX, CommandFailed(Exit.NO_ENGINE, "away"))
    result = keyturn("template", "import", str(tree), "--prefix", "our", "--json")
    assert result.exit_code == Exit.NO_ENGINE
    assert json.loads(result.stderr)["error"]["detail"] == "away"


@pytest.mark.parametrize("prefix", ["", "Our", "a b", "x" * 65])
def test_a_prefix_must_be_legal(keyturn: Keyturn, tree: Path, prefix: str) -> None:
    assert keyturn("template", "import", str(tree), "--prefix", prefix).exit_code == Exit.USAGE
