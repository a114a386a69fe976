"""The dialects beside terminals: what each line becomes."""

from __future__ import annotations

import pytest

from executors.contract import Secret, Tag, TemplateError, Value, ValueKind
from executors.language import browser, curl, ldap, sql, tcl, windows, x3270
from executors.language.dialect import Dialect
from executors.language.parsing import parse
from executors.language.steps import Command, Step, walk
from executors.language.tags import shown
from tests.unit.executors.language.played import values


def steps(body: str, executor: str) -> tuple[Step, ...]:
    return parse(body, executor, "change_secret").steps


def encoders_of(body: str, executor: str) -> dict[str, str | None]:
    parts = (part for step in steps(body, executor) for text in step.texts for part in text)
    return {part.name: part.encoder for part in parts if isinstance(part, Tag)}


@pytest.mark.parametrize(
    ("executor", "body", "dialect"),
    [
        ("x3270", 'expect "*#"\nexec "a"\n', Dialect.SSH),
        ("x3270", 'exec "a"\nexec "b"', Dialect.SSH),
        ("x3270", "connect\nsend x\n", Dialect.X3270),
        ("x3270", "wait(1)\nstring(exec)\nenter\n", Dialect.X3270),
        ("http", "get https://x\nfill-form a b\nsubmit\nexpect \"x\"\n", Dialect.FORMS),
        ("http", 'set-request-method "GET"\nrequest "https://x"\nexpect "y"\n', Dialect.CURL),
        ("http", "start-at https://x\nlog y\n", Dialect.BROWSER),
        ("tk_expect", 'expect "*#"\nexec "a"\n', Dialect.TK),
        ("tk_expect", "use ssh script\nsend x\n", Dialect.TK),
        ("ssh", "use ssh script\nsend -- \"x\\r\"\nexpect x\n", Dialect.TK),
        ("ssh", 'bind "x"\nfind "a" "b"\nmod-replace c "d"\n', Dialect.LDAP),
        ("winrm", 'expect "*#"\nexec "a"\nend\n', Dialect.SSH),
        ("winrm", 'echo "a"\nnet user x y\n', Dialect.WINRM),
        ("oracle", "ALTER USER x\n", Dialect.SQL),
        ("esxi", "system account list\n", Dialect.ESXI),
    ],
)  # fmt: skip
def test_content_decides_the_dialect_where_the_folder_disagrees(
    executor: str, body: str, dialect: Dialect
) -> None:
    assert parse(body, executor, "change_secret").dialect is dialect


# Windows


def test_nl_is_a_new_line_and_a_line_may_go_on_below() -> None:
    body = "powershell if (x) {[nl]a\n  [nl]b }\n| c\nnet user x\n"
    assert [shown(step.texts[0]) for step in steps(body, "winrm")] == ["if (x) {\na \nb } | c", "net user x"]


@pytest.mark.parametrize(
    "line", ["!reload-password", "powershell b", "net user x", "sc config y", "schtasks /Change"]
)
def test_what_stands_for_itself_goes_on_with_nothing(line: str) -> None:
    assert len(steps(f"powershell a\n{line}\n", "winrm")) == 2


def test_verbs_of_windows_are_built_in() -> None:
    found = steps("!netsmb-password\n!reload-password\n!sleep 4\nnet use\n", "windows_rpc")
    assert [type(step) for step in found[:2]] == [windows.BuiltIn, windows.BuiltIn]
    assert isinstance(found[3], Command)


# SQL


