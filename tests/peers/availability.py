"""Whether a real server could be had: a test that needs one skips without it, or fails when CI=true."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

PEERS = ("sshd", "postgresql", "redis", "rabbitmq", "prometheus", "rsyslog", "syslog-ng")
_asked: dict[str, bool] = {}


def strict() -> bool:
    """Continuous integration tolerates no missing peer and no skipped test."""
    return os.environ.get("CI") == "true"


def require_peer(name: str, found: bool, how: str) -> None:
    """Remember whether the peer was found; without it, skip the test (or fail it when CI=true).

    `how` tells a person how to get the peer.
    """
    _asked[name] = found
    if found:
        return
    message = f"no {name} here: {how}"
    if strict():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def asked() -> dict[str, bool]:
    """Which peers were asked for in this process, and whether each was found."""
    return dict(_asked)


def remember(found: Mapping[str, bool]) -> None:
    """What another process of the same test run asked for."""
    for name, there in found.items():
        _asked[name] = _asked.get(name, True) and there


def summary(skipped: int) -> str:
    """One line for the end of the test report."""
    words = {True: "yes", False: "no", None: "not asked for"}
    peers = ", ".join(f"{name} {words[_asked.get(name)]}" for name in dict.fromkeys((*PEERS, *_asked)))
    verdict = ", which CI=true does not tolerate" if skipped and strict() else ""
    return f"peers: {peers}; tests skipped: {skipped}{verdict}"
