"""Giving up, for good, the ability to connect to anything but the ports that this process needs.

Linux's Landlock (kernel documentation, userspace-api/landlock; network rules since ABI 4, Linux 6.7) takes
effect for this thread and all that it starts from then on, and cannot be taken back. It knows ports, not
addresses: targets that listen on the database's or the broker's port are for the network to keep away.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Collection

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all architectures
VERSION_FLAG = 1
NET_ABI = 4
CONNECT_TCP = 1 << 1
RULE_NET_PORT = 2
PR_SET_NO_NEW_PRIVS = 38

_LIBC = ctypes.CDLL(None, use_errno=True)


def available() -> bool:
    """Whether this kernel can confine a process's connections."""
    return int(_LIBC.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)) >= NET_ABI


def connect_only_to(ports: Collection[int]) -> bool:
    """Confine this thread and what it starts. False: this kernel cannot. Raises OSError."""
    if not available():
        return False
    attributes = struct.pack("=QQ", 0, CONNECT_TCP)  # struct landlock_ruleset_attr: handled fs, handled net
    ruleset = _call(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for port in ports:
            rule = struct.pack("=QQ", CONNECT_TCP, port)  # struct landlock_net_port_attr
            _call(ADD_RULE, ruleset, RULE_NET_PORT, rule, 0)
        if _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl failed")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _call(number: int, *arguments: object) -> int:
    done = int(_LIBC.syscall(number, *arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused to confine this process")
    return done
