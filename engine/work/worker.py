"""What one worker process is made of: ledger, fork server, conductor, and the handlers behind the
doorbell."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import select

from engine.operations.batches import following
from engine.operations.claims import Claim
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
from engine.work.metrics import Metrics

log = logging.getLogger(__name__)

PRELOADED = ("ssh", "ssh_legacy", "telnet", "tk_expect", "fake")


def worker_name() -> str:
    """Leases are held under it, so no two starts have the same: in containers host and pid come again."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Worker:
    """Handles rings. `bell` is told when a ring was answered, so that the next one is sent."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        keys: ZoneKeys,
        journal: JournalWriter,
        sessions: Sessions,
        name: str,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._database = database
        self._keys = keys
        self._ledger = Ledger(database, name, settings.zone, settings.lease, settings.margin)
        self._conductor = Conductor(
            self._ledger,
            sessions,
            keys,
            journal,
            settings.deadline,
            following=self._following,
            metrics=metrics,
        )
        self.bell: Bell | None = None
        self.ended: Callable[[], None] | None = None  # told when an operation was worked on
        self.draining = threading.Event()  # take nothing more
        self._slots = threading.BoundedSemaphore(settings.threads)
        self._count = threading.Lock()
        self._busy = 0

    @property
    def busy(self) -> int:
        """How many operations it works on now."""
        return self._busy

    def heard(self, operation_id: int) -> None:
        """The bell rang: work on it as soon as there is a place."""
        self._slots.acquire()
        self._work(operation_id)

    def take(self, operation_id: int) -> bool:
        """Work on it in a thread of its own, if there is a place now: nobody heard the bell."""
        if self.draining.is_set() or not self._slots.acquire(blocking=False):
            return False
        threading.Thread(target=self._work, args=(operation_id,), name="unheard", daemon=True).start()
        return True

    def _work(self, operation_id: int) -> None:
        """In a place that was taken. What comes after the word to drain is left to others."""
        try:
            with self._count:
                self._busy += 1
            if not self.draining.is_set():
                self.operation(operation_id)
        finally:
            with self._count:
                self._busy -= 1
            self._slots.release()

    def operation(self, operation_id: int) -> None:
        """Work on an operation, if it is due and free, and there is room to write down what comes of it; then
        on those that may go over its connection.

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

    def _following(self, claim: Claim) -> Sequence[int]:
        """What may come next over the claim's connection, for as long as more may be begun at all."""
        if self.draining.is_set() or full_volumes(self._settings):
            return ()
        with self._database.reading() as connection:
            return following(connection, claim)

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
