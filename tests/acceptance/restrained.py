"""A process as a container would have it: no capability, files writable in the named places alone.

Run as `python -m tests.acceptance.restrained PLACE… -- COMMAND…`. Landlock (kernel documentation,
userspace-api/landlock) stands in for the read-only root: it takes what a mount would take.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
# Writing, removing and making entries of all kinds, truncating (linux/landlock.h); reading stays as it is.
WRITING = (1 << 1) | sum(1 << bit for bit in range(4, 13)) | (1 << 14)
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT, CLEAR_ALL = 38, 24, 47, 4
CAPABILITIES = 64
CAPABILITY_VERSION = 0x20080522

_LIBC = ctypes.CDLL(None, use_errno=True)


def restrain(places: Sequence[Path]) -> None:
    """Raises OSError where the kernel cannot."""
    ruleset = _called(_LIBC.syscall(CREATE_RULESET, struct.pack("=QQ", WRITING, 0), 16, 0))
    for place in (*places, Path(os.devnull)):
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        allowed = WRITING if place.is_dir() else (1 << 1) | (1 << 14)
        rule = struct.pack("=Qi", allowed, opened)
        _called(_LIBC.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0))
        os.close(opened)
    _called(_LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _called(_LIBC.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    if os.geteuid() == 0:
        _drop_capabilities()


def _drop_capabilities() -> None:
    _called(_LIBC.prctl(PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0))
    for capability in range(CAPABILITIES):
        _LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that the kernel does not know are refused
    header, none = struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)
    _called(_LIBC.capset(header, none))


def _called(answer: int) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused")
    return answer


def main() -> None:
    split = sys.argv.index("--")
    restrain([Path(place) for place in sys.argv[1:split]])
    command = sys.argv[split + 1 :]
    os.execv(command[0], command)  # noqa: S606 - it is what this file is for


if __name__ == "__main__":
    main()
