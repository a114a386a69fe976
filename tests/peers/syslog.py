"""Real rsyslog and syslog-ng, as ordinary processes on free loopback ports, and what they wrote down.

Debian lets nobody install both: rsyslog is unpacked by tests/peers/install.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.record.syslog import SD_ID
from tests.peers import workdir
from tests.peers.webserver import Authority
from tests.syslog_reader import read_structured_data

HOW = "run tests/peers/install as root"
UNPACKED = Path("/var/cache/keyturn-peers")
STARTS = 5
READY_SECONDS = 30.0

_RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="64k" preserveFQDN="on"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{identity}"
  defaultNetstreamDriverKeyFile="{identity}")
module(load="imudp") module(load="imtcp") module(load="mmnormalize")
template(name="read" type="list") {{
  constant(value="{{") property(name="msgid" format="jsonf" outname="msgid")
  constant(value=",") property(name="structured-data" format="jsonf" outname="data")
  constant(value=",") property(name="msg" format="jsonf" outname="text") constant(value="}}\\n") }}
template(name="cef" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
ruleset(name="read") {{ action(type="omfile" file="{output}" template="read") }}
ruleset(name="cef") {{
  action(type="mmnormalize" rulebase="{folder}/rulebase" path="$!cef" userawmsg="off")
  action(type="omfile" file="{output}" template="cef") }}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="read")
input(type="imtcp" address="127.0.0.1" port="{tcp}" ruleset="read")
input(type="imtcp" address="127.0.0.1" port="{cef}" ruleset="cef")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="read"
  streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
"""
_SYSLOG_NG = """\
@version: 3.35
options {{ stats_freq(0); use-dns(no); keep-hostname(yes); log-msg-size(65536); }};
source s {{
  syslog(ip("127.0.0.1") port({tcp}) transport("tcp"));
  syslog(ip("127.0.0.1") port({tls}) transport("tls")
    tls(key-file("{identity}") cert-file("{identity}") peer-verify(optional-untrusted)));
}};
destination d {{ file("{output}" template("$(format-json --scope rfc5424 --scope sdata)\\n")); }};
log {{ source(s); destination(d); }};
"""


class SyslogDidNotStart(Exception):
    """It ended or takes no connection; the message ends with its own words."""


@dataclass(frozen=True)
class Arrived:
    """One message as the server understood it."""

    sequence: int
    kind: str
    fields: dict[str, str]
    text: str


class SyslogServer(ABC):
    """Started; `start` and `stop` keep ports and what was written. Raises SyslogDidNotStart."""

    host = "127.0.0.1"

    def __init__(self, authority: Authority) -> None:
        for folder in workdir.abandoned("syslog"):
            shutil.rmtree(folder, ignore_errors=True)
        self.folder = workdir.make("syslog")
        self._identity = authority.identity()
        (self.folder / "ca.pem").write_text(authority.pem)
        self._runs = 0
        self._process: subprocess.Popen[bytes] | None = None
        for left in range(STARTS, 0, -1):
            self.ports = {name: workdir.free_port() for name in ("tls", "tcp", "udp", "cef")}
            try:
                self.start()
                break
            except SyslogDidNotStart:
                if left == 1:
                    raise

    def url(self, scheme: str = "tls") -> str:
        return f"{scheme}://{self.host}:{self.ports[scheme]}"

    def start(self) -> None:
        """Each run writes a file of its own, so that one that was killed spoils no later line."""
        self._runs += 1
        values = {"folder": self.folder, "identity": self._identity, "ca": self.folder / "ca.pem"}
        output = self.folder / f"out-{self._runs}.json"
        config = self.folder / "config"
        config.write_text(self._template.format(**values, output=output, **self.ports))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(config), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + READY_SECONDS
        while not all(_listens(self.ports[name]) for name in self._listening):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop(signal.SIGKILL)
                raise SyslogDidNotStart((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_SECONDS)
        self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was written, in order; a line that a killed server did not end is not there."""
        for run in range(1, self._runs + 1):
            path = self.folder / f"out-{run}.json"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            yield from (json.loads(line) for line in text.split("\n")[:-1])

    def arrived(self) -> list[Arrived]:
        return [self._arrived(line) for line in self.lines()]

    _template: str
    _listening: tuple[str, ...]

    @abstractmethod
    def _command(self, config: Path) -> list[str]: ...

    @abstractmethod
    def _arrived(self, line: dict[str, Any]) -> Arrived: ...


class Rsyslog(SyslogServer):
    """`cef` is a TCP port where rsyslog's own parser takes CEF apart; `lines` holds what it made of it."""

    _template = _RSYSLOG
    _listening = ("tls", "tcp", "cef")

    @staticmethod
    def available() -> bool:
        return Rsyslog._root() is not None

    @staticmethod
    def _root() -> Path | None:
        found = (root for root in (UNPACKED, Path("/")) if (root / "usr/sbin/rsyslogd").exists())
        return next(found, None)

    def _command(self, config: Path) -> list[str]:
        root = self._root()
        assert root is not None, HOW
        (self.folder / "rulebase").write_text("version=2\nrule=:%f:cef%\nrule=: %f:cef%\n")
        modules = next((root / "usr/lib").glob("*/rsyslog"))
        program = str(root / "usr/sbin/rsyslogd")
        return [program, "-M", str(modules), "-n", "-f", str(config), "-i", str(self.folder / "pid")]

    def _arrived(self, line: dict[str, Any]) -> Arrived:
        fields = read_structured_data(line["data"])[SD_ID]
        return Arrived(int(fields["seq"]), line["msgid"], fields, line["text"].lstrip("\ufeff"))


class SyslogNg(SyslogServer):
    _template = _SYSLOG_NG
    _listening = ("tls", "tcp")

    @staticmethod
    def available() -> bool:
        return Path("/usr/sbin/syslog-ng").exists()

    def _command(self, config: Path) -> list[str]:
        own = {"-R": "persist", "-p": "pid", "-c": "ctl"}
        state = [word for option, name in own.items() for word in (option, str(self.folder / name))]
        return ["/usr/sbin/syslog-ng", "-F", "-f", str(config), *state, "--no-caps"]

    def _arrived(self, line: dict[str, Any]) -> Arrived:
        fields = line["_SDATA"][SD_ID]
        return Arrived(int(fields["seq"]), line["MSGID"], fields, line["MESSAGE"])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
