"""The world around the machine: a store, a target, a network, two workers, the people, and what goes wrong.

The workers' states are the real `Rotation` values of `engine.rotation.machine`; nothing of the protocol is
repeated here.

Modelled
  target    one secret in force; optionally the one before it opens too until the overlap ends; refuses some
            candidates by policy; does or does not ask for the old secret in a self-change; can be
            unreachable; says yes after a refusal and anything else after a success.
  network   change requests are lost, delayed past their sender's time-out or death, and delivered after
            other things happened; replies are lost or wrong.
  store     current, candidate (sent or not), history, evidence, the operation, its lease and epoch. Every
            write is one transaction guarded by the epoch. A restore brings an old store back and imports
            the escrow journal, which holds every version ever made.
  workers   are killed at any point; a lease ends while its holder is only paused.
  budget    refused logins of the account in a window, connections of a self-change included.
  people    request changes, verify, cancel, reconcile, give up, and change the secret outside.

Not modelled
  several credentials, cascades and groups; `persist`, activation and deactivation (unit tests); a lock-out
  as such (the budget that prevents it is); numbering collisions (a version is a secret); a restore seen half
  done (it is one step, and it counts every window as spent); a target that is restored; loss of the escrow
  journal; a lost reply to a write (the store answers it again); fairness and time.

Folded together, without losing behaviour
  a kill after a write is a kill at the next step; a dead worker's lease ends at once; `sent` and the request
  leave in one step, for a request that leaves late is one that arrives late; a stale worker whose next write
  is refused is one that is gone (`stale_go_on` unfolds this; it must be set where nothing refuses writes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from engine.rotation.machine import Machine, ProtocolError, Rotation
from engine.rotation.protocol import (
    Adopt,
    Adopted,
    Applied,
    Apply,
    Close,
    Closed,
    Commit,
    Committed,
    Connect,
    Connected,
    Effect,
    Event,
    Facts,
    Goal,
    Journal,
    Journaled,
    Mark,
    Marked,
    MarkRefused,
    Mode,
    NotConnected,
    NotJournaled,
    Probe,
    Probed,
    Reply,
    Result,
    Verdict,
)

NONE = -1
FOREIGN = -2  # a secret that somebody else set: known to that person, not to us
CANDIDATE_REFUSED, OLDER_OPENED = 1, 2


class Kind(IntEnum):
    """Who makes a move. Recovery may use the first two only."""

    OF_ITSELF = 0
    BY_A_PERSON = 1
    AGAINST_US = 2


class Live(IntEnum):
    NOTHING = 0
    CHANGE = 1
    VERIFY = 2


class Status(IntEnum):
    RUNNING = 0
    IN_DOUBT = 1
    NEEDS_PERSON = 2


class Store(NamedTuple):
    """What a backup of the database holds. `evidence` and `reply` are those of the last change request."""

    current: int = 0
    candidate: int = NONE
    sent: bool = False
    history: tuple[int, ...] = ()
    evidence: tuple[int, ...] = ()
    reply: str = ""
    waiting: bool = False  # a change that is not claimed
    live: int = Live.NOTHING
    status: int = Status.RUNNING
    resent: int = 0  # by this operation, since a person last decided
    reset: bool = False  # a person chose to reconcile
    drifted: bool = False


class Worker(NamedTuple):
    """One claim: the number of its machine state, whether its epoch is the newest, its connection's login."""

    state: int = NONE
    valid: bool = False
    login: int = NONE


class Request(NamedTuple):
    old: int
    new: int
    listener: int = NONE  # the worker that still waits for the reply


IDLE = Worker()


class State(NamedTuple):
    in_force: int
    also_opens: int
    refusals: int  # in this window
    proven: int  # bit n: version n has been in force
    unused: int  # what was seen of the candidate since it was last sent
    next: int
    kills: int
    pauses: int
    outsiders: int
    backup: Store | None
    store: Store
    workers: tuple[Worker, Worker]
    net: tuple[Request, ...]
    wrong: str = ""


Move = tuple[tuple[object, ...], Kind, State]


