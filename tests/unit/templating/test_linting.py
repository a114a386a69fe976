"""Any file can be linted: the field's, those with a header, and what is no template at all."""

from __future__ import annotations

from engine.templating.linting import lint
from engine.templating.store import shipped_contents
from executors.language.findings import Status
from executors.language.lint import Linted

HEADER = b"""---
name: own
executor: fake
action: change_secret
version: 1
summary: Sets the password.
tags:
  USERNAME: username
  NEW_PASSWORD: secret
---
"""
BODY = b"[change]\nset [#NEW_PASSWORD#]\n"


def only(path: str, data: bytes | None) -> Linted:
    [found] = lint([(path, data)])
    return found


def codes(found: Linted) -> list[tuple[str, int]]:
    return [(each.code, each.line) for each in found.findings]


def test_what_cannot_be_read_is_an_error() -> None:
    found = only("SSH/Change password/x", None)
    assert (found.status, codes(found)) == (Status.ERROR, [("unreadable", 0)])


def test_a_template_with_a_header_says_itself_what_it_is_for() -> None:
    found = only("SSH/Create user/own.template", HEADER + BODY)
    assert (found.executor, found.action, found.status, codes(found)) == ("fake", "change_secret", "ok", [])
    marked = only("own.template", b"\xef\xbb\xbf" + HEADER + BODY)
    assert marked.executor == "fake"


def test_what_is_wrong_with_header_or_body_is_named_with_its_line() -> None:
    assert codes(only("x", HEADER)) == [("does-not-load", 10)]
    assert codes(only("x", b"---\nname: own\n")) == [("does-not-load", 1)]
    wrong = only("x", HEADER + b"[change]\nset [#NEW_PASWORD#]\n")
    assert codes(wrong) == [("does-not-load", 12)]
    assert "there is no tag [#NEW_PASWORD#]" in wrong.findings[0].message
    assert wrong.executor == "fake"


def test_an_executor_that_cannot_be_had_is_no_obstacle_where_its_language_is_known() -> None:
    ldap = HEADER.replace(b"fake", b"ldap") + b'find "dc=x" "(uid=a)"\nmod-replace a [#NEW_PASSWORD#]\n'
    assert only("x", ldap).status is not Status.ERROR
    unknown = only("x", HEADER.replace(b"fake", b"abacus") + BODY)
    assert "no executor named 'abacus'" in unknown.findings[0].message


def test_every_shipped_template_is_free_of_errors() -> None:
    found = lint(shipped_contents())
    assert found
    assert [each for each in found if each.status is Status.ERROR] == []


def test_files_come_back_in_order_of_path() -> None:
    given: list[tuple[str, bytes | None]] = [("c", HEADER), ("b", None), ("a", b"x")]
    assert [each.path for each in lint(given)] == ["a", "b", "c"]
