"""What happens in the rounds. A scenario is a directory made once, and steps taken when nothing is open.

A step must bear being done twice: its process may be killed between doing it and noting that it was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.catalog.states import Action
from engine.store.database import Database
from executors.fake.target import Behaviour, FakeTarget, Reply
from tests.faults.scene import WINDOW, Scene, ask

Step = Callable[[Database, FakeTarget], None]


@dataclass(frozen=True)
class Scenario:
    """`before`: undisturbed steps. `relents`: after so many change requests the target turns honest."""

    name: str
    build: Callable[[Scene], None]
    steps: tuple[Step, ...]
    relents: int | None = None
    before: tuple[Step, ...] = ()


def asked(action: Action, name: str = "alice") -> Step:
    def step(database: Database, target: FakeTarget) -> None:
        ask(database, action, name)

    return step


def outside(name: str, secret: str) -> Step:
    """Somebody sets a secret on the target."""

    def step(database: Database, target: FakeTarget) -> None:
        target.set(name, secret)

    return step


def late(database: Database, target: FakeTarget) -> None:
    """The network delivers now the first change that it had swallowed."""
    swallowed = next((each for each in target.requests("alice") if not each.applied), None)
    if swallowed is not None and swallowed.password not in target.history("alice"):
        target.set("alice", swallowed.password)


CHANGE, VERIFY, RECONCILE = asked(Action.CHANGE_SECRET), asked(Action.VERIFY), asked(Action.RECONCILE)

LOCKS = {probes: Behaviour(lockout_threshold=probes + 1, lockout_window=WINDOW) for probes in (1, 2)}
"""One refused login more than the budget allows would lock the account, so that every overrun shows."""


def own(probes: int = 2, reply: Reply = Reply.HONEST, **behaviour: object) -> Callable[[Scene], None]:
    """An account that changes its own secret."""
    how = replace(LOCKS[probes], reply=reply, **behaviour)  # type: ignore[arg-type]
    return lambda scene: scene.account("alice", how, probes)


def reset(probes: int = 2, reply: Reply = Reply.HONEST, **behaviour: object) -> Callable[[Scene], None]:
    """An account whose secret an administrator sets."""

    def build(scene: Scene) -> None:
        scene.account("boss", replace(LOCKS[2], admin=True))
        how = replace(LOCKS[probes], reply=reply, **behaviour)  # type: ignore[arg-type]
        scene.account("alice", how, probes, auth="boss@box")

    return build


def family(scene: Scene) -> None:
    """A parent and two children: one holds the same secret, one has its own."""
    scene.account("alice", LOCKS[2])
    scene.account("boss", replace(LOCKS[2], admin=True))
    scene.account("copy", LOCKS[2], auth="boss@box", parent="alice@box", link="same")
    scene.account("child", LOCKS[2], parent="alice@box", link="own")


def several(odd: Behaviour) -> Callable[[Scene], None]:
    """Accounts that one administrator changes over one connection; the second of them behaves oddly."""

    def build(scene: Scene) -> None:
        scene.account("boss", replace(LOCKS[2], admin=True))
        for name, how in (("alice", LOCKS[2]), ("bob", odd), ("carol", LOCKS[2])):
            scene.account(name, how, auth="boss@box")

    return build


def all_asked(database: Database, target: FakeTarget) -> None:
    for name in ("alice", "bob", "carol"):
        ask(database, Action.CHANGE_SECRET, name)


def overlapping(scene: Scene) -> None:
    lockout = {"threshold": 4, "window_seconds": WINDOW}
    scene.policy("overlaps", lockout=lockout, overlap_seconds=600.0)
    scene.account("alice", replace(LOCKS[2], overlap=600.0))
    scene.use_policy("alice", "overlaps")


def away(database: Database, target: FakeTarget) -> None:
    """Not reachable for a while: the candidate waits, unsent."""
    target.behave("alice", replace(LOCKS[2], unreachable_until=target.now() + 60.0))


def back(database: Database, target: FakeTarget) -> None:
    target.behave("alice", LOCKS[2])


BACK_TO_FIRST = outside("alice", "first-of-alice")

SCENARIOS = (
    Scenario("self-change", own(delay_before=0.002, delay_after=0.004), (CHANGE,)),
    Scenario("self-change again, one probe", own(1), (CHANGE,), before=(CHANGE,)),
    Scenario("reset", reset(delay_after=0.004), (CHANGE,)),
    Scenario("reset, one probe", reset(1), (CHANGE,)),
    Scenario("refuses and does it", own(reply=Reply.REFUSES_AFTER_APPLYING), (CHANGE,)),
    Scenario("refuses and does it, one probe", own(1, Reply.REFUSES_AFTER_APPLYING), (CHANGE,)),
    Scenario("refuses a reset and does it", reset(reply=Reply.REFUSES_AFTER_APPLYING), (CHANGE,)),
    Scenario("accepts and does nothing", own(reply=Reply.ACCEPTS_WITHOUT_APPLYING), (CHANGE,)),
    Scenario("accepts and does nothing, one probe", own(1, Reply.ACCEPTS_WITHOUT_APPLYING), (CHANGE,)),
    Scenario("accepts a reset and does nothing", reset(reply=Reply.ACCEPTS_WITHOUT_APPLYING), (CHANGE,)),
    Scenario("accepts, does it later", own(reply=Reply.ACCEPTS_WITHOUT_APPLYING), (CHANGE,), relents=1),
    Scenario("policy refuses the first", own(minimum_length=60), (CHANGE,), relents=1),
    Scenario("policy refuses all", own(minimum_length=60), (CHANGE,)),
    Scenario("drops after the deed", own(reply=Reply.DROPS_AFTER_APPLYING), (CHANGE,)),
    Scenario("drops before the deed", own(1, Reply.DROPS_WITHOUT_APPLYING), (CHANGE,), relents=1),
    Scenario("does not save", own(save_fails=True), (CHANGE,)),
    Scenario("parent and children", family, (CHANGE,)),
    Scenario("a batch", several(replace(LOCKS[2], delay_after=0.004)), (all_asked,)),
    Scenario(
        "a batch with one that drops",
        several(replace(LOCKS[2], reply=Reply.DROPS_AFTER_APPLYING)),
        (all_asked,),
    ),
    Scenario("an older one opens", own(), (VERIFY,), before=(CHANGE, BACK_TO_FIRST)),
    Scenario("an older one opens, one probe", own(1), (VERIFY,), before=(CHANGE, CHANGE, BACK_TO_FIRST)),
    Scenario("a stranger's opens", reset(), (RECONCILE,), before=(outside("alice", "a stranger's"),)),
    Scenario("overlap", overlapping, (CHANGE,), before=(CHANGE,)),
    Scenario("away for a while", own(), (away, CHANGE)),
    Scenario(
        "late request",
        own(reply=Reply.DROPS_WITHOUT_APPLYING),
        (CHANGE, late, VERIFY),
        before=(CHANGE, back),
    ),
)
