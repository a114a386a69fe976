"""The fork server and its children as real processes."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.work.forkserver import child as child_side
from engine.work.forkserver import frames
from engine.work.forkserver.client import Child, ForkServer, ServerFailed
from engine.work.forkserver.ports import ChildGone, InProcess, Sessions
from executors.contract import (
    Login,
    Outcome,
    ProofPlan,
    Secret,
    Target,
    Value,
    ValueKind,
    Verdict,
)
from executors.decorators import boottime
from executors.fake.target import Behaviour, FakeTarget, Reply
from executors.session import Job

BODY = "[status]\ncheck-status\n[change]\nset [#NEW_PASSWORD#]\n[persist]\nsave\n"
OLD, NEW = "old-canary-4711", "new-canary-0815"
PATIENCE = 30.0


@pytest.fixture
def target(tmp_path: Path) -> FakeTarget:
    target = FakeTarget.create(tmp_path / "target")
    target.set("bob", OLD)
    return target


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer(["fake"]) as server:
        yield server


def job(target: FakeTarget, deadline: float = 60.0, account: str = "bob", **changed: object) -> Job:
    return Job(
        str(changed.get("executor", "fake")),
        str(changed.get("body", BODY)),
        1,
        Target("box", str(target.path), 0),
        Login(account, Secret(OLD)),
        {
            "USERNAME": Value(ValueKind.USERNAME, account),
            "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(NEW)),
        },
        (),
        deadline,
    )


def parts(path: str) -> list[str]:
    """The file's parts between NULs; none where even the same user may not read it, as hardening intends."""
    try:
        return Path(path).read_bytes().decode().split("\0")
    except PermissionError:
        return []


def descriptors(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return []


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def server_pid(server: ForkServer) -> int:
    assert server._process is not None
    return server._process.pid


def settled(pid: int) -> None:
    """Wait until the server has reaped the children that ended."""
    for _ in range(1000):
        if not children_of(pid):
            return
        select.select([], [], [], 0.01)
    raise AssertionError(f"children are left: {children_of(pid)}")


def ended(pidfd: int, at_once: bool = False) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0 if at_once else PATIENCE * 1000))


@pytest.mark.parametrize("kind", ["child", "in process"])
def test_a_session_changes_proves_and_saves(kind: str, server: ForkServer, target: FakeTarget) -> None:
    sessions: Sessions = server if kind == "child" else InProcess()
    with sessions.open(job(target)) as session:
        prepared = session.prepare()
        assert prepared.outcome is Outcome.OK
        assert prepared.facts == {"identity": "fake:bob", "status": "active"}
        assert target.opens("bob", OLD)
        assert session.apply().outcome is Outcome.OK
        assert session.prove(Login("bob", Secret(NEW)), ProofPlan()).verdict is Verdict.OPENS
        assert session.prove(Login("bob", Secret(OLD)), ProofPlan()).verdict is Verdict.REFUSED
        assert session.persist().outcome is Outcome.OK
        assert session.status().outcome is Outcome.OK
        said = session.transcript()
    assert target.opens("bob", NEW)
    assert target.saves("bob") == 1
    assert "set ********" in said
    assert NEW not in said
    assert OLD not in said


def test_a_child_is_gone_when_close_returns(server: ForkServer, target: FakeTarget) -> None:
    for _ in range(10):
        with server.open(job(target)) as child:
            assert not child.gone()
            pidfd = os.pidfd_open(child.pid)
        assert child.gone()
        assert ended(pidfd, at_once=True)
        os.close(pidfd)
        child.close()
        child.kill()


def test_a_child_ends_at_its_deadline_whatever_it_is_stuck_in(server: ForkServer, target: FakeTarget) -> None:
    target.set("bob", OLD, Behaviour(delay_before=3600.0))
    with server.open(job(target, deadline=1.0)) as child:
        assert child.prepare().outcome is Outcome.OK
        with pytest.raises(ChildGone, match="deadline"):
            child.apply()
        assert child.gone(PATIENCE)
    assert target.opens("bob", OLD)
    assert target.requests("bob") == ()


def test_a_deadline_that_has_passed_runs_nothing(server: ForkServer, target: FakeTarget) -> None:
    with pytest.raises(ChildGone):
        server.open(job(target, deadline=0.0))
    settled(server_pid(server))


