"""Templates in the database: which version is used, and that what was pinned is what runs."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import Connection, insert, select, update

from engine.store.clock import now
from engine.store.errors import Kind
from engine.templating.models import template
from engine.templating.store import (
    TemplateChanged,
    UnknownTemplate,
    list_templates,
    newest,
    pinned,
    shipped_contents,
    sync,
)
from executors.contract import TemplateError
from tests.unit.scene import audited

HEADER = """---
name: {name}
executor: fake
action: change_secret
version: {version}
summary: s
tags: {{}}
---
"""


def file(body: str = "one", name: str = "fake-own", version: int = 1) -> tuple[str, bytes]:
    return f"{name}.template", (HEADER.format(name=name, version=version) + body).encode()


def test_the_shipped_library_is_stored_whole_and_once(connection: Connection) -> None:
    first = sync(connection, "keyturn")
    assert first == sorted({newest(connection, name).name for name in first})
    assert len(first) == len(list(shipped_contents())) > 0
    assert sync(connection, "keyturn") == []
    assert {each.source for each in list_templates(connection)} == {"shipped"}


def test_a_changed_file_becomes_the_next_version_and_retires_the_last(connection: Connection) -> None:
    sync(connection, "keyturn", [file("one")])
    old = newest(connection, "fake-own")
    assert sync(connection, "keyturn", [file("two")]) == ["fake-own"]
    new = newest(connection, "fake-own")
    assert (old.version, new.version) == (1, 2)
    assert [each.id for each in list_templates(connection)] == [new.id]
    assert pinned(connection, old.id, old.sha256).retired
    assert audited(connection) == [("template.sync", "template fake-own")] * 2


def test_the_header_may_ask_for_a_higher_version(connection: Connection) -> None:
    sync(connection, "keyturn", [file("one", version=7)])
    assert newest(connection, "fake-own").version == 7


def test_after_a_downgrade_the_older_content_is_used_again(connection: Connection) -> None:
    sync(connection, "keyturn", [file("one")])
    first = newest(connection, "fake-own")
    sync(connection, "keyturn", [file("two")])
    sync(connection, "keyturn", [file("one")])
    assert newest(connection, "fake-own") == first


def test_what_the_release_lacks_is_retired_and_kept(connection: Connection) -> None:
    sync(connection, "keyturn", [file(), file(name="gone")])
    assert sync(connection, "keyturn", [file()]) == ["gone"]
    with pytest.raises(UnknownTemplate, match="there is no template 'gone' in use") as refused:
        newest(connection, "gone")
    assert (refused.value.code, refused.value.kind) == ("unknown_template", Kind.NOT_FOUND)
    assert connection.scalar(select(template.c.content).where(template.c.name == "gone"))


def test_an_imported_template_is_left_alone(connection: Connection) -> None:
    _, data = file("mine", name="mine")
    values = {
        "name": "mine",
        "version": 1,
        "executor": "fake",
        "action": "change_secret",
        "source": "imported",
    }
    digest = hashlib.sha256(data).hexdigest()
    connection.execute(insert(template).values(**values, sha256=digest, content=data.decode(), created=now()))
    sync(connection, "keyturn", [file()])
    assert newest(connection, "mine").source == "imported"


def test_a_library_that_does_not_parse_changes_nothing(connection: Connection) -> None:
    sync(connection, "keyturn", [file()])
    with pytest.raises(TemplateError):
        sync(connection, "keyturn", [("broken.template", b"---\nname: [\n---\nx")])
    assert [each.name for each in list_templates(connection)] == ["fake-own"]


def test_a_pinned_template_whose_content_was_changed_does_not_run(connection: Connection) -> None:
    sync(connection, "keyturn", [file()])
    kept = newest(connection, "fake-own")
    assert pinned(connection, kept.id, kept.sha256) == kept
    connection.execute(update(template).values(content=kept.content + "x"))
    with pytest.raises(TemplateChanged, match="not the one that the operation pinned"):
        pinned(connection, kept.id, kept.sha256)
    with pytest.raises(TemplateChanged):
        pinned(connection, 999, kept.sha256)
