"""What one worker process is made of: ledger, fork server, conductor, and the handlers behind the
doorbell."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

from sqlalchemy import select

from engine.operations.ledger import Ledger
from engine.operations.models import attempt
from engine.settings import Settings
from engine.store.database import Database, StoreUnavailable
from engine.store.disk import full_volumes
from engine.vault.errors import VaultError
from engine.vault.journal import JournalWriter
from engine.vault.keys import ZoneKeys
from engine.vault.models import reveal_request
from engine.vault.service import SealedTranscript, answer
from engine.work.bell import Bell
from engine.work.conductor import Conductor
from engine.work.forkserver.client import ForkServer
from engine.work.forkserver.ports import Sessions

log = logging.getLogger(__name__)

PRELOADED = ("ssh", "fake")


def worker_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Worker:
    """Handles rings. `bell` is told when a ring was answered, so that the next one is sent."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        keys: ZoneKeys,
        journal: JournalWriter,
        sessions: Sessions,
    ) -> None:
        self._settings = settings
        self._database = database
        self._keys = keys
        self._ledger = Ledger(database, worker_name(), settings.lease, settings.margin)
        self._conductor = Conductor(self._ledger, sessions, keys, journal, settings.deadline)
        self.bell: Bell | None = None
        self.ended: Callable[[], None] | None = None  # told when an operation was worked on

    def operation(self, operation_id: int) -> None:
        """Work on an operation, if it is due and free, and there is room to write down what comes of it.

        A full volume or a database that is away leaves it to the next tick.
        """
        if self.bell is not None:
            self.bell.answered(operation_id)
        try:
            if full := full_volumes(self._settings):
                reason = f"waits: the volume of {' and that of '.join(full)} is full; make room there"
                return self._ledger.kept_waiting(operation_id, reason)
            if self._conductor.conduct(operation_id) is not None and self.ended is not None:
                self.ended()
        except StoreUnavailable as error:
            log.warning("operation %s: %s", operation_id, error)
        return None

    def reveal(self, request_id: int) -> None:
        try:
            with self._database.writing() as connection:
                wanted = connection.execute(
                    select(attempt.c.epoch, attempt.c.transcript)
                    .join(reveal_request, reveal_request.c.attempt_id == attempt.c.id)
                    .where(reveal_request.c.id == request_id, attempt.c.transcript.is_not(None))
                ).first()
                transcript = None if wanted is None else SealedTranscript(*wanted)
                answer(connection, self._keys, request_id, transcript)
        except (StoreUnavailable, VaultError) as error:  # the asker hears that nobody answered
            log.warning("reveal %s: %s", request_id, error)


def fork_server(hold_fd: int | None) -> ForkServer:
    return ForkServer(PRELOADED, hold_fd)
