"""What a parsed body does, judged: outcome checks, secrets in the open, names in the text, dangerous acts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from executors.contract import Literal, Tag, Text
from executors.contract.parts import TAG
from executors.language import browser, curl, esxi, selenium, sql, tcl, windows, x3270
from executors.language.dialect import TERMINALS, Dialect
from executors.language.encoders import ENCODERS
from executors.language.findings import Finding, finding
from executors.language.patterns import Pattern, Regex, Wildcard
from executors.language.source import Line
from executors.language.steps import (
    Command,
    End,
    Forbid,
    Option,
    Send,
    SetTimeout,
    Sleep,
    Step,
    Timer,
    Wait,
    walk,
)
from executors.language.tags import ALIASES, KNOWN, has_secret, names, names_in, shown

CHANGE: Final = "change_secret"
GAP: Final = "\x01"  # stands for a tag where texts are looked through
BUILT_IN_CHANGES: Final = frozenset(
    {windows.Verb.CHANGE_PASSWORD, windows.Verb.NETSMB_PASSWORD, windows.Verb.SMBPASSWD}
)


@dataclass(frozen=True, slots=True)
class Typed:
    """One line as the target gets it: several sends may make one."""

    line: int
    text: Text


def check(
    dialect: Dialect, action: str, steps: Sequence[Step], lines: Sequence[Line], name: str
) -> list[Finding]:
    """Findings beyond those that parsing made. `name` is the file's, "" if it has none."""
    every = tuple(walk(steps))
    found = [*_tags(lines), *_unknown_tags(every)]
    found += _usage(dialect, action, steps, every)
    found += [each for typed in command_lines(steps) for each in _command(typed)]
    found += _fixed_names(steps, every, action)
    found += _answers(every)
    found += _times(every)
    found += _patterns(every)
    if dialect in TERMINALS:
        found += _order(steps)
    found += _comments(lines, name)
    return found


# Tags


def _tags(lines: Iterable[Line]) -> Iterator[Finding]:
    for line in lines:
        if not line.says_something:
            continue
        for match in TAG.finditer(line.text):
            name = match[1].upper()
            if name == "PASSWORD":
                yield finding("ambiguous-tag", line.number)
            elif name in ALIASES:
                yield finding("tag-alias", line.number, f"{name} is {ALIASES[name]}")


def _unknown_tags(every: Iterable[Step]) -> Iterator[Finding]:
    for step in every:
        for name in sorted(names_in(step.texts) - KNOWN):
            yield finding("unknown-tag", step.line, name[:64])
        for text in step.texts:
            for part in text:
                if isinstance(part, Tag) and part.encoder is not None and part.encoder not in ENCODERS:
                    yield finding("unknown-encoder", step.line, part.encoder[:64])


# The outcome


def has_outcome_check(dialect: Dialect, steps: Sequence[Step]) -> bool:
    """Whether something after the change can tell that it failed. Other executors report errors."""
    every = tuple(walk(steps))
    if dialect in TERMINALS:
        return any(_tells(step) for step in _after_change(every, (Send,)))
    if dialect in (Dialect.CURL, Dialect.FORMS):
        return any(
            isinstance(step, Wait | Forbid) for step in _after_change(every, (curl.Request, curl.Submit))
        )
    if dialect is Dialect.BROWSER:
        return any(isinstance(step, browser.Test) for step in _after_change(every, (browser.Fill,)))
    if dialect is Dialect.X3270:
        checks = _after_change(every, (x3270.Type, x3270.Action))
        return any(isinstance(step, x3270.Search) for step in checks)
    if dialect is Dialect.SELENIUM:
        return any(isinstance(step, selenium.Statement) and step.checks for step in _after_change(every, ()))
    return True


def _after_change(every: Sequence[Step], acts: tuple[type[Step], ...]) -> Sequence[Step]:
    """What follows the last step that sends the new secret; without one, the last act."""
    places = [place for place, step in enumerate(every) if "NEW_PASSWORD" in names_in(step.texts)]
    sent = [place for place in places if not isinstance(every[place], Wait | Forbid | tcl.Clause)]
    if not sent:
        sent = [place for place, step in enumerate(every) if isinstance(step, acts)]
    return every[sent[-1] + 1 :] if sent else every