@dataclass(frozen=True)
class Bounds:
    """How far one instance goes. Counts are upper limits of what the adversary may do."""

    mode: Mode = Mode.SELF
    versions: int = 3
    budget: int = 2
    kills: int = 1
    pauses: int = 1
    outsiders: int = 0
    in_flight: int = 2
    asks_old: bool = True
    overlap: bool = False
    refuses: frozenset[int] = frozenset()
    restores: bool = False
    resends: int = 1
    regenerations: int = 1
    replies: tuple[Reply, ...] = (Reply.OK, Reply.UNSURE, Reply.POLICY, Reply.STOP)
    cancels: bool = True  # and the account is found disabled, and the journal full
    stale_go_on: bool = False  # follow stale workers to the write that refuses them


class Rules:
    """What the store writes. Ablations override single rules."""

    fenced = True
    charged = True

    def kept(self, history: tuple[int, ...]) -> tuple[int, ...]:
        return history

    def dropped(self, store: Store, version: int) -> Store:
        """`version` is not pending any more and moves to the history."""
        return store._replace(candidate=NONE, sent=False, history=self.kept((version, *store.history)))

    def journal(self, store: Store, version: int) -> Store:
        if store.candidate != NONE:
            store = self.dropped(store, store.candidate)
        return store._replace(candidate=version, sent=False)

    def mark(self, store: Store) -> Store:
        return store._replace(sent=True, evidence=(), reply="", resent=store.resent + store.sent)

    def commit(self, store: Store, version: int) -> Store:
        older = (store.candidate, store.current, *store.history)
        return Store(version, history=self.kept(tuple(v for v in older if v not in (NONE, version))))

    def adopt(self, store: Store, version: int) -> Store:
        older = tuple(v for v in (store.current, *store.history) if v != version)
        return store._replace(current=version, history=self.kept(older), drifted=False)

    def close(self, store: Store, close: Close) -> Store:
        if close.discard is not None and close.discard == store.candidate:
            store = self.dropped(store, close.discard)
        store = self.noted(store, close)
        if close.result is Result.IN_DOUBT:
            return store._replace(status=Status.IN_DOUBT)
        if close.result is Result.NEEDS_PERSON:
            return store._replace(status=Status.NEEDS_PERSON)
        if close.result is Result.RETRY and store.live == Live.CHANGE:
            return store._replace(live=Live.NOTHING, waiting=True)
        reset = store.reset and store.live == Live.VERIFY
        ended = store._replace(live=Live.NOTHING, status=Status.RUNNING, reset=reset, resent=0)
        return ended._replace(drifted=close.result is Result.DRIFTED)

    def noted(self, store: Store, close: Close) -> Store:
        reply = "" if close.reply is None else close.reply.value
        return store._replace(evidence=tuple(sorted(close.refused)), reply=reply)

    def restored(self, backup: Store, escrowed: range) -> Store:
        missing = (v for v in reversed(escrowed) if v not in versions(backup))
        return backup._replace(history=(*missing, *backup.history))


def versions(store: Store) -> tuple[int, ...]:
    return (store.current, store.candidate, *store.history)


