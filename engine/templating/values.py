"""Typed values of tags: each is checked for its kind before it comes near a template."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

from engine.catalog.names import character_fault, username_fault
from engine.templating.errors import BadValue
from executors.contract import Secret, Value, ValueKind

MAX_SECRET: Final = 4096  # characters; cloud tokens stay below
MAX_TEXT: Final = 4096
MAX_HOST: Final = 253  # RFC 1035 2.3.4, as text without the final dot
_LABEL: Final = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
)  # RFC 1123 2.1, and Windows' '_'
_ZONE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")  # RFC 6874: an interface's name
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


def check(kind: ValueKind, content: str | Secret, tag: str | None = None) -> Value:
    """The value, once it is known to be fit for its kind. `tag` is its name in errors. Raises BadValue."""
    name = tag or kind.value
    if isinstance(content, Secret) != (kind is ValueKind.SECRET):
        wanted = "must be a Secret" if kind is ValueKind.SECRET else "must not be a Secret"
        raise BadValue(name, wanted + "; this is a mistake in the engine, report it")
    text = content.reveal() if isinstance(content, Secret) else content
    if fault := _FAULTS[kind](text):
        raise BadValue(name, fault)
    return Value(kind, content)


def _secret_fault(text: str) -> str | None:
    """Kept exactly as it is, composed or not: two forms of one letter are two passwords."""
    if not text:
        return "is empty; set the secret"
    return _text_fault(text, MAX_SECRET)


def _free_text_fault(text: str) -> str | None:
    return _text_fault(text, MAX_TEXT)


def _text_fault(text: str, limit: int) -> str | None:
    if len(text) > limit:
        return f"is longer than {limit} characters; shorten it"
    fault = character_fault(text)
    return f"holds {fault}; set one without" if fault else None


def _host_fault(text: str) -> str | None:
    if _is_address(text):
        return None
    name = text.removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return (
            "is no host name or IP address; write letters, digits, '-', '_' and dots (other scripts as xn--…)"
        )
    if labels[-1].isdigit():
        return "ends in a number but is no IPv4 address; write four numbers from 0 to 255"
    return None


def _is_address(text: str) -> bool:
    address, percent, zone = text.partition("%")
    if percent and not (":" in address and _ZONE.fullmatch(zone)):
        return False
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _port_fault(text: str) -> str | None:
    if _PORT.fullmatch(text) and int(text) <= 65535:
        return None
    return "is no port; write a number from 1 to 65535"


_FAULTS: Final[Mapping[ValueKind, Callable[[str], str | None]]] = {
    ValueKind.USERNAME: username_fault,
    ValueKind.HOSTNAME: _host_fault,
    ValueKind.PORT: _port_fault,
    ValueKind.SECRET: _secret_fault,
    ValueKind.TEXT: _free_text_fault,
}
