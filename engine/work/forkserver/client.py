"""The worker's side: start the fork server, ask it for children, speak with them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from engine.work.forkserver import frames
from engine.work.forkserver.ports import ChildGone
from executors.contract import Login, Proof, ProofPlan, Report
from executors.decorators import boottime
from executors.session import Job

T = TypeVar("T")

MARGIN = 2.0  # seconds past the deadline that an answer is waited for
START_LIMIT = 60.0  # seconds for interpreter and executors to load
FORK_LIMIT = 20.0  # seconds for one fork
ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""All that the server's environment holds: the worker's own has the database's password and key settings."""


class ServerFailed(ChildGone):
    """The fork server did not start, so there is no child; the message says why."""


class Child:
    """One session in a process of its own. Used by one thread; `kill` may be called from any."""

    def __init__(self, link: socket.socket, pid: int, pidfd: int) -> None:
        self._link = link
        self.pid = pid
        self._pidfd = pidfd
        self._deadline = boottime() + FORK_LIMIT
        self._lock = threading.Lock()
        self._closed = False

    def open(self, job: Job) -> Self:
        """Hand the job over. Raises ChildGone, FrameTooLarge (nothing was sent of the job)."""
        self._deadline = boottime() + job.deadline
        self._exchange(lambda: frames.send_header(self._link, self._deadline))
        answer = self._ask({"job": frames.encode_job(job)})
        if "error" in answer:
            raise ChildGone(str(answer["error"]))
        return self

    def proceed(self, job: Job) -> bool:
        """Hand another job over, for the connection of the last one; see `Session.proceed`. The child lives
        as long as the new job's deadline. Raises ChildGone, FrameTooLarge (nothing was sent of the job)."""
        self._deadline = boottime() + job.deadline
        parts = {"deadline": self._deadline, "job": frames.encode_job(job)}
        return self._ask_for(frames.decode_flag, "proceeds", verb="proceed", **parts)

    def prepare(self) -> Report:
        return self._ask_for(frames.decode_report, "report", verb="prepare")

    def apply(self) -> Report:
        return self._ask_for(frames.decode_report, "report", verb="apply")

    def persist(self) -> Report:
        return self._ask_for(frames.decode_report, "report", verb="persist")

    def status(self) -> Report:
        return self._ask_for(frames.decode_report, "report", verb="status")

    def prove(self, login: Login, plan: ProofPlan) -> Proof:
        parts = {"login": frames.encode_login(login), "plan": frames.encode_plan(plan)}
        return self._ask_for(frames.decode_proof, "proof", verb="prove", **parts)

    def transcript(self) -> str:
        return self._ask_for(frames.decode_text, "text", verb="transcript")

    def close(self) -> None:
        """Close the session politely; when this returns the child is gone, by force if it must be."""
        if self._closed:
            return
        try:
            self._ask({"verb": "close"})
        except ChildGone:
            pass
        finally:
            if not self.gone(MARGIN):
                self.kill()
                self.gone(MARGIN)
            self._link.close()
            with self._lock:
                self._closed = True
                os.close(self._pidfd)

    def kill(self) -> None:
        """End the child at once. Harmless if it has ended: the pidfd never names another process."""
        with self._lock:
            if not self._closed:
                try:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                except ProcessLookupError:
                    return

    def gone(self, seconds: float = 0.0) -> bool:
        """Whether the child is proven to have ended, waiting up to `seconds`; then another may take over."""
        if self._closed:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask_for(self, decode: Callable[[Any], T], part: str, **request: Any) -> T:
        answer = self._ask(request)
        return self._exchange(lambda: frames.read(decode, answer.get(part)))

    def _ask(self, request: frames.Wire) -> frames.Wire:
        data = frames.pack(request)
        self._exchange(lambda: self._link.sendall(data))
        return self._exchange(lambda: frames.receive(self._link))

    def _exchange(self, step: Callable[[], T]) -> T:
        """One step of the dialogue. A child that does not keep to it is killed: its word is no more use."""
        try:
            self._link.settimeout(max(0.0, self._deadline - boottime()) + MARGIN)
            return step()
        except frames.FrameError as error:
            self.kill()
            raise ChildGone(f"the executor child answered nonsense and was ended: {error}") from None
        except (OSError, EOFError):
            late = boottime() >= self._deadline
            self.kill()
            how = "reached its deadline and was ended" if late else "ended without an answer"
            raise ChildGone(f"the executor child {how}; a probe must show what it did") from None


class ForkServer:
    """Starts the server when first needed and again if it died. Threads may call `fork` and `open` at once.

    `preload` are executors to load before forking. `hold_fd` is kept open by the server and every child: with
    a lock held on its open file description (flock(2)), the lock is free only when all of them are gone.
    """

    def __init__(self, preload: Sequence[str], hold_fd: int | None = None) -> None:
        self._preload = " ".join(preload)
        self._hold = [] if hold_fd is None else [hold_fd]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._owner = 0

    def start(self) -> None:
        """Raises ServerFailed."""
        with self._lock:
            self._running()

    def stop(self) -> None:
        """End the server, which kills the children that are left."""
        with self._lock:
            self._stop()

    def open(self, job: Job) -> Child:
        """A child with that job. Raises ChildGone, ServerFailed, FrameTooLarge."""
        child = self.fork()
        try:
            return child.open(job)
        except BaseException:
            child.kill()
            child.close()
            raise

    def fork(self) -> Child:
        """A child that waits for its job. Raises ServerFailed."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid, pidfd = self._fork(theirs)
            except BaseException:
                ours.close()
                raise
        return Child(ours, pid, pidfd)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _fork(self, theirs: socket.socket) -> tuple[int, int]:
        with self._lock:
            try:
                return _ask_for_child(self._running(), theirs)
            except (OSError, EOFError):
                # the server died; a child without a job has done nothing, so asking again is safe
                self._stop()
                return _ask_for_child(self._running(), theirs)

    def _running(self) -> socket.socket:
        if self._control is not None:
            if self._owner != os.getpid():
                # it came by fork: two processes would read each other's answers
                raise ServerFailed(
                    "a fork server serves the process that started it; make one in each process"
                )
            return self._control
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._owner = os.getpid()
        worker = os.pidfd_open(self._owner)
        with theirs:
            self._process = _start([theirs.fileno(), worker, *self._hold])
        os.close(worker)
        self._await_ready(self._control)
        return self._control

    def _await_ready(self, control: socket.socket) -> None:
        control.settimeout(START_LIMIT)
        try:
            control.send(self._preload.encode() or b" ")
            answer = control.recv(4096).decode() or "it ended at once; see its standard error"
        except OSError as error:
            answer = f"no answer: {error}"
        if answer != "ready":
            self._stop()
            raise ServerFailed(f"the fork server did not start: {answer.removeprefix('error: ')}")
        control.settimeout(FORK_LIMIT)

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(MARGIN)
            except subprocess.TimeoutExpired:
                self._process.kill()  # its children die with it, see child.py
                self._process.wait()
            self._process = None


def _start(descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: the current directory is nobody's to put modules in
        [sys.executable, "-P", "-m", "engine.work.forkserver", *map(str, descriptors)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )


def _ask_for_child(control: socket.socket, theirs: socket.socket) -> tuple[int, int]:
    socket.send_fds(control, [b"fork"], [theirs.fileno()])
    answer, fds, _, _ = socket.recv_fds(control, 4096, 1)
    if not answer:
        raise EOFError
    if not fds:
        raise ServerFailed(answer.decode().removeprefix("error: "))
    os.set_inheritable(fds[0], False)
    return int(answer), fds[0]
