"""The story, step by step. Whatever is not so raises."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.engine import PATIENCE, Engine, descendants, wait_for_end
from tests.demo.login import opens
from tests.demo.telling import NotSo, check, masked, say, step
from tests.targets.box import Box, NewAccount

PARENT, SAME, OWN = "deploy@alpha", "deploy@beta", "backup@alpha"
EVERYONE = (PARENT, SAME, OWN)
CHILDREN = {SAME, OWN}
FINISHED = ("succeeded", "failed", "canceled", "expired")


@dataclass
class Scene:
    """Engine and targets. `hold`: while this file exists, alpha does not say that a change was made."""

    engine: Engine
    boxes: dict[str, Box]
    hold: Path

    def box(self, name: str) -> tuple[Box, str]:
        """Where a credential's account is, and what it is called there."""
        account, _, device = name.partition("@")
        return self.boxes[device], account

    def stop_targets(self) -> None:
        for box in self.boxes.values():
            box.stop()

    def held(self, name: str) -> list[str]:
        """By the target's own record: every password of the account, the one in force last."""
        box, account = self.box(name)
        return box.held(account)

    def revealed(self, name: str) -> str:
        """What the vault says is the password."""
        reason = "the demo compares it with the target"
        return str(self.engine.ask("credential", "reveal", name, "--reason", reason)["secret"])


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """Nothing of it is left running."""
    with ExitStack() as ending:
        engine = Engine(directory / "data")
        ending.callback(engine.end)
        made = Scene(engine, {}, directory / "hold")
        ending.callback(made.stop_targets)
        yield made


def tell(scene: Scene) -> None:
    """The whole story. Raises NotSo, EngineFailed."""
    start_engine(scene.engine)
    start_targets(scene)
    register(scene)
    change_on_request(scene)
    change_the_parent(scene)
    kill_in_between(scene)
    try_every_password(scene)
    verify_the_audit(scene.engine)
    stop(scene.engine)


def start_engine(engine: Engine) -> None:
    step(1, "The engine starts on an empty data directory")
    check("there is nothing yet", not engine.data.exists())
    say("$ keyturn up --data DIR --listen 127.0.0.1:0")
    engine.start()
    check("GET /readyz answers 200", engine.status("/readyz") == 200)
    for path, mode in (
        (engine.data, 0o700),
        (engine.data / "keys" / "default.key", 0o400),
        (engine.data / "admin.token", 0o400),
        (engine.data / "journal", 0o700),
        (engine.data / "keyturn.sqlite", 0o600),
    ):
        made = path.relative_to(engine.data.parent)
        check(f"{made} was made, mode {mode:04o}", path.stat().st_mode & 0o7777 == mode)


def start_targets(scene: Scene) -> None:
    step(2, "Two disposable SSH targets start, accounts in memory")
    shared = secrets.token_urlsafe(15)
    scene.boxes["alpha"] = Box(
        [NewAccount("deploy", shared), NewAccount("backup", secrets.token_urlsafe(15))], scene.hold
    )
    scene.boxes["beta"] = Box([NewAccount("deploy", shared)])
    for name in EVERYONE:
        box, account = scene.box(name)
        password = scene.held(name)[-1]
        check(
            f"{account} logs in at 127.0.0.1:{box.port} with {masked(password)}",
            opens(box, account, password),
        )


def register(scene: Scene) -> None:
    step(3, "Devices, a parent and a child of each kind are registered and proven")
    for device, box in scene.boxes.items():
        place = f"--address {box.address} --port ssh={box.port}"
        say(f"$ keyturn device add {device} {place} --host-key '{_short(box)}'")
        where = ("--address", box.address, "--port", f"ssh={box.port}", "--host-key", box.host_key)
        scene.engine.ask("device", "add", device, *where)
    for name, link in ((PARENT, None), (SAME, "same"), (OWN, "own")):
        follows = ("--parent", PARENT, "--link", link) if link else ()
        options = ("--secret-file", "-", *follows, "--enable")
        say(f"$ keyturn credential add {name} {' '.join(options)}")
        added = scene.engine.ask("credential", "add", name, *options, stdin=scene.held(name)[-1])
        check(f"{name} is managed: a login proved it", added["state"] == "managed")


def _short(box: Box) -> str:
    kind, key = box.host_key.split()[:2]
    return f"{kind} {key[:4]}…{key[-4:]}"


def change_on_request(scene: Scene) -> None:
    step(4, f"A change on request: {OWN}")
    before = scene.held(OWN)
    say(f"$ keyturn credential rotate {OWN} --wait")
    done = scene.engine.ask("credential", "rotate", OWN, "--wait")
    check(f"operation {done['operation']} {done['state']}: {done['outcome']}", done["state"] == "succeeded")
    check(
        f"the target has another password: {masked(scene.held(OWN)[-1])}",
        _is_one_longer(before, scene.held(OWN)),
    )
    check("the vault has the same", scene.revealed(OWN) == scene.held(OWN)[-1])


def _is_one_longer(before: list[str], after: list[str]) -> bool:
    return after[:-1] == before and after[-1] not in before


