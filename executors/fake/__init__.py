"""An executor without a network: its target is a file, its record is what tests hold the engine against.

The target's address is the absolute path of a file made by `executors.fake.target.FakeTarget.create`. A body
has one directive a line, `#` comments, and sections `[status]`, `[change]`, `[persist]` (lines before the
first belong to change):

    check-status                 reads whether the account of [#USERNAME#] is active
    set [#NEW_PASSWORD#]         changes its secret, as the account itself or as an administrator
    forget                       lets nothing but the newest secret open the account any more
    save                         saves the target's configuration
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from executors.contract import (
    COMMON_ENCODERS,
    CONTRACT_VERSION,
    Capabilities,
    Connection,
    Failure,
    Login,
    Outcome,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    Rendered,
    Report,
    SecretKind,
    Section,
    StepRecord,
    Target,
    TemplateError,
    Text,
    Transcript,
    Values,
    Verdict,
    join,
    parse_text,
    tags_of,
)
from executors.fake.target import Access, FakeTarget, Judgement, NoTarget, Reply

ACCOUNT = parse_text("[#USERNAME#]")

_REFUSED_LOGIN = {
    Access.REFUSED: (Outcome.BAD_LOGIN, "the target refuses this login"),
    Access.LOCKED: (Outcome.LOCKED_OUT, "the account is locked after too many failed logins"),
    Access.DISABLED: (Outcome.ACCOUNT_DISABLED, "the account is disabled on the target"),
    Access.UNREACHABLE: (Outcome.UNREACHABLE, "the target does not answer"),
}
_VERDICTS = {
    Access.OPENS: Verdict.OPENS,
    Access.REFUSED: Verdict.REFUSED,
    Access.LOCKED: Verdict.LOCKED,
    Access.DISABLED: Verdict.RESTRICTED,
    Access.MUST_CHANGE: Verdict.RESTRICTED,
    Access.UNREACHABLE: Verdict.UNKNOWN,
}
_OUTCOMES = {
    Judgement.ACCEPTED: (Outcome.OK, ""),
    Judgement.MISSING: (Outcome.ACCOUNT_MISSING, "there is no such account"),
    Judgement.FORBIDDEN: (
        Outcome.PERMISSION_DENIED,
        "only the account itself or an administrator may change it",
    ),
    Judgement.TOO_SHORT: (Outcome.REFUSED_BY_POLICY, "the secret is too short for the target"),
    Judgement.TOO_YOUNG: (Outcome.TOO_SOON, "the secret was changed too recently"),
    Judgement.USED_BEFORE: (Outcome.TOO_SOON, "the secret was used before"),
}


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    directive: str
    argument: Text

    def render(self, values: Values) -> Rendered:
        try:
            return join(self.argument, values, COMMON_ENCODERS, "line")
        except TemplateError as error:
            raise TemplateError(self.number, error.reason) from None


@dataclass(frozen=True, slots=True)
class FakeProgram:
    sections: dict[Section, tuple[Line, ...]]

    @property
    def tags(self) -> frozenset[str]:
        lines = [line for lines in self.sections.values() for line in lines]
        return frozenset[str]().union(
            tags_of(ACCOUNT) if lines else (), *(tags_of(line.argument) for line in lines)
        )

    def has(self, section: Section) -> bool:
        return bool(self.sections.get(section))

    def describe(self, values: Values) -> Sequence[str]:
        shown = []
        for section, lines in self.sections.items():
            shown.append(f"[{section.value}]")
            for line in lines:
                account = Line(line.number, "", ACCOUNT).render(values).shown
                shown.append(f"{line.directive} {line.render(values).shown}".rstrip() + f" ({account})")
        return shown


def _parse(body: str, first_line: int) -> FakeProgram:
    sections: dict[Section, list[Line]] = {}
    section = Section.CHANGE
    for number, raw in enumerate(body.splitlines(), first_line):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("[") and not text.startswith("[#"):
            section = _section(text, number)
            continue
        sections.setdefault(section, []).append(_line(text, number, section))
    return FakeProgram({name: tuple(lines) for name, lines in sections.items()})


def _section(text: str, number: int) -> Section:
    try:
        return Section(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise TemplateError(number, "unknown section; there are [status], [change] and [persist]") from None


def _line(text: str, number: int, section: Section) -> Line:
    directive, _, argument = text.partition(" ")
    needs_argument = {"set": True, "check-status": False, "forget": False, "save": False}.get(directive)
    if needs_argument is None:
        raise TemplateError(number, "unknown directive; there are set, check-status, forget and save")
    if needs_argument != bool(argument.strip()):
        raise TemplateError(
            number, f"{directive} takes {'one argument' if needs_argument else 'no argument'}"
        )
    if directive != "check-status" and section is Section.STATUS:
        raise TemplateError(number, f"{directive} changes the target and so cannot stand in [status]")
    return Line(number, directive, parse_text(argument.strip()))


class FakeConnection:
    def __init__(self, target: FakeTarget, login: Login, read_timeout: float, transcript: Transcript) -> None:
        self._target = target
        self._login = login
        self._read_timeout = read_timeout
        self._transcript = transcript
        self._open = True

    def run(self, program: Program, section: Section, values: Values) -> Report:
        if not isinstance(program, FakeProgram):
            raise TemplateError(0, "this program was parsed by another executor")
        facts: dict[str, str] = {}
        steps: list[StepRecord] = []
        for line in program.sections.get(section, ()):
            if not self._open:
                raise Failure(Outcome.UNREACHABLE, "the connection is closed")
            started = time.monotonic()
            rendered = line.render(values)
            shown = f"{line.directive} {rendered.shown}".rstrip()
            self._transcript.sent(shown)
            outcome, message = self._step(line, rendered, values, facts)
            self._transcript.received(f"{message or outcome.value}\n")
            steps.append(StepRecord(line.number, shown, outcome, round((time.monotonic() - started) * 1000)))
            if outcome is not Outcome.OK:
                return Report(outcome, message, facts, tuple(steps))
        return Report(Outcome.OK, "", facts, tuple(steps))

    def at_rest(self) -> bool:
        return self._open

    def close(self) -> None:
        self._open = False

    def _step(
        self, line: Line, rendered: Rendered, values: Values, facts: dict[str, str]
    ) -> tuple[Outcome, str]:
        account = Line(line.number, "", ACCOUNT).render(values).wire.reveal()
        try:
            match line.directive:
                case "set":
                    return self._set(account, rendered)
                case "forget":
                    self._target.forget(account)
                    return Outcome.OK, ""
                case "save":
                    return _saved(self._target.save(account))
                case _:
                    return self._check(account, facts)
        except NoTarget:
            self._open = False
            raise Failure(Outcome.UNREACHABLE, "the target went away") from None

    def _set(self, account: str, rendered: Rendered) -> tuple[Outcome, str]:
        behaviour = self._target.behaviour(account)
        time.sleep(behaviour.delay_before)
        judgement = self._target.change(account, rendered.wire.reveal(), self._login.username)
        time.sleep(behaviour.delay_after)
        match behaviour.reply:
            case Reply.HANGS_AFTER_APPLYING | Reply.HANGS_WITHOUT_APPLYING:
                time.sleep(self._read_timeout)
                raise Failure(Outcome.TIMEOUT, "the target does not answer the change")
            case Reply.DROPS_AFTER_APPLYING | Reply.DROPS_WITHOUT_APPLYING:
                self._open = False
                raise Failure(Outcome.UNREACHABLE, "the target dropped the connection")
            case Reply.REFUSES_AFTER_APPLYING:
                return Outcome.REFUSED_BY_POLICY, "the target refuses this secret"
            case Reply.ACCEPTS_WITHOUT_APPLYING:
                return Outcome.OK, ""
            case Reply.HONEST:
                return _OUTCOMES[judgement]

    def _check(self, account: str, facts: dict[str, str]) -> tuple[Outcome, str]:
        if not self._target.exists(account):
            return Outcome.ACCOUNT_MISSING, "there is no such account"
        behaviour = self._target.behaviour(account)
        locked = self._target.locked(account)
        facts["identity"] = f"fake:{account}"
        facts["status"] = "disabled" if behaviour.disabled else "locked" if locked else "active"
        if behaviour.disabled:
            return Outcome.ACCOUNT_DISABLED, "the account is disabled on the target"
        return Outcome.OK, ""


def _saved(done: bool) -> tuple[Outcome, str]:
    return (Outcome.OK, "") if done else (Outcome.NOT_SAVED, "the target did not save its configuration")


class FakeExecutor:
    name = "fake"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(
        actions=frozenset({"change_secret", "remove_old_secret", "verify", "reconcile", "run_task"}),
        proofs=frozenset(ProofKind),
        secret_kinds=frozenset(SecretKind),
    )

    def parse(self, body: str, first_line: int = 1) -> Program:
        return _parse(body, first_line)

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        file, access = _login(target, login)
        transcript.note(f"login of {login.username}: {access.value}")
        if access in _REFUSED_LOGIN:
            raise Failure(*_REFUSED_LOGIN[access])
        return FakeConnection(file, login, target.read_timeout, transcript)

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        if plan.kind is ProofKind.NONE:
            return Proof(Verdict.UNKNOWN, plan.kind, "not tried: the plan says so")
        try:
            if plan.kind is ProofKind.SU:
                if plan.via is None:
                    return Proof(
                        Verdict.UNKNOWN, plan.kind, "a proof by su needs the login that it starts from"
                    )
                self.connect(target, plan.via, transcript).close()
            _, access = _login(target, login)
        except Failure as failure:
            return Proof(Verdict.UNKNOWN, plan.kind, failure.message)
        transcript.note(f"proof of {login.username}: {access.value}")
        return Proof(_VERDICTS[access], plan.kind, access.value)


def _login(target: Target, login: Login) -> tuple[FakeTarget, Access]:
    try:
        file = FakeTarget(Path(target.address))
        return file, file.login(login.username, login.secret.reveal())
    except NoTarget as error:
        raise Failure(Outcome.UNREACHABLE, str(error)) from None
