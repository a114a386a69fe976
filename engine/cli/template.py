"""`keyturn template`: the library, and the author's workbench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from engine.cli.adhoc import Ended, Given, run, tag_name
from engine.cli.credential import KINDS
from engine.cli.errors import input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineGroup, Shared, pass_shared, printable, say, show_json, show_rows
from engine.cli.guard import is_loopback, refuse_managed
from engine.cli.secrets import STDIN, read_secret
from engine.cli.template_files import gather
from engine.cli.waiting import end_with, timeout_option, wait_for
from engine.templating.header import LEGAL_NAME
from engine.templating.tags import TAGS
from executors.contract import Login, Secret, Target, ValueKind
from executors.language.findings import Status

COLUMNS = ("name", "version", "tier", "action", "sha256")  # as many as 80 characters hold; --json has all
DIGITS = 12  # of a SHA-256 in a table: enough to tell two versions apart, --json has the whole
SECRET_TAGS = frozenset(name for name, spec in TAGS.items() if spec.kind is ValueKind.SECRET)
LINT_COLUMNS = ("status", "executor", "action", "path")
IMPORT_COLUMNS = ("path", "name", "version", "result", "message")
BENCH_COLUMNS = ("secrets", "reads", "device", "outcome", "message", "good")
MAX_PREFIX = 64  # characters
STEP_COLUMNS = ("section", "line", "shown", "outcome", "milliseconds")


def legal_prefix(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and (len(given) > MAX_PREFIX or not LEGAL_NAME.fullmatch(given)):
        raise click.BadParameter(
            f"write lower-case words joined by '-', '.' or '/', {MAX_PREFIX} characters at most"
        )
    return given


@click.group(cls=EngineGroup)
def template() -> None:
    """Templates: how a target is driven."""


@template.command("list")
@pass_shared
def list_(shared: Shared) -> None:
    """Templates in use; without --data those that come with this release."""
    rows = _shipped() if shared.data is None else shared.client().get("/templates")
    shorter = rows if shared.as_json else [{**each, "sha256": each["sha256"][:DIGITS]} for each in rows]
    show_rows(shared, shorter, COLUMNS)


def _shipped() -> list[dict[str, Any]]:
    from engine.templating.library import shipped

    return [
        {
            "name": each.name,
            "version": each.version,
            "tier": each.tier,
            "executor": each.executor,
            "action": each.action.value,
            "source": "shipped",
            "sha256": each.sha256,
        }
        for each in shipped()
    ]


@template.command()
@click.argument("name")
@pass_shared
def show(shared: Shared, name: str) -> None:
    """The text of one template."""
    found = shared.client().get(f"/templates/{quote(name, safe='/')}")
    if shared.as_json:
        return show_json(found)
    return click.echo(found["content"])


@template.command("lint")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@pass_shared
def lint_(shared: Shared, paths: tuple[Path, ...]) -> None:
    """What is wrong with templates, or doubtful. Needs no engine; directories are walked.

    Exits with 0 if no file has an error, else with 1. docs/findings.md explains every code.
    """
    from engine.templating.linting import lint

    linted = lint(gather(paths))
    if shared.as_json:
        show_json([each.as_json() for each in linted])
    else:
        _show_findings(each.as_json() for each in linted)
    if any(each.status is Status.ERROR for each in linted):
        click.get_current_context().exit(int(Exit.FAILED))


def _show_findings(rows: Iterable[Mapping[str, Any]]) -> None:
    told = list(rows)
    show_rows(Shared(), told, LINT_COLUMNS)
    for row in told:
        for each in row["findings"]:
            click.echo(f"{printable(row['path'])}:{each['line']}: {each['code']}: {each['message']}")


@template.command("import")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR")
@click.option("--prefix", callback=legal_prefix, metavar="NAME", help="Put NAME/ before each name.")
@click.option("--dry-run", is_flag=True, help="Show names and findings; needs no engine.")
@pass_shared
def import_(shared: Shared, directory: Path, prefix: str | None, dry_run: bool) -> None:
    """Store a tree EXECUTOR/ACTION/NAME of the field's templates, each under a name made of these three.

    Files with errors are left out and reported; what has not changed since the last import stays as it is.
    Exits with 3 if the engine refuses one of the files.
    """
    from engine.cli.template_import import REFUSED, import_all

    files = dict(gather([directory]))
    rows = list(import_all(files, prefix, None if dry_run else shared.client()))
    show_rows(shared, rows, IMPORT_COLUMNS) if shared.as_json else _show_import(rows)
    if any(row["result"] == REFUSED for row in rows):
        click.get_current_context().exit(int(Exit.INPUT_REFUSED))


def _show_import(rows: list[dict[str, Any]]) -> None:
    _show_findings(rows)
    show_rows(Shared(), rows, IMPORT_COLUMNS)
    counted = Counter(row["result"] for row in rows)
    click.echo(", ".join(f"{number} {result}" for result, number in sorted(counted.items())) or "no files")


@template.command("test")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--dialogue",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="The recorded dialogue; FILE.lines unless it is said.",
)
@pass_shared
def test_(shared: Shared, file: Path, dialogue: Path | None) -> None:
    """Play a recorded dialogue to a template: no device, no waiting, with hostile secrets, byte by byte.

    In a dialogue `< ` begins what the device says, `> ` a line that it must hear; docs/template-bench.md has
    the rest. Exits with 14 if the template leaves the dialogue in any of the ways in which it is played.
    """
    from engine.cli.template_bench import bench

    played = list(bench(file, dialogue or file.with_name(file.name + ".lines")))
    show_rows(shared, played, BENCH_COLUMNS)
    if not all(each["good"] for each in played):
        click.get_current_context().exit(int(Exit.TEMPLATE))


def named_values(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter("write NAME=VALUE")
        name = tag_name(name)
        if name in named:
            raise click.BadParameter(f"{name} is given twice")
        named[name] = value
    return named


ONE_TARGET = (
    click.argument("file", type=click.Path(path_type=Path, dir_okay=False)),
    click.option("--executor", required=True, metavar="NAME", help="Such as ssh."),
    click.option("--address", required=True, metavar="A"),
    click.option("--port", required=True, type=click.IntRange(1, 65535), metavar="P"),
    click.option("--login", required=True, metavar="USER", help="Who logs in."),
    click.option("--login-secret-file", required=True, metavar="F", help="File, or - for standard input."),
    click.option("--tag", "tags", multiple=True, callback=named_values, metavar="NAME=VALUE"),
    click.option("--secret-tag", "secret_tags", multiple=True, callback=named_values, metavar="NAME=FILE"),
    click.option(
        "--host-key", "host_keys", multiple=True, metavar="LINE", help="The pinned key: 'ssh-ed25519 AAAA…'."
    ),
    click.option("--accept-any-host-key", is_flag=True, help="For loopback addresses only."),
    click.option("--cleartext", is_flag=True, help="Let secrets be sent unencrypted, as telnet does."),
    click.option("--weak-algorithms", is_flag=True, help="Let ssh fall back to SHA-1, CBC and the like."),
)


def one_target(command: Callable[..., None]) -> Callable[..., None]:
    """The template, the target and the values of a run by hand, which the command gets as `given`."""

    @wraps(command)
    def with_given(
        shared: Shared,
        /,
        file: Path,
        executor: str,
        address: str,
        port: int,
        login: str,
        login_secret_file: str,
        tags: dict[str, str],
        secret_tags: dict[str, str],
        host_keys: tuple[str, ...],
        accept_any_host_key: bool,
        cleartext: bool,
        weak_algorithms: bool,
        **more: Any,
    ) -> None:
        if accept_any_host_key and not is_loopback(address):
            raise input_refused(
                "--accept-any-host-key is for loopback addresses only; pin the key with --host-key"
            )
        refuse_managed(shared, address)
        secrets = _secrets(login_secret_file, tags, secret_tags)
        target = Target(
            address,
            address,
            port,
            host_keys,
            accept_any_host_key,
            cleartext=cleartext,
            weak_algorithms=weak_algorithms,
        )
        given = Given(file, executor, target, Login(login, secrets.pop("")), tags, secrets)
        command(shared, given, **more)

    made: Callable[..., None] = pass_shared(with_given)
    for option in reversed(ONE_TARGET):
        made = option(made)
    return made


@template.command("run")
@one_target
@click.option("--dry-run", is_flag=True, help="Log in, show the plan, change nothing.")
def run_(shared: Shared, /, given: Given, dry_run: bool) -> None:
    """Drive one template against one target. Its secrets are not kept: no vault, no journal."""
    _end(shared, run(given, dry=dry_run))


@template.command("record")
@one_target
@click.option(
    "--dialogue",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Where to write it; FILE.lines unless it is said.",
)
def record_(shared: Shared, /, given: Given, dialogue: Path | None) -> None:
    """Drive one template against one target, as `run` does, and write down their dialogue for `test`.

    Values are written as their tags. Nothing is written, and it exits with 14, if a secret would be left in
    it or if it does not play again with other values.
    """
    from engine.cli.template_bench import record

    _end(shared, record(given, dialogue or given.file.with_name(given.file.name + ".lines")))


def _end(shared: Shared, ended: Ended) -> None:
    _print(shared, ended)
    if ended.exit_code is not Exit.OK:
        click.get_current_context().exit(int(ended.exit_code))


def _secrets(login_file: str, tags: dict[str, str], files: dict[str, str]) -> dict[str, Secret]:
    """By tag; the login's under the empty name."""
    for name in sorted(tags.keys() & SECRET_TAGS):
        raise input_refused(
            f"{name} is a secret, and every process can read arguments: --secret-tag {name}=FILE"
        )
    for name in sorted(files.keys() - SECRET_TAGS):
        raise input_refused(f"{name} is no secret; give it as --tag {name}=VALUE")
    if [login_file, *files.values()].count(STDIN) > 1:
        raise input_refused("standard input holds one secret; give the others as files")
    return {name: read_secret(file) for name, file in {"": login_file, **files}.items()}


