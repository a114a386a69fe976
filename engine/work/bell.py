"""The doorbell: tells workers that there may be something to do. Losing a ring loses time, never an
operation."""

from __future__ import annotations

import logging
import threading
import time

from celery import Celery, Task
from kombu.exceptions import OperationalError

from engine.work.names import OPERATION_TASK, REVEAL_TASK

log = logging.getLogger(__name__)

REPEAT = 60.0  # seconds after which a ring that nobody answered counts as lost


class Bell:
    """Rings for an id at most once until its ring was answered, as far as this process knows, or was lost."""

    def __init__(self, app: Celery) -> None:
        self._operation: Task[[int], None] = app.tasks[OPERATION_TASK]
        self._reveal: Task[[int], None] = app.tasks[REVEAL_TASK]
        self._lock = threading.Lock()
        self._waiting: dict[int, float] = {}

    def ring(self, operation_id: int) -> None:
        """Call after the commit. A broker that is away is no error: the tick rings again."""
        with self._lock:
            if time.monotonic() - self._waiting.get(operation_id, -REPEAT) < REPEAT:
                return
            self._waiting[operation_id] = time.monotonic()
        if not self._send(self._operation, operation_id):
            self.answered(operation_id)

    def reveal(self, request_id: int) -> None:
        self._send(self._reveal, request_id)

    def answered(self, operation_id: int) -> None:
        with self._lock:
            self._waiting.pop(operation_id, None)

    def _send(self, task: Task[[int], None], about: int) -> bool:
        try:
            task.apply_async((about,), retry=False)
        except OperationalError as error:
            log.warning("the broker did not take a message: %s", error)
            return False
        return True
