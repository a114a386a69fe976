"""The fork server: one thread, one loop, no secret ever in it.

A datagram on the control socket with one descriptor asks for a child on that descriptor; the answer is the
child's pid and pidfd. When the worker is gone, however it went, all children are killed and the server ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from engine.work.forkserver import child
from executors import registry

ANSWER_LIMIT = 4096  # bytes of one control message


class ThreadStarted(RuntimeError):
    """Loading an executor started a thread: a fork copies its locks, not the thread."""


def serve(control: socket.socket, worker_fd: int, hold: Sequence[int]) -> None:
    """`worker_fd` is a pidfd of the worker: it tells of its death even where a fork of it still holds the
    control socket.

    `hold` are descriptors kept open, here and in every child, as long as the process lives.
    """
    _signals()
    try:
        preload(control.recv(ANSWER_LIMIT).decode().split())
    except (registry.ExecutorUnavailable, ThreadStarted) as error:
        control.send(f"error: {error}".encode()[:ANSWER_LIMIT])
        return
    control.send(b"ready")
    children: dict[int, int] = {}  # pid by pidfd
    try:
        with suppress(ConnectionError):  # the worker went while it was being answered
            _loop(control, worker_fd, hold, children)
    finally:
        for pidfd, pid in children.items():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)


def preload(names: Sequence[str]) -> None:
    """Load the executors named, then hide everything loaded from the collector, so that pages stay shared."""
    for name in names:
        registry.load(name)
    if threading.active_count() > 1:
        raise ThreadStarted(
            f"loading {', '.join(names)} started a thread; an executor must not do that on import"
        )
    gc.collect()
    gc.freeze()


def _loop(control: socket.socket, worker_fd: int, hold: Sequence[int], children: dict[int, int]) -> None:
    poll = select.poll()
    for fd in (control.fileno(), worker_fd):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in children:
                poll.unregister(fd)
                os.waitpid(children.pop(fd), 0)
                os.close(fd)
            elif fd == worker_fd:
                return
            else:
                request, links, _, _ = socket.recv_fds(control, ANSWER_LIMIT, 1)
                if not request or len(links) != 1:
                    return
                pidfd = _fork(control, links[0], hold, children)
                if pidfd is not None:
                    poll.register(pidfd, select.POLLIN)


def _fork(control: socket.socket, link: int, hold: Sequence[int], children: dict[int, int]) -> int | None:
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(link)
        control.send(f"error: no child could be forked: {error.strerror}".encode())
        return None
    if pid == 0:
        child.run(link, hold, parent)
    os.close(link)
    pidfd = os.pidfd_open(pid)  # cannot be another process: only this one reaps
    children[pidfd] = pid
    socket.send_fds(control, [str(pid).encode()], [pidfd])
    return pidfd


def _signals() -> None:
    """The worker decides when this ends: a terminal's or a service manager's signal must not cut a change in
    two.

    The alarm is reset because a blocked or ignored one would be inherited through exec, and no deadline would
    hold.
    """
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
