"""What is shipped loads; what contradicts its header does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from engine.catalog import profiles
from engine.catalog.states import Action
from engine.templating.header import TemplateFile, parse_file
from engine.templating.library import load_and_check, shipped
from engine.templating.tags import TAGS, TagFacts, resolve
from executors import registry
from executors.contract import (
    CONTRACT_VERSION,
    Capabilities,
    Connection,
    Login,
    Program,
    Proof,
    ProofKind,
    ProofPlan,
    Secret,
    SecretKind,
    Section,
    Target,
    TemplateError,
    Transcript,
    ValueKind,
    Values,
    parse_text,
    tags_of,
)

SHIPPED = tuple(shipped())
FACTS = TagFacts(
    username="svc-app",
    current_password=Secret("current-canary"),
    new_password=Secret("new-canary"),
    current_public_key="ssh-ed25519 AAAAcurrent keyturn:svc-app@web1:1",
    new_public_key="ssh-ed25519 AAAAnew keyturn:svc-app@web1:2",
    old_public_keys="AAAAcurrent AAAAolder",
    auth_user="root",
    auth_password=Secret("auth-canary"),
    auth_domain="CORP",
    become_user="admin",
    become_password=Secret("become-canary"),
    ip="10.0.0.7",
    hostname="web1.example",
    port=22,
    domain="corp.example",
    add_info="app",
)


@dataclass(frozen=True)
class EchoProgram:
    body: str

    @property
    def tags(self) -> frozenset[str]:
        return tags_of(parse_text(self.body))

    def has(self, section: Section) -> bool:
        return section is Section.CHANGE or f"[{section}]" in self.body

    def describe(self, values: Values) -> Sequence[str]:  # noqa: ARG002 - the contract's
        return [self.body]


class EchoExecutor:
    """The smallest executor: its grammar is any text."""

    name = "echo"
    contract_version = CONTRACT_VERSION
    capabilities = Capabilities(
        frozenset({"change_secret"}), frozenset({ProofKind.LOGIN}), frozenset({SecretKind.PASSWORD})
    )

    def parse(self, body: str, first_line: int = 1) -> Program:
        if "syntax error" in body:
            raise TemplateError(first_line, "no such directive")
        return EchoProgram(body)

    def connect(self, target: Target, login: Login, transcript: Transcript) -> Connection:
        raise NotImplementedError

    def prove(self, target: Target, login: Login, plan: ProofPlan, transcript: Transcript) -> Proof:
        raise NotImplementedError


ECHO = EchoExecutor()


def template(body: str, tags: str, **more: str) -> TemplateFile:
    keys = {"name": "t", "executor": "echo", "action": "change_secret", "version": "1", "summary": "s"} | more
    header = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return parse_file(f"---\n{header}tags: {{{tags}}}\n---\n{body}\n", "t.template")


def refusal(file: TemplateFile) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        load_and_check(file, ECHO)
    return caught.value


def test_a_template_whose_tags_are_declared_loads() -> None:
    program = load_and_check(template("set [#new_password#]", "NEW_PASSWORD: secret"), ECHO)
    assert program.tags == {"NEW_PASSWORD"}


def test_a_tag_that_is_used_and_not_declared_is_named_with_its_line() -> None:
    error = refusal(template("first\nset [#NEW_PASSWORD|sh#] for [#USERNAME#]", "NEW_PASSWORD: secret"))
    assert "[#USERNAME#] is used and not declared" in error.reason
    assert error.line == 10


def test_a_tag_that_is_declared_and_not_used_is_named() -> None:
    assert "declares USERNAME" in refusal(template("set", "USERNAME: username")).reason


def test_a_secret_must_be_declared_as_a_secret() -> None:
    error = refusal(template("set [#NEW_PASSWORD#]", "NEW_PASSWORD: text"))
    assert error.reason == "the header declares NEW_PASSWORD as text; it is a secret"


def test_an_alias_is_declared_with_the_kind_of_its_tag() -> None:
    load_and_check(template("[#COE_SENHA#]", "COE_SENHA: secret"), ECHO)
    assert "it is a secret" in refusal(template("[#COE_SENHA#]", "COE_SENHA: text")).reason


def test_a_tag_that_does_not_exist_is_named_with_its_line() -> None:
    error = refusal(template("set [#NEW_PASWORD#]", "NEW_PASWORD: secret"))
    assert "there is no tag [#NEW_PASWORD#]; known: USERNAME" in error.reason
    assert error.line == 9


def test_a_change_that_the_target_undoes_by_itself_needs_lines_that_confirm_it() -> None:
    assert "add a [persist] section" in refusal(template("set", "", undo="300")).reason
    load_and_check(template("set\n[persist]\nkeep", "", undo="300"), ECHO)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_shipped_template_says_what_it_was_tried_on(file: TemplateFile) -> None:
    """Those of the executor `fake` have no product to be tried on."""
    assert (file.tier is None) is (file.executor == "fake")


def test_a_template_of_another_executor_is_refused() -> None:
    assert "is for the executor ssh, not for echo" in refusal(template("set", "", executor="ssh")).reason


def test_an_action_that_the_executor_lacks_is_refused() -> None:
    assert (
        "has no action verify; it has: change_secret" in refusal(template("set", "", action="verify")).reason
    )


def test_a_proof_that_the_executor_lacks_is_refused() -> None:
    assert "has no proof su; it has: login" in refusal(template("set", "", proof="su")).reason


def test_the_grammars_own_errors_come_through_with_the_line_of_the_file() -> None:
    error = refusal(template("syntax error", ""))
    assert (error.line, error.reason) == (9, "no such directive")


def test_a_file_without_header_uses_known_tags_only() -> None:
    file = parse_file("set [#NEW_PASSWORD#]", "x", executor="echo", action=Action.CHANGE_SECRET)
    assert load_and_check(file, ECHO).tags == {"NEW_PASSWORD"}
    error = refusal(replace(file, body="\nset [#SENHA#]"))
    assert (error.line, "no tag [#SENHA#]" in error.reason) == (2, True)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_shipped_template_loads_with_its_executor(file: TemplateFile) -> None:
    program = load_and_check(file, registry.load(file.executor))
    assert any(program.has(section) for section in Section)
    assert program.has(Section.CHANGE) or file.action not in (
        Action.CHANGE_SECRET,
        Action.REMOVE_OLD_SECRET,
        Action.ACTIVATE,
        Action.DEACTIVATE,
    )
    assert file.summary.endswith(".")
    assert file.login is not None


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_the_plan_of_every_shipped_template_shows_no_secret(file: TemplateFile) -> None:
    program = load_and_check(file, registry.load(file.executor))
    shown = "\n".join(program.describe(resolve(program.tags, FACTS)))
    assert "canary" not in shown


def test_shipped_names_are_unique() -> None:
    assert len({file.name for file in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("profile", profiles.SHIPPED, ids=lambda profile: profile.name)
def test_every_shipped_profile_names_a_shipped_template_that_fits_it(profile: profiles.Profile) -> None:
    by_name = {file.name: file for file in SHIPPED}
    capabilities = registry.load(profile.executor).capabilities
    assert profile.proof in capabilities.proofs
    for action, name in profile.templates.items():
        file = by_name[name]
        assert (file.executor, file.action, file.login) == (profile.executor, action, profile.login)
        assert file.proof in (None, profile.proof)


def test_the_kinds_of_tags_are_those_of_the_contract() -> None:
    assert {spec.kind for spec in TAGS.values()} <= set(ValueKind)