def test_a_killed_child_is_told_apart_from_an_answer(server: ForkServer, target: FakeTarget) -> None:
    target.set("bob", OLD, Behaviour(delay_after=3600.0))
    with server.open(job(target)) as child:
        child.prepare()
        killer = threading.Timer(0.3, child.kill)
        killer.start()
        with pytest.raises(ChildGone, match="ended without an answer"):
            child.apply()
        killer.join()
        assert child.gone(PATIENCE)
        with pytest.raises(ChildGone):
            child.transcript()


def test_signals_meant_for_the_service_do_not_cut_a_change_in_two(
    server: ForkServer, target: FakeTarget
) -> None:
    with server.open(job(target)) as child:
        for pid in (server_pid(server), child.pid):
            for meant_for_all in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(pid, meant_for_all)
        assert child.prepare().outcome is Outcome.OK
        assert child.apply().outcome is Outcome.OK


def test_many_children_leave_no_zombies_and_no_descriptors(server: ForkServer, target: FakeTarget) -> None:
    with server.open(job(target)):
        pass
    pid = server_pid(server)
    settled(pid)
    here, there = len(os.listdir("/proc/self/fd")), len(descriptors(pid))
    for _ in range(200):
        with server.open(job(target)) as child:
            child.prove(Login("bob", Secret(OLD)), ProofPlan())
    settled(pid)
    assert len(os.listdir("/proc/self/fd")) == here
    assert len(descriptors(pid)) == there


def test_threads_may_ask_for_children_at_once(server: ForkServer, target: FakeTarget) -> None:
    for number in range(24):
        target.set(f"user{number}", OLD)

    def change(number: int) -> tuple[int, Outcome]:
        with server.open(job(target, account=f"user{number}")) as child:
            child.prepare()
            return child.pid, child.apply().outcome

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(change, range(24)))
    assert len({pid for pid, _ in done}) == 24
    assert {outcome for _, outcome in done} == {Outcome.OK}
    assert all(target.opens(f"user{number}", NEW) for number in range(24))


def test_threads_get_the_child_that_belongs_to_their_socket(server: ForkServer) -> None:
    together = threading.Barrier(8)

    def fork(_: int) -> Child:
        together.wait(PATIENCE)
        return server.fork()

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            children = list(pool.map(fork, range(8)))
        for child in children:
            child.kill()
            child._link.settimeout(PATIENCE)
            assert child._link.recv(1) == b""
            child.close()


def test_a_child_holds_its_own_descriptors_only(target: FakeTarget, tmp_path: Path) -> None:
    with (
        (tmp_path / "lock").open("w") as lock,
        ForkServer(["fake"], lock.fileno()) as server,
        server.open(job(target)) as child,
    ):
        child.prepare()
        assert len(descriptors(child.pid)) <= 5  # three at /dev/null, its socket, the held one
        held = [os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in descriptors(child.pid)]
        assert sum(name.startswith("socket:") for name in held) <= 1
        assert not held or {name for name in held if name.startswith("/")} == {"/dev/null", lock.name}


