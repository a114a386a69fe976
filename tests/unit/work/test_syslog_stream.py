"""One receiver's stream without sockets: leases, what counts as settled, what is sent again, duties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, delete, insert, select, update

from engine.record import audit, chain, outbox
from engine.record.models import outbox as outbox_table
from engine.record.models import receiver
from engine.record.syslog import SD_ID
from engine.settings import Settings
from engine.store.clock import now
from engine.store.database import Database, StoreUnavailable
from engine.store.models import duty
from engine.store.upgrade import seed
from engine.work.delivery import courier as couriers
from engine.work.delivery import syslog as delivering
from engine.work.delivery.courier import Courier
from engine.work.delivery.lines import Broken
from engine.work.delivery.syslog import Progress, SyslogStream
from tests.syslog_reader import read_rfc5424


class FakeLine:
    """A connection that keeps what it was given, and breaks or stalls when a test says so."""

    longest = 8192
    certain = True

    def __init__(self) -> None:
        self.got: list[int] = []
        self.idle = True
        self.broken = self.stalled = self.closed = False

    def packed(self, message: bytes) -> bytes:
        return message + b"\n"

    def send(self, data: bytes, seconds: float) -> bool:  # noqa: ARG002 - a line has it
        self.check()
        if self.stalled:
            return False
        sent = data.decode().splitlines()
        self.got += [int(read_rfc5424(line.encode()).data[SD_ID]["seq"]) for line in sent]
        return True

    def check(self) -> None:
        if self.broken:
            raise Broken("the test broke it")

    def close(self, *, politely: bool) -> None:  # noqa: ARG002 - a line has it
        self.closed = True


class Scene:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.made: list[FakeLine] = []
        self.unreachable = False
        with database.writing() as connection:
            seed(connection)
        self.id = self.add("siem")

    def add(self, name: str, **fields: Any) -> int:
        values: dict[str, Any] = {"kind": "syslog", "zone": "default", "url": "tcp://siem.example:514"}
        values |= {"format": "rfc5424", "options": {}, "kinds": ["*"], "due": now(), "created": now()}
        with self.database.writing() as connection:
            adding = insert(receiver).values(name=name, **values | fields).returning(receiver.c.id)
            return int(connection.execute(adding).scalar_one())

    def connect(self, *_: object) -> FakeLine:
        if self.unreachable:
            raise Broken("tcp://siem.example:514 cannot be reached: Connection refused")
        self.made.append(FakeLine())
        return self.made[-1]

    def write(self, count: int, kind: str = "test.made") -> None:
        with self.database.writing() as connection:
            for _ in range(count):
                outbox.notice(connection, kind, {})
            outbox.number(connection)

    def stream(self, owner: str = "worker-1") -> SyslogStream:
        return SyslogStream(self.database, owner, self.id)

    def row(self) -> Row[*tuple[Any, ...]]:
        with self.database.reading() as connection:
            return connection.execute(select(receiver).where(receiver.c.id == self.id)).one()

    def set(self, **values: Any) -> None:
        with self.database.writing() as connection:
            connection.execute(update(receiver).where(receiver.c.id == self.id).values(**values))

    def told(self, kind: str) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            rows = (
                select(outbox_table.c.payload).where(outbox_table.c.kind == kind).order_by(outbox_table.c.id)
            )
            return list(connection.execute(rows).scalars())


@pytest.fixture
def scene(database: Database, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(database)
    monkeypatch.setattr(delivering, "connect", made.connect)
    monkeypatch.setattr(delivering, "GRACE", 0.0)
    return made


def test_what_was_written_settles_only_after_a_further_look(scene: Scene) -> None:
    scene.write(3)
    stream = scene.stream()
    assert stream.deliver() is Progress.IDLE
    assert (scene.row().sent, scene.row().settled) == (3, 0)
    assert stream.deliver() is Progress.IDLE
    assert (scene.row().sent, scene.row().settled) == (3, 3)
    assert scene.row().delivered_at is not None


def test_nothing_settles_before_the_grace_period_is_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "GRACE", 3600.0)
    scene.write(3)
    stream = scene.stream()
    for _ in range(3):
        stream.deliver()
    assert scene.row().settled == 0


def test_nothing_settles_that_the_other_side_has_not_taken(scene: Scene) -> None:
    scene.write(3)
    stream = scene.stream()
    stream.deliver()
    scene.made[0].idle = False
    stream.deliver()
    assert scene.row().settled == 0
    scene.made[0].idle = True
    stream.deliver()
    assert scene.row().settled == 3


def test_a_broken_connection_lets_everything_that_is_not_settled_be_sent_again(scene: Scene) -> None:
    scene.write(3)
    stream = scene.stream()
    stream.deliver()
    stream.deliver()
    scene.write(2)
    stream.deliver()
    scene.made[0].broken = True
    assert stream.deliver() is Progress.ENDED
    assert scene.made[0].closed
    assert (scene.row().settled, scene.row().failures, scene.row().error) == (3, 1, "the test broke it")
    assert scene.row().lease_owner is None
    assert stream.deliver() is Progress.ENDED, "it waits"
    scene.set(due=now())
    stream.deliver()
    assert scene.made[1].got == [4, 5]
    stream.deliver()
    row = scene.row()
    assert (row.settled, row.failures, row.error) == (5, 0, None)


def test_what_was_sent_again_settles_though_nothing_new_was_written(scene: Scene) -> None:
    scene.write(3)
    scene.stream().deliver()
    scene.set(lease_until=now() - 1)
    another = scene.stream("worker-2")
    another.deliver()
    another.deliver()
    assert (scene.row().sent, scene.row().settled) == (3, 3)


def test_only_one_worker_delivers(scene: Scene) -> None:
    scene.write(3)
    first, second = scene.stream("worker-1"), scene.stream("worker-2")
    assert first.deliver() is Progress.IDLE
    assert second.deliver() is Progress.ENDED
    assert len(scene.made) == 1
    first.close()
    assert second.deliver() is Progress.IDLE


def test_a_holder_that_was_away_for_too_long_moves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped while it writes; meanwhile another takes over."""
    scene.write(3)
    first, second = scene.stream("worker-1"), scene.stream("worker-2")
    send = FakeLine.send

    def away(line: FakeLine, data: bytes, seconds: float) -> bool:
        monkeypatch.setattr(FakeLine, "send", send)
        scene.set(lease_until=now() - 1)
        second.deliver()
        scene.set(sent=2)
        return send(line, data, seconds)

    monkeypatch.setattr(FakeLine, "send", away)
    assert first.deliver() is Progress.ENDED
    assert (scene.row().lease_owner, scene.row().sent) == ("worker-2", 2)
    assert scene.made[0].closed
    scene.made[1].broken = True
    assert first.deliver() is Progress.ENDED
    assert scene.row().failures == 0


