"""What a program says of the connection that it wants reaches whoever connects or proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from executors.contract import (
    CONTRACT_VERSION,
    Capabilities,
    Connection,
    Failure,
    Login,
    Outcome,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    Secret,
    Section,
    Target,
    TemplateError,
    Values,
    Verdict,
)
from executors.session import Job, Session

LOGIN = Login("ann", Secret("S3cret-1"))


class Demanding:
    """A program whose body is what it wants."""

    tags: frozenset[str] = frozenset()

    def __init__(self, body: str) -> None:
        self.settings: Mapping[str, str] = {"prompt": body}

    def has(self, section: Section) -> bool:
        return section is Section.CHANGE

    def describe(self, values: Values) -> Sequence[str]:  # noqa: ARG002 - the contract's
        return []


class Noting:
    name = "noting"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(frozenset({"change_secret"}), frozenset({ProofKind.LOGIN}), frozenset())

    def __init__(self) -> None:
        self.seen: list[Mapping[str, str]] = []

    def parse(self, body: str, first_line: int = 1) -> Program:
        if body == "broken":
            raise TemplateError(first_line, "broken")
        return Demanding(body)

    def connect(self, target: Target, *_: object) -> Connection:
        self.seen.append(target.settings)
        raise Failure(Outcome.UNREACHABLE, "nobody there")

    def prove(self, target: Target, *_: object) -> Proof:
        self.seen.append(target.settings)
        return Proof(Verdict.OPENS, ProofKind.LOGIN)


@pytest.mark.parametrize(("body", "seen"), [("name:", {"prompt": "name:"}), ("broken", {})])
def test_a_proof_knows_what_the_program_wants_even_alone(body: str, seen: Mapping[str, str]) -> None:
    executor = Noting()
    job = Job("noting", body, 1, Target("web1", "127.0.0.1", 22), LOGIN, {}, (), 60.0)
    with Session(executor, job) as session:
        assert session.prove(LOGIN, ProofPlan()).verdict is Verdict.OPENS
    assert executor.seen == [seen]


def test_whoever_connects_knows_it() -> None:
    executor = Noting()
    job = Job("noting", "name:", 1, Target("web1", "127.0.0.1", 22), LOGIN, {}, (), 60.0)
    with Session(executor, job) as session:
        session.prepare()
    assert executor.seen == [{"prompt": "name:"}]
