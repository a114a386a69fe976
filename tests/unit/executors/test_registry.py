from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from executors import registry
from executors.fake import FakeExecutor


class Ancient(FakeExecutor):
    contract_version = -1


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    registry.load.cache_clear()
    yield
    registry.load.cache_clear()


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(group: str) -> EntryPoints:
        here = f"{__name__}:Ancient"
        found = {"ancient": here, "torn": "no.such.module:X", "empty": "executors.fake:NoSuchClass"}
        return EntryPoints(EntryPoint(name, value, group) for name, value in found.items())

    monkeypatch.setattr(registry, "entry_points", points)


def test_a_shipped_executor_is_found_by_its_name() -> None:
    assert registry.load("fake").name == "fake"
    assert "fake" in registry.names()


def test_an_executor_is_made_once() -> None:
    assert registry.load("fake") is registry.load("fake")


@pytest.mark.parametrize("name", ["", "Fake", "fake ", "../fake", "telepathy"])
def test_an_unknown_name_is_refused_and_the_known_ones_listed(name: str) -> None:
    with pytest.raises(registry.UnknownExecutor, match=r"known: .*fake"):
        registry.load(name)


@pytest.mark.usefixtures("_installed")
def test_an_executor_of_another_contract_is_refused() -> None:
    with pytest.raises(registry.WrongContract, match="contract version -1"):
        registry.load("ancient")


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", ["torn", "empty"])
def test_an_executor_that_does_not_load_says_so(name: str) -> None:
    with pytest.raises(registry.BrokenExecutor, match="does not load"):
        registry.load(name)