def test_a_lease_is_renewed_before_it_ends_and_not_each_time(scene: Scene) -> None:
    stream = scene.stream()
    stream.deliver()
    until = scene.row().lease_until
    stream.deliver()
    assert scene.row().lease_until == until
    scene.set(lease_until=now() + 20)
    stream.deliver()
    assert scene.row().lease_until > until - 1


@pytest.mark.parametrize("values", [{"enabled": False}, {"kind": "webhook"}, {"due": 4e9}])
def test_what_is_not_to_be_served_is_not(scene: Scene, values: dict[str, Any]) -> None:
    stream = scene.stream()
    stream.deliver()
    scene.set(**values)
    assert stream.deliver() is Progress.ENDED
    assert scene.made[0].closed


def test_a_receiver_that_is_removed_is_let_go(scene: Scene) -> None:
    stream = scene.stream()
    stream.deliver()
    with scene.database.writing() as connection:
        connection.execute(delete(receiver))
    assert stream.deliver() is Progress.ENDED


def test_a_receiver_gets_only_what_it_wants_and_is_not_held_up_by_the_rest(scene: Scene) -> None:
    scene.set(kinds=["secret.*"])
    scene.write(2, "test.made")
    scene.write(1, "secret.made")
    scene.write(2, "test.made")
    stream = scene.stream()
    stream.deliver()
    stream.deliver()
    assert scene.made[0].got == [3]
    assert scene.row().settled == 5


def test_a_batch_is_bounded_and_says_that_there_is_more(scene: Scene) -> None:
    scene.write(700)
    stream = scene.stream()
    assert stream.deliver() is Progress.MORE
    assert scene.made[0].got == list(range(1, 501))
    assert stream.deliver() is Progress.IDLE
    assert scene.made[0].got == list(range(1, 701))


