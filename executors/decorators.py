"""What the engine wants of every executor and none has to know: redaction, traces, the deadline."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from executors.contract import (
    Connection,
    Executor,
    Failure,
    Login,
    Outcome,
    Program,
    Proof,
    ProofPlan,
    Report,
    Reusable,
    Section,
    Target,
    Transcript,
    Values,
    Verdict,
)

T = TypeVar("T")

MESSAGE_LIMIT = 4_096  # characters; a message is a sentence, whatever a target answers
FACT_COUNT, FACT_LIMIT, NAME_LIMIT = 32, 4_096, 256  # facts of one report, characters of one, of its name
STEP_COUNT, STEP_LIMIT = 256, 512  # steps of one report, characters shown of one
# at 6 bytes a character, the worst that JSON makes of one, a report stays below 2 MiB and so fits in a frame


def boottime() -> float:
    """Seconds since boot, sleep included (clock_gettime(2), CLOCK_BOOTTIME); one clock for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Around(ABC):
    """An executor whose verbs all pass through `guard`."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self.name = inner.name
        self.contract_version = inner.contract_version
        self.capabilities = inner.capabilities

    @abstractmethod
    def guard(self, verb: str, transcript: Transcript, call: Callable[[], T]) -> T:
        """Make `call`, the verb named. May raise Failure instead."""

    def parse(self, body: str, first_line: int = 1) -> Program:
        return self._inner.parse(body, first_line)

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        connection = self.guard("connect", transcript, lambda: self._inner.connect(target, login, transcript))
        return _AroundConnection(self, connection, transcript)

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        try:
            return self.guard("prove", transcript, lambda: self._inner.prove(target, login, plan, transcript))
        except Failure as failure:
            return Proof(Verdict.UNKNOWN, plan.kind, failure.message)


class _AroundConnection:
    def __init__(self, executor: Around, inner: Connection, transcript: Transcript) -> None:
        self._executor = executor
        self._inner = inner
        self._transcript = transcript

    def run(self, program: Program, section: Section, values: Values) -> Report:
        return self._executor.guard(
            section.value, self._transcript, lambda: self._inner.run(program, section, values)
        )

    def at_rest(self) -> bool:
        return isinstance(self._inner, Reusable) and self._inner.at_rest()

    def close(self) -> None:
        self._inner.close()


class Redacted(Around):
    """Messages, facts and shown steps leave redacted and bounded: executors quote targets, targets echo."""

    def guard(self, verb: str, transcript: Transcript, call: Callable[[], T]) -> T:  # noqa: ARG002 - the hook
        try:
            return _clean(call(), transcript.redact)
        except Failure as failure:
            # `from None`: the original message may quote a secret, and a chained traceback would print it
            raise Failure(failure.outcome, _cut(failure.message, MESSAGE_LIMIT, transcript.redact)) from None


class Traced(Around):
    """Each verb leaves a line with its end and its milliseconds in the transcript."""

    def guard(self, verb: str, transcript: Transcript, call: Callable[[], T]) -> T:
        started = time.monotonic()
        ending = "did not return"
        try:
            result = call()
            ending = _ending(result)
            return result
        except Failure as failure:
            ending = failure.outcome.value
            raise
        finally:
            transcript.note(f"{verb}: {ending}, {round((time.monotonic() - started) * 1000)} ms")


class Bounded(Around):
    """Starts no verb once the deadline, an instant of `boottime()`, has passed."""

    def __init__(self, inner: Executor, deadline: float) -> None:
        super().__init__(inner)
        self.deadline = deadline

    def guard(self, verb: str, transcript: Transcript, call: Callable[[], T]) -> T:  # noqa: ARG002 - the hook
        if boottime() >= self.deadline:
            raise Failure(Outcome.TIMEOUT, f"the deadline passed before {verb} began; nothing of it was done")
        return call()


def _ending(result: object) -> str:
    if isinstance(result, Report):
        return result.outcome.value
    if isinstance(result, Proof):
        return result.verdict.value
    return Outcome.OK.value


def _clean(result: T, redact: Callable[[str], str]) -> T:
    cleaned: Any = result
    if isinstance(result, Proof):
        cleaned = replace(result, detail=_cut(result.detail, MESSAGE_LIMIT, redact))
    if isinstance(result, Report):
        facts = islice(result.facts.items(), FACT_COUNT)
        cleaned = Report(
            result.outcome,
            _cut(result.message, MESSAGE_LIMIT, redact),
            {_cut(name, NAME_LIMIT, redact): _cut(fact, FACT_LIMIT, redact) for name, fact in facts},
            tuple(
                replace(step, shown=_cut(step.shown, STEP_LIMIT, redact))
                for step in result.steps[:STEP_COUNT]
            ),
        )
    return cleaned  # type: ignore[no-any-return]


def _cut(text: str, limit: int, redact: Callable[[str], str]) -> str:
    """Redacted first, cut after: half a secret at the cut would not be found."""
    return redact(text)[:limit]
