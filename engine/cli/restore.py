"""`keyturn restore`: from the escrow journals of hosts that will not report their own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click
from sqlalchemy import select

from engine.catalog.lookup import name_of
from engine.cli.errors import CommandFailed, input_refused
from engine.cli.exits import Exit
from engine.cli.frame import EngineCommand, Shared, pass_shared, say
from engine.cli.settings import FAILURES, settings_of
from engine.operations.recovery import report
from engine.settings import Settings
from engine.store.database import Database
from engine.store.models import engine_state
from engine.store.upgrade import check_schema
from engine.vault.errors import JournalBroken
from engine.vault.journal import JournalView, read_all

ACTOR = "keyturn restore"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`imported` got versions back now; `orphans` are accounts that the database does not know; `damages` are
    lines that cannot be read. `restored`: the engine is in RESTORED mode."""

    records: int
    imported: list[str]
    orphans: list[str]
    damages: list[str]
    restored: bool

    @property
    def whole(self) -> bool:
        return not (self.orphans or self.damages)

    def __str__(self) -> str:
        """For people."""
        lines = [f"{self.records} records read; {len(self.imported)} credentials got versions back"]
        lines += [f"  brought back: {name}" for name in self.imported]
        lines += [f"  not known here, register it and restore again: {name}" for name in self.orphans]
        lines += [f"  cannot be read: {damage}" for damage in self.damages]
        if self.restored:
            lines.append(
                "RESTORED mode: changes wait until you have looked at `keyturn restored show` and ended it"
            )
        return "\n".join(lines)


@click.command(cls=EngineCommand)
@click.option(
    "--journal",
    "places",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A journal, or a directory of journals; may be given several times.",
)
@pass_shared
def restore(shared: Shared, places: tuple[Path, ...]) -> None:
    """Bring back secrets that the database lacks and journals of dead hosts hold.

    Processes report their own journals when they start. Needs the database and no private key; may run beside
    workers, and again. Ends with 1 if an account is not known here, or a line cannot be read.
    """
    settings = settings_of(shared)
    if settings.database is None and not (settings.data / "keyturn.sqlite").exists():
        raise input_refused(f"there is no database in {settings.data}; put the backup's copy there first")
    view = _read(places)
    try:
        outcome = _restored(settings, view)
    except FAILURES as error:
        raise CommandFailed(Exit.NOT_READY, str(error), "cannot_restore") from None
    say(shared, {**asdict(outcome), "whole": outcome.whole}, str(outcome))
    if not outcome.whole:
        click.get_current_context().exit(int(Exit.FAILED))


def _read(places: tuple[Path, ...]) -> JournalView:
    """Raises CommandFailed before anything is changed."""
    for place in places:
        if place.is_dir() and not any(place.glob("*.journal")):
            raise input_refused(f"{place} holds no *.journal; is its volume mounted?", "no_journals")
    try:
        return read_all(places)
    except JournalBroken as error:
        raise input_refused(str(error), "unreadable_journal") from None


def _restored(settings: Settings, view: JournalView) -> Outcome:
    database = Database(settings.database_url)
    try:
        check_schema(database)
        with database.writing() as connection:
            found = report(connection, view, ACTOR, settings.lease)
            imported = [name_of(connection, credential_id) for credential_id in found.imported]
            mode = connection.execute(select(engine_state.c.restored)).scalar_one()
    finally:
        database.dispose()
    return Outcome(len(view.records), imported, found.orphans, [str(each) for each in view.damages], mode)
