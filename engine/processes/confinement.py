"""Giving up, for good, the ability to connect to anything but the ports that this process needs.

Linux's Landlock (kernel documentation, userspace-api/landlock; network rules since ABI 4, Linux 6.7) takes
effect for this thread and all that it starts from then on, and cannot be taken back. It knows ports, not
addresses: targets that listen on the database's or the broker's port are for the network to keep away. It
looks at connect(2) of TCP sockets only, so a filter of system calls (userspace-api/seccomp_filter) closes
the ways around it: Multipath TCP, and data sent along with the first packet (MSG_FASTOPEN, sendto(2)).
Datagrams pass.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Collection, Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all architectures
VERSION_FLAG = 1
NET_ABI = 4
CONNECT_TCP = 1 << 1
RULE_NET_PORT = 2
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
IPPROTO_MPTCP = 262
MSG_FASTOPEN = 0x20000000

# By machine: its name for the kernel (linux/audit.h), and numbers of system calls (asm/unistd.h).
_SOCKET, _SENDTO, _SENDMSG, _SENDMMSG, _IO_URING_SETUP = range(5)
_MACHINES = {
    "x86_64": (0xC000003E, (41, 44, 46, 307, 425)),
    "aarch64": (0xC00000B7, (198, 206, 211, 269, 425)),
}
# Classic BPF (linux/bpf_common.h, linux/seccomp.h): load a word of the call, compare, answer.
_LOAD, _EQUAL, _HAS_BITS, _ANSWER = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES

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
    _close_ways_around()
    return True


def _close_ways_around() -> None:
    """Where the machine's numbers are not known, they stay open."""
    if platform.machine() not in _MACHINES:
        return
    program = _filter(*_MACHINES[platform.machine()])
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))  # struct sock_fprog
    if _LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _filter(machine: int, calls: Sequence[int]) -> bytes:
    """Calls in another machine's numbers are refused altogether: they would be others here."""
    code = [
        _step(_LOAD, _MACHINE_AT),
        *_unless(_EQUAL, machine, _REFUSE),
        _step(_LOAD, _NUMBER_AT),
        *_if(_HAS_BITS, 1 << 30, _REFUSE),  # x32
        *_if(_EQUAL, calls[_IO_URING_SETUP], _REFUSE),  # its requests are no system calls
        *_if_argument(calls[_SOCKET], 2, _EQUAL, IPPROTO_MPTCP),
        *_if_argument(calls[_SENDTO], 3, _HAS_BITS, MSG_FASTOPEN),
        *_if_argument(calls[_SENDMSG], 2, _HAS_BITS, MSG_FASTOPEN),
        *_if_argument(calls[_SENDMMSG], 3, _HAS_BITS, MSG_FASTOPEN),
        _step(_ANSWER, _ALLOW),
    ]
    return b"".join(code)


def _if_argument(number: int, which: int, compare: int, value: int) -> list[bytes]:
    """Refuse the call if its argument, by the lower half of 64 bits, compares."""
    judged = [
        _step(_LOAD, _ARGUMENTS_AT + 8 * which),
        *_if(compare, value, _REFUSE),
        _step(_ANSWER, _ALLOW),
    ]
    return [_step(_EQUAL, number, 0, len(judged)), *judged]


def _if(compare: int, value: int, answer: int) -> list[bytes]:
    return [_step(compare, value, 0, 1), _step(_ANSWER, answer)]


def _unless(compare: int, value: int, answer: int) -> list[bytes]:
    return [_step(compare, value, 1, 0), _step(_ANSWER, answer)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)  # struct sock_filter


def _call(number: int, *arguments: object) -> int:
    done = int(_LIBC.syscall(number, *arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused to confine this process")
    return done
