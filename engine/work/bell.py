"""The doorbell: tells workers that there may be something to do. Losing a ring loses time, never an
operation."""

from __future__ import annotations

import logging
import threading

from celery import Celery, Task
from kombu.exceptions import OperationalError

from engine.work.names import OPERATION_TASK, REVEAL_TASK

log = logging.getLogger(__name__)


class Bell:
    """Rings for an id at most once until its ring was answered, as far as this process knows."""

    def __init__(self, app: Celery) -> None:
        self._operation: Task[[int], None] = app.tasks[OPERATION_TASK]
        self._reveal: Task[[int], None] = app.tasks[REVEAL_TASK]
        self._lock = threading.Lock()
        self._waiting: set[int] = set()

    def ring(self, operation_id: int) -> None:
        """Call after the commit. A broker that is away is no error: the tick rings again."""
        with self._lock:
            if operation_id in self._waiting:
                return
            self._waiting.add(operation_id)
        if not self._send(self._operation, operation_id):
            self.answered(operation_id)

    def reveal(self, request_id: int) -> None:
        self._send(self._reveal, request_id)

    def answered(self, operation_id: int) -> None:
        with self._lock:
            self._waiting.discard(operation_id)

    def _send(self, task: Task[[int], None], id: int) -> bool:
        try:
            task.apply_async((id,), retry=False)
        except OperationalError as error:
            log.warning("the broker did not take a message: %s", error)
            return False
        return True
