"""Conducts one claim: performs each effect that the change protocol asks for and tells it what came of it.

This is the thin shell around `engine.rotation`: it decides nothing that the protocol decides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from engine.catalog.states import Action, CredentialKind
from engine.operations.claims import Claim, boottime
from engine.operations.errors import LeaseLost, NotClaimed, NumberTaken
from engine.operations.ledger import Evidence, Ledger, Tried
from engine.operations.outcomes import FOLLOWING
from engine.operations.states import OperationState
from engine.rotation import protocol as p
from engine.rotation.machine import Machine, Rotation
from engine.store.database import StoreUnavailable
from engine.store.errors import KeyturnError
from engine.vault.errors import VaultError
from engine.vault.journal import JournalWriter, Kind, Record
from engine.vault.keys import ZoneKeys
from engine.vault.sealing import Purpose, key_id, seal, seal_bytes
from engine.work.candidates import candidate_for
from engine.work.forkserver.ports import ChildGone, SessionPort, Sessions
from engine.work.jobs import Secrets, job_for, own_login, probing_job, proof_plan
from engine.work.metrics import Metrics
from executors.contract import Outcome, Proof, Redactor, Report, Secret, TemplateError, Verdict
from executors.session import Job

log = logging.getLogger(__name__)

LONGEST_SETTLE = 60.0  # seconds that a claim waits by itself before the first probe
LONGEST_BATCH = 50  # operations that go over one connection; all their secrets stay hidden in its transcripts

OLD_OPENS = "the secret that was replaced still opens the account; see where else the target accepts it"

Observer = Callable[[str], None]
"""Called with the name of each point before and after a write or an effect; tests kill the process there."""

Following = Callable[[Claim], Sequence[int]]
"""Operations that may go on over the connection which the claim's login has, the first due first."""


def nothing(point: str) -> None:
    """The observer of production."""


def alone(claim: Claim) -> Sequence[int]:  # noqa: ARG001 - the hook
    """Nothing follows: each operation has a connection of its own."""
    return ()


class Conductor:
    """One for a worker process; thread-safe, since everything of a claim is in its own `_Run`."""

    def __init__(
        self,
        ledger: Ledger,
        sessions: Sessions,
        keys: ZoneKeys,
        journal: JournalWriter,
        deadline: float,
        machine: Machine | None = None,
        at: Observer = nothing,
        following: Following = alone,
        metrics: Metrics | None = None,
    ) -> None:
        self.ledger = ledger
        self.sessions = sessions
        self.keys = keys
        self.journal = journal
        self.deadline = deadline
        self.machine = machine or Machine()
        self.at = at
        self.following = following
        self.metrics = metrics or Metrics()

    def conduct(self, operation_id: int) -> OperationState | None:
        """Work on the operation until it ends or must wait, then on what may follow over its connection.

        How the first one ended. None: it was not ours to do, or no longer.
        """
        batch = _Batch(self)
        try:
            state = batch.conduct(operation_id)
            for following in batch.following():
                batch.conduct(following)
            return state
        finally:
            batch.hang_up()


class _Batch:
    """Claims of one device, one by one, each by itself, over the connection that the last one left."""

    def __init__(self, conductor: Conductor) -> None:
        self._c = conductor
        self._until = boottime() + conductor.deadline
        self._left: SessionPort | None = None  # by the last claim, which ended in a proven change
        self._claims: list[Claim] = []

    def conduct(self, operation_id: int) -> OperationState | None:
        self._c.at("claim.before")
        try:
            claim = self._c.ledger.claim(operation_id)
        except NotClaimed:
            self._c.metrics.claim_refused()
            return None
        self._c.at("claim.after")
        self._claims.append(claim)
        left, self._left = self._left, None
        run, began, state = _Run(self._c, claim, left), boottime(), None
        try:
            state = run.whole()
        except LeaseLost:
            pass  # another worker goes on with it
        except VaultError as error:
            log.error("operation %s: %s", operation_id, error)
            state = run.given_up(str(error))
        finally:
            self._left = run.leave()
            took = boottime() - began
            self._c.metrics.attempt_ended(claim.plan.executor, claim.action, run.told, state, took)
        return state

    def following(self) -> Iterator[int]:
        """What to try to claim next. Ends with the first claim that leaves no connection."""
        claimed = 0
        while self._left is not None and claimed < len(self._claims) < LONGEST_BATCH:
            claimed = len(self._claims)
            if boottime() < self._until:
                for operation_id in self._c.following(self._claims[-1]):
                    yield operation_id
                    if len(self._claims) > claimed:
                        break

    def hang_up(self) -> None:
        if self._left is not None:
            self._left.close()


