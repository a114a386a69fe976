"""The Celery application. A message holds an id and nothing else; results, retries and schedules are the
database's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.worker import WorkController
from kombu import Queue

from engine.work.names import OPERATION_TASK, REVEAL_TASK

log = logging.getLogger(__name__)

Handler = Callable[[int], None]

LARGEST_ID = 2**31 - 1

CONNECT_TIMEOUT = 3  # seconds
ANSWER_TIMEOUT = 10  # seconds; longer than the broker lets a reader wait for a message
VISIBILITY = 3600  # seconds; any lease is over by then
STOP_LIMIT = 10.0  # seconds that the consumer may take to let go of its connections

# By the scheme of the broker's URL, what its transport takes (kombu.transport.*).
_OPTIONS: dict[str, dict[str, Any]] = {
    "memory": {"polling_interval": 0.02},
    "redis": {
        "visibility_timeout": VISIBILITY,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": ANSWER_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "queue_order_strategy": "priority",
        "priority_steps": [0],  # urgency has queues of its own
    },
    "amqp": {"confirm_publish": True, "connect_timeout": CONNECT_TIMEOUT},
}

_WITHOUT_TLS = {"rediss": "redis", "amqps": "amqp"}


def make_app(broker: str, installation: str, queues: Sequence[str] = (), *, late: bool = False) -> Celery:
    """`queues` are consumed, in this order; none for a process that only rings. `late`: the broker keeps a
    message until it was worked on."""
    app = Celery("keyturn", broker=broker, set_as_current=False, autofinalize=False)
    scheme = _WITHOUT_TLS.get(named := urlsplit(broker).scheme, named)
    prefix = {"global_keyprefix": f"keyturn.{installation}."} if scheme == "redis" else {}
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=late,
        task_queues=[Queue(name, routing_key=name) for name in queues],
        task_create_missing_queues=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_timeout=CONNECT_TIMEOUT,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={**_OPTIONS.get(scheme, {}), **prefix},
    )
    return app


def register(app: Celery, operation: Handler, reveal: Handler) -> None:
    """Whatever else a message holds than one id is dropped, and its content kept out of the log."""

    def given_id(given: tuple[object, ...], handler: Handler) -> None:
        if len(given) == 1 and type(given[0]) is int and 0 < given[0] <= LARGEST_ID:
            handler(given[0])
        else:
            log.warning("a message of the broker holds something else than an id, and is dropped")

    # Plain functions: a bound method would be taken for one of a task. Not shared: every other application of
    # the process would get these, and keep them when it registers its own.
    @app.task(name=OPERATION_TASK, ignore_result=True, shared=False)
    def ring_operation(*given: object) -> None:
        given_id(given, operation)

    @app.task(name=REVEAL_TASK, ignore_result=True, shared=False)
    def ring_reveal(*given: object) -> None:
        given_id(given, reveal)

    app.finalize()


class WorkerThread:
    """A Celery worker in a thread of this process: no signal handlers, no child processes."""

    def __init__(self, app: Celery, threads: int) -> None:
        self._app = app
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
        self._app.set_default()  # the pool's threads look tasks up in the process's default application
        self._thread.start()

    def stop(self) -> None:
        """Stop taking messages. One that waits for a broker that is away does not hear of it, and is left."""
        stopping = threading.Thread(target=self._controller.stop, name="celery stop", daemon=True)
        stopping.start()
        stopping.join(STOP_LIMIT)
        self._thread.join(STOP_LIMIT)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()