def _tells(step: Step) -> bool:
    if isinstance(step, Forbid):
        return True
    if isinstance(step, tcl.Exit):
        return step.status != 0
    pattern = step.pattern if isinstance(step, Wait | tcl.Clause) else None
    return pattern is not None and not _is_prompt(pattern) and not _cannot_fail(pattern)


PROMPT_END = re.compile(r"[#>$%:?)~»]\s*\Z")


def _is_prompt(pattern: Pattern) -> bool:
    """A prompt comes back after an error too: no words, or the end that prompts have."""
    if isinstance(pattern, Wildcard):
        text = " ".join(shown(piece) for piece in pattern.pieces)
        tagless = TAG.sub("x", text)
    else:
        text = shown(pattern.texts[0]).strip("/~ ")
        tagless = re.sub(r"\[[^\]]*\]|\\.", "", TAG.sub("x", text))
    return not any(char.isalnum() for char in tagless) or bool(PROMPT_END.search(TAG.sub("x", text)))


def _usage(dialect: Dialect, action: str, steps: Sequence[Step], every: Sequence[Step]) -> Iterator[Finding]:
    if not steps:
        return
    if not has_outcome_check(dialect, steps):
        yield finding("no-outcome-check", steps[-1].line)
    built_in = any(isinstance(step, windows.BuiltIn) and step.verb in BUILT_IN_CHANGES for step in steps)
    sends = [
        text for step in every if not isinstance(step, Wait | Forbid | tcl.Clause) for text in step.texts
    ]
    if (
        action == CHANGE
        and not built_in
        and dialect is not Dialect.ANSIBLE
        and "NEW_PASSWORD" not in names_in(sends)
    ):
        yield finding("secret-not-used", 0)


# Commands


def command_lines(steps: Sequence[Step]) -> Iterator[Typed]:
    """What is typed as more than an answer, and what is run as a command."""
    begun: list[Literal | Tag] = []
    line = 0
    for step in walk(steps):
        if isinstance(step, Send):
            line = line if begun else step.line
            begun += step.text
            if step.newline or _ends_line(step.text):
                if _is_command(tuple(begun)):
                    yield Typed(line, tuple(begun))
                begun = []
            continue
        if begun and isinstance(step, Wait | tcl.Expect):
            begun = []
        if isinstance(step, Command):
            yield Typed(step.line, step.text)
        elif isinstance(step, esxi.Esxcli):
            spaced = [part for word in step.words for part in (*word, Literal(" "))]
            yield Typed(step.line, tuple(spaced))


def _ends_line(text: Text) -> bool:
    return bool(text) and isinstance(text[-1], Literal) and text[-1].text.endswith(("\r", "\n", "\\r", "\\n"))


def _is_command(text: Text) -> bool:
    return any(isinstance(part, Literal) and part.text.strip() for part in text)


def _gapped(text: Text) -> str:
    return "".join(part.text if isinstance(part, Literal) else GAP for part in text)


DANGERS: Final = (
    ("reboots", re.compile(
        r"(?<!no )\b(?:reboot|reload|shutdown|restart|iisreset|restart-(?:service|computer|apppool))\b(?!-)"
        r"|\binit 6\b",
        re.IGNORECASE)),
    ("overwrites-file", re.compile(r"\b(?:echo|printf|cat)\b.*[^0-9&>=-]>[ \t]*(?!>|&|/dev/null)\S")),
    ("value-in-pattern", re.compile(rf"\b(?:sed|awk|perl)\b.*{GAP}", re.DOTALL)),
    ("forces-expiry", re.compile(
        r"\bchage\b.*[ \t]-d[ \t]*[01]\b|\bpasswd\b.*[ \t](?:-e|--expire)\b|/logonpasswordchg:yes",
        re.IGNORECASE)),
)  # fmt: skip


def _command(typed: Typed) -> Iterator[Finding]:
    text = _gapped(typed.text)
    if has_secret(typed.text):
        yield finding("secret-in-command-line", typed.line)
    for code, pattern in DANGERS:
        if pattern.search(text):
            yield finding(code, typed.line)
    if _holds_secret(text):
        yield finding("literal-secret", typed.line)


