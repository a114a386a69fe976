"""One template against one target, by hand: no vault, no journal, no running engine needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.catalog.never_touch import never_touch
from engine.catalog.states import Action, LoginAs
from engine.cli.errors import input_refused
from engine.cli.exits import Exit, of_outcome
from engine.templating.errors import BadValue, UnresolvableTag
from engine.templating.header import TemplateFile, parse_file
from engine.templating.library import load_and_check
from engine.templating.tags import TAGS, TagFacts, known_tag, resolve
from executors.contract import (
    Login,
    Outcome,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    Report,
    Secret,
    Section,
    Target,
    TemplateError,
    Value,
    Values,
    Verdict,
)
from executors.registry import ExecutorUnavailable, load
from executors.session import Job, Session
from executors.terminal.recording import Recorder, Recording

DEADLINE: Final = 240.0  # seconds for the whole run
RIGHT: Final = frozenset({Verdict.OPENS, Verdict.RESTRICTED})
SHOWN: Final = (
    "USERNAME", "CURRENT_PASSWORD", "NEW_PASSWORD", "AUTH_USER", "AUTH_PASSWORD", "HOSTNAME", "IP",
)  # fmt: skip
LEFT_ALONE: Final = frozenset({"locked", "no_password"})
# What each action proves at the end: that this tag's secret opens the account.
PROVEN_TAG: Final = {Action.CHANGE_SECRET: "NEW_PASSWORD", Action.VERIFY: "CURRENT_PASSWORD"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said. Tag names are in upper case, aliases resolved."""

    file: Path
    executor: str
    target: Target
    login: Login
    tags: Mapping[str, str]
    secrets: Mapping[str, Secret]


@dataclass(slots=True)
class Ended:
    """How the run went; everything in it is redacted."""

    outcome: Outcome = Outcome.OK
    message: str = ""
    proof: Proof | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    plan: Sequence[str] | None = None
    said: Values = field(default_factory=dict, repr=False)  # values that the target may have shown
    transcript: str = ""

    def take(self, section: str, report: Report) -> bool:
        """Whether the run may go on."""
        self.steps += [
            {
                "section": section,
                "line": step.line,
                "shown": step.shown,
                "outcome": step.outcome.value,
                "milliseconds": step.milliseconds,
            }
            for step in report.steps
        ]
        self.outcome, self.message = report.outcome, report.message
        return report.outcome is Outcome.OK

    @property
    def exit_code(self) -> Exit:
        if self.outcome is Outcome.OK and self.proof is not None and self.proof.verdict not in RIGHT:
            return Exit.NOT_PROVEN
        return of_outcome(self.outcome)

    def document(self) -> dict[str, Any]:
        """As JSON shows it; `plan` is there after a dry run."""
        shown: dict[str, Any] = {
            "outcome": self.outcome.value,
            "proof": self.proof and self.proof.verdict.value,
            "steps": self.steps,
            "transcript": self.transcript,
        }
        if self.message or (self.proof and self.proof.detail):
            shown["message"] = self.message or (self.proof and self.proof.detail)
        return shown if self.plan is None else shown | {"plan": list(self.plan)}


def run(given: Given, *, dry: bool, recorder: Recorder | None = None) -> Ended:
    """Drive the template, and note its dialogue. Raises CommandFailed for what is wrong before anything was
    touched."""
    try:
        file = parse_file(
            _content(given.file), given.file.name, executor=given.executor, action=Action.CHANGE_SECRET
        )
        program = load_and_check(file, load(given.executor))
        facts = _facts(given, file)
        _refuse_never_touched(facts, program)
        values = resolve(program.tags, facts)
        plan = program.describe(values)
    except TemplateError as error:
        return Ended(Outcome.BAD_TEMPLATE, f"{given.file.name}: {error}")
    except (BadValue, UnresolvableTag) as error:
        raise input_refused(str(error), error.code) from None
    except ExecutorUnavailable as error:
        raise input_refused(str(error), "no_executor") from None
    executor = load(given.executor)
    if recorder is not None:
        executor = Recording(executor, recorder)
    with Session(executor, _job(given, file, values)) as session:
        ended = Ended(plan=plan if dry else None, said={**values, **_known(facts)})
        if (
            ended.take("status", report := session.prepare())
            and not dry
            and not _left_alone(report, file, ended)
        ):
            _change(session, file, program, facts, given.login, ended)
        ended.transcript = session.transcript()
    return ended