def _print(shared: Shared, ended: Ended) -> None:
    document = ended.document()
    if shared.as_json:
        return show_json(document)
    for line in ended.plan or ():
        click.echo(f"would run: {line}")
    show_rows(shared, ended.steps, STEP_COLUMNS)
    click.echo(ended.transcript)
    told = f"; proof: {document['proof']}" if document["proof"] else ""
    why = f" ({document['message']})" if "message" in document else ""
    return click.echo(f"outcome: {document['outcome']}{told}{why}")


@template.command("retire")
@click.argument("name")
@pass_shared
def retire_(shared: Shared, name: str) -> None:
    """Take an imported template out of use: a renamed file leaves its old name behind.

    Its versions stay, and importing it again brings it back. Refused while a profile or a credential names
    it.
    """
    gone = shared.client().post(f"/templates/{quote(name, safe='/')}/retire")
    if shared.as_json:
        return show_json(gone)
    return click.echo(f"{gone['name']} is out of use; its versions up to {gone['version']} are kept")


@template.command("trial")
@click.argument("name")
@click.argument("credential", metavar="USER@DEVICE")
@click.option("--kind", type=click.Choice(KINDS), help="Where the account has credentials of several kinds.")
@click.option("--wait", is_flag=True, help="Until it is proven, failed, or waits for a person.")
@timeout_option
@pass_shared
def trial_(shared: Shared, name: str, credential: str, kind: str | None, wait: bool, timeout: float) -> None:
    """Change one credential with a template of the tier `emulated`.

    From now on the template is that credential's own. When a change with it is proven, that is recorded, and
    every profile and policy may use the template.
    """
    client = shared.client()
    wanted = {"template": name, "credential": credential, **({} if kind is None else {"kind": kind})}
    asked = client.post("/trials", wanted)
    if wait:
        return end_with(shared, wait_for(client, asked["operation"], timeout))
    return say(shared, asked, f"operation {asked['operation']} {asked['state']}")
