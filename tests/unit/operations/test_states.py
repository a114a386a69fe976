from __future__ import annotations

from pathlib import Path

from engine.operations.states import LIVE, TERMINAL, TRANSITIONS, OperationState

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"


def diagram() -> set[str]:
    """The transitions as the diagram in the docs spells them."""
    return {
        f"{before} --> {after}: {why}" for before, ways in TRANSITIONS.items() for after, why in ways.items()
    }


def test_the_diagram_in_the_docs_is_the_declaration() -> None:
    block = ARCHITECTURE.read_text().split("stateDiagram-v2")[1].split("```")[0]
    drawn = {line.strip() for line in block.splitlines() if "-->" in line} - {"[*] --> scheduled"}
    assert drawn == diagram()


def test_what_has_ended_stays_ended() -> None:
    assert not any(state in TRANSITIONS for state in TERMINAL)


def test_only_a_claim_makes_an_operation_live() -> None:
    into_live = {before for before, ways in TRANSITIONS.items() if before not in LIVE and LIVE & set(ways)}
    assert into_live == {OperationState.SCHEDULED}


def test_every_state_that_has_not_ended_can_end() -> None:
    reached = set(TERMINAL)
    while more := {s for s, ways in TRANSITIONS.items() if reached & set(ways)} - reached:
        reached |= more
    assert reached == set(OperationState)