def test_no_secret_and_no_setting_is_in_argument_lists_or_environments(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_DATABASE_URL", "postgresql://keyturn:database-canary@db/keyturn")
    with ForkServer(["fake"]) as server, server.open(job(target)) as child:
        child.prepare()
        for pid in (server_pid(server), child.pid):
            arguments = parts(f"/proc/{pid}/cmdline")
            assert all(argument.isdigit() for argument in arguments[4:] if argument)
            for text in (*arguments, *parts(f"/proc/{pid}/environ")):
                assert "canary" not in text
                assert not text.startswith("KEYTURN_")


def test_a_child_makes_no_core_file(server: ForkServer, target: FakeTarget) -> None:
    with server.open(job(target)) as child:
        child.prepare()
        assert resource.prlimit(child.pid, resource.RLIMIT_CORE) == (0, 0)


def test_a_hardened_process_is_not_dumpable_and_dies_with_its_parent() -> None:
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        child_side._harden(writer, [], parent)
        get_dumpable = 3  # PR_GET_DUMPABLE, linux/prctl.h
        os.write(
            writer,
            bytes([child_side._LIBC.prctl(get_dumpable, 0, 0, 0, 0), len(os.listdir("/proc/self/fd"))]),
        )
        os._exit(0)
    os.close(writer)
    dumpable, open_descriptors = os.read(reader, 2)
    os.close(reader)
    os.waitpid(pid, 0)
    assert dumpable == 0
    assert open_descriptors == 5  # 0, 1, 2, the pipe, and the directory being listed


def test_the_lock_is_free_only_when_server_and_children_are_gone(target: FakeTarget, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    server = ForkServer(["fake"], holder)
    child = server.open(job(target))
    os.close(holder)
    with path.open() as newcomer:
        with pytest.raises(BlockingIOError):
            fcntl.flock(newcomer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server.stop()
        assert child.gone(PATIENCE)
        fcntl.flock(newcomer, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child.close()


WORKER = """
import os, signal, sys
from engine.work.forkserver.client import ForkServer
from executors.contract import Login, Secret, Target, Value, ValueKind
from executors.session import Job

server = ForkServer(["fake"])
new = Value(ValueKind.SECRET, Secret("new"))
values = {"USERNAME": Value(ValueKind.USERNAME, "bob"), "NEW_PASSWORD": new}
login = Login("bob", Secret(sys.stdin.readline().strip()))
target = Target("box", sys.argv[1], 0)
child = server.open(Job("fake", "set [#NEW_PASSWORD#]", 1, target, login, values, (), 600.0))
child.prepare()
copy = 0
if sys.argv[2:]:
    copy = os.fork()  # holds the control socket open, as a forked pool process would
    if copy == 0:
        signal.pause()
print(server._process.pid, child.pid, copy, flush=True)
child.apply()
"""


@pytest.mark.parametrize("copied", [False, True], ids=["alone", "a fork of it lives on"])
def test_server_and_children_end_when_the_worker_is_killed(copied: bool, target: FakeTarget) -> None:
    target.set("bob", OLD, Behaviour(delay_before=3600.0))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(target.path), *(["copy"] if copied else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(OLD + "\n")
        worker.stdin.flush()
        *pids, copy = map(int, worker.stdout.readline().split())
        watched = [os.pidfd_open(pid) for pid in pids]
        worker.kill()
        try:
            assert len(watched) == 2
            assert all(ended(pidfd) for pidfd in watched)
        finally:
            if copied:
                os.kill(copy, signal.SIGKILL)
    for pidfd in watched:
        os.close(pidfd)
    assert target.opens("bob", OLD)


def test_children_die_with_the_server_and_the_next_one_gets_a_new_server(target: FakeTarget) -> None:
    with ForkServer(["fake"]) as server, server.open(job(target)) as orphan:
        first = server_pid(server)
        os.kill(first, signal.SIGKILL)
        assert orphan.gone(PATIENCE)
        with pytest.raises(ChildGone):
            orphan.prepare()
        with server.open(job(target)) as child:
            assert child.prepare().outcome is Outcome.OK
        assert server_pid(server) != first


def test_stopping_the_server_ends_the_children_that_are_left(target: FakeTarget) -> None:
    server = ForkServer(["fake"])
    child = server.open(job(target))
    server.stop()
    assert child.gone(PATIENCE)
    child.close()


def test_a_fork_of_the_worker_cannot_use_the_worker_s_server(server: ForkServer) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            server.fork()
        except ServerFailed:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_an_executor_that_does_not_exist_is_named_at_start() -> None:
    with pytest.raises(ServerFailed, match=r"no executor named 'telepathy'.*known: fake"):
        ForkServer(["telepathy"]).start()


def test_an_executor_that_does_not_exist_is_named_to_the_job(server: ForkServer, target: FakeTarget) -> None:
    with pytest.raises(ChildGone, match="no executor named 'telepathy'"):
        server.open(job(target, executor="telepathy"))


def test_an_executor_that_was_not_preloaded_is_loaded_by_the_child(target: FakeTarget) -> None:
    with ForkServer([]) as server, server.open(job(target)) as child:
        assert child.prepare().outcome is Outcome.OK


def test_an_oversize_job_is_refused_and_leaves_no_child(server: ForkServer, target: FakeTarget) -> None:
    with pytest.raises(frames.FrameTooLarge):
        server.open(job(target, body="#" * (frames.FRAME_LIMIT + 1)))
    settled(server_pid(server))


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", b"KTC1" + b"\xff" * 60])
def test_a_child_given_garbage_ends(garbage: bytes, server: ForkServer) -> None:
    with server.fork() as child:
        child._link.sendall(garbage)
        assert child.gone(PATIENCE)


def test_a_child_given_a_verb_it_does_not_know_ends(server: ForkServer, target: FakeTarget) -> None:
    with server.open(job(target)) as child:
        child._link.sendall(frames.pack({"verb": "exec", "command": "id"}))
        assert child.gone(PATIENCE)


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01!",
        frames.pack({"report": {"outcome": "fine"}}),
        frames.pack({"proof": 1}),
    ],
)
def test_a_child_that_answers_garbage_is_ended(answer: bytes, server: ForkServer) -> None:
    real = server.fork()
    ours, theirs = socket.socketpair()
    real._link.close()
    with theirs:
        liar = Child(ours, real.pid, real._pidfd)
        theirs.sendall(answer)
        with pytest.raises(ChildGone, match="nonsense"):
            liar.prepare()
    assert liar.gone(PATIENCE)
    liar.close()


@pytest.mark.parametrize("reply", [Reply.DROPS_AFTER_APPLYING, Reply.REFUSES_AFTER_APPLYING])
def test_what_a_target_says_is_no_proof(reply: Reply, server: ForkServer, target: FakeTarget) -> None:
    target.set("bob", OLD, Behaviour(reply=reply))
    with server.open(job(target)) as child:
        child.prepare()
        assert child.apply().outcome is not Outcome.OK
        assert child.prove(Login("bob", Secret(NEW)), ProofPlan()).verdict is Verdict.OPENS


BOSS, BOSS_SECRET = "boss", "boss-canary-2342"


def by_boss(target: FakeTarget, account: str, deadline: float = 60.0) -> Job:
    values = {
        "USERNAME": Value(ValueKind.USERNAME, account),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(f"new-of-{account}")),
    }
    login = Login(BOSS, Secret(BOSS_SECRET))
    return Job("fake", BODY, 1, Target("box", str(target.path), 0), login, values, (), deadline)


def made(child: Child, account: str) -> None:
    assert child.prepare().outcome is Outcome.OK
    assert child.apply().outcome is Outcome.OK
    assert child.prove(Login(account, Secret(f"new-of-{account}")), ProofPlan()).verdict is Verdict.OPENS
    assert child.persist().outcome is Outcome.OK


@pytest.fixture
def accounts_of_boss(target: FakeTarget) -> list[str]:
    target.set(BOSS, BOSS_SECRET, Behaviour(admin=True))
    names = [f"account{number}" for number in range(12)]
    for name in names:
        target.set(name, OLD)
    return names


def test_one_child_makes_many_jobs_over_one_login(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str]
) -> None:
    first, *others = accounts_of_boss
    with server.open(by_boss(target, first)) as child:
        made(child, first)
        for account in others:
            assert child.proceed(by_boss(target, account))
            made(child, account)
            assert "new-of-" not in child.transcript()
        assert children_of(server_pid(server)) == [str(child.pid)]
    assert target.logins(BOSS) == 1
    assert all(target.opens(account, f"new-of-{account}") for account in accounts_of_boss)


def test_each_job_of_a_child_has_a_deadline_of_its_own(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str]
) -> None:
    first, second, *_ = accounts_of_boss
    with server.open(by_boss(target, first)) as child:
        made(child, first)
        target.behave(second, Behaviour(delay_before=PATIENCE * 4))
        assert child.proceed(by_boss(target, second, deadline=0.5))
        child.prepare()
        with pytest.raises(ChildGone, match="deadline"):
            child.apply()
        assert child.gone(PATIENCE)
    assert target.requests(second) == ()


