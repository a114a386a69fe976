"""Checks of what people type into the catalog's fields. Each raises BadInput, or returns what is kept."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Column, String

from engine.catalog import names
from engine.catalog.errors import BadInput

FAKE: Final = "fake"  # the executor whose targets are files
MAX_TAGS: Final = 64
_PART: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123, 2.1, and '_'
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_PART}(?:\.{_PART})*\.?")


def device_name(text: str) -> str:
    """In lower case, because device names are compared as DNS compares hosts (RFC 4343)."""
    try:
        return names.device_name(text).lower()
    except names.BadName as error:
        raise BadInput("device", str(error)) from None


def credential_name(text: str) -> names.CredentialName:
    """Split, checked and normalised."""
    try:
        return names.parse_credential_name(text).normalised
    except names.BadName as error:
        raise BadInput("credential", str(error)) from None


def label(field: str, text: str) -> str:
    if not names.LABEL.fullmatch(text):
        raise BadInput(
            field, "write 1 to 64 letters, digits, '.', '-' or '_', beginning with a letter or digit"
        )
    return text


def fitting(column: Column[Any], text: str) -> str:
    """Free text, as long as its column allows, without characters that reorder, end or hide a line."""
    limit = column.type.length if isinstance(column.type, String) else None
    if limit is not None and len(text) > limit:
        raise BadInput(column.name, f"it is longer than {limit} characters; shorten it")
    if fault := names.character_fault(text):
        raise BadInput(column.name, f"it holds {fault}; remove it")
    return text


def reason(column: Column[Any], text: str) -> str:
    if not text.strip():
        raise BadInput(column.name, "it is empty; say why, whoever finds this later needs it")
    return fitting(column, text)


def tags(given: tuple[str, ...]) -> list[str]:
    """Each once, sorted."""
    if len(given) > MAX_TAGS:
        raise BadInput("tags", f"there are more than {MAX_TAGS}; give fewer")
    return sorted({label("tags", tag) for tag in given})


def ports(given: Mapping[str, int]) -> dict[str, int]:
    """Port by service."""
    if not given:
        raise BadInput("ports", "there is none; give at least one as SERVICE=PORT, such as ssh=22")
    for service, port in given.items():
        label("ports", service)
        if type(port) is not int or not 1 <= port <= 65_535:
            raise BadInput("ports", f"{service} must be a whole number from 1 to 65535")
    return {service.lower(): port for service, port in given.items()}


def address(text: str, known_ports: Mapping[str, int]) -> str:
    """An IP address, a host name, or the path of a fake target's file."""
    if text.startswith("/"):
        return _path(text, known_ports)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if text.startswith("["):
        raise BadInput("address", "write an IPv6 address without brackets, such as 2001:db8::1")
    numbers_only = (
        text.rstrip(".").rpartition(".")[2].isdigit()
    )  # no top-level domain is a number (RFC 3696, 2)
    if not _HOST.fullmatch(text) or numbers_only:
        raise BadInput(
            "address", "this is no IPv4 address, IPv6 address or host name; a port goes into --port"
        )
    return text


def _path(text: str, known_ports: Mapping[str, int]) -> str:
    if FAKE not in known_ports:
        raise BadInput("address", f"a path is the address of a {FAKE} target only; give it the port {FAKE}=1")
    if len(text) > 4096 or names.character_fault(text):  # PATH_MAX of Linux
        raise BadInput("address", "the path is too long, or holds a control character")
    return text
