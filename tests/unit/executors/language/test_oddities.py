"""Every oddity that the field's own collection is known for is named by its code, at its line, by lint.

One entry for each line of the list that the field's description ends with; each holds files as they are
there.
"""

from __future__ import annotations

import pytest

from executors.language.lint import lint
from tests.unit.executors.language.field import CASES as FIELD_CASES

START = 'expect "*# "\nexec "passwd [#USERNAME#]"\nexpect "*ssword:"\nexec "[#NEW_PASSWORD#]"\n'
PLAIN = START + 'expect "*updated*"\n'
PAGE = "start-at https://[#IP#]/\n"
BOUND = 'bind "cn=[#AUTH_USER#]"\n'
SSH = "SSH/Change password/"

Odd = tuple[str, str | bytes, set[tuple[str, int]]]
"""Path, content, and which codes at which lines must be there; line 0 is the file as such."""

ODDITIES: dict[str, list[Odd]] = {
    "the last line has no end": [(SSH + "a", PLAIN + "end", {("no-newline-at-end", 6)})],
    "the file is empty": [(SSH + "a", "", {("empty", 1)}), (SSH + "b", " \n\n", {("empty", 1)})],
    "a quote is left open": [
        (SSH + "a", 'expect "*]\n' + PLAIN, {("unbalanced-quote", 1)}),
        (SSH + "b", 'expect "*#*\n' + PLAIN, {("unbalanced-quote", 1)}),
        (SSH + "c", 'expect "*config)#*\n' + PLAIN, {("unbalanced-quote", 1)}),
        ("Telnet/Change password/d", PLAIN + 'expect "*]\n', {("unbalanced-quote", 6)}),
    ],
    "quotes stand inside quotes": [
        (SSH + "a", 'exec "edit "[#USERNAME#]""\n' + PLAIN, {("quote-inside-quotes", 1)})
    ],
    "an argument has no quotes": [(SSH + "a", "exec clish\n" + PLAIN, {("unquoted-argument", 1)})],
    "a directive was swallowed when it was pasted": [
        (SSH + "a", PLAIN + "exec set-connect-timeout 1\n" + PLAIN, {("swallowed-directive", 6)})
    ],
    "the negative has three spellings": [
        (SSH + "a", PLAIN + 'noexpect "no"\n', {("negative-spelling", 6)}),
        (SSH + "b", PLAIN + 'not-expect "no"\n', {("negative-spelling", 6)}),
    ],
    "a regular expression among wildcards, or without delimiters": [
        (SSH + "a", PLAIN + 'noexpect "PKI-[0-9]+"\n', {("regex-in-wildcard", 6)}),
        (SSH + "b", 'expect-regex "# "\n' + PLAIN, {("regex-without-delimiters", 1)}),
        (
            SSH + "c",
            'expect-regex "$ "\n' + PLAIN,
            {("regex-without-delimiters", 1), ("regex-taken-literally", 1)},
        ),
    ],
    "secrets are written in": [
        (
            SSH + "instead of the tag",
            'expect "*ssword:"\n# exec "[#NEW_PASSWORD#]"\nexec "Operator1@"\nexpect "*changed*"\n',
            {("literal-secret", 3), ("secret-not-used", 0)},
        ),
        (SSH + "as an option", 'exec "./ws -user x -password %#place123"\n', {("literal-secret", 1)}),
        (SSH + "of a store", 'exec "./vault.sh -k k.jks -p VaultX -a b"\n', {("literal-secret", 1)}),
        (SSH + "when asked", 'expect "Keystore password:"\nexec "VaultX"\n', {("literal-secret", 2)}),
    ],
    "the password is not changed at all": [
        ("HTTP/Change password/a", PAGE + "new-action\nset-location /x\n", {("secret-not-used", 0)}),
        (SSH + "b", START.replace("[#NEW_PASSWORD#]", "Operator1@"), {("secret-not-used", 0)}),
    ],
    "more is done than the change": [
        (SSH + "a", PLAIN + 'exec "reboot"\n', {("reboots", 6)}),
        (SSH + "b", PLAIN + "exec \"echo '<?x?>' > /srv/app.conf\"\n", {("overwrites-file", 6)}),
        (SSH + "c", 'exec "sed -i s/x/[#NEW_PASSWORD#]/ f.xml"\n', {("value-in-pattern", 1)}),
        (SSH + "d", PLAIN + 'exec "chage -d 1 [#USERNAME#]"\n', {("forces-expiry", 6)}),
    ],
    "the account is named in the text": [
        (SSH + "a", START.replace("passwd [#USERNAME#]", "modify auth user admin"), {("fixed-user-name", 2)})
    ],
    "one second to connect, with or without a comment above": [
        (SSH + "a", "set-connect-timeout 1\n" + PLAIN, {("one-second-timeout", 1)}),
        (SSH + "b", "# quick\nset-connect-timeout 1\n" + PLAIN, {("one-second-timeout", 2)}),
    ],
    "file names": [
        (SSH + "Lights-Out (board)'", PLAIN, {("odd-file-name", 0)}),
        (SSH + "Portal -  Child", PLAIN, {("odd-file-name", 0)}),
        (SSH + "Admin + Expert", PLAIN, {("odd-file-name", 0)}),
    ],
    "encoding": [
        ("HTTP/Change password/a", PAGE + "click BOT\u00c3\u0192O\n", {("mojibake", 2)}),
        ("HTTP/Change password/b", PAGE + "\t\nnew-action\n", {("tab", 2)}),
        (SSH + "c", PLAIN + "end \t\n", {("tab", 6), ("trailing-blanks", 6)}),
        (SSH + "d", PLAIN.encode("utf-8-sig"), {("byte-order-mark", 1)}),
        (SSH + "e", PLAIN.replace("\n", "\r\n"), {("carriage-return", 1)}),
    ],
    "the wrong folder": [
        ("IBM 3270 Terminal/Change password/a", PLAIN, {("wrong-folder", 1)}),
        ("IBM 3270 Terminal/Change password/b", 'exec "a [#NEW_PASSWORD#]"\n', {("wrong-folder", 1)}),
        ("HTTP/Change password/c", 'get https://x\nselect-button "b"\nsubmit\n', {("wrong-folder", 1)}),
        ("Tk Expect/Change password/d", PLAIN, {("no-use-line", 1)}),
    ],
    "prompts of several languages": [
        (SSH + "a", 'expect "Dispositivo:"\n' + PLAIN, {("not-english", 1)}),
        (SSH + "b", 'expect "Senha de autenticacao:"\n' + PLAIN, {("not-english", 1)}),
    ],
    "LDAP": [
        (
            "LDAP/Change password/a",
            "set-option LDAP_OPT_REFERRALS 3\n" + BOUND + 'find "dc=x" (&(a=b)(uid=[#USERNAME#]))\n',
            {("unknown-option", 1), ("unquoted-filter", 3)},
        ),
        (
            "LDAP/Disable credential/b",
            BOUND + 'find "dc=x" "(uid=x)"\nmod-replace userAccountControl 514\n',
            {("overwrites-account-flags", 3)},
        ),
    ],
    "a comment names another product": [
        (
            "Tk Expect/Change password/Nokia BSC",
            "# Tellabs 6300\nuse ssh\n" + PLAIN,
            {("another-product-named", 1)},
        )
    ],
}

