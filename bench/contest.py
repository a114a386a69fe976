"""The contest on one sshd: every contender in every round, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import ansible, bare, rig
from bench.figures import BATCH
from bench.ground import Ground, Lane, Login, password, prepared, set_passwords, together
from bench.meter import Meter


@dataclass(frozen=True, slots=True)
class Size:
    """`each` accounts for each of eight administrators, `own` change themselves, ansible takes `few`."""

    each: int
    own: int
    few: int
    rounds: int


FULL = Size(each=10, own=24, few=16, rounds=3)
QUICK = Size(each=2, own=8, few=4, rounds=1)

Samples = list[dict[str, Any]]


class NotAsClaimed(Exception):
    """The target's own record does not confirm a contender's changes."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`run` makes its changes and returns what `confirm` needs to count them; only `run` is measured."""

    name: str
    run: Callable[[], Any]
    confirm: Callable[[Any], int]
    helpers: Sequence[int] = ()
    before: Callable[[], None] | None = None
    warm: bool = True


def measure(size: Size, say: Callable[[str], None]) -> dict[str, Any]:
    """Needs root and sshd."""
    samples: Samples = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-bench-")))
        ground = stack.enter_context(prepared(size.each, size.own))
        engine = stack.enter_context(rig.on_sshd(directory / "engine", ground))
        programs = ansible.install()
        contenders = [*_bare(ground), *_engine(ground, engine)]
        if isinstance(programs, Path):
            contenders += _ansible(ground, programs, directory, size.few)
        for number in range(size.rounds + 1):
            for contender in contenders:
                if not number and not contender.warm:
                    continue
                sample = _sample(ground, contender)
                say(f"round {number or 'of warming'}: {contender.name}: {sample['client_ms']:.1f} ms")
                samples += [{"round": number, **sample}] if number else []
    return {
        "samples": samples,
        "size": asdict(size),
        "ansible": ansible.VERSION if isinstance(programs, Path) else programs,
    }


def _sample(ground: Ground, contender: Contender) -> dict[str, Any]:
    if contender.before is not None:
        contender.before()
    meter = Meter(contender.helpers, ground.server)
    done = contender.run()
    spent = meter.spent()
    changes = contender.confirm(done)
    return {
        "contender": contender.name,
        "changes": changes,
        "wall_s": spent.wall,
        "client_ms": spent.client / changes,
        "child_ms": spent.helpers / changes,
        "sshd_ms": spent.server / changes,
    }


def _bare(ground: Ground) -> Iterator[Contender]:
    confirmed = partial(_confirmed, ground)
    ways = {"fresh": bare.fresh, "fresh, same commands": bare.same_steps, "reused": bare.reused}
    for name, way in ways.items():
        yield Contender(f"paramiko, {name}", partial(_in_lanes, ground, way), confirmed)
    current: list[Login] = []

    def known() -> None:
        current[:] = [Login(name, password()) for name in ground.selves]
        set_passwords(current)

    def themselves() -> list[Login]:
        return together(partial(bare.by_itself, ground), current)

    yield Contender("paramiko, own password", themselves, confirmed, before=known)


def _in_lanes(ground: Ground, way: Callable[[Ground, Login, Sequence[str]], list[Login]]) -> list[Login]:
    done = together(lambda lane: way(ground, lane.admin, lane.accounts), ground.lanes)
    return [login for lane in done for login in lane]


def _confirmed(ground: Ground, logins: Sequence[Login]) -> int:
    if ground.proven(logins) != len(logins):
        raise NotAsClaimed
    return len(logins)


def _engine(ground: Ground, engine: rig.Rig) -> Iterator[Contender]:
    def one_by_one(lane: Lane) -> list[int]:
        return [engine.change(name) for name in lane.accounts]

    def over_one_connection(lane: Lane) -> list[int]:
        return engine.change_together(lane.accounts)

    def by_administrators(way: Callable[[Lane], list[int]]) -> list[int]:
        asked = [operation for done in together(way, ground.lanes) for operation in done]
        engine.seal_audit()
        return asked

    def known() -> None:
        current = [Login(name, password()) for name in ground.selves]
        set_passwords(current)
        for login in current:
            engine.know(login)

    themselves = partial(rig.change_all, engine, ground.selves, len(ground.lanes))
    for name, way in (("engine, fresh", one_by_one), (BATCH, over_one_connection)):
        yield Contender(name, partial(by_administrators, way), engine.check, engine.helpers)
    yield Contender("engine, own password", themselves, engine.check, engine.helpers, known)


def _ansible(ground: Ground, programs: Path, directory: Path, few: int) -> Iterator[Contender]:
    pairs = [(lane.admin, name) for lane in ground.lanes for name in lane.accounts]
    pairs = sorted(pairs, key=lambda pair: pair[1].rpartition("x")[2])[:few]  # spread over administrators
    for pipelining in (True, False):
        name = f"ansible-core, pipelining {'on' if pipelining else 'off'}"
        playbook = ansible.Playbook(programs, directory / f"ansible-{pipelining}", ground, pipelining)
        yield Contender(name, partial(playbook.change, pairs), partial(_confirmed, ground), warm=False)
