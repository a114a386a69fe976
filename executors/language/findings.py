"""What can be wrong with a template: every finding by a stable code, with its sentence and how to mend it.

Errors cannot be run as they stand. Warnings run, and a person should look first. Notes change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Status(StrEnum):
    """What `template lint` says of a file."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding. `sentence` says what is so and why it matters, `mend` what to do."""

    code: str
    severity: Severity
    group: str
    sentence: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` counts from 1 within the whole file; 0 means the file as such."""

    code: str
    line: int
    message: str

    @property
    def severity(self) -> Severity:
        return RULES[self.code].severity


def finding(code: str, line: int, detail: str = "") -> Finding:
    """`detail` names what was found; it never quotes what may be a secret."""
    sentence = RULES[code].sentence
    return Finding(code, line, f"{detail}: {sentence}" if detail else sentence)


def status_of(findings: Iterable[Finding]) -> Status:
    severities = {each.severity for each in findings}
    if Severity.ERROR in severities:
        return Status.ERROR
    return Status.WARNING if Severity.WARNING in severities else Status.OK


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
FILE, LEXING, LANGUAGE, PATTERNS, OUTCOME, SECRETS, DANGER, TIMES, PLACE = (
    "The file",
    "Lines and arguments",
    "Directives",
    "Patterns",
    "The outcome",
    "Secrets and names",
    "Extra acts",
    "Times",
    "The place",
)

ALL: Final = (
    # The file
    Rule(
        "unreadable",
        E,
        FILE,
        "the file cannot be read",
        "Give whoever runs this the right to read it; it must be a plain file.",
    ),
    Rule(
        "does-not-load",
        E,
        FILE,
        "a template with a header must be right as it stands",
        "Correct what the message names.",
    ),
    Rule(
        "empty",
        E,
        FILE,
        "the file holds nothing; running it would change nothing and look like success",
        "Write the template or remove the file.",
    ),
    Rule(
        "no-steps",
        E,
        FILE,
        "there are only comments; running it would change nothing and look like success",
        "Write the template or remove the file.",
    ),
    Rule(
        "too-long",
        E,
        FILE,
        "there are more than 256 KiB, 5000 lines, or 16 KiB in a line",
        "Split it; no template is that long.",
    ),
    Rule(
        "not-utf8",
        W,
        FILE,
        "the bytes are not UTF-8; they were read as UTF-16 or Latin-1, or replaced",
        "Store the file as UTF-8.",
    ),
    Rule(
        "mojibake",
        W,
        FILE,
        "letters look like UTF-8 that was read as Latin-1 once; such a text matches nothing",
        "Write the letters anew and store the file as UTF-8.",
    ),
    Rule(
        "byte-order-mark",
        N,
        FILE,
        "the file begins with a byte order mark, which is ignored",
        "Store the file as UTF-8 without it.",
    ),
    Rule(
        "carriage-return",
        N,
        FILE,
        "lines end in a carriage return, which is ignored",
        "Store the file with line feeds alone.",
    ),
    Rule(
        "nul-character",
        W,
        FILE,
        "the file holds NUL characters, which are taken out",
        "Remove them; the file may be damaged.",
    ),
    Rule(
        "control-character",
        W,
        FILE,
        "the line holds a control character, which is sent or waited for as it is",
        "Remove it, unless the device really needs it.",
    ),
    Rule("tab", N, FILE, "the line holds a tab; between words it counts as a blank", "Use blanks."),
    Rule(
        "trailing-blanks",
        N,
        FILE,
        "blanks stand at the end of the line; outside quotes they are ignored",
        "Remove them.",
    ),
    Rule(
        "no-newline-at-end",
        N,
        FILE,
        "the last line has no newline; it is read all the same",
        "End the file with a newline.",
    ),
    # Lines and arguments
    Rule(
        "unbalanced-quote",
        W,
        LEXING,
        "the closing quote is missing; the argument goes to the end of the line",
        "Close the quote.",
    ),
    Rule(
        "quote-inside-quotes",
        W,
        LEXING,
        "quotes stand inside quotes; the argument goes to the last one",
        'Write \\" for a quote inside quotes.',
    ),
    Rule(
        "text-after-quote",
        W,
        LEXING,
        "text follows the closing quote; it is ignored",
        "Remove it, or put it inside the quotes.",
    ),
    Rule(
        "unquoted-argument",
        W,
        LEXING,
        "the argument is not in quotes; it goes to the end of the line",
        "Put it in quotes.",
    ),
    Rule(
        "curly-quotes",
        W,
        LEXING,
        "the quotes are typographic ones; they are taken for straight ones",
        'Write ".',
    ),
    Rule(
        "swallowed-directive",
        W,
        LEXING,
        "the argument is itself a directive, which is sent to the device as text",
        "Break the line in two; look whether a second script was pasted behind the first.",
    ),
    Rule(
        "missing-argument",
        W,
        LEXING,
        "the directive lacks an argument; the line is ignored",
        "Give it one, or remove the line.",
    ),
    Rule("bad-number", W, LEXING, "the argument is no number; the line is ignored", "Write a number."),
    Rule(
        "bad-choice",
        W,
        LEXING,
        "the argument is none of those that the directive knows; the line is ignored",
        "Write one that it knows.",
    ),
    # Directives
    Rule(
        "unknown-directive",
        E,
        LANGUAGE,
        "no dialect of this executor has such a directive",
        "Correct the word; put # before what is meant as a comment.",
    ),
    Rule(
        "unknown-tag",
        E,
        LANGUAGE,
        "there is no such tag, so the operation would stop before it connects",
        "Correct the name of the tag.",
    ),
    Rule(
        "unknown-encoder",
        E,
        LANGUAGE,
        "the tag names an encoder that there is not",
        "Write line, sh, raw or none: [#NAME#].",
    ),
    Rule(
        "tag-alias",
        N,
        LANGUAGE,
        "the tag goes by another name here; it is understood",
        "Write the documented name.",
    ),
    Rule(
        "ambiguous-tag",
        W,
        LANGUAGE,
        "PASSWORD is taken for the new password if the template changes one and names no NEW_PASSWORD, "
        "else for the current one",
        "Write NEW_PASSWORD or CURRENT_PASSWORD.",
    ),
    Rule(
        "negative-spelling",
        N,
        LANGUAGE,
        "this is another spelling of no-expect; it is understood",
        "Write no-expect.",
    ),
    Rule(
        "foreign-directive",
        W,
        LANGUAGE,
        "the directive belongs to another dialect; it is understood",
        "Use the directive of this dialect.",
    ),
    Rule(
        "after-end",
        W,
        LANGUAGE,
        "lines stand after `end`, which closes the connection; they never run",
        "Remove them, or move `end`.",
    ),
    Rule(
        "sends-without-wait",
        W,
        LANGUAGE,
        "two lines are sent with no wait between them; the second waits until the device is quiet",
        "Put an expect between them.",
    ),
    Rule(
        "no-use-line",
        W,
        LANGUAGE,
        "a Tk Expect template begins with `use CONNECTION`; ssh is assumed",
        "Begin with `use ssh`, `use telnet` or what it connects by.",
    ),
    Rule(
        "tcl-not-allowed",
        E,
        LANGUAGE,
        "only send, expect, exp_continue, send_user, sleep, exit and set timeout are Tcl here",
        "Write it with these; nothing else of Tcl is ever run.",
    ),
    Rule(
        "tcl-unbalanced",
        W,
        LANGUAGE,
        "a brace or quote of the Tcl script is not closed; it ends with the file",
        "Close it.",
    ),
    Rule(
        "tcl-substitution",
        W,
        LANGUAGE,
        "Tcl would put a variable or a command's result here; it is plain text",
        "Use a tag; write \\[ or \\$ if the character itself is meant.",
    ),
    Rule(
        "tcl-goes-on",
        W,
        LANGUAGE,
        "after the timeout Tcl would go on; here an expect without a timeout clause fails",
        "Add `timeout { exit 1 }`, or a timeout clause that says how to go on.",
    ),
    Rule("selenium-syntax", E, LANGUAGE, "this is not Python", "Export it anew from Selenium IDE."),
    Rule(
        "selenium-not-allowed",
        E,
        LANGUAGE,
        "the script does more than drive the browser; it is never run",
        "Use driver, By, Keys, WebDriverWait, expected_conditions, ActionChains, print, timeout.",
    ),
    Rule(
        "stored-procedure",
        E,
        LANGUAGE,
        "stored procedures may neither be called nor created",
        "Write the statement itself.",
    ),
    Rule(
        "old-password-function",
        W,
        LANGUAGE,
        "MySQL has had no PASSWORD() since 8.0",
        "Write ALTER USER … IDENTIFIED BY.",
    ),
    Rule(
        "no-request",
        W,
        LANGUAGE,
        "the template sets a request up and never makes it",
        "Add a line `request URL`.",
    ),
    Rule(
        "modify-before-find", W, LANGUAGE, "an entry is changed before one was found", "Put a find above it."
    ),
    Rule(
        "unquoted-filter",
        N,
        LANGUAGE,
        "the filter is not in quotes; it goes to the end of the line",
        "Put it in quotes.",
    ),
    Rule(
        "unknown-option",
        W,
        LANGUAGE,
        "the option or its value is none that the protocol knows",
        "Look it up; LDAP_OPT_REFERRALS is 0 or 1, LDAP_OPT_PROTOCOL_VERSION is 3.",
    ),
    Rule(
        "raw-actions",
        N,
        LANGUAGE,
        "these are raw actions of s3270, not the documented directives; they are understood",
        "Nothing need be done.",
    ),
    Rule(
        "continued-line",
        N,
        LANGUAGE,
        "the PowerShell line goes on here",
        "Write it on one line, with [nl] for a new line.",
    ),
    Rule("fill-without-value", W, LANGUAGE, "a field is filled with nothing", "Add the value."),
    Rule(
        "late-start", N, LANGUAGE, "start-at is not the first line; it is understood", "Put start-at first."
    ),
    Rule(
        "absolute-location",
        W,
        LANGUAGE,
        "a whole address is looked for in the page's address",
        "Look for its path alone; the device's name or port may differ.",
    ),
    # Patterns
    Rule(
        "regex-in-wildcard",
        W,
        PATTERNS,
        "this looks like a regular expression where only * is special, so it matches itself alone",
        "Use expect-regex, or plain text with *.",
    ),
    Rule(
        "regex-without-delimiters",
        W,
        PATTERNS,
        "the regular expression has no delimiters",
        "Write it between slashes.",
    ),
    Rule(
        "regex-taken-literally",
        W,
        PATTERNS,
        "the regular expression is broken or can never match; it is taken for plain text",
        "Correct it, or use expect.",
    ),
    Rule(
        "regex-may-hang",
        E,
        PATTERNS,
        "the regular expression repeats what itself repeats or chooses; some outputs would take for ever",
        "Repeat single characters or classes alone.",
    ),
    Rule(
        "check-cannot-fail",
        W,
        PATTERNS,
        "the check is satisfied by anything",
        "Look for what only success says.",
    ),
    Rule(
        "forbidden-always-there",
        W,
        PATTERNS,
        "the forbidden text stands in the command above; its answer may repeat it, then it always fails",
        "Forbid what only the error says.",
    ),
    # The outcome
    Rule(
        "no-outcome-check",
        W,
        OUTCOME,
        "nothing checks how the change went; only the proof will tell",
        "End with an expect of what only success says, or a no-expect of what errors say.",
    ),
    Rule(
        "secret-not-used",
        W,
        OUTCOME,
        "a template that changes a password never sends the new one: vault and device would differ",
        "Send [#NEW_PASSWORD#] where the device asks for it.",
    ),
    # Secrets and names
    Rule(
        "secret-in-command-line",
        W,
        SECRETS,
        "a secret stands in a command line: history and process list show it, and characters have a meaning",
        "Let the command ask for it, or keep the policy's alphabet to letters and digits.",
    ),
    Rule(
        "unquoted-secret",
        W,
        SECRETS,
        "a secret stands bare in the statement; most characters would break it",
        "Put it in the quotes that the product has for it.",
    ),
    Rule(
        "literal-secret",
        W,
        SECRETS,
        "this looks like a secret written into the template, for everybody to read",
        "Use a tag, and change that secret: it is known.",
    ),
    Rule(
        "fixed-user-name",
        W,
        SECRETS,
        "the account's name is written into the command",
        "Write [#USERNAME#], or say in the template's name that it is for this account.",
    ),
    # Extra acts
    Rule(
        "reboots",
        W,
        DANGER,
        "the template restarts the device or a service on it",
        "Leave that to a person, or to a maintenance window.",
    ),
    Rule(
        "overwrites-file",
        W,
        DANGER,
        "the template writes over a file",
        "Change the one line, and keep the file's rights.",
    ),
    Rule(
        "value-in-pattern",
        W,
        DANGER,
        "a value stands inside a program of sed, awk or perl, where characters have a meaning",
        "Write the file with a program that takes the value as data.",
    ),
    Rule(
        "forces-expiry",
        W,
        DANGER,
        "the template makes the password expire, so the new one will not open",
        "Leave the line out; machine accounts cannot answer the demand.",
    ),
    Rule(
        "overwrites-account-flags",
        W,
        DANGER,
        "userAccountControl is set as a whole; every other flag is lost",
        "Set or clear the one bit.",
    ),
    Rule(
        "unsecure-transport",
        W,
        DANGER,
        "the connection is not encrypted",
        "Use HTTPS; a device must be opted in for this.",
    ),
    # Times
    Rule(
        "one-second-timeout",
        W,
        TIMES,
        "one second is too short for a real network; connecting is given five at least",
        "Leave the line out, or allow five seconds and more.",
    ),
    Rule(
        "doubtful-unit",
        W,
        TIMES,
        "the number looks like seconds where milliseconds count, or the other way round",
        "Browser templates count milliseconds, all others seconds.",
    ),
    # The place
    Rule(
        "wrong-folder",
        W,
        PLACE,
        "the content is of another dialect than its folder says; the content counts",
        "Move the file to the executor that it is for.",
    ),
    Rule(
        "unknown-folder",
        W,
        PLACE,
        "the folders say neither a known executor nor a known action",
        "Lay the tree out as Executor/Action/Name.",
    ),
    Rule(
        "odd-file-name",
        N,
        PLACE,
        "the file's name has a quote, a plus, a parenthesis, two blanks or blanks at an end",
        "Rename it.",
    ),
    Rule(
        "another-product-named",
        N,
        PLACE,
        "a comment names another product than the file's name does",
        "Correct the comment; look whether the commands are for the right product.",
    ),
    Rule("same-body", N, PLACE, "another file has the same body", "Keep one, unless they are meant to part."),
    Rule(
        "not-english",
        N,
        PLACE,
        "prompts of a device set to another language are waited for",
        "Nothing need be done if the device is set so.",
    ),
)

RULES: Final = {rule.code: rule for rule in ALL}