@pytest.mark.parametrize(
    ("executor", "body", "encoders"),
    [
        ("postgresql", "ALTER ROLE \"[#USERNAME#]\" PASSWORD '[#NEW_PASSWORD#]'",
         {"USERNAME": "sql-name", "NEW_PASSWORD": "sql-string"}),
        ("mysql", "ALTER USER `[#USERNAME#]` IDENTIFIED BY \"[#NEW_PASSWORD#]\"",
         {"USERNAME": "sql-backquoted", "NEW_PASSWORD": "sql-string-backslash"}),
        ("sql_server", "ALTER LOGIN [[#USERNAME#]] WITH PASSWORD = '[#NEW_PASSWORD#]'",
         {"USERNAME": "sql-bracketed", "NEW_PASSWORD": "sql-string"}),
        ("oracle", "ALTER USER [#USERNAME#] IDENTIFIED BY \"[#NEW_PASSWORD#]\"",
         {"USERNAME": "sql-bare", "NEW_PASSWORD": "sql-name"}),
        ("oracle", "ALTER USER x IDENTIFIED BY 'it''s [#NEW_PASSWORD#]'", {"NEW_PASSWORD": "sql-string"}),
    ],
)  # fmt: skip
def test_a_tag_is_encoded_for_the_quotes_that_it_stands_in(
    executor: str, body: str, encoders: dict[str, str]
) -> None:
    assert encoders_of(body, executor) == encoders


def test_statements_end_at_semicolons_outside_quotes() -> None:
    found = steps("CONN a@b\nSELECT ';' ;\nSELECT 2;SELECT 3\n-- no;\nGO\nSELECT\n 4", "oracle")
    assert [shown(step.texts[0]) for step in found] == [
        "a@b", "SELECT ';'", "SELECT 2", "SELECT 3", "SELECT\n 4"
    ]  # fmt: skip
    assert isinstance(found[0], sql.Connect)