def leaves_alone(action: str, status: str) -> bool:
    """Whether an account of this status is not changed."""
    return action == Action.CHANGE_SECRET and status in LEFT_ALONE


def _left_alone(report: Report, file: TemplateFile, ended: Ended) -> bool:
    """A locked account stays as it is: setting its password would open it again (chpasswd(8))."""
    status = report.facts.get("status", "")
    if not leaves_alone(file.action, status):
        return False
    ended.outcome = Outcome.ACCOUNT_DISABLED
    ended.message = (
        f"the account is {status.replace('_', ' ')} on the target and is left so; unlock it there first"
    )
    return True


def _change(
    session: Session, file: TemplateFile, program: Program, facts: TagFacts, login: Login, ended: Ended
) -> None:
    if program.has(Section.CHANGE) and not ended.take("change", session.apply()):
        return
    subject = _subject(file, facts)
    if subject is not None:
        ended.proof = session.prove(subject, _proof_plan(file, login))
        if ended.proof.verdict not in RIGHT:
            return
    report = session.persist()
    if not ended.take("persist", report):
        ended.outcome = Outcome.NOT_SAVED


def _subject(file: TemplateFile, facts: TagFacts) -> Login | None:
    """Whose secret is tried at the end."""
    proven = {"NEW_PASSWORD": facts.new_password, "CURRENT_PASSWORD": facts.current_password}
    secret = proven.get(PROVEN_TAG.get(file.action, ""))
    return Login(facts.username, secret) if secret is not None and facts.username is not None else None


def _proof_plan(file: TemplateFile, login: Login) -> ProofPlan:
    kind = file.proof or ProofKind.LOGIN
    return ProofPlan(kind, via=login if kind is ProofKind.SU else None)


def _job(given: Given, file: TemplateFile, values: Values) -> Job:
    return Job(
        executor=given.executor,
        body=file.body,
        first_line=file.first_line_of_body,
        target=given.target,
        login=given.login,
        values=values,
        redact=tuple(given.secrets.values()),
        deadline=DEADLINE,
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise input_refused(f"the template {path} cannot be read: {error.strerror}") from None


def tag_name(text: str) -> str:
    """The tag's own name, whatever alias or case it was given in. Raises CommandFailed."""
    spec = known_tag(text)
    if spec is None:
        raise input_refused(f"there is no tag {text[:40]}; known: {', '.join(TAGS)}", "unknown_tag")
    return spec.name


def _facts(given: Given, file: TemplateFile) -> TagFacts:
    """What the command line says, over what follows from target and login.

    The account is the one that logs in unless it is named, or the template is for another login.
    """
    known: dict[str, Any] = {"ip": given.target.address, "hostname": given.target.address}
    known |= {
        "port": given.target.port,
        "auth_user": given.login.username,
        "auth_password": given.login.secret,
    }
    if file.login in (None, LoginAs.SELF):
        known["username"] = given.login.username
    named = {tag.lower(): value for tag, value in given.tags.items()}
    if "port" in named:
        named["port"] = _port(given.tags["PORT"])
    known |= named | {tag.lower(): secret for tag, secret in given.secrets.items()}
    if known.get("username") == given.login.username:
        known.setdefault("current_password", given.login.secret)
    return TagFacts(**known)


def _port(text: str) -> Any:
    """As a number, because that is how the engine knows ports; the value's own check judges it."""
    if not (text.isascii() and text.isdigit()):
        raise input_refused("the value of PORT is no port; write a number from 1 to 65535", "bad_value")
    return int(text)


def _known(facts: TagFacts) -> Values:
    """What a target may show of the login and the account, whether the template uses it or not."""
    known: dict[str, Value] = {}
    for name in SHOWN:
        with suppress(BadValue, UnresolvableTag):
            known |= resolve(frozenset({name}), facts)
    return known


def _refuse_never_touched(facts: TagFacts, program: Program) -> None:
    reason = never_touch(facts.username or "")
    if reason and program.has(Section.CHANGE):
        raise input_refused(f"{facts.username}: {reason}", "never_touched")
