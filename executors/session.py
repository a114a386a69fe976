"""One job on one target: the executor's verbs in the order in which they can be called, every end typed.

The order itself is the change protocol's; the process is the caller's: the executor child or `keyturn
template run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from executors.contract import (
    Connecting,
    Connection,
    Executor,
    Failure,
    Login,
    Outcome,
    Program,
    Proof,
    ProofPlan,
    Redactor,
    Report,
    Reusable,
    Secret,
    Section,
    Target,
    TemplateError,
    Transcript,
    Values,
    Verdict,
)
from executors.decorators import Bounded, Redacted, Traced, boottime

PROOF_LIMIT = 32 * 1024  # characters kept of one proof's transcript
WHOLE_LIMIT = 512 * 1024  # characters of the whole: 6 bytes each at worst in JSON, so it fits in one frame


@dataclass(frozen=True, slots=True)
class Job:
    """What one session may do, and with what.

    `login` makes the change; without it there is no connection and only `prove` does anything. `redact` are
    secrets to hide beyond those in `values` and logins. `deadline` is in seconds from now, for everything
    together.
    """

    executor: str
    body: str
    first_line: int
    target: Target
    login: Login | None
    values: Values
    redact: tuple[Secret, ...]
    deadline: float


class Session:
    """The connection that makes the change stays open until `close`."""

    def __init__(self, executor: Executor, job: Job) -> None:
        self._job = job
        self._executor = Bounded(Traced(Redacted(executor)), boottime() + job.deadline)
        self._secrets = list(_secrets_of(job))  # of all jobs: a target may repeat what an earlier one said
        self._transcript = Transcript(self._secrets)
        self._proofs: list[Transcript] = []
        self._program: Program | None = None
        self._connection: Connection | None = None
        self._ahead: Program | None = None  # to be prepared over the connection of the job before
        self._changed = self._proven = False  # the job at hand

    def proceed(self, job: Job) -> bool:
        """Go on with another job over the connection of the last one, if that ended in a proven change.

        False: nothing was done, and this session is good for nothing but `close`. Whether the connection
        still works shows the next `prepare`, which reads the status over it and does not log in.
        """
        return self._typed(lambda: self._proceed(job)).outcome is Outcome.OK

    def prepare(self) -> Report:
        """Parse, check that every line can be rendered, log in, read the status. Changes nothing."""
        return self._typed(self._prepare)

    def apply(self) -> Report:
        """Run the change section once."""
        report = self._typed(lambda: self._run(Section.CHANGE))
        self._changed, self._proven = report.outcome is Outcome.OK, False
        return report

    def persist(self) -> Report:
        """Save what was proven; OK where the program has nothing to save."""
        report = self._typed(lambda: self._run(Section.PERSIST))
        self._proven = self._proven and report.outcome is Outcome.OK
        return report

    def status(self) -> Report:
        """Read the status again; OK without facts where the program has no such section."""
        return self._typed(lambda: self._run(Section.STATUS))

    def prove(self, login: Login, plan: ProofPlan) -> Proof:
        """Try `login` once on a fresh connection."""
        found: list[Proof] = []

        def attempt() -> Report:
            transcript = self._transcript_for([login.secret, *([plan.via.secret] if plan.via else [])])
            found.append(self._executor.prove(self._target(), login, plan, transcript))
            return Report(Outcome.OK)

        report = self._typed(attempt)
        proof = found[0] if found else Proof(Verdict.UNKNOWN, plan.kind, report.message)
        self._proven = self._changed and proof.verdict is Verdict.OPENS
        return proof

    def transcript(self) -> str:
        """Everything said so far. Redacted as one text with every secret the session has held by now."""
        whole = "".join(each.text() for each in (self._transcript, *self._proofs))
        return (Redactor(self._secrets).redact(whole) if self._proofs else whole)[:WHOLE_LIMIT]

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._typed(lambda: _closed(connection))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _transcript_for(self, secrets: list[Secret]) -> Transcript:
        """The session's own where it knows these secrets; making a redactor costs as much as a fork."""
        new = [secret for secret in secrets if secret not in self._secrets]
        if not new:
            return self._transcript
        self._secrets += new
        self._proofs.append(Transcript(self._secrets, PROOF_LIMIT))
        return self._proofs[-1]

    def _proceed(self, job: Job) -> Report:
        last, connection = self._job, self._connection
        same = (job.executor, job.target, job.login) == (last.executor, last.target, last.login)
        if not (same and self._proven and isinstance(connection, Reusable) and connection.at_rest()):
            return Report(Outcome.UNREACHABLE, "this connection cannot be used for another job")
        program = self._program
        if program is None or (job.body, job.first_line) != (last.body, last.first_line):
            program = self._executor.parse(job.body, job.first_line)
        if not program.has(Section.STATUS):
            return Report(Outcome.UNREACHABLE, "a program that reads no status cannot show that it works")
        self._begin_anew(job, program)
        return Report(Outcome.OK)

    def _begin_anew(self, job: Job, program: Program) -> None:
        """Of the job before nothing stays but the connection, and its secrets where they are looked for."""
        self._job, self._ahead = job, program
        self._executor.deadline = boottime() + job.deadline
        new = [secret for secret in _secrets_of(job) if secret not in self._secrets]
        self._secrets += new
        self._transcript.begin_anew(new)
        self._transcript.note("goes on over the connection of the job before")
        self._proofs.clear()
        self._changed = self._proven = False

    def _prepare(self) -> Report:
        job, ahead, self._ahead = self._job, self._ahead, None
        program = self._executor.parse(job.body, job.first_line) if ahead is None else ahead
        program.describe(job.values)
        self._program = program
        if ahead is None:
            if job.login is None:
                return Report(Outcome.OK)
            self.close()
            self._connection = self._executor.connect(self._target(), job.login, self._transcript)
        return self._run(Section.STATUS)

    def _target(self) -> Target:
        """The job's, with what its program says of the connection. Secrets are proven without any program
        too: a body that does not parse says nothing."""
        job, program = self._job, self._program
        if program is None:
            try:
                program = self._executor.parse(job.body, job.first_line)
            except TemplateError:
                return job.target
        return (
            replace(job.target, settings=program.settings) if isinstance(program, Connecting) else job.target
        )

    def _run(self, section: Section) -> Report:
        if self._program is None or self._connection is None:
            raise Failure(
                Outcome.UNREACHABLE, f"not logged in, so {section.value} was not run; prepare first"
            )
        if not self._program.has(section):
            if section is Section.CHANGE:
                raise TemplateError(0, "it has no lines that change anything; add them")
            return Report(Outcome.OK)
        return self._connection.run(self._program, section, self._job.values)

    def _typed(self, step: Callable[[], Report]) -> Report:
        """Every end as a report. The broad `except` stands here alone: executors are plug-ins and drive
        libraries that raise what they like, and what they raise may quote a secret, so only its class is
        named. It is bounded by covering a single verb of a single executor; what it hides is answered with
        UNKNOWN, which a probe settles.
        """
        try:
            return step()
        except TemplateError as error:
            return Report(Outcome.BAD_TEMPLATE, self._transcript.redact(str(error)))
        except Failure as failure:
            return Report(failure.outcome, self._transcript.redact(failure.message))
        except Exception as error:  # noqa: BLE001 - see above
            return Report(
                Outcome.UNKNOWN,
                f"the executor {self._job.executor} failed inside ({type(error).__name__}); tell its author",
            )


def _closed(connection: Connection) -> Report:
    connection.close()
    return Report(Outcome.OK)


def _secrets_of(job: Job) -> Iterator[Secret]:
    yield from job.redact
    for value in job.values.values():
        if isinstance(value.content, Secret):
            yield value.content
    if job.login:
        yield job.login.secret
    hop = job.target.jump
    while hop:
        yield hop.login.secret
        hop = hop.target.jump