NAMED_SECRET = re.compile(
    r"(?:^|[\s'\"])(?P<sign>--?|/)?(?P<key>[\w.-]*(?:password|passwd|passphrase|pwd|senha|storepass|keypass)|p|pass)"
    r"(?P<by>[ \t]*[=:][ \t]*|[ \t]+)['\"]?(?P<value>[^\s'\"]+)",
    re.IGNORECASE,
)
KEEPS_SECRETS = re.compile(r"vault|keystore|keytool|truststore|htpasswd", re.IGNORECASE)
NOT_SECRETS: Final = frozenset(
    {"encrypted", "plaintext", "prompt", "never", "policy", "local", "user", "true", "false"}
)


def _holds_secret(text: str) -> bool:
    """A literal behind an option for passwords, or a word of the shape that passwords have."""
    for match in NAMED_SECRET.finditer(text):
        value = match["value"]
        if (
            GAP in value
            or value.startswith(("$", "<", "-"))
            or value.lower() in NOT_SECRETS
            or len(value) < 4
        ):
            continue
        explicit = bool(match["sign"]) or bool(match["by"].strip())
        # A bare `-p` is many things: a port, a path, parents.
        named = len(match["key"]) > 1 or KEEPS_SECRETS.search(text) is not None
        if (explicit and named and "/" not in value) or _is_mixed(value, 2):
            return True
    return any(len(word) >= 8 and _is_mixed(word, 4) for word in re.split(r"[\s'\"=,;]+", text))


def _is_mixed(word: str, kinds: int) -> bool:
    """Holds as many kinds of characters, a digit or sign that secrets have among them."""
    if GAP in word or "/" in word or "\\" in word or word[:1] in ("$", "<", "-", "("):
        return False
    signs = any(char in "@!#$%&*^" for char in word)
    digits = any(char.isdigit() for char in word)
    letters = any(char.islower() for char in word) + any(char.isupper() for char in word)
    return signs + digits + letters >= kinds and (signs or digits) and letters > 0


NAME = re.compile(
    r"\b(?:net[ \t]+user|user-?name|user|passwd|account|login|chpasswd)[ \t]+(?:-\w[ \t]+)*['\"]?"
    r"(?P<name>[A-Za-z_][\w.-]*)",
    re.IGNORECASE,
)
NOT_NAMES: Final = names("""
    set add del delete modify change edit show list password passwd name group local database configure
    config class privilege level secret role authentication encrypted prompt-for-password mgmt id table
    account accounts     user users admin-user local-user profile domain remote and or
    """)


def _fixed_names(steps: Sequence[Step], every: Sequence[Step], action: str) -> Iterator[Finding]:
    """A literal account in a command, where no command of the template names the credential's."""
    typed = list(command_lines(steps))
    named = any("USERNAME" in names_in(step.texts) for step in every if not isinstance(step, Wait | Forbid))
    for each in typed if action == CHANGE and not named else ():
        match = NAME.search(_gapped(each.text))
        if match and match["name"].lower() not in NOT_NAMES:
            yield finding("fixed-user-name", each.line)


ASKS_SECRET = re.compile(r"pass|ssword|senha|kennwort|contrase|mot de passe|secret", re.IGNORECASE)
PLAIN_ANSWERS: Final = frozenset({"yes", "no", "quit", "exit", "true", "false", "end"})


def _answers(every: Sequence[Step]) -> Iterator[Finding]:
    """Literals typed where a secret was asked for."""
    asked = False
    for step in every:
        if isinstance(step, Wait | tcl.Clause):
            pattern = step.pattern
            asked = pattern is not None and bool(ASKS_SECRET.search(" ".join(map(shown, pattern.texts))))
        elif isinstance(step, Send):
            if asked and _is_literal_secret(step.text):
                yield finding("literal-secret", step.line)
            asked = False
        elif isinstance(step, browser.Fill | curl.Field):
            where = step.selector if isinstance(step, browser.Fill) else step.name
            if ASKS_SECRET.search(shown(where)) and _is_literal_secret(step.value):
                yield finding("literal-secret", step.line)
        elif isinstance(step, sql.Statement) and IDENTIFIED.search(_gapped(step.text)):
            yield finding("literal-secret", step.line)