def test_a_receiver_that_takes_nothing_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "SLICE", 0.01)
    scene.write(3)
    stream = scene.stream()
    scene_line = FakeLine()
    scene_line.stalled = True
    monkeypatch.setattr(delivering, "connect", lambda *_: scene_line)
    assert stream.deliver() is Progress.MORE
    monkeypatch.setattr(delivering, "STALLED", 0.0)
    assert stream.deliver() is Progress.ENDED
    assert "took nothing" in scene.row().error


def test_waiting_times_grow_to_a_minute_and_no_further(scene: Scene) -> None:
    scene.unreachable = True
    stream = scene.stream()
    for failures, least, most in ((0, 0.2, 0.5), (3, 1.9, 4.0), (400, 29.0, 60.0)):
        scene.set(failures=failures, due=now())
        assert stream.deliver() is Progress.ENDED
        waits = scene.row().due - scene.database.now()
        assert least - 1 < waits <= most
    assert "cannot be reached" in scene.row().error


def test_an_outage_is_told_once(scene: Scene) -> None:
    scene.write(3)
    scene.unreachable = True
    stream = scene.stream()
    for _ in range(8):
        scene.set(due=now())
        stream.deliver()
    [told] = scene.told("receiver.failing")
    assert (told["receiver"], told["zone"], told["failures"], told["behind"]) == ("siem", "default", 5, 3)


def test_an_outage_of_the_database_loses_no_place(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.write(3)
    stream = scene.stream()
    note = SyslogStream._note

    def unavailable(*_: object) -> bool:
        monkeypatch.setattr(SyslogStream, "_note", note)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(SyslogStream, "_note", unavailable)
    with pytest.raises(StoreUnavailable):
        stream.deliver()
    stream.deliver()
    assert scene.made[0].got == [1, 2, 3]
    assert (len(scene.made), scene.row().settled) == (1, 3)


# The courier's own duties


def courier(scene: Scene, owner: str = "worker-1") -> Courier:
    no_keys: Any = None
    return Courier(scene.database, no_keys, "elsewhere", owner, Settings(data=Path("unused")))


def test_whichever_worker_is_first_gives_the_sign_of_life(scene: Scene) -> None:
    courier(scene, "worker-1").once()
    courier(scene, "worker-2").once()
    assert scene.told("engine.heartbeat") == [{"worker": "worker-1", "zone": "elsewhere", "every": 60.0}]
    with scene.database.writing() as connection:
        connection.execute(update(duty).values(done=duty.c.done - 61))
    courier(scene, "worker-2").once()
    assert [told["worker"] for told in scene.told("engine.heartbeat")] == ["worker-1", "worker-2"]


def test_a_clock_that_was_set_back_does_not_silence_the_engine(scene: Scene) -> None:
    courier(scene).once()
    with scene.database.writing() as connection:
        connection.execute(update(duty).values(done=duty.c.done + 86400))
    courier(scene).once()
    assert len(scene.told("engine.heartbeat")) == 2


def test_the_head_of_the_audit_chain_is_told_when_it_has_moved(scene: Scene) -> None:
    def a_minute_later() -> None:
        with scene.database.writing() as connection:
            connection.execute(update(duty).values(done=duty.c.done - couriers.CHECKPOINT - 1))
        courier(scene).once()

    courier(scene).once()
    assert scene.told("audit.checkpoint") == []
    with scene.database.writing() as connection:
        audit.write(connection, actor="ann", action="test", object="one")
        chain.append(connection)
        head = chain.head(connection)
        audit.write(connection, actor="ann", action="test", object="two")
    courier(scene).once()
    assert scene.told("audit.checkpoint") == [], "once a minute at most"
    a_minute_later()
    a_minute_later()
    assert scene.told("audit.checkpoint") == [{"sequence": 1, "hash": head.hash, "unsealed": 1}]


def test_a_round_numbers_what_was_committed(scene: Scene) -> None:
    with scene.database.writing() as connection:
        for _ in range(3):
            outbox.notice(connection, "test.made", {})
    courier(scene).once()
    with scene.database.reading() as connection:
        kinds = [each.kind for each in outbox.after(connection, 0, 10)]
    assert kinds == ["test.made", "test.made", "test.made", "engine.heartbeat"]
