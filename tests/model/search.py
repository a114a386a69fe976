"""Breadth-first search over every state of a world, and over every way back from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.model.world import FOREIGN, NONE, Kind, Live, State, World, versions

Check = Callable[[World, State], str]
Edges = list[list[int]]


def lost(world: World, s: State) -> str:
    """The secret in force is in no row that the store can still read. Written without the machine's help."""
    held = s.in_force in versions(s.store) or s.in_force == FOREIGN
    return "" if held else f"lost: version {s.in_force} is in force and nobody holds it"


def lost_to_all(world: World, s: State) -> str:
    """As `lost`, and no living worker remembers it either."""
    minds = [world.minds.states[w.state].facts.candidate for w in s.workers if w.state != NONE]
    return "" if s.in_force in minds else lost(world, s)


def overdrawn(world: World, s: State) -> str:
    over = s.refusals > world.bounds.budget
    return f"overdrawn: {s.refusals} refused logins in one window" if over else ""


def unproven(world: World, s: State) -> str:
    never = not s.proven >> s.store.current & 1
    return f"unproven: version {s.store.current} is current and was never in force" if never else ""


def disorder(world: World, s: State) -> str:
    return s.wrong


ALL: tuple[Check, ...] = (disorder, lost, overdrawn, unproven)


@dataclass(frozen=True)
class Finding:
    """What a search showed. `verdict` is the first broken rule, or how many states have no way back."""

    states: int
    verdict: str
    trace: tuple[str, ...] = ()
    by_a_person: int = 0  # states from which only a person helps

    @property
    def kind(self) -> str:
        return self.verdict.partition(":")[0]


SAFE = "safe, and every state has a way back"


@dataclass(slots=True)
class Graph:
    states: list[State]
    origins: list[tuple[int, tuple[object, ...]]]
    back: dict[Kind, Edges]


def search(world: World, checks: tuple[Check, ...] = ALL) -> Finding:
    graph = Graph([], [], {Kind.OF_ITSELF: [], Kind.BY_A_PERSON: []})
    numbers: dict[State, int] = {}
    queue: deque[int] = deque()

    def number(state: State, origin: tuple[int, tuple[object, ...]]) -> int:
        found = numbers.setdefault(state, len(graph.states))
        if found == len(graph.states):
            graph.states.append(state)
            graph.origins.append(origin)
            for edges in graph.back.values():
                edges.append([])
            queue.append(found)
        return found

    number(world.start(), (NONE, ()))
    while queue:
        here = queue.popleft()
        state = graph.states[here]
        wrong = next((text for check in checks if (text := check(world, state))), "")
        if wrong:
            return Finding(len(graph.states), wrong, trace(graph, here))
        for words, kind, after in world.moves(state):
            watched = after if not after.wrong or disorder in checks else after._replace(wrong="")
            there = number(watched, (here, words))
            if kind is not Kind.AGAINST_US:
                graph.back[kind][there].append(here)
    return recovery(world, graph)


def recovery(world: World, graph: Graph) -> Finding:
    """Which states come to rest by moves that nobody makes against us: alone, and with a person's help."""
    goal = {n for n, state in enumerate(graph.states) if at_rest(world, state)}
    alone = _reaching(goal, [graph.back[Kind.OF_ITSELF]])
    helped = _reaching(alone, list(graph.back.values()))
    total = len(graph.states)
    stuck = total - len(helped)
    if not stuck:
        return Finding(total, SAFE, by_a_person=total - len(alone))
    first = next(n for n in range(total) if n not in helped)
    return Finding(
        total, f"stuck: {stuck} states without a way back", trace(graph, first), total - len(alone)
    )


def at_rest(world: World, s: State) -> bool:
    """Written without the machine's help: no operation, no request under way, and the store is right.

    A change that waits for a version beyond the bounds of the instance cannot go on here and is not counted.
    """
    idle = all(w.state == NONE for w in s.workers) and not s.net
    waiting = s.store.waiting and s.next <= world.bounds.versions
    ended = s.store.live == Live.NOTHING and not waiting and s.store.candidate == NONE
    return idle and ended and s.store.current == s.in_force


def _reaching(goal: set[int], edges: list[Edges]) -> set[int]:
    reached = set(goal)
    queue = deque(goal)
    while queue:
        here = queue.popleft()
        for before in (n for some in edges for n in some[here]):
            if before not in reached:
                reached.add(before)
                queue.append(before)
    return reached


def trace(graph: Graph, here: int) -> tuple[str, ...]:
    """The shortest way from the start to this state, in words."""
    steps: list[str] = []
    while here:
        here, words = graph.origins[here]
        steps.append(" ".join(map(str, words)))
    return tuple(reversed(steps))
