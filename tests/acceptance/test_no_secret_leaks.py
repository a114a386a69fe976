"""No secret outside the vault: a real run with canaries, and the search that is first shown to find them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import html
import http.client
import json
import os
import quopri
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

import pytest
from sqlalchemy import select

from engine.store.database import Database
from engine.vault.keys import FileKeys
from engine.vault.models import secret_version
from engine.vault.refs import credential_ref
from engine.vault.sealing import open_sealed
from engine.work.app import make_app, register
from engine.work.bell import Bell
from tests.acceptance.canary import ENCODERS, Found, Search, Seen, Watcher, canary, core_limits, descendants
from tests.peers.accounts import LocalAccounts
from tests.peers.sshd import SshServer

KEYTURN = Path(sys.executable).with_name("keyturn")
PATIENCE = 30.0  # seconds
PROVEN = ("succeeded", "ok")
SHARED_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/var/log")
WHOLE = "Ab3x'Q\"7&é<Zk9-mPq%2+wL yR"

# The search, shown to find what it claims to find. What is planted is not written by the search's own table.

PLANTED: Mapping[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "a piece of eight characters": lambda text: text[3:11].encode(),
    "the end of a line that was cut": lambda text: text[:9].encode() + b"\r\n",
    "wrapped in the middle": lambda text: (text[:13] + "\r\n\x1b[K" + text[13:]).encode(),
    "UTF-16, little-endian": lambda text: text.encode("utf-16-le"),
    "UTF-16, big-endian with its mark": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Latin-1": lambda text: text.encode("latin-1", "replace"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 after one octet": lambda text: base64.b64encode(b":" + text.encode() + b"\n"),
    "base64 after two octets": lambda text: base64.b64encode(b"u:" + text.encode() + b"\n"),
    "base64 in lines": lambda text: base64.encodebytes(b"user:" + b"x" * 40 + text.encode()),
    "base64url": lambda text: base64.urlsafe_b64encode(b"?" + text.encode()),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")),
    "base32": lambda text: base64.b32encode(b"abc" + text.encode()),
    "hex": lambda text: binascii.hexlify(text.encode()),
    "hex in capitals": lambda text: text.encode().hex().upper().encode(),
    "hex with colons": lambda text: binascii.hexlify(text.encode(), ":"),
    "hexdump": lambda text: text.encode().hex(" ").encode(),
    "octets as numbers": lambda text: json.dumps(list(text.encode())).encode(),
    "percent": lambda text: urllib.parse.quote(text, safe="").encode(),
    "percent but slashes": lambda text: urllib.parse.quote(text).encode(),
    "percent, every octet": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()).encode(),
    "form": lambda text: urllib.parse.urlencode({"password": text}).encode(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "JSON": lambda text: json.dumps({"secret": text}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"secret": text})).encode(),
    "JSON, readable": lambda text: json.dumps(text, ensure_ascii=False).encode(),
    "JSON, every character escaped": lambda text: "".join(f"\\u{ord(char):04X}" for char in text).encode(),
    "Python's repr": lambda text: repr(text).encode(),
    "Python's repr of bytes": lambda text: repr(text.encode()).encode(),
    "XML": lambda text: quoteattr(text).encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "XML references": lambda text: text.encode("ascii", "xmlcharrefreplace"),
    "XML references only": lambda text: "".join(f"&#x{ord(char):X};" for char in text).encode(),
    "a shell's quotes": lambda text: shlex.quote(text).encode(),
    "a shell's backslashes": lambda text: re.sub(r"(\W)", r"\\\1", text).encode(),
    "SQL": lambda text: f"ALTER ROLE x PASSWORD '{text.replace(chr(39), chr(39) * 2)}'".encode(),
    "PowerShell": lambda text: ('"' + re.sub(r'([`"$])', r"`\1", text) + '"').encode(),
    "a regular expression": lambda text: re.escape(text).encode(),
    "sed": lambda text: f"s/old/{re.sub(r'([/&])', chr(92) * 2 + r'1', text)}/".encode(),
    "octal escapes": lambda text: "".join(f"\\{octet:03o}" for octet in text.encode()).encode(),
    "backwards": lambda text: text[::-1].encode(),
    "echoed one at a time": lambda text: "\n".join(text).encode(),
}


@pytest.mark.parametrize("form", PLANTED)
def test_the_search_finds_a_canary_as(form: str) -> None:
    for text in (WHOLE, canary(), canary("")):
        planted = os.urandom(11) + b" " + PLANTED[form](text) + b" " + os.urandom(5)
        assert {found.secret for found in Search({"mine": text}).data(planted, "here")} == {"mine"}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_the_search_finds_its_own_encoding(encoding: str) -> None:
    for text in (WHOLE, canary()):
        for form in ENCODERS[encoding](text):
            assert Search({"mine": text}).data(form, "here")


def test_the_search_finds_a_short_secret_as_a_whole() -> None:
    search = Search({"short": "aB3.x"})
    assert search.data(b"xxaB3.xyy", "here") == {
        found for found in search.data(b"aB3.x", "here") if found.secret == "short"
    }
    assert search.data(base64.b64encode(b"u:aB3.x\n"), "here")
    assert not search.data(b"aB3.", "here")


def test_the_search_finds_nothing_where_no_canary_is() -> None:
    assert Search({"mine": canary(), "short": "aB3.x"}).data(os.urandom(4_000_000), "noise") == set()
    assert Search({"mine": canary()}).data(Path(__file__).read_bytes(), "text") == set()


@pytest.mark.parametrize("at", range(9))
def test_the_search_finds_a_canary_wherever_it_begins(at: int) -> None:
    text = canary()
    assert Search({"mine": text}).data(bytes(at) + text.encode(), "here")


@pytest.mark.parametrize("where", ["content", "name", "hidden folder", "database", "journal of a database"])
def test_the_search_finds_a_canary_in_a_file_s(where: str, tmp_path: Path) -> None:
    text = canary("")
    places = {"name": tmp_path / f"{text}.tmp", "hidden folder": tmp_path / ".cache" / "x" / "y"}
    path = places.get(where, tmp_path / "file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if "database" in where:
        _write_database(tmp_path / "x.sqlite", text, leave_log=where.startswith("journal"))
    else:
        path.write_text("" if where == "name" else f"password={text}\n")
    assert Search({"mine": text}).files(tmp_path)
    assert not Search({"other": canary()}).files(tmp_path)


def _write_database(path: Path, text: str, leave_log: bool) -> None:
    writer = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
    )
    writer += "c.execute('CREATE TABLE t (x)'); c.execute('INSERT INTO t VALUES (?)', (sys.stdin.read(),));"
    writer += "c.commit();"
    writer += "os._exit(0)" if leave_log else "c.close()"
    subprocess.run([sys.executable, "-c", writer, str(path)], input=text, text=True, check=True)
    assert leave_log == path.with_name("x.sqlite-wal").exists()


@pytest.mark.parametrize("folder", [*SHARED_PLACES, tempfile.gettempdir()])
def test_the_search_finds_a_canary_in_the_shared_folder(folder: str) -> None:
    if not os.access(folder, os.W_OK):
        folder = tempfile.gettempdir()
    text, since = canary(), _just_before_now()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="keyturn-canary-") as file:
        file.write(base64.b64encode(text.encode()))
        file.flush()
        found = Search({"mine": text}).files(Path(folder), since)
        assert {each.place for each in found} == {file.name}
        assert not Search({"mine": text}).files(Path(folder), since, without={Path(file.name)})


def _just_before_now() -> float:
    """File systems keep times by the kernel's tick, which is behind the clock."""
    return time.time() - 0.1


