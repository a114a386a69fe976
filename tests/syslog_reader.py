"""Strict readers of what the engine sends to SIEM, written from RFC 5424 and the CEF guide alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(
    rb"<(0|[1-9]\d{0,2})>1 "
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
_NAME = rb"[!#-<>-\\^-~]{1,32}"  # PRINTUSASCII without '=', SP, ']' and '"'
_ELEMENT = re.compile(rb"\[(" + _NAME + rb")")
_PARAMETER = re.compile(rb" (" + _NAME + rb')="((?:[^"\\\]]|\\["\\\]])*)"')
_CEF = re.compile(r"CEF:0\|" + r"((?:[^|\\\r\n]|\\[|\\])*)\|" * 6, re.DOTALL)
_PAIR = re.compile(r"([A-Za-z0-9]+)=((?:[^\\=\r\n]|\\[\\=nr])*?)(?= [A-Za-z0-9]+=|\Z)")
_EXTENSION_ESCAPES = {"\\\\": "\\", "\\=": "=", "\\n": "\n", "\\r": "\r"}


class NotAsDefined(AssertionError):
    """Where the message leaves the grammar."""


@dataclass(frozen=True)
class Message:
    priority: int
    at: datetime
    host: str
    app: str
    process: str
    msgid: str
    data: dict[str, dict[str, str]]
    text: str
    has_bom: bool


@dataclass(frozen=True)
class Cef:
    vendor: str
    product: str
    release: str
    id: str
    name: str
    severity: int
    extension: dict[str, str]


def read_rfc5424(message: bytes) -> Message:
    found = _HEADER.match(message)
    if found is None:
        raise NotAsDefined(f"header: {message[:120]!r}")
    priority, at, host, app, process, msgid = (group.decode("ascii") for group in found.groups())
    if int(priority) > 191:
        raise NotAsDefined(f"priority {priority}")
    data, rest = _structured_data(message[found.end() :])
    if rest[:1] not in (b"", b" "):
        raise NotAsDefined(f"after the structured data: {rest[:40]!r}")
    body = rest[1:]
    has_bom = body.startswith(BOM)
    text = body.removeprefix(BOM).decode("utf-8")
    return Message(int(priority), datetime.fromisoformat(at), host, app, process, msgid, data, text, has_bom)


def read_structured_data(text: str) -> dict[str, dict[str, str]]:
    data, rest = _structured_data(text.encode())
    if rest:
        raise NotAsDefined(f"after the structured data: {rest[:40]!r}")
    return data


def _structured_data(left: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    data: dict[str, dict[str, str]] = {}
    while element := _ELEMENT.match(left):
        name, left = element[1].decode("ascii"), left[element.end() :]
        if name in data:
            raise NotAsDefined(f"two elements {name}")
        data[name] = {}
        while parameter := _PARAMETER.match(left):
            key, left = parameter[1].decode("ascii"), left[parameter.end() :]
            if key in data[name]:
                raise NotAsDefined(f"two parameters {key}")  # legal, and of no use to anybody
            data[name][key] = re.sub(r'\\(["\\\]])', r"\1", parameter[2].decode("utf-8"))
        if not left.startswith(b"]"):
            raise NotAsDefined(f"structured data: {left[:80]!r}")
        left = left[1:]
    if not data:
        raise NotAsDefined(f"no structured data: {left[:80]!r}")
    return data, left


def read_cef(text: str) -> Cef:
    found = _CEF.match(text)
    if found is None:
        raise NotAsDefined(f"CEF header: {text[:160]!r}")
    header = [re.sub(r"\\([|\\])", r"\1", group) for group in found.groups()]
    vendor, product, release, number, name, severity = header
    if severity not in map(str, range(11)):
        raise NotAsDefined(f"severity {severity}")
    return Cef(vendor, product, release, number, name, int(severity), _extension(text[found.end() :]))


def _extension(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    place = 0
    while place < len(text):
        found = _PAIR.match(text, place)
        if found is None:
            raise NotAsDefined(f"extension: {text[place : place + 80]!r}")
        if found[1] in pairs:
            raise NotAsDefined(f"two keys {found[1]}")
        pairs[found[1]] = re.sub(r"\\[\\=nr]", lambda escape: _EXTENSION_ESCAPES[escape[0]], found[2])
        place = found.end() + 1
    return pairs


def read_frames(stream: bytes) -> tuple[list[bytes], bytes]:
    """The messages of an octet-counted stream (RFC 5425, 4.3), and what is left of an unfinished one."""
    messages = []
    while found := re.match(rb"([1-9]\d*) ", stream):
        end = found.end() + int(found[1])
        if len(stream) < end:
            break
        messages.append(stream[found.end() : end])
        stream = stream[end:]
    if stream and not re.match(rb"[1-9]\d*( |\Z)", stream):
        raise NotAsDefined(f"frame: {stream[:40]!r}")
    return messages, stream