@pytest.mark.parametrize("value", ["a'b", 'a"b', "a\\b", "a]b", "a`b", "a;b", "--", "a b"])
def test_bare_in_a_statement_only_a_plain_name_may_stand(value: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        sql.bare(value)


# LDAP


def test_each_place_of_ldap_has_its_own_escaping() -> None:
    body = 'bind "cn=[#AUTH_USER#],dc=x"\nfind "ou=[#DOMAIN#]" (uid=[#USERNAME#])\n'
    body += 'mod-replace a "u([#NEW_PASSWORD#])"'
    assert encoders_of(body, "ldap") == {
        "AUTH_USER": "ldap-name", "DOMAIN": "ldap-name", "USERNAME": "ldap-filter", "NEW_PASSWORD": None,
    }  # fmt: skip
    modify = steps(body, "ldap")[-1]
    assert isinstance(modify, ldap.Modify)
    assert modify.form is ldap.Form.UNICODE_PASSWORD


@pytest.mark.parametrize(
    ("value", "name", "in_filter"),
    [
        ("a,b=c", "a\\,b\\=c", "a,b=c"),
        ("(x*)\\", "(x*)\\\\", "\\28x\\2a\\29\\5c"),
        ("#x ", "\\#x\\ ", "#x "),
        (" ", "\\ ", " "),
    ],
)
def test_names_and_filters_are_escaped_by_their_rfcs(value: str, name: str, in_filter: str) -> None:
    assert (ldap.name_part(value), ldap.filter_part(value)) == (name, in_filter)


# Requests and pages


def test_the_value_of_a_fill_comes_after_the_last_blank_outside_quotes_and_brackets() -> None:
    assert browser.split_last("input[name=a b] x") == ("input[name=a b]", "x")
    assert browser.split_last('"div[a=b] input[type=password]" "x y"') == (
        "div[a=b] input[type=password]",
        "x y",
    )
    assert browser.split_last("#a") == ("#a", "")
    assert browser.split_last('div:contains("Log in") x') == ('div:contains("Log in")', "x")
    assert browser.split_last("div span [#USERNAME#]") == ("div span", "[#USERNAME#]")


def test_both_spellings_of_the_user_agent_are_understood() -> None:
    assert steps('useragent "x y"\nstart-at a', "http")[0] == steps("user-agent x y\nstart-at a", "http")[0]


def test_milliseconds_become_seconds_and_doubtful_ones_were_seconds() -> None:
    found = steps("start-at a\nsleep 3000\nsleep 3\ntimeout 10000\n", "http")
    assert [getattr(step, "seconds", None) for step in found[1:]] == [3, 3, 10]


def test_headers_may_be_bare_words() -> None:
    bare = steps('set-request-header Content-type application/json\nrequest "x"', "curl")
    assert bare == steps('set-request-header "Content-type" "application/json"\nrequest "x"', "curl")
    assert isinstance(bare[1], curl.Request)


# 3270


def test_the_coordinates_of_a_search_are_the_last_word() -> None:
    [step] = steps("search SIGN ON HERE 1,2,3,40\n", "x3270")
    assert step == x3270.Search(1, steps("echo SIGN ON HERE\n", "x3270")[0].texts[0], 1, 2, 3, 40, True)


def test_raw_actions_keep_all_between_the_outermost_brackets() -> None:
    [step] = steps("string (*ALTUSER [#USERNAME#] PASSWORD([#NEW_PASSWORD#]) NOEXPIRE*)\n", "x3270")
    assert isinstance(step, x3270.Action)
    assert (step.name, shown(step.argument)) == (
        "string", "*ALTUSER [#USERNAME#] PASSWORD([#NEW_PASSWORD#]) NOEXPIRE*",
    )  # fmt: skip


# Tcl


def clauses(script: str) -> list[tuple[str, str]]:
    found = walk(steps("use ssh script\n" + script, "tk_expect"))
    return [
        (each.on.value, "*".join(map(shown, each.pattern.texts)) if each.pattern else "")
        for each in found
        if isinstance(each, tcl.Clause)
    ]


def test_every_form_of_an_expect_is_read() -> None:
    assert clauses('expect "a*b"') == [("match", "a*b")]
    assert clauses("expect incorrect") == [("match", "incorrect")]
    assert clauses('expect { "a" {} b {send x} timeout {exit 1} eof { exit 1 } default { } }') == [
        ("match", "a"), ("match", "b"), ("timeout", ""), ("eof", ""), ("default", ""),
    ]  # fmt: skip
    assert clauses("expect {a b}") == [("match", "a")]
    assert clauses('expect -re {[$#] $} {send x} -ex "a*" {send y}') == [("match", "[$#] $"), ("match", "a*")]
    assert clauses("expect {\n# no\n-nocase \\\n Login {\n exp_continue\n }\n}") == [("match", "Login")]
    assert clauses("expect eof") == [("eof", "")]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ('"a?c"', "abc", True),
        ('"yes/no)?"', "(yes/no)? ", True),
        ('"\\[sudo\\] pass*:"', "[sudo] password for x:", True),
        ("{[ab]c}", "bc", True),
        ("{[ab]c}", "xc", False),
        ('"*$ "', "host$ ", True),
        ('"\\$ "', "host$ ", True),
        ('-nocase "LOGIN*:"', "login now:", True),
        ("-ex {a*}", "ab", False),
        ('"a\\\\*b"', "a*b", True),
        ('"a\\\\*b"', "axb", False),
    ],
)
def test_globs_of_expect(pattern: str, text: str, found: bool) -> None:
    [clause] = [
        each
        for each in walk(steps(f"use ssh script\nexpect {pattern}", "tk_expect"))
        if isinstance(each, tcl.Clause)
    ]
    assert clause.pattern
    assert (clause.pattern.compiled({}).find(text, 0) is not None) is found


@pytest.mark.parametrize(
    "script",
    ["exec id", "spawn ssh x", "eval {x}", "source f", "open f", "if {1} {send x}", "puts x", "system id",
     "interact", "set x 1", "proc a {} {}", "expect x { exec id }"],
)  # fmt: skip
def test_nothing_else_of_tcl_is_understood(script: str) -> None:
    parsed = parse("use ssh script\n" + script, "tk_expect", "change_secret")
    assert "tcl-not-allowed" in {each.code for each in parsed.findings}
    assert not any("id" in shown(text) for step in parsed.steps for text in step.texts if script == "exec id")


# Programs


def test_a_dry_run_masks_secrets_and_refuses_values_that_do_not_fit() -> None:
    parsed = parse("ALTER USER x IDENTIFIED BY '[#NEW_PASSWORD#]'", "oracle", "change_secret")
    shown_lines = parsed.describe(values(NEW_PASSWORD="s3cret'x"))
    assert shown_lines == ["statement ALTER USER x IDENTIFIED BY '********'"]
    with pytest.raises(TemplateError, match="line 1"):
        parsed.describe({"NEW_PASSWORD": Value(ValueKind.SECRET, Secret("a\nb"))})