class _Run:
    """One claim from begin to end. `left` is a session that another claim of the device has ended with."""

    def __init__(self, conductor: Conductor, claim: Claim, left: SessionPort | None) -> None:
        self._c = conductor
        self._claim = claim
        self._state = conductor.machine.begin(claim.facts)
        self._secrets = Secrets(claim, conductor.keys)
        self._free_number = max(claim.versions, default=0) + 1
        self._session: SessionPort | None = None
        self._left = left
        self._changed = False  # the session's last change request was accepted
        self._prepaid = claim.connecting if claim.prepaid else frozenset()
        self._heard: p.Reply | None = None  # to the last change request, until it is on record
        self._shows_at = 0.0  # on CLOCK_BOOTTIME: from when on what was sent can be seen
        self._tried: list[Tried] = []
        self._until = claim.until
        self.told = Outcome.UNKNOWN  # how the attempt ended, as it is on record
        self._outcome = Outcome.OK
        self._message = ""
        self._proof: str | None = None
        self._old_opens = False  # after a removal, what was replaced
        self._steps: list[Report] = []
        self._transcripts: list[str] = []
        self._end: OperationState | None = None

    def whole(self) -> OperationState | None:
        while (effect := self._state.effect) is not None:
            if boottime() >= self._until and not isinstance(effect, p.Commit):
                raise LeaseLost("this host's own clock says that the lease is over")
            self._state = self._c.machine.receive(self._state, self._perform(self._state, effect))
        return self._end

    def given_up(self, message: str) -> OperationState | None:
        """A stored secret does not open here: nothing more is tried until a person has looked."""
        self._outcome, self._message = Outcome.UNKNOWN, message
        result = p.Result.NEEDS_PERSON if self._state.facts.sent else p.Result.FAILED
        close = p.Close(result)
        try:
            return self._c.ledger.closed(
                self._claim, close, self._given_back(), self._evidence(self._outcome)
            )
        except LeaseLost:
            return None

    def leave(self) -> SessionPort | None:
        """The session, for the next claim, if it has made a change that is proven; closed otherwise."""
        session = None
        if self._end is OperationState.SUCCEEDED and self._changed and self._proof != Verdict.RESTRICTED:
            session, self._session = self._session, None
        self.hang_up()
        return session

    def hang_up(self) -> None:
        for session in (self._session, self._left):
            if session is not None:
                session.close()
        self._session = self._left = None

    def _perform(self, state: Rotation, effect: p.Effect) -> p.Event:
        name = type(effect).__name__.lower()
        self._c.at(f"{name}.before")
        event = self._event(state, effect)
        self._c.at(f"{name}.after")
        return event

    def _event(self, state: Rotation, effect: p.Effect) -> p.Event:
        match effect:
            case p.Journal(replaces):
                return self._journal(replaces)
            case p.Connect(login):
                return self._connect(state, login)
            case p.Mark(version):
                return self._mark(version)
            case p.Apply():
                return self._apply()
            case p.Probe(version):
                return self._probe(version)
            case p.Commit(version):
                return self._commit(state, version)
            case p.Adopt(version):
                self._c.ledger.adopted(self._claim, version, self._settled(), self._proof or "")
                return p.Adopted()
            case p.Persist():
                return self._persist()
            case p.Close():
                return self._close(effect)

    # W1

    def _journal(self, replaces: int | None) -> p.Event:
        """Escrow first, then the row, then the mark that says that the row is there."""
        claim, number = self._claim, self._free_number
        secret = candidate_for(claim, self._secrets)
        self._secrets.remember(number, secret)
        record = self._record(number, secret)
        self._c.at("escrow.before")
        try:
            self._c.journal.append([record])
        except VaultError as error:
            self._outcome, self._message = Outcome.UNKNOWN, str(error)
            return p.NotJournaled()
        self._c.at("escrow.after")
        parent_version = claim.parent.number if claim.parent else None
        try:
            self._c.ledger.journaled(claim, record, replaces, parent_version)
        except NumberTaken:
            # By a secret that a person stored since the claim; the record stays as one more to probe.
            self._free_number = self._c.ledger.next_number(claim)
            return self._journal(replaces)
        self._free_number = number + 1
        self._c.at("mark_committed.before")
        try:
            self._c.journal.mark_committed([record])
        except VaultError as error:
            log.warning(
                "operation %s goes on without a mark in the escrow journal: %s", claim.operation_id, error
            )
        return p.Journaled(number)

    def _record(self, number: int, secret: Secret) -> Record:
        credential = self._claim.credential
        public = self._c.keys.public(credential.zone)
        return Record(
            kind=Kind.CANDIDATE,
            incarnation=self._claim.incarnation,
            epoch=self._claim.epoch,
            authority=credential.authority,
            account=credential.account,
            credential=credential.slot,
            version=number,
            sealed=seal(secret, public, credential.context(number)),
            key_id=key_id(public),
            at=time.time(),
        )

    # Connecting and sending

    def _connect(self, state: Rotation, login: int | None) -> p.Event:
        self._drop_session()
        if not self._pay(self._claim.connecting):
            return self._not_connected(
                Outcome.LOCKED_OUT, "the lockout budget of the account that logs in is spent"
            )
        try:
            job = job_for(self._claim, self._secrets, login, _new(state.facts), self._child_deadline())
        except (TemplateError, KeyturnError) as error:
            self._ended(self._claim.connecting, None)
            return self._not_connected(Outcome.BAD_TEMPLATE, str(error))
        try:
            report = self._gone_on(job)
            if report is not None:
                return self._prepared(report, logged_in=False)
            self._session = self._c.sessions.open(job)
            self._c.metrics.child_started()
            return self._prepared(self._session.prepare(), logged_in=True)
        except ChildGone as gone:
            return self._not_connected(Outcome.UNKNOWN, str(gone))

    def _gone_on(self, job: Job) -> Report | None:
        """The status read over the connection that was left. None: it is of no use, and a login must show
        whether the account or the connection is the reason. Raises ChildGone."""
        if self._left is None:
            return None
        self._c.at("proceed.before")
        try:
            proceeds = self._left.proceed(job)
        except ChildGone:  # nothing was asked of the target yet
            proceeds = False
        if not proceeds:
            self.hang_up()
            return None
        self._session, self._left = self._left, None
        self._c.at("proceed.after")
        report = self._session.prepare()
        if report.outcome in _AS_IT_IS:
            return report
        self._drop_session()
        return None

    def _prepared(self, report: Report, *, logged_in: bool) -> p.Event:
        self._steps.append(report)
        if report.outcome is not Outcome.UNKNOWN:  # which may hide a refusal, and so stays in flight
            self._judge_tries(report, logged_in)
        if report.outcome is not Outcome.OK:
            return self._not_connected(report.outcome, report.message)
        status = report.facts.get("status", "usable")
        if status in ("locked", "no_password") and self._claim.facts.goal is p.Goal.CHANGE:
            return self._not_connected(Outcome.ACCOUNT_DISABLED, f"the account is {status} and is left so")
        return self._identified(report.facts.get("identity"))

    def _judge_tries(self, report: Report, logged_in: bool) -> None:
        """Whose try opened. Once a section has run, the login itself did, and a refusal is that of `su`.

        Where nobody logged in, because the connection was there, what opened was not tried; a refusal is
        that of `sudo`, which asks for the same secret once more.
        """
        claim = self._claim
        opened = _LOGGED_IN.get(report.outcome, True)
        took_on = bool(claim.becoming and report.steps)
        self._ended(claim.becoming, opened if took_on else None)
        login = True if took_on else opened
        way = None if login is None else True
        if not logged_in:
            login, way = (False if login is False else None), None
        self._ended({claim.logs_in}, login)
        self._ended(claim.connecting - claim.becoming - {claim.logs_in}, way)

    def _identified(self, identity: str | None) -> p.Event:
        """The account's own id must be the one on record: a deleted and recreated account is another one."""
        if identity is not None and identity != self._claim.identity:
            self._c.at("identify.before")
            known = self._c.ledger.identified(self._claim, identity)
            self._c.at("identify.after")
            if known != identity:
                return self._not_connected(
                    Outcome.ACCOUNT_MISSING,
                    f"the account's id is {identity}, on record is {known}: not the same account",
                )
        return p.Connected()

    def _not_connected(self, outcome: Outcome, message: str) -> p.Event:
        self._outcome, self._message = outcome, message
        return p.NotConnected(FOLLOWING[outcome].reply)

    def _mark(self, version: int | None) -> p.Event:
        sent = self._c.ledger.marked(self._claim, version, self._settled())
        return p.Marked() if sent else self._refused_to_send()

    def _refused_to_send(self) -> p.Event:
        self._message = "canceled, paused, expired or changed meanwhile; nothing more is sent"
        return p.MarkRefused()

    def _apply(self) -> p.Event:
        try:
            report = self._open_session().apply()
        except ChildGone as gone:
            self._drop_session()  # it is proven to be gone, so a probe of another child can decide at once
            self._outcome, self._message = Outcome.UNKNOWN, str(gone)
            self._heard = p.Reply.UNSURE
            return p.Applied(p.Reply.UNSURE)
        self._steps.append(report)
        self._changed = report.outcome is Outcome.OK
        self._outcome, self._message = report.outcome, report.message
        settle = self._claim.plan.settle_seconds
        self._shows_at = boottime() + settle
        if settle:
            time.sleep(min(settle, LONGEST_SETTLE))
        self._heard = FOLLOWING[report.outcome].reply
        return p.Applied(self._heard)

    # Probing

    def _probe(self, version: int) -> p.Event:
        if boottime() < self._shows_at:
            self._outcome, self._message = Outcome.TIMEOUT, "what was sent may not show yet"
            return p.Probed(version, p.Verdict.UNKNOWN)
        if not self._pay(self._claim.proving):
            return p.Probed(version, p.Verdict.LOCKED)
        proof = self._try(version)
        if proof is None:  # the try stays in flight: nobody knows whether it was refused
            self._outcome, self._message = Outcome.UNREACHABLE, "the executor child ended during the proof"
            return p.Probed(version, p.Verdict.UNKNOWN)
        verdict = self._verdict(proof)
        own = self._claim.credential.account_id
        opened = {p.Verdict.OPENS: True, p.Verdict.REFUSED: self._old_opens}
        self._ended({own}, opened.get(verdict))
        self._ended(self._claim.proving - {own}, None if verdict is p.Verdict.UNKNOWN else True)
        if verdict is p.Verdict.OPENS:
            self._proof = "restricted" if proof.verdict is Verdict.RESTRICTED else proof.kind.value
        elif verdict is p.Verdict.UNKNOWN:
            self._outcome, self._message = Outcome.UNREACHABLE, proof.detail
        elif self._outcome is Outcome.OK and self._old_opens:
            self._outcome, self._message = Outcome.UNKNOWN, OLD_OPENS
        elif self._outcome is Outcome.OK:
            self._outcome, self._message = Outcome.BAD_LOGIN, proof.detail
        return p.Probed(version, verdict)

    def _verdict(self, proof: Proof) -> p.Verdict:
        """*Right but restricted* means that the secret is in force, and after a deactivation that it
        worked. A removal has not worked where the old secret still opens."""
        if proof.verdict is Verdict.RESTRICTED and self._claim.facts.goal is p.Goal.DEACTIVATE:
            return p.Verdict.REFUSED
        if self._old_opens:
            return p.Verdict.REFUSED
        return _VERDICTS[proof.verdict]

    def _try(self, version: int) -> Proof | None:
        """None: the child ended before it answered.

        After a removal the secret that was replaced is tried first and must be refused: the current one,
        which opens, then ends the count of refusals where a target has one. Both are one try of the budget.
        """
        old = self._claim.replaced
        if (
            self._claim.action is not Action.REMOVE_OLD_SECRET
            or old is None
            or not self._differs(old, version)
        ):
            return self._prove(version)
        proof = self._prove(old)
        self._old_opens = proof is not None and _VERDICTS[proof.verdict] is p.Verdict.OPENS
        return self._prove(version) if proof is not None and proof.verdict is Verdict.REFUSED else proof

    def _differs(self, old: int, current: int) -> bool:
        """Whether a refusal of `old` would say something: one key may be written in two ways, and what is no
        key opens nothing."""
        if self._claim.credential.kind == CredentialKind.SSH_KEY:
            return self._secrets.public(old) not in (None, self._secrets.public(current))
        return self._secrets.own(old) != self._secrets.own(current)

    def _prove(self, version: int) -> Proof | None:
        secret = self._secrets.own(version)
        plan = proof_plan(self._claim, self._secrets)
        try:
            return self._open_session().prove(own_login(self._claim, secret), plan)
        except ChildGone:
            self._drop_session()
            return None

    def _open_session(self) -> SessionPort:
        """The session that made the change; after a take-over, one that only probes."""
        if self._session is None:
            self._session = self._c.sessions.open(
                probing_job(self._claim, self._secrets, self._child_deadline())
            )
            self._c.metrics.child_started()
        return self._session

    # Ends

    def _commit(self, state: Rotation, version: int) -> p.Event:
        """W3. The proof is in hand, so a database that is away for a moment is asked again while the lease
        holds."""
        ends = not state.facts.persist
        evidence = self._evidence(Outcome.OK) if ends else Evidence(Outcome.OK, proof=self._proof)
        while True:
            try:
                self._c.ledger.committed(self._claim, version, self._tried, evidence, ends)
                break
            except StoreUnavailable:
                if boottime() >= self._until:
                    raise LeaseLost("the database was away until the lease ended") from None
                time.sleep(0.5)
        self._settled()
        self._end = OperationState.SUCCEEDED
        return p.Committed()

    def _persist(self) -> p.Event:
        try:
            report = self._open_session().persist()
        except ChildGone as gone:
            self._outcome, self._message = Outcome.NOT_SAVED, str(gone)
            return p.Persisted(saved=False)
        self._steps.append(report)
        saved = report.outcome is Outcome.OK
        self._outcome, self._message = (Outcome.OK if saved else Outcome.NOT_SAVED), report.message
        return p.Persisted(saved)

    def _close(self, close: p.Close) -> p.Event:
        outcome = Outcome.OK if close.result in (p.Result.SUCCEEDED, p.Result.ADOPTED) else self._outcome
        self._end = self._c.ledger.closed(self._claim, close, self._given_back(), self._evidence(outcome))
        return p.Closed()

    def _evidence(self, outcome: Outcome) -> Evidence:
        self.told = outcome
        message = self._message and Redactor(self._secrets.known()).redact(self._message)
        steps = tuple(step for report in self._steps for step in report.steps)
        left = max(0.0, self._shows_at - boottime())
        return Evidence(outcome, message, self._proof, steps, self._transcript(), left)

    def _transcript(self) -> bytes | None:
        if self._session is not None:
            self._keep_transcript()
        text = "".join(self._transcripts)
        if not text:
            return None
        credential = self._claim.credential
        public = self._c.keys.public(credential.zone)
        return seal_bytes(text.encode(), public, credential.context(self._claim.epoch, Purpose.TRANSCRIPT))

    # Sessions, leases and charges

    def _keep_transcript(self) -> None:
        try:
            self._transcripts.append(self._session.transcript() if self._session else "")
        except ChildGone:
            self._transcripts.append("# the executor child ended before its transcript was read\n")

    def _drop_session(self) -> None:
        self._changed = False
        if self._session is not None:
            self._keep_transcript()
            self._session.close()
            self._session = None

    def _child_deadline(self) -> float:
        """The child must be dead before anybody else may take over: its deadline ends before the lease
        does."""
        if self._until - boottime() < self._c.deadline:
            self._until = self._c.ledger.renew(self._claim)
        return min(self._c.deadline, self._until - boottime())

    def _pay(self, accounts: frozenset[int]) -> bool:
        """Charge one try of each before it is made; the first may have been charged by the claim.

        The first probe is charged when the change request was answered, not with W2: a crash in between
        leaves all probes to whoever takes over, and what the request was told is on record from then
        on.
        """
        paid, self._prepaid = self._prepaid & accounts, self._prepaid - accounts
        for account_id in sorted(accounts - paid):
            self._c.at("charge.before")
            heard, self._heard = self._heard, None
            charged = self._c.ledger.charged(self._claim, account_id, self._settled(), heard)
            self._c.at("charge.after")
            if not charged:
                self._ended(paid, None)
                return False
            paid |= {account_id}
        return True

    def _ended(self, accounts: Collection[int], opened: bool | None) -> None:
        self._tried += [Tried(account_id, opened) for account_id in sorted(accounts)]

    def _settled(self) -> list[Tried]:
        """What is to be recorded about tries, once."""
        tried, self._tried = self._tried, []
        return tried

    def _given_back(self) -> list[Tried]:
        """The last of them: what was charged and is not tried any more goes back."""
        self._ended(self._prepaid, None)
        self._prepaid = frozenset()
        return self._settled()


