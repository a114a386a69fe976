"""Networks of our own: places (ip-netns(8)) that reach this machine's one address, and each other by links.

A place has no route but to that address and to what it is linked with. Names carry the test run's process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.peers import workdir

HOW = "as root, run tests/peers/install, where network namespaces may be made"
PREFIX = "kt"
OURS = re.compile(rf"{PREFIX}(\d+)-[a-z]+")
PIECE = 65536  # bytes


class NetworkFailed(Exception):
    """ip(8) refused; its own words follow."""


def available() -> bool:
    """Whether namespaces can be made here: needs root, iproute2, and a kernel that lets this root do it."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None:
        return False
    with contextlib.suppress(NetworkFailed), Network() as made:
        made.place("try")
        return True
    return False


class Network:
    """Gone at the end, with all that runs in it. Raises NetworkFailed."""

    def __init__(self) -> None:
        clear_abandoned()
        self._run = os.getpid()
        self._net = f"198.18.{self._run % 250}"  # RFC 2544: addresses that no real network has
        self.address = (
            f"{self._net}.1"  # of this machine, as all places know it; there with the first of them
        )
        self._places: dict[str, int] = {}
        self._links = 0

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        _clear(self._run)

    def place(self, name: str) -> str:
        """A new place that reaches this machine's address alone; returns its own."""
        number = len(self._places) + 2
        self._places[name] = number
        _ip("netns", "add", self.name(name))
        _ip("-n", self.name(name), "link", "set", "lo", "up")
        here, there = f"{PREFIX}{self._run}h{number}", f"{PREFIX}{self._run}p{number}"
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name(name))
        _ip("link", "set", here, "up")
        _ip("addr", "add", f"{self.address}/32", "dev", here)
        _ip("route", "add", f"{self.of(name)}/32", "dev", here)
        self._route(name, there, self.of(name), self.address)
        return self.of(name)

    def of(self, place: str) -> str:
        """The address of a place."""
        return f"{self._net}.{self._places[place]}"

    def link(self, one: str, other: str) -> None:
        """From now on both reach each other."""
        self._links += 1
        ends = [f"{PREFIX}{self._run}{side}{self._links}" for side in "xy"]
        there = ("peer", "name", ends[1], "netns", self.name(other))
        _ip("link", "add", ends[0], "netns", self.name(one), "type", "veth", *there)
        self._route(one, ends[0], self.of(one), self.of(other))
        self._route(other, ends[1], self.of(other), self.of(one))

    def cut(self, one: str, link: int) -> None:
        """Take the link with this number, from 1, away again."""
        _ip("-n", self.name(one), "link", "del", f"{PREFIX}{self._run}x{link}")

    def name(self, place: str) -> str:
        return f"{PREFIX}{self._run}-{place}"

    def within(self, place: str) -> Sequence[str]:
        """What a command line begins with whose process is to be there; it becomes that process."""
        return ("nsenter", f"--net=/run/netns/{self.name(place)}", "--")

    def _route(self, place: str, device: str, own: str, to: str) -> None:
        where = ("-n", self.name(place))
        _ip(*where, "link", "set", device, "up")
        _ip(*where, "addr", "add", f"{own}/32", "dev", device)
        _ip(*where, "route", "add", f"{to}/32", "dev", device, "src", own)


class Forwarder:
    """Listens at `host` and hands everything on to a loopback port of this machine, until it is closed."""

    def __init__(self, host: str, to: int) -> None:
        self._to = to
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="forwarder", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="forwarded", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as there:
            back = threading.Thread(target=_pass, args=(there, client), name="answering", daemon=True)
            back.start()
            _pass(client, there)
            back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def clear_abandoned() -> None:
    """Remove the networks of test runs that were killed, and end what still runs in them."""
    named = (OURS.fullmatch(each["name"]) for each in _listed("netns", "list"))
    links = (re.fullmatch(rf"{PREFIX}(\d+)[a-z]\d+", each["ifname"]) for each in _listed("link", "show"))
    for run in {int(found[1]) for found in (*named, *links) if found}:
        if not workdir.alive(run):
            _clear(run)


def _clear(run: int) -> None:
    for each in _listed("netns", "list"):
        found = OURS.fullmatch(each["name"])
        if found and int(found[1]) == run:
            for pid in _ip("netns", "pids", each["name"]).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "del", each["name"])
    for each in _listed("link", "show"):
        if re.fullmatch(rf"{PREFIX}{run}[a-z]\d+", each["ifname"]):
            with contextlib.suppress(NetworkFailed):  # its other end was taken away, and it went with it
                _ip("link", "del", each["ifname"])


def _listed(*what: str) -> Iterator[dict[str, Any]]:
    yield from json.loads(_ip("-j", *what) or "[]")


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
