"""Every finding by its code: a template that has it, and the same mended, that has not."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from executors.language.findings import RULES, Severity, Status
from executors.language.lint import lint
from executors.language.parsing import Parsed, parse
from executors.language.tree import is_template, place_of, same_bodies
from tests.write_findings_page import PAGE, page

SET = 'expect "*#"\nexec "passwd [#USERNAME#]"\nexpect "*word:"\nexec "[#NEW_PASSWORD#]"\n'
CLEAN = SET + 'expect "*updated successfully*"\nend\n'
PAGE_START = "start-at https://[#IP#]/\nnew-action\n"
BOUND = 'bind "cn=[#AUTH_USER#]"\nfind "dc=x" "(uid=[#USERNAME#])"\n'
TCL = "use ssh script\n"

Case = tuple[str, str, str | bytes, str | bytes]
"""Code, executor, a body that has it, one that has not."""

CASES: list[Case] = [
    ("empty", "ssh", "", CLEAN),
    ("empty", "ssh", b"\xef\xbb\xbf \r\n\t\n", CLEAN),
    ("no-steps", "ssh", "# later\n", CLEAN),
    ("too-long", "ssh", 'exec "x"\n' * 5001, CLEAN),
    ("too-long", "ssh", 'exec "' + "x" * 20000 + '"\n', CLEAN),
    ("not-utf8", "ssh", b'expect "caf\xe9"\n', CLEAN.encode()),
    ("not-utf8", "ssh", CLEAN.encode("utf-16"), CLEAN.encode()),
    ("not-utf8", "ssh", 'exec "\ud800"\n', CLEAN),
    ("mojibake", "http", PAGE_START + "click BOT\u00c3\u0192O\n", PAGE_START + "click BOTÃO\n"),
    ("byte-order-mark", "ssh", b"\xef\xbb\xbf" + CLEAN.encode(), CLEAN.encode()),
    ("carriage-return", "ssh", CLEAN.replace("\n", "\r\n"), CLEAN),
    ("nul-character", "ssh", CLEAN.replace("passwd", "pass\0wd"), CLEAN),
    ("control-character", "ssh", CLEAN.replace("passwd", "pass\x03wd"), CLEAN),
    ("tab", "http", "start-at https://[#IP#]/\n\t\nnew-action\n", PAGE_START),
    ("trailing-blanks", "ssh", CLEAN.replace("end", "end  "), CLEAN),
    ("no-newline-at-end", "ssh", CLEAN.rstrip(), CLEAN),
    ("unbalanced-quote", "ssh", 'expect "*]\n', 'expect "*]"\n'),
    ("unbalanced-quote", "ssh", 'expect "*#*\n', 'expect "*#*"\n'),
    ("unbalanced-quote", "ssh", 'expect "*config)#*\n', 'expect "*config)#*"\n'),
    ("quote-inside-quotes", "ssh", 'exec "edit "[#USERNAME#]""\n', 'exec "edit \\"[#USERNAME#]\\""\n'),
    ("text-after-quote", "tk_expect", 'use ssh\nexpect "EXECUTED"]\n', 'use ssh\nexpect "EXECUTED"\n'),
    ("unquoted-argument", "ssh", "exec clish\n", 'exec "clish"\n'),
    ("curly-quotes", "ssh", "exec \u201cclish\u201d\n", 'exec "clish"\n'),
    ("swallowed-directive", "ssh", "exec set-connect-timeout 1\n", 'exec "end"\n'),
    ("missing-argument", "telnet", 'set-username-prompt ""\n', 'set-username-prompt "User:"\n'),
    ("bad-number", "ssh", "set-read-timeout soon\n", "set-read-timeout 5\n"),
    ("bad-choice", "ssh", "set-new-line-mode dos\n", "set-new-line-mode windows\n"),
    ("unknown-directive", "ssh", CLEAN + 'expct "x"\n', CLEAN),
    ("unknown-tag", "ssh", CLEAN.replace("USERNAME", "USRNAME"), CLEAN),
    ("unknown-encoder", "ssh", 'exec "x [#IP|nosuch#]"\n', 'exec "x [#IP|sh#]"\n'),
    ("tag-alias", "ssh", 'exec "[#COE_SENHA#]"\n', 'exec "[#AUTH_PASSWORD#]"\n'),
    ("ambiguous-tag", "ssh", 'exec "[#password#]"\n', 'exec "[#new_password#]"\n'),
    ("negative-spelling", "ssh", 'noexpect "no"\n', 'no-expect "no"\n'),
    ("negative-spelling", "ssh", 'not-expect "no"\n', 'no-expect "no"\n'),
    ("foreign-directive", "ssh", 'set-prompt "# "\n' + CLEAN, CLEAN),
    ("after-end", "ssh", CLEAN + 'exec "logout"\n', CLEAN),
    ("sends-without-wait", "ssh", 'exec "a"\nexec "b"\n', 'exec "a"\nexpect "#"\nexec "b"\n'),
    ("no-use-line", "tk_expect", CLEAN, "use ssh\n" + CLEAN),
    ("tcl-not-allowed", "tk_expect", TCL + "exec rm -rf /\n", TCL + 'send "x\\r"\n'),
    ("tcl-not-allowed", "tk_expect", TCL + "set user root\n", TCL + "set timeout 5\n"),
    ("tcl-not-allowed", "tk_expect", TCL + "expect {" * 30, TCL + "expect x\n"),
    ("tcl-unbalanced", "tk_expect", TCL + 'expect { "x" { exit 0 }\n', TCL + 'expect { "x" { exit 0 } }\n'),
    ("tcl-substitution", "tk_expect", TCL + 'send "[exec id]\\r"\n', TCL + 'send "\\[exec id]\\r"\n'),
    ("tcl-substitution", "tk_expect", TCL + 'send "$env(X)\\r"\n', TCL + 'send "\\$env(X)\\r"\n'),
    ("tcl-goes-on", "tk_expect", TCL + 'expect "x"\n', TCL + 'expect { "x" {} timeout { exit 1 } }\n'),
    ("selenium-syntax", "selenium", 'driver.get("x"\n', 'driver.get("x")\n'),
    ("selenium-not-allowed", "selenium", "import os\n", 'driver.get("x")\n'),
    ("selenium-not-allowed", "selenium", "driver.__class__\n", "driver.title\n"),
    ("selenium-not-allowed", "selenium", 'open("/etc/passwd")\n', 'print("x")\n'),
    ("stored-procedure", "sql_server", "EXEC sp_password 'a'\n", "ALTER LOGIN x\n"),
    ("old-password-function", "mysql", "SET PASSWORD = PASSWORD('[#NEW_PASSWORD#]')\n", "FLUSH PRIVILEGES\n"),
    ("no-request", "curl", "set-disable-auth\n", 'set-disable-auth\nrequest "https://x"\n'),
    ("modify-before-find", "ldap", 'bind "x"\nmod-add a b\n', BOUND + "mod-add a b\n"),
    ("unquoted-filter", "ldap", 'find "dc=x" (uid=[#USERNAME#])\n', BOUND),
    ("unknown-option", "ldap", "set-option LDAP_OPT_REFERRALS 3\n", "set-option LDAP_OPT_REFERRALS 0\n"),
    ("raw-actions", "x3270", "wait(1)\nenter\n", "connect\n"),
    ("continued-line", "winrm", "powershell a |\n  b\n", "powershell a |[nl]b\n"),
    ("fill-without-value", "http", PAGE_START + "fill #old\n", PAGE_START + "fill #old x\n"),
    ("late-start", "http", "user-agent x\n" + PAGE_START, PAGE_START),
    (
        "absolute-location",
        "http",
        PAGE_START + "test-location https://x/y\n",
        PAGE_START + "test-location /y\n",
    ),
    ("regex-in-wildcard", "ssh", 'no-expect "PKI-[0-9]+"\n', 'no-expect "[OK]*(yes/no)?"\n'),
    ("regex-without-delimiters", "ssh", 'expect-regex "# "\n', 'expect-regex "/# /"\n'),
    ("regex-without-delimiters", "ssh", 'expect-regex "[nN]ew password:"\n', 'expect-regex "/[nN]ew/"\n'),
    ("regex-taken-literally", "ssh", 'expect-regex "$ "\n', 'expect-regex "/\\$ /"\n'),
    ("regex-taken-literally", "ssh", 'expect-regex "/[/"\n', 'expect-regex "/[[]/"\n'),
    ("regex-may-hang", "ssh", 'expect-regex "/(a+)+$/"\n', 'expect-regex "/(a|b)+$/"\n'),
    ("regex-may-hang", "ssh", 'expect-regex "/(a|a)*b/"\n', 'expect-regex "/a*b/"\n'),
    ("check-cannot-fail", "ssh", 'expect "*"\n', 'expect "*x*"\n'),
    ("check-cannot-fail", "ssh", 'expect ""\n', 'expect "0"\n'),
    ("check-cannot-fail", "ssh", 'expect-regex "/.*/"\n', 'expect-regex "/.+/"\n'),
    (
        "check-cannot-fail",
        "http",
        PAGE_START + "jscript $('div:contains(\"ok\")')\n",
        PAGE_START + "jscript f(1)\n",
    ),
    ("forbidden-always-there", "ssh", 'exec "id [#USERNAME#]"\nno-expect "*[#USERNAME#]"\n', CLEAN),
    ("no-outcome-check", "ssh", SET + 'expect "*#"\n', CLEAN),
    ("no-outcome-check", "ssh", SET + 'expect-regex "/[$|#|>]/"\n', SET + 'no-expect "error"\n'),
    ("no-outcome-check", "ssh", SET, SET + 'expect "*[#USERNAME#]*"\n'),
    (
        "no-outcome-check",
        "http",
        PAGE_START + "fill #n [#NEW_PASSWORD#]\n",
        PAGE_START + "fill #n [#NEW_PASSWORD#]\ntest-selector .ok\n",
    ),
    (
        "no-outcome-check",
        "x3270",
        "send [#NEW_PASSWORD#]\\r\n",
        "send [#NEW_PASSWORD#]\\r\nsearch OK 0,0,1,2\n",
    ),
    ("no-outcome-check", "curl", 'request "[#NEW_PASSWORD#]"\n', 'request "[#NEW_PASSWORD#]"\nexpect "ok"\n'),
    ("secret-not-used", "ssh", CLEAN.replace("[#NEW_PASSWORD#]", "Changeme1@"), CLEAN),
    ("secret-not-used", "http", PAGE_START, PAGE_START + "fill #n [#NEW_PASSWORD#]\n"),
    ("secret-not-used", "winrm", "powershell hostname\n", "!change-password\n"),
    ("secret-in-command-line", "ssh", 'exec "net user x [#NEW_PASSWORD#]"\n', CLEAN),
    ("secret-in-command-line", "ssh", 'write "set password "\nexec "[#NEW_PASSWORD#]"\n', CLEAN),
    ("secret-in-command-line", "esxi", "system account set -p '[#NEW_PASSWORD#]'\n", "system account list\n"),
    (
        "secret-in-command-line",
        "tk_expect",
        TCL + 'send "u [#NEW_PASSWORD#]\\r"\n',
        TCL + 'send "[#NEW_PASSWORD#]\\r"\n',
    ),
    (
        "unquoted-secret",
        "oracle",
        "ALTER USER x IDENTIFIED BY [#NEW_PASSWORD#]\n",
        'ALTER USER x IDENTIFIED BY "[#NEW_PASSWORD#]"\n',
    ),
    ("literal-secret", "ssh", 'expect "*ssword:"\nexec "Changeme1@"\n', CLEAN),
    (
        "literal-secret",
        "ssh",
        'exec "wsadmin -user x -password %#sample77"\n',
        'exec "x -password [#NEW_PASSWORD#]"\n',
    ),
    ("literal-secret", "ssh", 'exec "vault.sh --keystore-password VaultX"\n', 'exec "set password policy"\n'),
    ("literal-secret", "ssh", 'exec "vault.sh -k x.jks -p VaultX"\n', 'exec "mkdir -p VarLibX"\n'),
    ("literal-secret", "ssh", 'exec "Xy7@longer"\n', 'exec "show interface Gi0/1"\n'),
    (
        "literal-secret",
        "http",
        PAGE_START + "fill #password hunter22\n",
        PAGE_START + "fill #name hunter22\n",
    ),
    ("literal-secret", "oracle", "ALTER USER x IDENTIFIED BY 'tiger7'\n", "ALTER USER x ACCOUNT LOCK\n"),
    ("fixed-user-name", "ssh", 'exec "modify auth user admin prompt-for-password"\n', CLEAN),
    ("fixed-user-name", "ssh", 'exec "passwd root"\n', 'exec "passwd [#USERNAME#]"\n'),
    ("reboots", "ssh", 'exec "reboot"\n', 'exec "no shutdown"\n'),
    ("reboots", "ssh", 'exec "systemctl restart app"\n', 'exec "systemctl status app"\n'),
    ("overwrites-file", "ssh", 'exec "echo x > /etc/app.conf"\n', 'exec "echo x >> f; cat f 2>/dev/null"\n'),
    ("value-in-pattern", "ssh", 'exec "sed -i s/x/[#NEW_PASSWORD#]/ f"\n', 'exec "sed -i s/x/y/ f"\n'),
    ("forces-expiry", "ssh", 'exec "chage -d 1 [#USERNAME#]"\n', 'exec "chage -l [#USERNAME#]"\n'),
    (
        "overwrites-account-flags",
        "ldap",
        BOUND + "mod-replace userAccountControl 514\n",
        BOUND + "mod-add a b\n",
    ),
    ("unsecure-transport", "winrm", "!unsecure\n!change-password\n", "!change-password\n"),
    ("one-second-timeout", "ssh", "set-connect-timeout 1\n" + CLEAN, "set-connect-timeout 5\n" + CLEAN),
    ("doubtful-unit", "ssh", "set-read-timeout 5000\n", "set-read-timeout 120\n"),
    ("doubtful-unit", "http", PAGE_START + "sleep 3\n", PAGE_START + "sleep 3000\n"),
    ("doubtful-unit", "http", "timeout 60\n" + PAGE_START, "timeout 60000\n" + PAGE_START),
    ("wrong-folder", "x3270", CLEAN, "connect\n"),
    ("wrong-folder", "x3270", 'exec "a"\nexec "b"\n', "wait(1)\n"),
    ("wrong-folder", "http", "get https://x\nselect-button a\nsubmit\n", PAGE_START),
    ("wrong-folder", "ssh", PAGE_START + "click a\n", CLEAN),
    ("wrong-folder", "winrm", CLEAN, "powershell a\n"),
    ("not-english", "ssh", 'expect "Senha de autenticacao:"\n', CLEAN),
    ("not-english", "ssh", 'expect "Dispositivo:"\n', CLEAN),
]
OF_THE_PLACE = {"unknown-folder", "odd-file-name", "another-product-named", "same-body"}
OF_THE_FILE = {"unreadable", "does-not-load"}  # see tests/unit/templating/test_linting.py


def codes(parsed: Parsed) -> set[str]:
    return {each.code for each in parsed.findings}


@pytest.mark.parametrize(("code", "executor", "odd", "mended"), CASES)
def test_the_finding_names_what_is_odd_and_nothing_else(
    code: str, executor: str, odd: str | bytes, mended: str | bytes
) -> None:
    assert code in codes(parse(odd, executor, "change_secret"))
    assert code not in codes(parse(mended, executor, "change_secret"))


def test_every_finding_has_a_test() -> None:
    assert {case[0] for case in CASES} | OF_THE_PLACE | OF_THE_FILE == RULES.keys()


def test_a_clean_template_has_no_finding_at_all() -> None:
    parsed = parse(CLEAN, "SSH", "Change password")
    assert parsed.findings == ()
    assert parsed.status is Status.OK
    assert parsed.has_outcome_check
    assert parsed.tags == {"USERNAME", "NEW_PASSWORD"}
    assert parsed.secrets_in_command_lines == ()


def test_notes_leave_the_status_ok() -> None:
    parsed = parse(CLEAN.rstrip(), "ssh", "change_secret")
    assert codes(parsed) == {"no-newline-at-end"}
    assert parsed.status is Status.OK


def test_lines_count_from_the_first_line_of_the_body() -> None:
    [found] = parse('expect "x"\nno-expect "y\n', "ssh", "verify", first_line=10).findings
    assert (found.code, found.line) == ("unbalanced-quote", 11)


def test_a_finding_never_quotes_the_secret_that_it_is_about() -> None:
    parsed = parse('expect "*ssword:"\nexec "Changeme1@"\n', "ssh", "change_secret")
    assert not any("Changeme1" in each.message for each in parsed.findings)


def test_comments_and_tags_in_comments_are_no_findings() -> None:
    assert parse("## [#NO_SUCH#] [#PASSWORD#]\n" + CLEAN, "ssh", "change_secret").findings == ()


def test_a_comment_that_names_another_product_is_noted() -> None:
    body = "# for Nokia RNC\n" + CLEAN
    assert "another-product-named" in codes(parse(body, "ssh", "change_secret", "Huawei switch"))
    assert "another-product-named" not in codes(parse(body, "ssh", "change_secret", "Nokia BSC"))


def test_the_folders_say_executor_and_action() -> None:
    place = place_of(PurePath("some/where/Windows RM/Change password/A.B - c_2"))
    assert (place.executor, place.action, place.name) == ("winrm", "change_secret", "A.B - c_2")
    assert place.findings == ()


@pytest.mark.parametrize(
    "name", ["Lights-Out'", "MDM CDP -  Child", " x", "Admin + Expert", "node (5 checks)"]
)
def test_odd_file_names_are_noted(name: str) -> None:
    assert [each.code for each in place_of(PurePath("SSH/Delete user") / name).findings] == ["odd-file-name"]


@pytest.mark.parametrize("path", ["X/Change password/a", "SSH/Y/a", "a", "SSH/a"])
def test_unknown_folders_are_named(path: str) -> None:
    assert "unknown-folder" in {each.code for each in place_of(PurePath(path)).findings}


def test_files_of_the_same_body_are_found() -> None:
    files = [("a", b"x\n"), ("b", b"x"), ("c", b"y"), ("d", b""), ("e", b"\n")]
    assert same_bodies(files) == {"a": ["b"], "b": ["a"]}


def test_lint_says_what_others_rely_on() -> None:
    [empty, fine, twin] = lint(
        [
            ("SSH/Change password/b", CLEAN.encode()),
            ("x/SSH/Change password/a", b""),
            ("notes", CLEAN.encode()),
        ]
    )[::-1]
    assert empty.as_json() == {
        "path": "x/SSH/Change password/a",
        "executor": "ssh",
        "action": "change_secret",
        "status": "error",
        "findings": [{"code": "empty", "line": 1, "message": RULES["empty"].sentence}],
    }
    assert (fine.executor, fine.action, {each.code for each in fine.findings}) == (
        None, None, {"unknown-folder", "same-body"},
    )  # fmt: skip
    assert [each.code for each in twin.findings] == ["same-body"]


def test_only_what_lies_in_known_folders_is_a_template() -> None:
    assert is_template(PurePath("a/SSH/Change password/x.y"))
    assert not is_template(PurePath("Windows SMB/README.md"))
    assert not is_template(PurePath("SSH/Change password/.hidden"))
    assert not is_template(PurePath("LICENSE"))


def test_an_unknown_executor_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no executor"):
        parse(CLEAN, "nosuch", "change_secret")


def test_errors_are_only_what_cannot_be_run() -> None:
    assert {rule.code for rule in RULES.values() if rule.severity is Severity.ERROR} == {
        "unreadable", "does-not-load", "empty", "no-steps", "too-long", "unknown-directive", "unknown-tag",
        "unknown-encoder",
        "tcl-not-allowed",
        "selenium-syntax", "selenium-not-allowed", "stored-procedure", "regex-may-hang",
    }  # fmt: skip


def test_the_page_of_findings_is_current() -> None:
    assert PAGE.read_text() == page(), "write it: python -m tests.write_findings_page"
