"""Keeps ad hoc runs away from what a running engine manages: two writers of one password would lose it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from engine.cli.client import endpoint
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import Shared

THIS_MACHINE: Final = "this machine"


def refuse_managed(shared: Shared, address: str) -> None:
    """Raises CommandFailed if a device of the running engine has this address, whatever its port."""
    if shared.data is None or endpoint(shared.data) is None:
        return
    try:
        devices = shared.client().get("/devices")
    except CommandFailed as failed:
        if failed.exit_code == Exit.NO_ENGINE:
            return  # it has ended, or was killed, and left its file
        raise
    target = places(address)
    for device in devices:
        if target & places(device["address"]):
            raise input_refused(
                f"{address} is managed by the running engine as device {device['name']}; "
                "ask it for an operation instead: an ad hoc change would not be in the vault",
                "managed_address",
            )


def places(address: str) -> frozenset[str]:
    """All that the address may mean: itself, and the IP addresses that it resolves to."""
    return frozenset({address.lower().rstrip("."), *map(_canonical, _resolved(address))})


def is_loopback(address: str) -> bool:
    """Whether it leads to this machine and nowhere else."""
    found = [ipaddress.ip_address(each) for each in _resolved(address)]
    return bool(found) and all(each.is_loopback for each in found)


def _resolved(address: str) -> Iterable[str]:
    with suppress(ValueError):
        return [str(ipaddress.ip_address(address))]
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return ()


def _canonical(text: str) -> str:
    """One text an address; every loopback and unspecified address is the same machine."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return THIS_MACHINE if address.is_loopback or address.is_unspecified else str(address)