def change_the_parent(scene: Scene) -> None:
    step(5, f"The parent changes, and the change cascades: {PARENT}")
    before = {name: scene.held(name) for name in EVERYONE}
    say(f"$ keyturn credential rotate {PARENT} --wait")
    done = scene.engine.ask("credential", "rotate", PARENT, "--wait")
    check(f"operation {done['operation']} {done['state']}: {done['outcome']}", done["state"] == "succeeded")
    children_follow(scene, done["operation"], before)


def children_follow(scene: Scene, parent_operation: int, before: dict[str, list[str]]) -> None:
    for each in children_of(scene.engine, parent_operation):
        check(
            f"operation {each['id']} followed by itself: {each['credential']} {each['state']}",
            each["state"] == "succeeded",
        )
    after = {name: scene.held(name) for name in EVERYONE}
    check("each account changed once", all(_is_one_longer(before[name], after[name]) for name in EVERYONE))
    check(
        f"{SAME} holds exactly its parent's password, {masked(after[SAME][-1])}",
        after[SAME][-1] == after[PARENT][-1],
    )
    check(f"{OWN} holds one of its own, {masked(after[OWN][-1])}", after[OWN][-1] not in after[PARENT])


def children_of(engine: Engine, parent_operation: int) -> list[dict[str, Any]]:
    """The operations that followed, finished. Raises NotSo."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        listed = engine.ask("operation", "list")
        found = [each for each in listed if each["parent_operation_id"] == parent_operation]
        if {each["credential"] for each in found} == CHILDREN and all(
            each["state"] in FINISHED for each in found
        ):
            return found
    raise NotSo(f"both children follow operation {parent_operation}")


def kill_in_between(scene: Scene) -> None:
    step(6, "The engine is killed between sending a change and hearing the answer")
    engine, (alpha, account) = scene.engine, scene.box(PARENT)
    before = {name: scene.held(name) for name in EVERYONE}
    scene.hold.touch()
    say(f"$ keyturn credential rotate {PARENT}        (alpha will not say that it was done)")
    operation = engine.ask("credential", "rotate", PARENT)["operation"]
    engine.wait_until(lambda: alpha.withholds(account), "the change never reached the target")
    after = scene.held(PARENT)
    check(f"alpha has made the change, {masked(after[-1])}", _is_one_longer(before[PARENT], after))
    check("alpha keeps silent about it", alpha.withholds(account))
    pids = [engine.process.pid, *descendants(engine.process.pid)]
    say(f"$ kill -KILL {pids[0]}")
    engine.kill()
    check(f"the engine and its {len(pids) - 1} child processes are gone", not wait_for_end(pids))
    scene.hold.unlink()
    say("$ keyturn up --data DIR --listen 127.0.0.1:0")
    engine.start()
    find_the_truth(scene, operation)
    children_follow(scene, operation, before)


def find_the_truth(scene: Scene, operation: int) -> None:
    say(f"$ keyturn operation wait {operation}")
    done = scene.engine.ask("operation", "wait", str(operation), "--timeout", "45")
    check(f"operation {operation} {done['state']} by itself: {done['outcome']}", done["state"] == "succeeded")
    say(f"$ keyturn operation show {operation}")
    for attempt in scene.engine.ask("operation", "show", str(operation))["attempts"]:
        ended = "never heard of again" if attempt["outcome"] is None else attempt["outcome"]
        say(f"    attempt {attempt['number']}: {ended} {attempt['message'] or ''}".rstrip())
    check("the vault has what opens", scene.revealed(PARENT) == scene.held(PARENT)[-1])


def try_every_password(scene: Scene) -> None:
    step(7, "Every old password is tried and refused, every current one opens")
    for name in EVERYONE:
        box, account = scene.box(name)
        *old, current = scene.held(name)
        refused = [not opens(box, account, password) for password in dict.fromkeys(old)]
        check(f"{name}: {len(refused)} old ones refused", len(refused) > 1 and all(refused))
        revealed = scene.revealed(name)
        check(
            f"{name}: the vault's opens, {masked(revealed)}",
            revealed == current and opens(box, account, revealed),
        )


def verify_the_audit(engine: Engine) -> None:
    step(8, "The audit is verified, offline")
    export = engine.data.with_name("audit.jsonl")
    say("$ keyturn audit export --out audit.jsonl && keyturn audit verify audit.jsonl")
    exported = engine.run("audit", "export", "--out", export)
    check("it is exported", exported.returncode == 0)
    verdict = engine.ask("audit", "verify", export)
    check(
        f"{verdict['sealed']} entries, not one missing or changed", verdict["whole"] and verdict["sealed"] > 0
    )
    text = export.read_text()
    export.write_text(text.replace(OWN, OWN.upper(), 1))
    changed = engine.run("audit", "verify", export)
    check(
        "one word changed in the export, and it is found",
        text != export.read_text() and changed.returncode != 0,
    )
    say(f"  {(changed.stdout + changed.stderr).strip()}")


def stop(engine: Engine) -> None:
    step(9, "The engine stops")
    pids = [engine.process.pid, *descendants(engine.process.pid)]
    say(f"$ kill -TERM {pids[0]}")
    check("it ends with 0", engine.stop() == 0)
    check("no process is left", not wait_for_end(pids))