@pytest.mark.parametrize(
    "where", ["arguments", "environment", "deleted file", "memory file", "temporary file"]
)
def test_the_watcher_sees_a_canary_in_a_process_s(where: str, tmp_path: Path) -> None:
    text, seen = canary(""), Seen()
    with Watcher(seen, [tmp_path]) as watcher:
        _expose(where, text, tmp_path, lambda: _looked(watcher, 3))
    found = {each.place for each in seen.search(Search({"mine": text}))}
    assert found
    assert any(
        word in place
        for place in found
        for word in (where.partition(" ")[0], "deleted", "while it was there")
    )


def _looked(watcher: Watcher, times: int) -> None:
    until, patience = watcher.looks + times, time.monotonic() + PATIENCE
    while watcher.looks < until and time.monotonic() < patience:
        time.sleep(0.001)


def _expose(where: str, text: str, folder: Path, wait: Callable[[], None]) -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    arguments = [sys.executable, "-c", code]
    environment, held = dict(os.environ), []
    if where == "arguments":
        arguments.append(text)
    elif where == "environment":
        environment["PASSWORD"] = text
    elif where == "temporary file":
        (folder / "passing").write_text(text)
    else:
        held = [os.memfd_create("x") if where == "memory file" else _deleted(folder.parent)]
        os.write(held[0], text.encode())
    with subprocess.Popen(
        arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=held
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait()
        process.communicate()
    (folder / "passing").unlink(missing_ok=True)
    for descriptor in held:
        os.close(descriptor)


def _deleted(folder: Path) -> int:
    descriptor, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    return descriptor


def test_the_watcher_sees_a_grandchild() -> None:
    text, seen = canary(""), Seen()
    with Watcher(seen) as watcher:
        inner = f"import time; x = {text!r}; time.sleep(60)"
        code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.stdin.readline()]);"
        code += "print(1, flush=True); sys.stdin.readline(); p.kill(); p.wait()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(inner + "\n")
            process.stdin.flush()
            process.stdout.readline()
            _looked(watcher, 3)
            process.stdin.write("\n")
    assert seen.search(Search({"mine": text}))