IDENTIFIED = re.compile(rf"\b(?:IDENTIFIED\s+BY|PASSWORD\s*=?)\s*['\"][^'\"{GAP}]+['\"]", re.IGNORECASE)


def _is_literal_secret(text: Text) -> bool:
    """One word that is no plain answer: after a question for a secret, another command may follow instead."""
    whole = "".join(part.text for part in text if isinstance(part, Literal)).strip()
    only = bool(text) and all(isinstance(part, Literal) for part in text)
    return only and len(whole) > 3 and not re.search(r"\s", whole) and whole.lower() not in PLAIN_ANSWERS


# Times, patterns, order


def _times(every: Iterable[Step]) -> Iterator[Finding]:
    for step in every:
        if isinstance(step, SetTimeout):
            if step.timer is not Timer.WHOLE and step.seconds <= 1:
                yield finding("one-second-timeout", step.line)
            if step.timer is not Timer.WHOLE and step.seconds >= 1000:
                yield finding("doubtful-unit", step.line)
        elif isinstance(step, Sleep) and step.seconds >= 1000:
            yield finding("doubtful-unit", step.line)


FOREIGN_WORDS = re.compile(
    r"senha|autentica|dispositivo|usu[aá]rio|sucesso|contrase[nñ]a|kennwort|benutzer|mot de passe",
    re.IGNORECASE,
)


def _patterns(every: Sequence[Step]) -> Iterator[Finding]:
    sent: Text = ()
    for step in every:
        if isinstance(step, Send):
            sent = step.text
        if isinstance(step, tcl.Expect) and not step.minds_timeout:
            yield finding("tcl-goes-on", step.line)
        pattern = step.pattern if isinstance(step, Wait | Forbid | tcl.Clause) else None
        if pattern is not None and _cannot_fail(pattern):
            yield finding("check-cannot-fail", step.line)
        if pattern is not None and FOREIGN_WORDS.search(" ".join(map(shown, pattern.texts))):
            yield finding("not-english", step.line)
        if isinstance(step, Forbid) and _stands_in(step.pattern, sent):
            yield finding("forbidden-always-there", step.line)


def _cannot_fail(pattern: Pattern) -> bool:
    if isinstance(pattern, Wildcard):
        return not any(pattern.pieces)
    return isinstance(pattern, Regex) and bool(re.compile(pattern.pattern, pattern.flags).match(""))


def _stands_in(pattern: Pattern, sent: Text) -> bool:
    if not isinstance(pattern, Wildcard) or not any(pattern.pieces):
        return False
    at = 0
    for piece in map(shown, pattern.pieces):
        at = shown(sent).find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def _order(steps: Sequence[Step]) -> Iterator[Finding]:
    ends = [place for place, step in enumerate(steps) if isinstance(step, End | tcl.Exit)]
    if ends and ends[0] + 1 < len(steps):
        yield finding("after-end", steps[ends[0] + 1].line)
    if any(isinstance(step, Option) and step.name == "set-prompt" for step in steps):
        return
    unanswered = False
    for step in steps:
        if isinstance(step, Send):
            if unanswered:
                yield finding("sends-without-wait", step.line)
            unanswered = step.newline
        elif isinstance(step, Wait | Forbid | Sleep):
            unanswered = False


# Comments

PRODUCTS: Final = names("""
    nokia huawei cisco ericsson juniper fortigate fortinet checkpoint oracle mysql postgresql tellabs alcatel
    zte 3com dell hp ilo idrac ibm as400 racf linux windows solaris aix vmware websphere weblogic jboss
    tomcat sap mikrotik aruba avaya brocade netapp emc hitachi citrix f5 bigip paloalto
    siemens samsung italtel rnc bsc
    """)


def _comments(lines: Iterable[Line], name: str) -> Iterator[Finding]:
    own = _products(name)
    for line in lines:
        if own and line.is_comment and (named := _products(line.text)) and not named & own:
            yield finding("another-product-named", line.number)


def _products(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower())) & PRODUCTS
