"""Executors by name, found through the entry point group `keyturn.executors`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from executors.contract import CONTRACT_VERSION, Executor

GROUP = "keyturn.executors"


class ExecutorUnavailable(LookupError):
    """An executor cannot be had; the message says what to install or mend."""


class UnknownExecutor(ExecutorUnavailable):
    """No installed package offers an executor of that name."""

    def __init__(self, name: str) -> None:
        known = ", ".join(names()) or "none"
        super().__init__(
            f"no executor named {name!r} is installed; known: {known}. Install one that offers it"
        )


class BrokenExecutor(ExecutorUnavailable):
    """An installed executor does not load, for example because an extra is missing."""

    def __init__(self, name: str, reason: Exception) -> None:
        super().__init__(
            f"executor {name!r} does not load: {reason}. Install its package again, with its extra"
        )


class WrongContract(ExecutorUnavailable):
    """An installed executor was built for another version of the contract."""

    def __init__(self, name: str, theirs: object) -> None:
        super().__init__(
            f"executor {name!r} speaks contract version {theirs}, this engine {CONTRACT_VERSION};"
            " install a release of it made for this engine"
        )


def names() -> tuple[str, ...]:
    """All installed executors, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


@cache
def load(name: str) -> Executor:
    """The executor of that name, made once a process. Raises ExecutorUnavailable."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise UnknownExecutor(name)
    try:
        executor: Executor = found[0].load()()
    except (ImportError, AttributeError) as error:
        raise BrokenExecutor(name, error) from error
    version = getattr(executor, "contract_version", None)
    if version != CONTRACT_VERSION:
        raise WrongContract(name, version)
    return executor