# The run


@dataclass
class Run:
    """An engine, what was asked of it, and everything that could be seen of it meanwhile."""

    folder: Path
    accounts: LocalAccounts
    sshd: SshServer
    seen: Seen
    watcher: Watcher
    started: float = field(default_factory=_just_before_now)
    secrets: dict[str, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    cores: dict[str, tuple[str, str]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "engine.log"

    def canary(self, name: str, special: str | None = None) -> str:
        self.secrets[name] = canary() if special is None else canary(special)
        return self.secrets[name]

    # Processes

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL")}
        return kept | {"TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder / "home")}

    def start(self) -> None:
        command = [str(KEYTURN), "up", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        endpoint = self.data / "engine.json"
        endpoint.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment(), cwd=self.folder / "home", stdout=log, stderr=log
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the engine did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def cli(self, *arguments: str, pipes: tuple[bytes, ...] = ()) -> subprocess.CompletedProcess[bytes]:
        """Run a command; `{0}`, `{1}` in its arguments name pipes that hold `pipes`. Its output is noted."""
        ends = [_pipe(content) for content in pipes]
        named = [argument.format(*(f"/dev/fd/{end}" for end in ends)) for argument in arguments]
        done = subprocess.run(
            [str(KEYTURN), *named],
            env=self.environment(),
            cwd=self.folder / "home",
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            pass_fds=ends,
            timeout=PATIENCE * 2,
        )
        for end in ends:
            os.close(end)
        what = " ".join(arguments[:2])
        if what != "credential reveal":
            self.seen.note(f"stdout of {what}", done.stdout)
        self.seen.note(f"stderr of {what}", done.stderr)
        return done

    def engine(self, *arguments: str, pipes: tuple[bytes, ...] = ()) -> subprocess.CompletedProcess[bytes]:
        return self.cli(*arguments, "--data", str(self.data), "--json", pipes=pipes)

    # HTTP

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """A direct call; the answer with its headers is noted unless it is a reveal."""
        url = urlsplit(json.loads((self.data / "engine.json").read_text())["url"])
        assert url.hostname is not None
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE)
        token = (self.data / "admin.token").read_text().strip()
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | dict(headers or {})
        with contextlib.closing(connection):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered before it was read
                connection.request(method, path, content, sent)
            answer = connection.getresponse()
            answered = answer.read()
        if not path.endswith("/reveal"):
            shown = path.partition("?")[0] if answer.status < 400 else "a refused request"
            self.seen.note(f"answer to {method} {shown}", str(answer.headers).encode() + answered)
        return answer.status, answered

    def api(self, method: str, path: str, body: Any = None) -> Any:
        status, answered = self.ask(method, f"/api/v1{path}", body)
        assert status < 300, (method, status)
        return json.loads(answered)

    def refuse(self, name: str, method: str, path: str, body: Any = None, **headers: str) -> None:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.refused[name] = self.ask(method, f"/api/v1{path}", body, named)[0]

    # Words of the domain

    def name(self, suffix: str) -> str:
        return f"{self.accounts.run_id}_{suffix}@box"

    def credential(self, suffix: str, *options: str, wrong: bool = False, **account: Any) -> int:
        """A real account with a canary, registered and enabled; `wrong`: by another secret, not awaited."""
        secret = self.canary(f"first of {suffix}")
        self.accounts.add(suffix, canary("") if wrong else secret, **account)
        fields = dict(zip(options[::2], options[1::2], strict=True))
        body = {"name": self.name(suffix), "secret": secret} | fields
        added = int(self.api("POST", "/credentials", body)["id"])
        asked = self.api("POST", f"/credentials/{added}/enable")
        self.asked[f"enable {suffix}"] = asked["operation"]
        if not wrong:
            self.wait()
        return added

    def rotate(self, name: str, credential: int) -> None:
        self.asked[f"rotate {name}"] = self.api("POST", f"/credentials/{credential}/rotate")["operation"]

    def wait(self) -> None:
        """Until everything that was asked for has ended."""
        until = time.monotonic() + 3 * PATIENCE
        while self.asked and time.monotonic() < until:
            for name, operation in list(self.asked.items()):
                told = self.api("GET", f"/operations/{operation}")
                if told["finished"] is not None or told["needs_person"]:
                    self.ended[name] = told["state"], told["outcome"]
                    del self.asked[name]
            time.sleep(0.05)


def _pipe(content: bytes) -> int:
    """The end to read of a pipe that holds all of it: pipe(7) takes 64 KiB."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


@pytest.fixture(scope="module")
def run(sshd: SshServer, accounts: LocalAccounts, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("leaks")
    for name in ("tmp", "home"):
        (folder / name).mkdir()
    seen = Seen()
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    # So that nobody but the engine lowers it; tests of commands in this process may have done so.
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        with Watcher(seen, [folder / "tmp", folder / "home"]) as watcher:
            run = Run(folder, accounts, sshd, seen, watcher)
            run.start()
            try:
                _live(run)
            finally:
                run.kill()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    run.secrets |= _vault(run)
    return run


def _live(run: Run) -> None:
    run.api("POST", "/devices", _device(run))
    _change_real_accounts(run)
    _ask_for_what_is_refused(run)
    _run_templates(run)
    _send_nonsense(run)
    _type_nonsense(run)
    run.wait()
    _kill_during_a_change(run)
    _look_at_everything(run)


def _device(run: Run) -> dict[str, Any]:
    keys = [run.sshd.host_key_line]
    return {"name": "box", "address": "127.0.0.1", "ports": {"ssh": run.sshd.port}, "host_keys": keys}


def _change_real_accounts(run: Run) -> None:
    own = _by_commands(run, "cli")
    adm = run.credential("adm", sudo=["/usr/sbin/chpasswd", "/usr/bin/passwd"])
    web = run.credential("web", "auth", run.name("adm"))
    run.credential("child", "parent", own, "link", "same")
    for name, credential in (("web", web), ("adm", adm), ("web again", web)):
        run.rotate(name, credential)
        run.wait()


def _by_commands(run: Run, suffix: str) -> str:
    """Everything about one account as a person does it."""
    name, secret = run.name(suffix), run.canary(f"first of {suffix}")
    user = run.accounts.add(suffix, secret)
    given = ("--secret-file", "{0}", "--enable")
    run.engine("credential", "add", name, *given, pipes=(secret.encode() + b"\n",))
    done = run.engine("credential", "rotate", name, "--wait", "--timeout", "30")
    told = json.loads(done.stdout)
    run.ended["rotate by command"] = told["state"], told["outcome"]
    revealed = json.loads(run.engine("credential", "reveal", name, "--reason", "leak test").stdout)
    run.ended["reveal"] = run.accounts.opens(user, revealed["secret"])
    return name


def _ask_for_what_is_refused(run: Run) -> None:
    """PAM answers a wrong password after seconds, so this goes on while other things are done."""
    run.api("POST", "/policies", {"name": "short", "rules": {"generator": {"length": 5}}})
    short, behind = run.credential("short", "policy", "short"), run.credential("behind")
    run.accounts.set_password(f"{run.accounts.run_id}_behind", canary(""))
    run.rotate("short", short)
    run.rotate("behind", behind)
    run.credential("wrong", wrong=True)


def _kill_during_a_change(run: Run) -> None:
    run.rotate("killed", run.credential("killed"))
    run.ended["killed in passwd"] = run.watcher.wait_for(b"passwd\0", PATIENCE)
    run.kill()
    run.start()
    run.wait()


ECHOING = """---
name: echoing
executor: ssh
action: change_secret
summary: Shows its secrets in several encodings.
login: self
tags: {NEW_PASSWORD: secret, CURRENT_PASSWORD: secret}
version: 1
---
[change]
run tee /dev/stderr | base64; printf x >&2; exit 0
  input [#NEW_PASSWORD#]
run bash -c 'read -r x; printf "%s" "$x" | od -An -tx1 | tr -d "\\n"; printf "%q" "$x"'
  input [#CURRENT_PASSWORD#]
run cat
  input [#NEW_PASSWORD#]
  expect "this never comes"
"""


def _run_templates(run: Run) -> None:
    """One that shows its secrets in several encodings and fails, and the shipped one."""
    old, new = run.canary("ad hoc old"), run.canary("ad hoc new")
    user = run.accounts.add("adhoc", old)
    echoing = run.folder / "echoing.template"
    echoing.write_text(ECHOING)
    shipped = run.cli("template", "show", "linux-own-password", "--data", str(run.data)).stdout
    (run.folder / "own.template").write_bytes(shipped)
    for name, file in (("echoing", echoing), ("own", run.folder / "own.template")):
        done = run.cli(
            "template", "run", str(file), "--executor", "ssh", "--address", "127.0.0.1",
            "--port", str(run.sshd.port), "--login", user, "--login-secret-file", "{0}",
            "--secret-tag", "NEW_PASSWORD={1}", "--host-key", run.sshd.host_key_line, "--json",
            pipes=(old.encode(), new.encode()),
        )  # fmt: skip
        run.ended[f"template {name}"] = json.loads(done.stdout or b"{}").get("outcome")


def _send_nonsense(run: Run) -> None:
    """A secret wherever the API does not take one."""
    new, known = {"name": run.name("nobody")}, run.api("GET", "/credentials")[0]["id"]
    secret = f"/credentials/{known}/secret"

    def told(name: str) -> str:
        return run.canary(f"sent as {name}")

    bodies: dict[str, tuple[str, str, Any]] = {
        "a list": ("POST", "/credentials", new | {"secret": [told("a list")]}),
        "an object": ("POST", "/credentials", new | {"secret": {"password": told("an object")}}),
        "an unknown field": ("POST", "/credentials", new | {"password": told("an unknown field")}),
        "a field's name": ("POST", "/credentials", new | {run.canary("sent as a field's name", ""): "x"}),
        "a kind": ("POST", "/credentials", new | {"kind": told("a kind")}),
        "a policy": ("POST", "/credentials", new | {"policy": 1, "link": told("a policy")}),
        "tags": ("POST", "/credentials", new | {"tags": told("tags")}),
        "one with a newline": ("POST", "/credentials", new | {"secret": told("one with a newline") + "\nx"}),
        "one too long": ("PUT", secret, {"secret": told("one too long") * 200}),
        "one too large": ("PUT", secret, {"secret": told("one too large") * 100_000}),
        "a bare text": ("PUT", secret, told("a bare text")),
        "broken JSON": ("PUT", secret, b'{"secret": "' + told("broken JSON").encode()),
        "no JSON": ("PUT", secret, told("no JSON").encode()),
        "surrogates": ("PUT", secret, {"secret": told("surrogates") + "\ud800"}),
        "one of nobody": ("PUT", "/credentials/99999/secret", {"secret": told("one of nobody")}),
        "one of a double": (
            "POST", "/credentials", {"name": run.name("cli"), "secret": told("one of a double")},
        ),
        "one of no device": (
            "POST", "/credentials", {"name": "x@nowhere", "secret": told("one of no device")},
        ),
        "a port": ("POST", "/devices", {"name": "b", "address": "h", "ports": {"ssh": told("a port")}}),
        "a service": (
            "POST", "/devices",
            {"name": "b", "address": "h", "ports": {run.canary("sent as a service", ""): 0}},
        ),
        "a host key": ("POST", "/devices/box/trust", {"host_key": told("a host key")}),
        "a rule": ("POST", "/policies", {"name": "p", "rules": {"settle_seconds": told("a rule")}}),
        "a rule's name": (
            "POST", "/policies", {"name": "p", "rules": {run.canary("sent as a rule's name", ""): 1}},
        ),
        "an alphabet": (
            "POST", "/policies", {"name": "p", "rules": {"generator": {"alphabet": told("an alphabet")}}},
        ),
        "a profile's field": (
            "POST", "/profiles", {"name": "p", run.canary("sent as a profile's field", ""): 1},
        ),
        "an action": ("POST", "/operations", {"credential": run.name("cli"), "action": told("an action")}),
        "a time": (
            "POST", "/operations", {"credential": run.name("cli"), "action": "verify", "due": told("a time")},
        ),
        "a call back": (
            "POST", "/operations",
            {"credential": run.name("cli"), "action": "verify", "callback": told("a call back")},
        ),
        "a right": (
            "POST", f"/credentials/{known}/reveal", {"reason": "x", "break_glass": told("a right")},
        ),
        "too much": ("POST", f"/credentials/{known}/rotate", {"secret": told("too much")}),
    }  # fmt: skip
    for name, (method, path, body) in bodies.items():
        run.refuse(name, method, path, body)
    for name in ("state", "device", "kind", "secret"):
        run.refuse(f"query {name}", "GET", f"/credentials?{name}={_in_url(run, f'a query {name}')}")
    run.refuse("query limit", "GET", f"/operations?limit={_in_url(run, 'a limit')}")
    run.refuse("an id", "GET", f"/credentials/{_in_url(run, 'an id')}")
    run.refuse("a key", "POST", f"/credentials/{known}/rotate", {}, Idempotency_Key=told("a key")[:10] + " x")
    token = run.canary("sent as a token", "")
    for name, header in (("a token", f"Bearer {token}"), ("a scheme", token), ("basic", f"Basic {token}")):
        run.refuse(name, "GET", "/credentials", None, Authorization=header)
    run.refuse(
        "a forged token", "GET", "/devices", None, Authorization=f"Bearer kt_{'0' * 16}_{token * 2}abc"
    )


def _in_url(run: Run, name: str) -> str:
    return urllib.parse.quote(run.canary(f"sent as {name}"), safe="")


def _type_nonsense(run: Run) -> None:
    """Secrets that the command line refuses."""
    given = {
        "two lines": run.canary("typed in two lines").encode() + b"\nmore",
        "not UTF-8": run.canary("typed as Latin-1", "é").encode("latin-1"),
        "far too long": run.canary("typed far too long").encode() * 1500,
        "a bell": run.canary("typed with a bell").encode() + b"\x07",
    }
    for name, content in given.items():
        done = run.engine(
            "credential", "set", run.name("cli"), "--secret-file", "{0}", pipes=(content[:60_000],)
        )
        run.refused[f"typed {name}"] = done.returncode


def _look_at_everything(run: Run) -> None:
    for path in ("/devices", "/credentials", "/profiles", "/policies", "/templates", "/openapi.json"):
        run.api("GET", path)
    for each in run.api("GET", "/credentials"):
        run.api("GET", f"/credentials/{each['id']}")
        run.api("GET", f"/credentials/{each['id']}/history")
    for each in run.api("GET", "/operations?limit=1000"):
        shown = run.api("GET", f"/operations/{each['id']}")
        for attempt in shown["attempts"]:
            if attempt["has_transcript"]:
                path = f"/operations/{each['id']}/attempts/{attempt['id']}/transcript"
                run.api("POST", path, {"reason": "leak test"})
                run.ended["transcripts"] = run.ended.get("transcripts", 0) + 1
    run.engine("operation", "list")
    run.cli("credential", "list", "--data", str(run.data))
    run.ended["audit"] = run.cli("audit", "export", "--data", str(run.data)).returncode
    run.engine("doctor")
    _note_core_limits(run)


def _note_core_limits(run: Run) -> None:
    assert run.process is not None
    for pid in (run.process.pid, *descendants(run.process.pid)):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        kind = "fork server" if "forkserver" in arguments else "engine"
        run.cores[kind] = core_limits(pid)
    reader, writer = os.pipe()  # a command that waits for the rest of a secret
    command = [
        str(KEYTURN),
        "credential",
        "set",
        run.name("cli"),
        "--data",
        str(run.data),
        "--secret-file",
        "-",
    ]
    with subprocess.Popen(
        command, stdin=reader, env=run.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        os.close(reader)
        os.write(writer, b"x" * 65536)
        os.write(writer, b"x")  # returns once something was read
        run.cores["command"] = core_limits(process.pid)
        os.close(writer)
        process.communicate()


def _vault(run: Run) -> dict[str, str]:
    """Every version there ever was, refused ones too, opened by the zone's key; and the engine's own."""
    opened: dict[str, str] = {}
    copy = run.folder / "copy"
    shutil.copytree(run.data, copy)
    database, keys = Database(f"sqlite:///{copy / 'keyturn.sqlite'}"), FileKeys(copy / "keys")
    with database.reading() as connection:
        for row in connection.execute(select(secret_version)):
            ref = credential_ref(connection, row.credential_id)
            secret = open_sealed(row.sealed, keys.private(ref.zone), ref.context(row.number))
            opened[f"version {row.number} of {ref.username.partition('_')[2]}"] = secret.reveal()
    database.dispose()
    opened["admin token"] = (copy / "admin.token").read_text().strip()[-43:]
    opened["pepper"] = (copy / "pepper").read_text().strip()
    # Not from its beginning, which it shares with public keys.
    opened["zone key"] = "".join((copy / "keys" / "default.key").read_text().splitlines()[1:-1])[-40:]
    shutil.rmtree(copy)
    return opened


def test_the_run_was_one_worth_searching(run: Run) -> None:
    enabled = dict.fromkeys(("enable adm", "enable web", "enable short", "enable killed"), PROVEN)
    changed = dict.fromkeys(("rotate by command", "rotate web", "rotate adm", "rotate web again"), PROVEN)
    refused = {"rotate short": ("failed", "refused_by_policy"), "rotate behind": ("failed", "bad_login")}
    told = enabled | changed | refused | {"enable wrong": ("failed", "bad_login"), "rotate killed": PROVEN}
    assert run.ended == run.ended | told
    assert run.ended["reveal"]
    assert run.ended["killed in passwd"]
    assert run.ended["template echoing"] == "script_mismatch"
    assert run.ended["template own"] == "ok"
    assert run.ended["transcripts"] >= 5
    assert run.ended["audit"] == 0
    assert any(name.startswith("version 2 of short") for name in run.secrets)
    assert len(run.secrets["version 2 of short"]) == 5
    assert run.watcher.looks > 100


def test_what_cannot_be_a_secret_s_place_was_refused(run: Run) -> None:
    harmless = {"query device", "query kind", "query secret"}  # nothing reads them, or nothing is found
    accepted = {name for name, code in run.refused.items() if not (400 <= code < 500 or code == 3)}
    assert accepted <= harmless


def test_no_secret_is_outside_the_vault(run: Run) -> None:
    assert _told(_everywhere(run, Search(run.secrets))) == ""


def test_the_search_was_in_every_place(run: Run) -> None:
    user = f"{run.accounts.run_id}_cli"
    places = {each.place for each in _everywhere(run, Search({"user": user, "start": "listening on http"}))}
    wanted: tuple[str, ...] = (
        "keyturn.sqlite",
        "keyturn.sqlite-wal",
        "engine.log",
        "sshd.log",
        "transcript",
        "journal/",
    )
    wanted += (
        "audit export",
        "stdout of credential list",
        "answer to GET /api/v1/operations/",
        "arguments of",
    )
    assert [word for word in wanted if not any(word in place for place in places)] == []


def _everywhere(run: Run, search: Search) -> set[Found]:
    own = {run.data / "admin.token", run.data / "pepper", run.data / "keys"}
    found = run.seen.search(search) | search.files(run.folder, without=own)
    for folder in map(Path, {*SHARED_PLACES, tempfile.gettempdir()}):
        others = folder.glob("pytest-of-*")  # those of other tests; this one's is searched already
        found |= search.files(folder, run.started, set(others))
    for home in Path("/home").glob(f"{run.accounts.run_id}_*"):
        found |= search.files(home)
    return found


def _told(found: set[Found]) -> str:
    return "\n".join(f"{each.secret}: {each.place}, {each.encoding}" for each in sorted(found))


def test_no_process_that_holds_secrets_writes_core_files(run: Run) -> None:
    assert set(run.cores) == {"engine", "fork server", "command"}
    assert run.cores == dict.fromkeys(run.cores, ("0", "0"))


def test_a_message_of_the_broker_holds_an_id_and_nothing_else() -> None:
    app = make_app("memory://", "leaks")
    register(app, lambda _: None, lambda _: None)
    bell = Bell(app, "leaks")
    bell.start()
    bell.ring(4711, "default", 1)
    bell.reveal(815, "default")
    bell.stop()
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("keyturn.leaks.default.urgent")
        for name, number in (("keyturn.operation", 4711), ("keyturn.reveal", 815)):
            message = queue.get(timeout=PATIENCE)
            assert message.decode() == [
                [number],
                {},
                {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
            ]
            assert message.headers["task"] == name
            assert message.headers["argsrepr"] == f"({number},)"
            message.ack()
        queue.close()
