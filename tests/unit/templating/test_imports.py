"""Templates that people bring along: stored as they are, versioned by content, refused with a sentence."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, update

from engine.catalog.models import credential
from engine.catalog.rules import add_profile
from engine.catalog.states import Action
from engine.templating.header import parse_file
from engine.templating.imports import (
    BadTemplateName,
    Change,
    Imported,
    NameTaken,
    ShippedTemplate,
    TemplateInUse,
    retire,
    store_import,
)
from engine.templating.library import tags_of
from engine.templating.store import UnknownTemplate, list_templates, newest, pinned, sync
from executors.contract import TemplateError
from tests.unit.scene import audited, given_credential, given_device, zone

NAME = "ssh/change-password/own"
BODY = 'expect "#"\nexec "passwd"\nexpect "*word:"\nexec "[#COE_SENHA#]"\nexec "[#new_password#]"\nend'
NATIVE = """---
name: own
executor: fake
action: change_secret
version: 1
summary: Sets the password.
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
[change]
set [#NEW_PASSWORD#]
"""


def stored(
    connection: Connection,
    content: str = BODY,
    name: str = NAME,
    executor: str | None = "ssh",
    action: Action | None = Action.CHANGE_SECRET,
) -> Imported:
    return store_import(connection, "ann", name, content, executor, action)


def test_a_field_template_is_stored_as_it_is_with_what_its_folders_say(connection: Connection) -> None:
    done = stored(connection)
    kept = newest(connection, NAME)
    assert done.template == kept
    assert (kept.content, kept.executor, kept.action, kept.source) == (
        BODY,
        "ssh",
        "change_secret",
        "imported",
    )
    assert done.change is Change.NEW
    assert "tag-alias" in {each.code for each in done.findings}
    assert audited(connection) == [("template.import", f"template {NAME}")]


def test_only_what_changed_becomes_a_new_version(connection: Connection) -> None:
    first = stored(connection)
    again = stored(connection)
    assert (again.change, again.template) == (Change.UNCHANGED, first.template)
    second = stored(connection, BODY + "\n")
    assert (second.change, second.template.version) == (Change.CHANGED, 2)
    back = stored(connection)
    assert (back.change, back.template) == (Change.CHANGED, first.template)
    assert [each.id for each in list_templates(connection)] == [first.template.id]
    assert pinned(connection, second.template.id, second.template.sha256).retired
    assert len(audited(connection)) == 3


def test_a_sync_of_the_release_leaves_imports_alone(connection: Connection) -> None:
    done = stored(connection)
    sync(connection, "keyturn")
    assert newest(connection, NAME) == done.template


def test_a_template_of_an_executor_that_cannot_run_here_is_stored(connection: Connection) -> None:
    page = "start-at https://[#IP#]/\nnew-action\nfill input [#NEW_PASSWORD#]\n"
    assert stored(connection, page, "http/x", "http").template.executor == "http"


def test_tags_are_known_by_their_own_names(connection: Connection) -> None:
    kept = stored(connection).template
    file = parse_file(kept.content, kept.name, executor=kept.executor, action=kept.action)
    assert tags_of(file) == {"AUTH_PASSWORD", "NEW_PASSWORD"}


def test_a_name_of_the_release_is_taken(connection: Connection) -> None:
    sync(connection, "keyturn")
    with pytest.raises(NameTaken, match="linux-own-password is a template of this release"):
        stored(connection, name="linux-own-password")


@pytest.mark.parametrize("name", ["", "Own", "a b", "a//b", "-a", "a" * 129, "é", "a\n"])
def test_other_names_are_refused(connection: Connection, name: str) -> None:
    with pytest.raises(BadTemplateName):
        stored(connection, name=name)


@pytest.mark.parametrize(
    ("content", "executor", "wrong"),
    [
        ("", "ssh", "empty"),
        ("# later", "ssh", "only comments"),
        ('exec "[#NO_SUCH#]"', "ssh", "no such tag"),
        ('exec "a\0b"', "ssh", "NUL"),
        ('exec "\ud800"', "ssh", "surrogate"),
        ('exec "x"\n' * 100_000, "ssh", "longer than 256 KiB"),
        (BODY, None, "no header"),
        (BODY, "abacus", "no executor 'abacus'"),
        (BODY, "SSH", "no executor 'SSH'"),
    ],
)
def test_what_cannot_be_run_is_not_stored(
    connection: Connection, content: str, executor: str | None, wrong: str
) -> None:
    with pytest.raises(TemplateError, match=wrong):
        stored(connection, content, executor=executor)
    assert list_templates(connection) == []


def test_a_template_with_a_header_must_load_and_be_of_its_own_name(connection: Connection) -> None:
    done = stored(connection, NATIVE, "own", None, None)
    assert (done.template.executor, done.template.version) == ("fake", 1)
    with pytest.raises(TemplateError, match="the header names it own"):
        stored(connection, NATIVE, "other", None, None)
    with pytest.raises(TemplateError, match="NEW_PASWORD"):
        stored(connection, NATIVE.replace("[#NEW_PASSWORD#]", "[#NEW_PASWORD#]"), "own", None, None)


# Out of use


def test_a_retired_name_is_gone_and_its_versions_stay(connection: Connection) -> None:
    first, second = stored(connection).template, stored(connection, BODY + "\n").template
    assert retire(connection, "ann", NAME) == second
    assert list_templates(connection) == []
    with pytest.raises(UnknownTemplate):
        newest(connection, NAME)
    for one in (first, second):
        assert pinned(connection, one.id, one.sha256).content == one.content
    assert audited(connection)[-1] == ("template.retire", f"template {NAME}")
    with pytest.raises(UnknownTemplate):
        retire(connection, "ann", NAME)


def test_importing_it_again_brings_it_back(connection: Connection) -> None:
    stored(connection)
    retire(connection, "ann", NAME)
    assert stored(connection).change is Change.CHANGED
    assert newest(connection, NAME).version == 1


def test_what_the_release_ships_is_not_retired(connection: Connection) -> None:
    sync(connection, "keyturn")
    with pytest.raises(ShippedTemplate, match="only imported ones are retired"):
        retire(connection, "ann", "linux-own-password")
    assert newest(connection, "linux-own-password").source == "shipped"


def test_what_a_profile_or_a_credential_uses_is_not_retired(connection: Connection) -> None:
    stored(connection)
    zone(connection)
    given_device(connection)
    given_credential(connection, "svc@web1", template=NAME)
    mine = {"executor": "ssh", "service": "ssh", "templates": {"change_secret": NAME}}
    add_profile(connection, "ann", {"name": "mine", **mine})
    with pytest.raises(TemplateInUse, match="used by the profile mine, the credential svc@web1; give them"):
        retire(connection, "ann", NAME)
    assert newest(connection, NAME).name == NAME


def test_a_refusal_names_the_first_of_many(connection: Connection) -> None:
    stored(connection)
    zone(connection)
    given_device(connection)
    for number in range(7):
        given_credential(connection, f"s{number}@web1", template=NAME)
    with pytest.raises(TemplateInUse, match="s4@web1 and 2 more; give"):
        retire(connection, "ann", NAME)


def test_a_retired_credential_uses_nothing(connection: Connection) -> None:
    stored(connection)
    zone(connection)
    given_device(connection)
    made = given_credential(connection, "svc@web1", template=NAME)
    connection.execute(update(credential).where(credential.c.id == made.id).values(state="retired"))
    assert retire(connection, "ann", NAME).name == NAME
