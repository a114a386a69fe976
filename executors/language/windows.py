"""Windows: WinRM (`!verbs`, `powershell` lines with [nl], commands), RPC (`!verbs`, commands), SMB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from executors.language.findings import Finding, finding
from executors.language.source import Line
from executors.language.steps import Command, Sleep, Step
from executors.language.tags import text_of

NEW_LINE = re.compile(r"\[nl\]", re.IGNORECASE)
SECONDS = re.compile(r"[0-9]{1,6}")
POWERSHELL = re.compile(r"powershell(?:\.exe)?[ \t]+(?=\S)", re.IGNORECASE)
# Programs that a line of cmd.exe begins with in templates; such a line never continues a PowerShell one.
PROGRAMS = re.compile(
    r"(?:net1?|sc|schtasks|appcmd|%\S+|reg|wmic|cmd|dsmod|dsquery|netsh|icacls|ksetup|nltest|cscript|setx"
    r"|iisreset|taskkill|timeout|cd|echo|copy|del|psexec|[A-Za-z]:\\\S*|\"[A-Za-z]:\\[^\"]*\")"
    r"(?:\.exe)?(?:[ \t]|\Z)",
    re.IGNORECASE,
)
OPEN, CLOSE = "({[", ")}]"


class Verb(StrEnum):
    UNSECURE = "!unsecure"  # HTTP, port 5985
    CHANGE_PASSWORD = "!change-password"  # noqa: S105 - the built-in reset of the target account
    NETSMB_PASSWORD = "!netsmb-password"  # noqa: S105 - the change over SMB
    RELOAD_PASSWORD = "!reload-password"  # noqa: S105 - from here on log in with the new one
    SMBPASSWD = "smbpasswd"


@dataclass(frozen=True, slots=True)
class BuiltIn(Step):
    verb: Verb


@dataclass(frozen=True, slots=True)
class PowerShell(Command):
    """A script of one or more lines."""


WINRM: Final = frozenset({Verb.UNSECURE, Verb.CHANGE_PASSWORD, Verb.RELOAD_PASSWORD})
RPC: Final = frozenset({Verb.NETSMB_PASSWORD, Verb.RELOAD_PASSWORD})


def parse_winrm(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    script: list[str] = []  # the physical lines of the PowerShell line being read
    begun = 0
    for line in lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        if script and _goes_on(text):
            notes.append(finding("continued-line", line.number))
            script.append(text)
            continue
        if script:
            steps.append(_script(begun, script))
            script = []
        if match := POWERSHELL.match(text):
            script, begun = [text[match.end() :]], line.number
        else:
            steps += _step(line.number, text, WINRM, notes)
    if script:
        steps.append(_script(begun, script))
    return tuple(steps)


def parse_rpc(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    saying = [line for line in lines if line.says_something]
    return tuple(step for line in saying for step in _step(line.number, line.text.strip(), RPC, notes))


def parse_smb(lines: Sequence[Line], notes: list[Finding]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in lines:
        if line.text.strip().lower() == Verb.SMBPASSWD:
            steps.append(BuiltIn(line.number, Verb.SMBPASSWD))
        elif line.says_something:
            notes.append(finding("unknown-directive", line.number))
    return tuple(steps)


def _goes_on(text: str) -> bool:
    """Whether a line below a PowerShell one belongs to it: it is neither a verb, nor PowerShell anew, nor a
    program of its own. PowerShell's brackets need not be open: a pipe at a line's start goes on as well."""
    return not (text.startswith("!") or POWERSHELL.match(text) or PROGRAMS.match(text))


def _script(line: int, script: list[str]) -> PowerShell:
    """A physical break is a new line of the script only where [nl] says so; else it is a blank."""
    return PowerShell(line, text_of(NEW_LINE.sub("\n", " ".join(script)).strip()))


def _step(line: int, text: str, verbs: frozenset[Verb], notes: list[Finding]) -> list[Step]:
    if not text.startswith("!"):
        return [Command(line, text_of(text))]
    word, _, rest = text.partition(" ")
    if word.lower() == "!sleep":
        if SECONDS.fullmatch(rest.strip()):
            return [Sleep(line, float(rest))]
        notes.append(finding("bad-number", line))
        return []
    if word.lower() not in set(Verb):
        notes.append(finding("unknown-directive", line, word[:40]))
        return []
    verb = Verb(word.lower())
    if verb not in verbs:
        notes.append(finding("foreign-directive", line, verb.value))
    if verb is Verb.UNSECURE:
        notes.append(finding("unsecure-transport", line))
    return [BuiltIn(line, verb)]