def _new(facts: p.Facts) -> int | None:
    """What the template calls the new secret; where only `persist` is missing, it is current already."""
    return facts.current if facts.committed else facts.candidate


_VERDICTS = {
    Verdict.OPENS: p.Verdict.OPENS,
    Verdict.RESTRICTED: p.Verdict.OPENS,
    Verdict.REFUSED: p.Verdict.REFUSED,
    Verdict.LOCKED: p.Verdict.LOCKED,
    Verdict.UNKNOWN: p.Verdict.UNKNOWN,
}

_AS_IT_IS = frozenset({Outcome.OK, Outcome.BAD_LOGIN, Outcome.LOCKED_OUT, Outcome.UNKNOWN})
"""Ends of a `prepare` over an earlier claim's connection after which nobody logs in to hear the same: all is
well, or a secret may have been refused, which a login would only try again."""

_LOGGED_IN: dict[Outcome, bool | None] = {
    Outcome.BAD_LOGIN: False,
    Outcome.LOCKED_OUT: False,
    Outcome.UNREACHABLE: None,
    Outcome.TIMEOUT: None,
    Outcome.UNTRUSTED_HOST: None,
    Outcome.BAD_TEMPLATE: None,
}
"""What an outcome of `prepare` says of the login. All others come from what was done after it had opened."""
