"""The change protocol under every interleaving of small instances; `make model` searches larger ones too."""

from __future__ import annotations

import pytest

from tests.model.__main__ import complaint, least_states, main
from tests.model.instances import ABLATIONS, PROTOCOL, WHOLE, Instance
from tests.model.search import SAFE, Finding


def named(instance: Instance) -> str:
    return instance.name.replace(" ", "_").replace(",", "")


@pytest.mark.parametrize("instance", PROTOCOL, ids=named)
def test_no_secret_is_ever_lost_and_every_state_has_a_way_back(instance: Instance) -> None:
    finding = instance.search()
    assert finding.verdict == SAFE, "\n".join(finding.trace)
    assert complaint(instance, finding, least_states()) == ""


@pytest.mark.parametrize("instance", ABLATIONS, ids=named)
def test_the_search_finds_what_goes_wrong_when(instance: Instance) -> None:
    finding = instance.search()
    assert finding.kind == instance.expected
    assert finding.trace
    assert complaint(instance, finding, least_states()) == ""


def test_every_instance_has_its_own_name_and_an_agreed_number_of_states() -> None:
    names = [instance.name for instance in (*PROTOCOL, *WHOLE, *ABLATIONS)]
    assert len(set(names)) == len(names)
    assert set(names) == set(least_states())


def test_a_search_that_shrinks_is_a_failure() -> None:
    instance = PROTOCOL[0]
    fewer = Finding(least_states()[instance.name] - 1, SAFE)
    assert "states before" in complaint(instance, fewer, least_states())


def test_an_unexpected_verdict_is_a_failure() -> None:
    finding = Finding(10**9, "lost: version 1 is in force and nobody holds it")
    assert complaint(PROTOCOL[0], finding, least_states()) == f"expected: {SAFE}"


def test_an_unknown_argument_is_refused() -> None:
    assert main(["--everything"]) == 2
