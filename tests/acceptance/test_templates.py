"""A tree of the field's templates, as it is: linted, imported, and one of them at work on a real account."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli.exits import Exit
from executors.contract import Verdict
from tests.acceptance.engine import ADD, FROM_INPUT, RunningEngine, Site, running
from tests.peers.accounts import LocalAccounts
from tests.peers.ssh_drive import at, new_password, password, prove
from tests.peers.sshd import SshServer

FIELD = Path(__file__).parents[1] / "golden" / "field"
OWN = "field/ssh/change-password/linux-own-password"
EMPTY = "SSH/Change password/Forgotten"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree") / "field"
    shutil.copytree(FIELD, copy, ignore=shutil.ignore_patterns("*.lines"))
    (copy / EMPTY).touch()
    return copy


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, sshd: SshServer, accounts: LocalAccounts
) -> Iterator[Site]:
    with running(RunningEngine(tmp_path_factory.mktemp("templates") / "data")) as engine:
        yield Site(engine, sshd, accounts)


@pytest.fixture(scope="module")
def imported(site: Site, tree: Path) -> list[dict[str, Any]]:
    return list(site.engine.ask("template", "import", str(tree), "--prefix", "field"))


def count(tree: Path) -> int:
    return sum(path.is_file() for path in tree.rglob("*"))


def test_lint_says_of_every_file_what_others_rely_on(site: Site, tree: Path) -> None:
    done = site.engine.run("template", "lint", str(tree), "--json")
    shown = json.loads(done.stdout)
    assert done.returncode == Exit.FAILED
    assert len(shown) == count(tree)
    assert {frozenset(each) for each in shown} == {
        frozenset({"path", "executor", "action", "status", "findings"})
    }
    assert [each["path"] for each in shown if each["status"] == "error"] == [str(tree / EMPTY)]


def test_every_template_but_the_empty_one_is_stored_and_listed(
    site: Site, imported: list[dict[str, Any]], tree: Path
) -> None:
    new = {each["name"] for each in imported if each["result"] == "new"}
    assert len(new) == count(tree) - 1
    listed = {each["name"]: each for each in site.engine.ask("template", "list")}
    assert new <= listed.keys()
    assert {listed[name]["source"] for name in new} == {"imported"}
    assert listed["field/ldap/disable-credential/directory-of-windows"]["executor"] == "ldap"


def test_importing_again_changes_only_what_changed(
    site: Site, imported: list[dict[str, Any]], tree: Path
) -> None:
    changed = tree / "Telnet" / "Change password" / "Access switch - Own login"
    changed.write_bytes(changed.read_bytes() + b"\n# once more\n")
    again = site.engine.ask("template", "import", str(tree), "--prefix", "field")
    results = {each["path"]: (each["result"], each["version"]) for each in again}
    assert results.pop(str(changed)) == ("changed", 2)
    assert results.pop(str(tree / EMPTY)) == ("left out", None)
    assert set(results.values()) == {("unchanged", 1)}


@pytest.mark.usefixtures("imported")
def test_an_imported_template_changes_a_real_password(site: Site) -> None:
    box, old = site.device(), new_password()
    user, name = site.own("field", old, box, "--template", OWN)
    assert site.rotate(name).end == (Exit.OK, "succeeded", "ok")
    new = site.revealed(name)
    assert prove(at(site.sshd), password(user, new)).verdict is Verdict.OPENS
    assert prove(at(site.sshd), password(user, old)).verdict is Verdict.REFUSED


@pytest.mark.usefixtures("imported")
def test_a_template_that_this_release_cannot_run_is_refused_before_anything_is_touched(site: Site) -> None:
    account, web = site.account("web", secret := new_password()), "field/selenium/change-password/web-console"
    name = f"{account}@{site.device()}"
    refused = site.refused(*ADD, name, *FROM_INPUT, "--enable", "--template", web, stdin=secret + "\n")
    assert (refused.exit, refused.code) == (Exit.INPUT_REFUSED, "no_executor")
    assert "no executor named 'selenium' is installed" in refused.detail


def test_the_old_name_of_a_renamed_file_is_taken_out_of_use(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "SSH" / "Change password"
    folder.mkdir(parents=True)
    (folder / "Old name").write_text('expect "#"\nexec "[#NEW_PASSWORD#]"\n')
    for name in ("Old name", "New name"):
        (folder / "Old name").rename(folder / name)
        site.engine.ask("template", "import", str(tmp_path), "--prefix", "renamed")
    gone = site.engine.ask("template", "retire", "renamed/ssh/change-password/old-name")
    assert gone["version"] == 1
    names = {each["name"] for each in site.engine.ask("template", "list")}
    assert {name for name in names if name.startswith("renamed/")} == {"renamed/ssh/change-password/new-name"}
    again = site.refused("template", "retire", "renamed/ssh/change-password/old-name")
    assert again.code == "unknown_template"
