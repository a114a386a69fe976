"""Names of credentials and devices: how they are written, split, checked and compared."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from engine.store.errors import KeyturnError, Kind

MAX_USERNAME: Final = 255  # characters, as the account's column; Linux stops at 32, AD's logon names at 256
DEVICE: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._:-]{0,252}[A-Za-z0-9_:])?")
LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?")  # domains and services

# Unicode's Bidi_Control property (PropList.txt): these reorder what people read.
BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CATEGORIES: Final = {
    "Cc": "a control character",
    "Cs": "a lone surrogate, which is not valid UTF-8",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


class BadName(KeyturnError):
    """A name cannot be used. The message says which and how to write it."""

    code = "bad_name"
    kind = Kind.INVALID


def character_fault(text: str) -> str | None:
    """What character in `text` no value may hold, in words that do not quote it; None if there is none."""
    for char in text:
        if char in BIDI_CONTROLS:
            return "a bidirectional control character"
        if fault := _CATEGORIES.get(unicodedata.category(char)):
            return fault
    return None


def username_fault(name: str) -> str | None:
    """Why `name` cannot be a user name, as a sentence without subject; None if it can.

    A leading '-' would be read as an option by commands (POSIX 12.2, guideline 4); ':' separates fields in
    passwd(5), chpasswd(8) and HTTP Basic (RFC 7617), where it would turn one account's name into another's.
    """
    if not name:
        return "is empty"
    if len(name) > MAX_USERNAME:
        return f"is longer than {MAX_USERNAME} characters"
    if fault := character_fault(name):
        return f"holds {fault}; remove it"
    if any(unicodedata.category(char) == "Cf" for char in name):
        return "holds an invisible formatting character; remove it"
    if not unicodedata.is_normalized("NFC", name):
        return "is not in Unicode form NFC; type it again with composed letters"
    if name != name.strip():
        return "begins or ends with a space; remove it"
    if name.startswith("-"):
        return "begins with '-', which commands read as an option"
    if ":" in name:
        return "holds ':', which separates fields in passwd files and login protocols"
    return None


def device_name(text: str) -> str:
    """The device's name as it is kept. Raises BadName."""
    if not DEVICE.fullmatch(text):
        raise BadName("a device name is 1 to 254 letters, digits, '.', '-', '_' or ':', without '@' and '/'")
    return text


@dataclass(frozen=True, slots=True)
class CredentialName:
    r"""`[DOMAIN\]USER@DEVICE[/SERVICE]`; a domain account exists once and is used on many devices."""

    username: str
    device: str
    domain: str | None = None
    service: str | None = None

    def __post_init__(self) -> None:
        if fault := username_fault(self.username):
            raise BadName(f"the user name {fault}")
        if "\\" in self.username:
            raise BadName("the user name holds '\\'; write the part before it as the domain")
        device_name(self.device)
        for what, text in (("domain", self.domain), ("service", self.service)):
            if text is not None and not LABEL.fullmatch(text):
                raise BadName(f"a {what} name is 1 to 64 letters, digits, '.', '-' or '_'")

    def __str__(self) -> str:
        domain = f"{self.domain}\\" if self.domain else ""
        service = f"/{self.service}" if self.service else ""
        return f"{domain}{self.username}@{self.device}{service}"

    @property
    def normalised(self) -> CredentialName:
        """The form to compare: devices, domains and services ignore case, user names do not."""
        return CredentialName(
            self.username,
            self.device.lower(),
            self.domain and self.domain.lower(),
            self.service and self.service.lower(),
        )


def parse_credential_name(text: str) -> CredentialName:
    """Split at the last '@', because user names may hold one (`ann@corp.example@web1`). Raises BadName."""
    account, at, place = text.rpartition("@")
    if not at:
        raise BadName("write the credential as USER@DEVICE, or in full as DOMAIN\\USER@DEVICE/SERVICE")
    domain, backslash, username = account.rpartition("\\")
    if "\\" in domain:
        raise BadName("the name holds more than one '\\'; write DOMAIN\\USER@DEVICE")
    device, slash, service = place.partition("/")
    return CredentialName(
        normalise_username(username),
        device,
        domain if backslash else None,
        service if slash else None,
    )


def normalise_username(name: str) -> str:
    """NFC and nothing else: Linux names are case-sensitive; composed and decomposed letters look the same."""
    return unicodedata.normalize("NFC", name)


def normalise_authority(name: str) -> str:
    """Authorities are hosts, domains and clusters, which DNS compares without case (RFC 4343)."""
    return name.lower()
