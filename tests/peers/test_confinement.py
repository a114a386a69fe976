"""Landlock, really applied: each test confines a process of its own, since it cannot be taken back."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.processes.confinement import IPPROTO_MPTCP, MSG_FASTOPEN, available, connect_only_to

Answer = object
HOST = "127.0.0.1"


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two that somebody listens on: one to allow, one to keep away from."""
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        yield one.getsockname()[1], other.getsockname()[1]


def connects(port: int, host: str = HOST) -> str:
    """How it ended: "connected", or the name of the error."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return "connected"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def confined(allowed: list[int], then: Callable[[], Answer]) -> tuple[bool, Answer]:
    """What `connect_only_to` returned in a forked process, and what `then` did after it."""
    here, there = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        told = connect_only_to(allowed)
        there.send((told, then()))

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    there.close()
    answer: tuple[bool, Answer] = here.recv()
    child.join(10)
    assert child.exitcode == 0
    return answer


def expected(refusal: str = "EACCES") -> str:
    """Where the kernel cannot, nothing is kept away, and the function says so."""
    return refusal if available() else "connected"


def test_it_says_whether_the_kernel_can(ports: tuple[int, int]) -> None:
    told, _ = confined([ports[0]], lambda: None)
    assert told is available()


def test_only_allowed_ports_can_be_connected_to(ports: tuple[int, int]) -> None:
    allowed, other = ports
    _, ends = confined([allowed], lambda: (connects(allowed), connects(other)))
    assert ends == ("connected", expected())


def test_without_any_allowed_port_nothing_can_be_connected_to(ports: tuple[int, int]) -> None:
    _, ends = confined([], lambda: [connects(port) for port in ports])
    assert ends == [expected(), expected()]


def test_what_the_test_itself_can_is_as_before(ports: tuple[int, int]) -> None:
    confined([], lambda: None)
    assert [connects(port) for port in ports] == ["connected", "connected"]


def test_a_port_is_allowed_for_ipv6_too(ports: tuple[int, int]) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        assert connects(ports[0]) == "connected", "this machine has no IPv6"
        return
    with server:
        port = server.getsockname()[1]
        _, ends = confined([port], lambda: connects(port, "::1"))
        assert ends == "connected"
        _, ends = confined([ports[0]], lambda: connects(port, "::1"))
        assert ends == expected()


def test_threads_that_start_later_are_confined_too(ports: tuple[int, int]) -> None:
    def in_a_thread() -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(connects, ports[1]).result()

    assert confined([ports[0]], in_a_thread)[1] == expected()


def test_children_and_what_they_execute_are_confined_too(ports: tuple[int, int]) -> None:
    program = f"import socket; socket.create_connection(({HOST!r}, {ports[1]}), 5)"

    def executed() -> str:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        return "connected" if done.returncode == 0 else done.stderr

    _, told = confined([ports[0]], executed)
    assert expected("PermissionError") in str(told)


def test_it_cannot_be_widened_afterwards(ports: tuple[int, int]) -> None:
    def widened() -> str:
        connect_only_to(ports)
        return connects(ports[1])

    assert confined([ports[0]], widened)[1] == expected()


def test_a_connection_from_before_goes_on(ports: tuple[int, int]) -> None:
    with socket.create_connection((HOST, ports[1])) as before:
        assert confined([], lambda: before.send(b"x"))[1] == 1


def test_listening_and_being_connected_to_are_unaffected() -> None:
    def served() -> str:
        with socket.create_server((HOST, 0)) as server:
            return f"listens on {server.getsockname()[0]}"

    assert confined([], served)[1] == f"listens on {HOST}"


def test_datagrams_so_names_can_be_asked_for_and_unix_sockets_are_unaffected(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_UNIX) as unix:
        datagrams.bind((HOST, 0))
        datagrams.settimeout(5)
        unix.bind(path)
        unix.listen()
        place = datagrams.getsockname()

        def speaks() -> str:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(place)
                sender.send(b"a question")
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as local:
                local.connect(path)
            return socket.gethostbyname("localhost")

        assert confined([], speaks)[1] == HOST
        assert datagrams.recv(100) == b"a question"


def test_ways_around_the_kernel_s_list_of_ports_are_closed(ports: tuple[int, int]) -> None:
    place = (HOST, ports[1])

    def tried() -> list[str]:
        with socket.socket() as plain:
            fast_open = _ended(lambda: plain.sendto(b"x", MSG_FASTOPEN, place))
        return [_ended(lambda: _multipath(place)), fast_open]

    _, ends = confined([ports[0]], tried)
    if available():
        assert ends == ["EACCES", "EACCES"]


def _multipath(place: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as multipath:
        multipath.connect(place)


def _ended(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "connected"


def test_an_allowed_connection_carries_data_both_ways(ports: tuple[int, int]) -> None:
    with socket.create_server((HOST, 0)) as server:
        place = server.getsockname()

        def spoken() -> bytes:
            with socket.create_connection(place, 5) as allowed:
                allowed.sendmsg([b"a question"])
                return allowed.recv(100)

        def answer() -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(taken.recv(100).upper())

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        assert confined([place[1]], spoken)[1] == b"A QUESTION"
        answering.join(10)


def test_threads_that_are_there_already_are_not(ports: tuple[int, int]) -> None:
    """Landlock is a thread's own; so a process confines itself before it starts any."""
    answers: list[str] = []

    def first_a_thread() -> list[str]:
        go = threading.Event()

        def wait_and_connect() -> None:
            go.wait(10)
            answers.append(connects(ports[1]))

        thread = threading.Thread(target=wait_and_connect)
        thread.start()
        connect_only_to([ports[0]])
        go.set()
        thread.join(10)
        return answers

    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: there.send(first_a_thread()))
    child.start()
    assert here.recv() == ["connected"]
    child.join(10)
