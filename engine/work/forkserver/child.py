"""The executor child: harden, arm the deadline, take one job, serve its verbs, exit."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from engine.work.forkserver import frames
from executors import registry
from executors.decorators import boottime
from executors.session import Session

BIRTH_LIMIT = 30.0  # seconds until the header must have come
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4  # prctl(2), linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)  # opened before the fork, once


def run(link_fd: int, hold: Sequence[int], parent: int) -> NoReturn:
    """Never returns into the server's loop, and prints no traceback: its locals would hold secrets."""
    code = os.EX_SOFTWARE
    try:
        signal.setitimer(signal.ITIMER_REAL, BIRTH_LIMIT)
        _harden(link_fd, hold, parent)
        with socket.socket(fileno=link_fd) as link:
            _serve(link)
        code = os.EX_OK
    except (OSError, EOFError):
        code = os.EX_IOERR
    except frames.FrameError:
        code = os.EX_PROTOCOL
    finally:
        os._exit(code)


def _harden(link_fd: int, hold: Sequence[int], parent: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)  # no ptrace, no /proc/PID/mem for others of the same user
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(os.EX_UNAVAILABLE)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    low = 3
    for kept in sorted({link_fd, *hold}):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(link_fd, False)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _serve(link: socket.socket) -> None:
    deadline = frames.receive_header(link)
    _arm(deadline)
    job = frames.read(frames.decode_job, frames.receive(link).get("job"))
    try:
        session = Session(registry.load(job.executor), replace(job, deadline=deadline - boottime()))
    except registry.ExecutorUnavailable as error:
        link.sendall(frames.pack({"error": str(error)}))
        return
    link.sendall(frames.pack({"open": True}))
    verb = ""
    while verb != "close":
        request = frames.receive(link)
        verb = request.get("verb", "")
        link.sendall(frames.pack(answer(session, verb, request)))


def _arm(deadline: float) -> None:
    """SIGALRM with its default action kills, whatever the executor is stuck in (setitimer(2), signal(7))."""
    left = deadline - boottime()
    if not left > 0:  # zero would disarm the timer
        os._exit(os.EX_TEMPFAIL)
    signal.setitimer(signal.ITIMER_REAL, left)


def _proceed(session: Session, request: frames.Wire) -> bool:
    """The new job's deadline holds before anything of the job is looked at."""
    deadline = frames.read(frames.decode_deadline, request.get("deadline"))
    _arm(deadline)
    job = frames.read(frames.decode_job, request.get("job"))
    return session.proceed(replace(job, deadline=deadline - boottime()))


def answer(session: Session, verb: str, request: frames.Wire) -> frames.Wire:
    """One verb. Raises FrameError for one that is not known."""
    match verb:
        case "proceed":
            return {"proceeds": _proceed(session, request)}
        case "prepare":
            return {"report": frames.encode_report(session.prepare())}
        case "apply":
            return {"report": frames.encode_report(session.apply())}
        case "persist":
            return {"report": frames.encode_report(session.persist())}
        case "status":
            return {"report": frames.encode_report(session.status())}
        case "prove":
            login = frames.read(frames.decode_login, request.get("login"))
            plan = frames.read(frames.decode_plan, request.get("plan"))
            return {"proof": frames.encode_proof(session.prove(login, plan))}
        case "transcript":
            return {"text": session.transcript()}
        case "close":
            session.close()
            return {"closed": True}
        case _:
            raise frames.FrameError("unknown verb")