def test_a_child_that_outlives_its_first_deadline_was_given_a_second(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str]
) -> None:
    first, second, *_ = accounts_of_boss
    with server.open(by_boss(target, first, deadline=1.0)) as child:
        made(child, first)
        assert child.proceed(by_boss(target, second))
        target.behave(second, Behaviour(delay_before=1.5))
        made(child, second)


def test_a_killed_child_takes_no_other_job(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str]
) -> None:
    first, second, *_ = accounts_of_boss
    with server.open(by_boss(target, first)) as child:
        made(child, first)
        child.kill()
        with pytest.raises(ChildGone):
            child.proceed(by_boss(target, second))
    assert target.requests(second) == ()


@pytest.mark.parametrize("deadline", [None, "soon", float("inf"), float("nan"), 0, -1.0])
def test_a_child_takes_no_job_without_an_end(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str], deadline: object
) -> None:
    first, second, *_ = accounts_of_boss
    with server.open(by_boss(target, first)) as child:
        made(child, first)
        request = {"verb": "proceed", "deadline": deadline, "job": frames.encode_job(by_boss(target, second))}
        child._link.sendall(frames.pack(request))
        assert child.gone(PATIENCE)
    assert target.requests(second) == ()


def test_a_child_given_a_job_that_is_none_ends(
    server: ForkServer, target: FakeTarget, accounts_of_boss: list[str]
) -> None:
    first, *_ = accounts_of_boss
    with server.open(by_boss(target, first)) as child:
        made(child, first)
        child._link.sendall(frames.pack({"verb": "proceed", "deadline": boottime() + 60, "job": {}}))
        assert child.gone(PATIENCE)
