"""The rules that every executor keeps, as functions: give them a subject with a working target, each returns
or raises.

For authors of executors: parametrise one test over `RULES`, with a factory that makes a fresh subject for
every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from executors.contract import (
    CONTRACT_VERSION,
    Connection,
    Executor,
    Failure,
    Login,
    Outcome,
    Program,
    ProofKind,
    ProofPlan,
    Report,
    Secret,
    Section,
    Target,
    TemplateError,
    Transcript,
    Values,
    Verdict,
)
from executors.session import WHOLE_LIMIT, Job, Session

LOGIN = ProofPlan(ProofKind.LOGIN)
WRONG = "certainly not the secret 7Q"


class Violation(AssertionError):
    """The executor breaks a rule of the contract; the message names the rule and what was seen."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An executor and a target on which `login` may set the password of `account` by running `body`.

    `values` are for exactly the tags of `body`, the secret [#NEW_PASSWORD#] among them. `silent` is a target
    where nothing listens. `untrusted` is the same target with a host key or certificate pinned that is not
    its own; None where the protocol has no such thing. `broken_bodies` do not parse; with each, the line of
    the body, counted from 1, that is wrong.
    """

    executor: Executor
    target: Target
    login: Login
    account: Login
    body: str
    values: Values
    silent: Target
    untrusted: Target | None
    broken_bodies: Sequence[tuple[str, int]]

    @property
    def new(self) -> Secret:
        content = self.values["NEW_PASSWORD"].content
        assert isinstance(content, Secret)
        return content

    def transcript(self) -> Transcript:
        return Transcript([self.login.secret, self.account.secret, self.new])

    def job(self) -> Job:
        return Job(
            self.executor.name,
            self.body,
            1,
            self.target,
            self.login,
            self.values,
            (self.account.secret,),
            120.0,
        )

    def verdict(self, secret: Secret, target: Target | None = None) -> Verdict:
        login = replace(self.account, secret=secret)
        return self.executor.prove(target or self.target, login, LOGIN, self.transcript()).verdict


def _hold(kept: bool, rule: str) -> None:
    if not kept:
        raise Violation(rule)


def _failure(step: Callable[[], object], rule: str) -> Failure:
    try:
        step()
    except Failure as failure:
        return failure
    raise Violation(rule)


def says_what_it_is(subject: Subject) -> None:
    executor = subject.executor
    _hold(executor.contract_version == CONTRACT_VERSION, "the contract version is the one it was built for")
    _hold(bool(executor.name) and executor.name == executor.name.lower(), "the name is in lower case")
    _hold("change_secret" in executor.capabilities.actions, "the kit changes secrets")
    _hold(ProofKind.LOGIN in executor.capabilities.proofs, "the kit proves by login")


def right_secret_opens(subject: Subject) -> None:
    seen = subject.verdict(subject.account.secret)
    _hold(seen is Verdict.OPENS, f"the right secret opens, but the verdict was {seen}")


def wrong_secret_is_refused(subject: Subject) -> None:
    seen = subject.verdict(Secret(WRONG))
    _hold(seen is Verdict.REFUSED, f"a wrong secret is refused, but the verdict was {seen}")


def wrong_login_is_bad_login(subject: Subject) -> None:
    login = replace(subject.login, secret=Secret(WRONG))
    rule = "connect raises Failure for a wrong secret"
    failure = _failure(lambda: subject.executor.connect(subject.target, login, subject.transcript()), rule)
    _hold(failure.outcome is Outcome.BAD_LOGIN, f"a wrong login is bad_login, not {failure.outcome}")
    _hold(WRONG not in failure.message, "a failure does not quote the secret")


def silence_is_unreachable(subject: Subject) -> None:
    rule = "connect raises Failure where nothing listens"
    failure = _failure(
        lambda: subject.executor.connect(subject.silent, subject.login, subject.transcript()), rule
    )
    _hold(failure.outcome is Outcome.UNREACHABLE, f"silence is unreachable, not {failure.outcome}")
    seen = subject.verdict(subject.account.secret, subject.silent)
    _hold(seen is Verdict.UNKNOWN, f"a target not reached shows nothing, but the verdict was {seen}")


def unknown_host_is_untrusted(subject: Subject) -> None:
    untrusted = subject.untrusted
    if untrusted is None:
        return
    rule = "connect raises Failure for a host that is not the pinned one"
    failure = _failure(lambda: subject.executor.connect(untrusted, subject.login, subject.transcript()), rule)
    _hold(failure.outcome is Outcome.UNTRUSTED_HOST, f"another host is untrusted_host, not {failure.outcome}")
    seen = subject.verdict(subject.account.secret, untrusted)
    _hold(seen is Verdict.UNKNOWN, f"a host not trusted is not asked, but the verdict was {seen}")


def program_names_its_tags(subject: Subject) -> None:
    tags = subject.executor.parse(subject.body).tags
    _hold(tags == set(subject.values), f"a program names its tags, all and only these: {sorted(tags)}")
    _hold(all(tag == tag.upper() for tag in tags), "tags are in upper case")


def program_has_a_change(subject: Subject) -> None:
    _hold(subject.executor.parse(subject.body).has(Section.CHANGE), "a change has a change section")


def description_masks_secrets(subject: Subject) -> None:
    lines = "\n".join(subject.executor.parse(subject.body).describe(subject.values))
    _hold(bool(lines), "a dry run shows the lines")
    _hold(subject.new.reveal() not in lines, "a dry run masks secrets")


def missing_value_is_a_template_error(subject: Subject) -> None:
    program = subject.executor.parse(subject.body)
    without = {name: value for name, value in subject.values.items() if name != "NEW_PASSWORD"}
    try:
        program.describe(without)
    except TemplateError as error:
        _hold("NEW_PASSWORD" in error.reason, "a template error names the tag without a value")
        return
    raise Violation("describe raises TemplateError for a tag without a value")


def parse_errors_carry_the_line(subject: Subject) -> None:
    _hold(bool(subject.broken_bodies), "a subject brings at least one broken body")
    for body, line in subject.broken_bodies:
        for first in (1, 15):
            try:
                subject.executor.parse(body, first)
            except TemplateError as error:
                expected = line + first - 1
                _hold(error.line == expected, f"{body!r} fails at line {expected}, not {error.line}")
            else:
                raise Violation(f"{body!r} does not parse")


def change_is_proven(subject: Subject) -> None:
    with Session(subject.executor, subject.job()) as session:
        _ok(session.prepare(), "prepare")
        _hold(subject.verdict(subject.account.secret) is Verdict.OPENS, "prepare changes nothing")
        _ok(session.apply(), "apply")
        proof = session.prove(replace(subject.account, secret=subject.new), LOGIN)
        _hold(proof.verdict is Verdict.OPENS, f"then the new secret opens, but it was {proof.verdict}")
        _ok(session.persist(), "persist")
        _hides_secrets(subject, session.transcript())


def steps_carry_lines_and_hide_secrets(subject: Subject) -> None:
    program, connection = _connected(subject)
    report = connection.run(program, Section.CHANGE, subject.values)
    connection.close()
    _ok(report, "change")
    last = len(subject.body.splitlines())
    _hold(bool(report.steps), "a report lists the steps that were run")
    _hold(all(1 <= step.line <= last for step in report.steps), "a step's line lies within the body")
    _hold(all(step.milliseconds >= 0 for step in report.steps), "a step says how long it took")
    _hides_secrets(subject, repr(report))


def close_is_harmless_twice(subject: Subject) -> None:
    _, connection = _connected(subject)
    connection.close()
    connection.close()


def closed_connection_fails_typed(subject: Subject) -> None:
    program, connection = _connected(subject)
    connection.close()
    rule = "a closed connection raises Failure"
    _failure(lambda: connection.run(program, Section.CHANGE, subject.values), rule)
    _hold(subject.verdict(subject.account.secret) is Verdict.OPENS, "a closed connection changes nothing")


RULES: Mapping[str, Callable[[Subject], None]] = {
    rule.__name__: rule
    for rule in (
        says_what_it_is,
        right_secret_opens,
        wrong_secret_is_refused,
        wrong_login_is_bad_login,
        silence_is_unreachable,
        unknown_host_is_untrusted,
        program_names_its_tags,
        program_has_a_change,
        description_masks_secrets,
        missing_value_is_a_template_error,
        parse_errors_carry_the_line,
        change_is_proven,
        steps_carry_lines_and_hide_secrets,
        close_is_harmless_twice,
        closed_connection_fails_typed,
    )
}


def _connected(subject: Subject) -> tuple[Program, Connection]:
    connection = subject.executor.connect(subject.target, subject.login, subject.transcript())
    return subject.executor.parse(subject.body), connection


def _ok(report: Report, what: str) -> None:
    _hold(report.outcome is Outcome.OK, f"{what} ends ok, not {report.outcome}: {report.message}")


def _hides_secrets(subject: Subject, text: str) -> None:
    _hold(len(text) <= WHOLE_LIMIT, "output is bounded")
    for secret in (subject.login.secret, subject.account.secret, subject.new):
        _hold(secret.reveal() not in text, "no secret is in what people read")