CASES = [(name, *odd) for name, odds in ODDITIES.items() for odd in odds]


@pytest.mark.parametrize(("name", "path", "content", "codes"), CASES)
def test_lint_names_the_oddity(
    name: str, path: str, content: str | bytes, codes: set[tuple[str, int]]
) -> None:
    [linted] = lint([(path, content if isinstance(content, bytes) else content.encode())])
    assert codes <= {(each.code, each.line) for each in linted.findings}, name
    assert (linted.status == "error") == ("empty" in {code for code, _ in codes})


def test_files_with_the_same_body_name_each_other() -> None:
    linted = lint([("Tk Expect/Change password/" + name, PLAIN.encode()) for name in "ab"])
    assert [[each.code for each in one.findings if each.code == "same-body"] for one in linted] == [
        ["same-body"]
    ] * 2


def test_the_list_is_whole() -> None:
    assert len(ODDITIES) == 19


def test_each_of_them_is_among_the_golden_templates() -> None:
    linted = lint([(str(path), path.read_bytes()) for path in FIELD_CASES])
    there = {each.code for one in linted for each in one.findings}
    in_no_collection = {"empty", "byte-order-mark", "carriage-return"}
    assert {code for _, _, _, codes in CASES for code, _ in codes} - in_no_collection <= there