class Minds:
    """Machine states by number, and the steps between them: each is taken once and remembered."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.states: list[Rotation] = []
        self.numbers: dict[Rotation, int] = {}
        self.steps: dict[tuple[int, Event], tuple[int, str]] = {}
        self.starts: dict[Facts, int] = {}

    def begin(self, facts: Facts) -> int:
        if facts not in self.starts:
            self.starts[facts] = self._number(self.machine.begin(facts))
        return self.starts[facts]

    def effect(self, number: int) -> Effect:
        effect = self.states[number].effect
        assert effect is not None
        return effect

    def step(self, number: int, event: Event) -> tuple[int, str]:
        """The next state, NONE if the claim is over, and what the machine did wrong."""
        key = (number, event)
        if key not in self.steps:
            self.steps[key] = self._step(number, event)
        return self.steps[key]

    def _step(self, number: int, event: Event) -> tuple[int, str]:
        try:
            after = self.machine.receive(self.states[number], event)
        except ProtocolError as error:
            return NONE, f"order: {error}"
        return self._number(after), misstep(self.effect(number), event, after.effect)

    def _number(self, state: Rotation) -> int:
        if state.effect is None:
            return NONE
        if state not in self.numbers:
            self.numbers[state] = len(self.states)
            self.states.append(state)
        return self.numbers[state]


def misstep(before: Effect, event: Event, after: Effect | None) -> str:
    """Rules that one step shows: nothing is sent unmarked, nothing is made current that did not just open."""
    if isinstance(after, Apply) and not (isinstance(event, Marked) and before == Mark(after.version)):
        return "order: sent without a mark"
    if isinstance(after, Commit | Adopt) and event != Probed(after.version, Verdict.OPENS):
        return "unproven: made current by something else than a probe that opened"
    return ""


@dataclass
class World:
    """The moves of one instance."""

    bounds: Bounds
    machine: Machine = field(default_factory=Machine)
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self.minds = Minds(self.machine)
        self.performers: dict[type, Callable[[State, int, Any], Iterator[Move]]] = {
            Journal: self._journal,
            Connect: self._connect,
            Mark: self._mark,
            Probe: self._probe,
            Commit: self._commit,
            Adopt: self._adopt,
            Close: self._close,
        }

    def start(self) -> State:
        b = self.bounds
        backup = Store() if b.restores else None
        return State(0, NONE, 0, 1, 0, 1, b.kills, b.pauses, b.outsiders, backup, Store(), (IDLE, IDLE), ())

    def moves(self, s: State) -> Iterator[Move]:
        yield from self._people(s)
        yield from self._time(s)
        yield from self._network(s)
        yield from self._claims(s)
        for i in (0, 1):
            if s.workers[i].state != NONE:
                yield from self._work(s, i)
                yield from self._kill(s, i)

    # People

    def _people(self, s: State) -> Iterator[Move]:
        store = s.store
        left_over = store.candidate != NONE  # by an operation that somebody else ended
        if store.live == Live.NOTHING and not store.waiting and (left_over or s.next < self.bounds.versions):
            kind = Kind.OF_ITSELF if left_over else Kind.AGAINST_US
            yield ("a change is requested",), kind, _with(s, store._replace(waiting=True))
        if store.status == Status.NEEDS_PERSON:
            looked = store._replace(status=Status.RUNNING, resent=0)
            yield ("a person asks to look again",), Kind.BY_A_PERSON, _with(s, looked)
        if self.bounds.outsiders:
            yield from self._outsiders(s)

    def _outsiders(self, s: State) -> Iterator[Move]:
        store = s.store
        if s.outsiders:
            changed = s._replace(in_force=FOREIGN, also_opens=NONE, outsiders=s.outsiders - 1)
            yield ("somebody changes the secret outside",), Kind.AGAINST_US, changed
        if store.status == Status.NEEDS_PERSON and not store.reset:
            reconciled = store._replace(status=Status.RUNNING, reset=True, resent=0)
            yield ("a person reconciles",), Kind.BY_A_PERSON, _with(s, reconciled)
        spare = s.in_force == FOREIGN and s.next <= self.bounds.versions
        if store.status == Status.NEEDS_PERSON and spare:
            ended = self.rules.dropped(store, store.candidate)
            ended = ended._replace(
                status=Status.RUNNING, live=Live.NOTHING, reset=False, resent=0, drifted=True
            )
            yield ("a person gives the operation up",), Kind.BY_A_PERSON, _with(s, ended)
        if store.live == Live.NOTHING and store.drifted and not store.reset and (spare or store.waiting):
            store = store._replace(waiting=True, reset=True)
            yield ("a person reconciles the drifted credential",), Kind.BY_A_PERSON, _with(s, store)

    # Time, restore

    def _time(self, s: State) -> Iterator[Move]:
        if s.refusals:  # a window is much longer than a claim: no way back may count on its end within one
            kind = Kind.OF_ITSELF if all(w.state == NONE for w in s.workers) else Kind.AGAINST_US
            yield ("the probe window ends",), kind, s._replace(refusals=0)
        if s.also_opens != NONE:
            yield ("the overlap ends",), Kind.OF_ITSELF, s._replace(also_opens=NONE)
        if s.backup is not None:
            yield ("the old backup is restored",), Kind.AGAINST_US, self._restored(s, s.backup)

    def _restored(self, s: State, backup: Store) -> State:
        store = self.rules.restored(backup, range(s.next))
        workers = (self._stale(s.workers[0]), self._stale(s.workers[1]))
        spent = s._replace(refusals=self.bounds.budget, unused=0)
        return settled(spent._replace(backup=None, store=store, workers=workers))

    # The network

    def _network(self, s: State) -> Iterator[Move]:
        for k, request in enumerate(s.net):
            rest = s._replace(net=s.net[:k] + s.net[k + 1 :])
            arrived, honest = self._arrive(rest, request)
            if request.listener == NONE:
                yield ("the late request for", request.new, "arrives"), Kind.OF_ITSELF, arrived
                yield ("the late request for", request.new, "is lost"), Kind.OF_ITSELF, rest
                continue
            yield from self._replies("the target gets", arrived, request, honest)
            yield from self._replies("the target never gets", rest, request, Reply.UNSURE)
            late = rest._replace(net=(*rest.net, request._replace(listener=NONE)))
            answered = self._tell(late, request.listener, Applied(Reply.UNSURE))
            yield (
                ("no reply in time; the request for", request.new, "is still under way"),
                Kind.OF_ITSELF,
                answered,
            )

    def _replies(self, words: str, s: State, request: Request, honest: Reply) -> Iterator[Move]:
        for reply in self.bounds.replies:
            kind = Kind.OF_ITSELF if reply is honest else Kind.AGAINST_US
            answered = self._tell(s, request.listener, Applied(reply))
            yield (words, request.new, "and the reply reads", reply.value), kind, answered

    def _arrive(self, s: State, request: Request) -> tuple[State, Reply]:
        b = self.bounds
        asked = b.asks_old and request.old != NONE
        if asked and request.old not in (s.in_force, s.also_opens):
            return s, Reply.UNSURE
        if request.new in b.refuses:
            return s, Reply.POLICY
        if request.new == s.in_force:
            return s, Reply.OK
        also = s.in_force if b.overlap else NONE
        proven = s.proven | 1 << request.new
        return s._replace(in_force=request.new, also_opens=also, proven=proven), Reply.OK

    # Claims

    def _claims(self, s: State) -> Iterator[Move]:
        free = next((i for i in (0, 1) if s.workers[i].state == NONE), None)
        if free is None or s.store.status == Status.NEEDS_PERSON:
            return
        if s.workers[1 - free].valid and s.workers[1 - free].state != NONE:
            if s.pauses:
                yield from self._pause(s, 1 - free)
            return
        if s.store.live != Live.NOTHING:
            yield ("a worker takes the operation over",), Kind.OF_ITSELF, self._claim(s, free)
            return
        if s.store.waiting:
            change = s.store._replace(waiting=False, live=Live.CHANGE)
            yield ("a worker claims the change",), Kind.OF_ITSELF, self._claim(_with(s, change), free)
        verify = s.store._replace(live=Live.VERIFY)
        yield ("a worker claims a verification",), Kind.OF_ITSELF, self._claim(_with(s, verify), free)

    def _pause(self, s: State, holder: int) -> Iterator[Move]:
        words = ("the lease ends while its holder is paused; another worker takes over",)
        paused = _worker(s, holder, self._stale(s.workers[holder]))._replace(pauses=s.pauses - 1)
        yield words, Kind.AGAINST_US, self._claim(paused, 1 - holder)

    def _stale(self, worker: Worker) -> Worker:
        return worker._replace(valid=False) if self.bounds.stale_go_on and worker.state != NONE else IDLE

    def _claim(self, s: State, i: int) -> State:
        s = _with(s, s.store._replace(status=Status.RUNNING))
        return settled(_worker(s, i, Worker(self.minds.begin(self._facts(s)), True)))

    def _facts(self, s: State) -> Facts:
        b, store = self.bounds, s.store
        spare = b.versions - s.next - (store.candidate == NONE)
        return Facts(
            goal=Goal.VERIFY if store.live == Live.VERIFY else Goal.CHANGE,
            mode=self._mode(s),
            current=store.current,
            candidate=None if store.candidate == NONE else store.candidate,
            sent=store.sent,
            history=store.history,
            budget=b.budget,
            probes=max(0, b.budget - s.refusals),
            refused=frozenset(store.evidence),
            reply=Reply(store.reply) if store.reply else None,
            resends=max(0, b.resends - store.resent),
            regenerations=max(0, min(b.regenerations, spare)),
            overlap=b.overlap,
        )

    def _mode(self, s: State) -> Mode:
        return Mode.RESET if s.store.reset else self.bounds.mode

    # A worker's effects

    def _work(self, s: State, i: int) -> Iterator[Move]:
        effect = self.minds.effect(s.workers[i].state)
        if isinstance(effect, Apply):
            return  # the network answers
        if self.rules.fenced and not s.workers[i].valid:
            yield ("the stale worker is fenced off at", effect), Kind.OF_ITSELF, settled(_worker(s, i, IDLE))
            return
        yield from self.performers[type(effect)](s, i, effect)

    def _tell(self, s: State, i: int, event: Event) -> State:
        worker = s.workers[i]
        number, wrong = self.minds.step(worker.state, event)
        if wrong:
            s = s._replace(wrong=wrong)
        return settled(_worker(s, i, IDLE if number == NONE else worker._replace(state=number)))

    def _journal(self, s: State, i: int, effect: Journal) -> Iterator[Move]:
        version = s.next
        beyond = version > self.bounds.versions
        if self.bounds.cancels or beyond:
            kind = Kind.OF_ITSELF if beyond else Kind.AGAINST_US
            yield (_who(s, i), "cannot write the journal"), kind, self._tell(s, i, NotJournaled())
        if beyond:
            return
        wrong = self._second_candidate(s, effect.replaces)
        after = _with(s, self.rules.journal(s.store, version))
        after = after._replace(next=version + 1, wrong=wrong)
        yield (
            (_who(s, i), "journals candidate", version),
            Kind.OF_ITSELF,
            self._tell(after, i, Journaled(version)),
        )
        if s.kills and version + 1 < self.bounds.versions:
            dead = _killed(s, i)._replace(next=version + 1)
            yield (
                (_who(s, i), "is killed when", version, "is in the escrow journal only"),
                Kind.AGAINST_US,
                dead,
            )

    def _second_candidate(self, s: State, replaces: int | None) -> str:
        if not self.rules.fenced or s.store.candidate in (NONE, replaces):
            return self._given_up(s, replaces)
        return "order: a second candidate"

    def _given_up(self, s: State, version: int | None) -> str:
        """A sent candidate may go to the history only when both halves of the proof were seen."""
        if version is None or version != s.store.candidate or not s.store.sent:
            return ""
        return "" if s.unused == CANDIDATE_REFUSED | OLDER_OPENED else "order: given up without proof"

    def _connect(self, s: State, i: int, effect: Connect) -> Iterator[Move]:
        login = NONE if effect.login is None else effect.login
        away = self._tell(s, i, NotConnected(Reply.RETRY))
        yield (_who(s, i), "cannot reach the target"), Kind.AGAINST_US, away
        if self.bounds.cancels:
            stopped = self._tell(s, i, NotConnected(Reply.STOP))
            yield (_who(s, i), "connects and finds the account disabled"), Kind.AGAINST_US, stopped
        if login == NONE or login in (s.in_force, s.also_opens):
            refusals = s.refusals if login == NONE else 0
            logged = _worker(s, i, s.workers[i]._replace(login=login))._replace(refusals=refusals)
            if login == NONE or s.refusals < self.bounds.budget:
                yield (_who(s, i), "connects"), Kind.OF_ITSELF, self._tell(logged, i, Connected())
                return
        if s.refusals >= self.bounds.budget:
            yield (_who(s, i), "may not log in: the budget is spent"), Kind.OF_ITSELF, away
            return
        refused = s._replace(refusals=s.refusals + 1)
        words = (_who(s, i), "connects with", login, "and is refused")
        for reply in (Reply.RETRY, Reply.STOP):  # which of them a refused login is, the executor says
            yield words, Kind.OF_ITSELF, self._tell(refused, i, NotConnected(reply))

    def _mark(self, s: State, i: int, effect: Mark) -> Iterator[Move]:
        if self.bounds.cancels:
            yield (
                ("the mark is refused: canceled or paused",),
                Kind.AGAINST_US,
                self._tell(s, i, MarkRefused()),
            )
        if len(s.net) >= self.bounds.in_flight or effect.version is None:
            return
        sent = _with(s, self.rules.mark(s.store))._replace(unused=0)
        request = Request(s.workers[i].login, effect.version, i)
        sent = sent._replace(net=(*s.net, request))
        yield (_who(s, i), "marks and sends", effect.version), Kind.OF_ITSELF, self._tell(sent, i, Marked())

    def _probe(self, s: State, i: int, effect: Probe) -> Iterator[Move]:
        version = effect.version
        unknown = self._tell(s, i, Probed(version, Verdict.UNKNOWN))
        yield (_who(s, i), "probes", version, "and cannot reach the target"), Kind.AGAINST_US, unknown
        opens = version in (s.in_force, s.also_opens)
        if opens:
            after = s._replace(refusals=0, unused=s.unused | OLDER_OPENED * (version != s.store.candidate))
            yield (
                (_who(s, i), "probes", version, ": opens"),
                Kind.OF_ITSELF,
                self._tell(after, i, Probed(version, Verdict.OPENS)),
            )
            return
        after = s._replace(refusals=s.refusals + 1)
        if s.kills:
            words = (_who(s, i), "is killed while it probes", version)
            yield words, Kind.AGAINST_US, _killed(after, i)
        if version == s.store.candidate:
            after = after._replace(unused=s.unused | CANDIDATE_REFUSED)
        refused = self._tell(after, i, Probed(version, Verdict.REFUSED))
        yield (_who(s, i), "probes", version, ": refused"), Kind.OF_ITSELF, refused

    def _commit(self, s: State, i: int, effect: Commit) -> Iterator[Move]:
        done = _with(s, self.rules.commit(s.store, effect.version))._replace(unused=0)
        yield (_who(s, i), "commits", effect.version), Kind.OF_ITSELF, self._tell(done, i, Committed())

    def _adopt(self, s: State, i: int, effect: Adopt) -> Iterator[Move]:
        done = _with(s, self.rules.adopt(s.store, effect.version))
        yield (_who(s, i), "adopts", effect.version), Kind.OF_ITSELF, self._tell(done, i, Adopted())

    def _close(self, s: State, i: int, effect: Close) -> Iterator[Move]:
        wrong = self._given_up(s, effect.discard)
        done = _with(s, self.rules.close(s.store, effect))
        if done.store.candidate == NONE:
            done = done._replace(unused=0)
        done = done._replace(wrong=wrong)
        yield (_who(s, i), "closes:", effect.result.value), Kind.OF_ITSELF, self._tell(done, i, Closed())

    def _kill(self, s: State, i: int) -> Iterator[Move]:
        """Only a holder of the lease: a stale worker that is gone is one that was fenced off."""
        if s.kills and s.workers[i].valid:
            yield (_who(s, i), "is killed"), Kind.AGAINST_US, _killed(s, i)


def _with(s: State, store: Store) -> State:
    return s._replace(store=store)


def _worker(s: State, i: int, worker: Worker) -> State:
    workers = (worker, s.workers[1]) if i == 0 else (s.workers[0], worker)
    return s._replace(workers=workers)


def _killed(s: State, i: int) -> State:
    return settled(_worker(s, i, IDLE)._replace(kills=s.kills - 1))


def _who(s: State, i: int) -> str:
    return "the worker" if s.workers[i].valid else "the stale worker"


def settled(s: State) -> State:
    """The two workers are alike, so are requests: one order for all. Nobody listens for a dead worker."""
    workers, net = s.workers, s.net
    if workers[0] > workers[1]:
        workers = (workers[1], workers[0])
        net = tuple(r if r.listener == NONE else r._replace(listener=1 - r.listener) for r in net)
    net = tuple(
        r._replace(listener=NONE) if r.listener != NONE and workers[r.listener].state == NONE else r
        for r in net
    )
    return s._replace(workers=workers, net=tuple(sorted(net)))
