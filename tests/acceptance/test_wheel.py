"""The wheel, installed alone, runs: no file of the checkout, no package beyond its own lock file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.demo.engine import Engine, clean_environment
from tests.targets.box import Box, NewAccount

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("engine", "executors", "triggers", "templates")
PACKAGES = Path("lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
ACCOUNT = "bob@box"


@pytest.fixture(scope="module", autouse=True)
def nothing_lent() -> Iterator[None]:
    """A developer's PYTHONPATH would let the checkout in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        yield


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline from a copy, so that nothing of the checkout can slip in unseen."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "LICENSE", "README.md"):
        if (REPOSITORY / file).exists():
            shutil.copy(REPOSITORY / file, copy)
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", copy / "dist", cwd=copy)
    [built] = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment with the wheel and what its lock file names."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", place / "bin" / "python", "install")
    _run(*pip, "--no-deps", "--no-index", "--no-compile", wheel, cwd=place)
    for package in _locked():
        _link(package, place / PACKAGES)
    return place


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _locked() -> Iterator[str]:
    """The packages of the lock file that this platform needs."""
    for line in (REPOSITORY / "requirements-runtime.lock").read_text().splitlines():
        if line and line[0].isalnum():
            wanted = Requirement(line.removesuffix("\\").strip())
            if wanted.marker is None or wanted.marker.evaluate():
                yield wanted.name


def _link(package: str, place: Path) -> None:
    """Lend an installed package, so that nothing is fetched."""
    files = metadata.files(package)
    assert files
    for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
        if not (place / top).exists():
            (place / top).symlink_to(str(metadata.distribution(package).locate_file(top)))


@pytest.fixture(scope="module")
def engine(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Runs from a directory outside the repository."""
    outside = tmp_path_factory.mktemp("outside")
    made = Engine(outside / "data", installed / "bin" / "keyturn", cwd=outside)
    made.start()
    yield made
    made.end()


@pytest.mark.parametrize("package", SOURCES)
def test_what_runs_comes_from_the_wheel(installed: Path, package: str, tmp_path: Path) -> None:
    command = f"import {package}; print({package}.__file__)"
    found = _run(installed / "bin" / "python", "-c", command, cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(installed / PACKAGES)


def test_the_wheel_holds_no_tests(wheel: Path) -> None:
    listed = _run(sys.executable, "-m", "zipfile", "-l", wheel, cwd=wheel.parent)
    names = [line.split()[0] for line in listed.splitlines()[1:]]
    assert {name.partition("/")[0] for name in names} == {*SOURCES, "keyturn-0.1.0.dist-info"}


def test_an_installed_engine_becomes_ready(engine: Engine) -> None:
    assert engine.status("/readyz") == 200


def test_an_installed_engine_has_every_shipped_template(engine: Engine) -> None:
    shipped = {path.stem for path in (REPOSITORY / "templates").rglob("*.template")}
    assert shipped
    assert {each["name"] for each in engine.ask("template", "list")} == shipped


def test_an_installed_command_lists_the_templates_without_an_engine(installed: Path, tmp_path: Path) -> None:
    assert "linux-own-password" in _run(installed / "bin" / "keyturn", "template", "list", cwd=tmp_path)


def test_an_installed_engine_changes_a_password(engine: Engine) -> None:
    box = Box([NewAccount("bob", "set by hand")])
    try:
        where = ("--address", box.address, "--port", f"ssh={box.port}", "--host-key", box.host_key)
        engine.ask("device", "add", "box", *where)
        engine.ask("credential", "add", ACCOUNT, "--secret-file", "-", "--enable", stdin="set by hand")
        assert engine.ask("credential", "rotate", ACCOUNT, "--wait")["state"] == "succeeded"
        revealed = engine.ask("credential", "reveal", ACCOUNT, "--reason", "a test")["secret"]
        assert revealed != "set by hand"
        assert box.holds("bob", revealed)
    finally:
        box.stop()
