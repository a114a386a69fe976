"""The Celery application. A message holds an id and nothing else; results, retries and schedules are the
database's."""

from __future__ import annotations

import threading
from collections.abc import Callable

from celery import Celery
from celery.worker import WorkController

from engine.work.names import OPERATION_TASK, REVEAL_TASK

Handler = Callable[[int], None]


def make_app(broker: str, queue: str) -> Celery:
    """`queue` must be this engine's own: the in-memory transport's queues are shared by all of a process."""
    app = Celery("keyturn", broker=broker, set_as_current=False, autofinalize=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=queue,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"polling_interval": 0.02},
    )
    return app


def register(app: Celery, operation: Handler, reveal: Handler) -> None:
    @app.task(
        name=OPERATION_TASK, ignore_result=True
    )  # plain functions: a bound method would be taken for one of a task
    def ring_operation(operation_id: int) -> None:
        operation(operation_id)

    @app.task(name=REVEAL_TASK, ignore_result=True)
    def ring_reveal(request_id: int) -> None:
        reveal(request_id)

    app.finalize()


class WorkerThread:
    """A Celery worker in a thread of this process: no signal handlers, no child processes."""

    def __init__(self, app: Celery, threads: int) -> None:
        self._controller = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=threads,
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name="celery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let running operations end, then stop."""
        self._controller.stop()
        self._thread.join(timeout=30)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()
