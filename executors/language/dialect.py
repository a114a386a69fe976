"""Which dialect a body really is: the folder's own, unless the content clearly is of another one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from executors.language import browser, curl, ldap, ssh, tk, x3270
from executors.language.lines import WORD
from executors.language.source import Line


class Dialect(StrEnum):
    SSH = "ssh"
    SSH_LEGACY = "ssh_legacy"
    TELNET = "telnet"
    TK = "tk_expect"
    WINRM = "winrm"
    RPC = "windows_rpc"
    SMB = "windows_smb"
    SQL = "sql"
    LDAP = "ldap"
    CURL = "curl"
    FORMS = "forms"
    BROWSER = "browser"
    SELENIUM = "selenium"
    X3270 = "x3270"
    ESXI = "esxi"
    ANSIBLE = "ansible"


OF_EXECUTOR: Final[Mapping[str, Dialect]] = {
    "ssh": Dialect.SSH,
    "ssh_legacy": Dialect.SSH_LEGACY,
    "telnet": Dialect.TELNET,
    "tk_expect": Dialect.TK,
    "winrm": Dialect.WINRM,
    "windows_rpc": Dialect.RPC,
    "windows_smb": Dialect.SMB,
    "http": Dialect.BROWSER,
    "curl": Dialect.CURL,
    "selenium": Dialect.SELENIUM,
    "ldap": Dialect.LDAP,
    "postgresql": Dialect.SQL,
    "mysql": Dialect.SQL,
    "oracle": Dialect.SQL,
    "sql_server": Dialect.SQL,
    "esxi": Dialect.ESXI,
    "x3270": Dialect.X3270,
    "ansible": Dialect.ANSIBLE,
}

TERMINALS: Final = frozenset({Dialect.SSH, Dialect.SSH_LEGACY, Dialect.TELNET, Dialect.TK})
TERMINAL_WORDS: Final = (ssh.DIRECTIVES.keys() | tk.DIRECTIVES.keys()) - {"end", "sleep"} | {"send"}
WORDS: Final[Mapping[Dialect, frozenset[str]]] = {
    Dialect.SSH: frozenset(TERMINAL_WORDS),
    Dialect.LDAP: ldap.VERBS,
    Dialect.CURL: frozenset(curl.REQUESTS) - frozenset(curl.CHECKS),
    Dialect.FORMS: frozenset({"get", "select-button", "fill-form", "submit"}),
    Dialect.BROWSER: frozenset(browser.DIRECTIVES) - {"sleep", "timeout", "log"},
    Dialect.X3270: x3270.WORDS - {"sleep", "timeout"},
}
"""Words that speak for a dialect, as the first of a line."""

SURE: Final[Mapping[Dialect, re.Pattern[str]]] = {
    Dialect.TK: re.compile(r"use[ \t]+(?:telnet|ssh|tds)\b"),
    Dialect.FORMS: re.compile(r"(?:select-button|fill-form)[ \t]"),
    Dialect.BROWSER: re.compile(r"start-at[ \t]"),
    Dialect.CURL: re.compile(r"(?:set-request-|set-oauth2|request[ \t])"),
    Dialect.LDAP: re.compile(r"mod-(?:add|del|replace)[ \t]"),
    Dialect.SELENIUM: re.compile(r"(?:self\.)?driver\."),
}
"""Lines that no other dialect has."""


def dialect_of(lines: Sequence[Line], executor: str) -> tuple[Dialect, bool]:
    """The dialect to read a body by, and whether that is the executor's own."""
    own = OF_EXECUTOR[executor]
    saying = [line.text.strip() for line in lines if line.says_something]
    found = _by_content(saying, own)
    if found is None or found is own or (found is Dialect.SSH and own in TERMINALS):
        return own, True
    return found, False


def _by_content(saying: Sequence[str], own: Dialect) -> Dialect | None:
    """What the content speaks for, if it does so clearly: a sure line, or most lines' words."""
    if saying and SURE[Dialect.TK].match(saying[0]):
        return Dialect.TK
    if own in (Dialect.WINRM, Dialect.RPC, Dialect.ESXI, Dialect.SQL, Dialect.SELENIUM):
        return _of_free_form(saying, own)
    words = Counter(dialect for text in saying for dialect in _spoken_for(text))
    if words[own] * 2 > len(saying):
        return own
    sure = [dialect for dialect, pattern in SURE.items() if any(pattern.match(text) for text in saying)]
    if own not in sure and sure:
        return sure[0]
    best, votes = max(words.items(), key=lambda item: item[1], default=(own, 0))
    return best if votes > max(words[own], len(saying) // 3) else own


def _of_free_form(saying: Sequence[str], own: Dialect) -> Dialect | None:
    """Any line is a command there; only directives with quoted arguments speak against it."""
    quoted = [text for text in saying if re.match(r'[a-z0-9-]+[ \t]+"', text) or text == "end"]
    words = Counter(dialect for text in quoted for dialect in _spoken_for(text))
    if words and (best := words.most_common(1)[0])[1] * 2 > len(saying):
        return best[0]
    return own


def _spoken_for(text: str) -> list[Dialect]:
    match = WORD.match(text)
    if match is None:
        return []
    return [dialect for dialect, words in WORDS.items() if match[1].lower() in words]
