"""What the worker needs of an executor session, whichever process it runs in."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from executors.contract import Executor, Login, Proof, ProofPlan, Report
from executors.registry import load
from executors.session import Job, Session


class ChildGone(Exception):
    """The session ended before it answered. What the verb did on the target is unknown: a probe decides."""


class SessionPort(Protocol):
    """The verbs of `executors.session.Session`. Each may raise ChildGone."""

    def proceed(self, job: Job) -> bool: ...
    def prepare(self) -> Report: ...
    def apply(self) -> Report: ...
    def persist(self) -> Report: ...
    def status(self) -> Report: ...
    def prove(self, login: Login, plan: ProofPlan) -> Proof: ...
    def transcript(self) -> str: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Sessions(Protocol):
    """Opens sessions: `ForkServer` each in a child of its own, `InProcess` here."""

    def open(self, job: Job) -> SessionPort: ...


class InProcess:
    """For tests and simulation: no deadline but the one between verbs, no separation of memory."""

    def __init__(self, executor: Callable[[str], Executor] = load) -> None:
        self._executor = executor

    def open(self, job: Job) -> SessionPort:
        """Raises ExecutorUnavailable."""
        return Session(self._executor(job.executor), job)
