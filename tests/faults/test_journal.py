"""The escrow journal under SIGKILL, a full volume and fork."""

from __future__ import annotations

import os
import random
import resource
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.vault.errors import JournalFull
from engine.vault.journal import JournalWriter, Kind, Record, read_all

ROUNDS = 100
RECORD = Record(Kind.CANDIDATE, "inc-1", 1, "dir.example", "svc", "password", 0, b"s" * 300, "ab" * 16, 1.0)


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """Run `work(write end of a pipe)` in a child; its pid and the read end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        work(writer)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a child never returns into pytest
        os._exit(70)


def acknowledged(reader: int) -> set[int]:
    data = b""
    while piece := os.read(reader, 65536):
        data += piece
    os.close(reader)
    return {number for (number,) in struct.iter_unpack("=I", data[: len(data) // 4 * 4])}


def append_for_ever(directory: Path, number: int) -> Callable[[int], None]:
    def work(pipe: int) -> None:
        writer = JournalWriter(directory)
        version = 0
        while True:
            batch = [
                replace(RECORD, epoch=number, version=version + index) for index in range(version % 5 + 1)
            ]
            writer.append(batch)
            os.write(pipe, b"".join(struct.pack("=I", record.version) for record in batch))
            writer.mark_committed(batch[:1])
            version += len(batch)

    return work


def test_every_record_whose_append_returned_survives_sigkill_at_any_moment(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    total = 0
    for number in range(ROUNDS):
        directory = tmp_path / str(number)
        pid, reader = forked(append_for_ever(directory, number))
        time.sleep(moments.uniform(0.0, 0.03))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        returned = acknowledged(reader)
        total += len(returned)
        if not directory.exists():
            assert not returned
            continue
        view = read_all(directory)
        assert returned <= {record.version for record in view.records}, f"seed {seed}, round {number}"
        assert view.damages == (), f"seed {seed}, round {number}"
        assert all(record == replace(RECORD, epoch=number, version=record.version) for record in view.records)
        assert {mark.version for mark in view.marks} <= {record.version for record in view.records}
    assert total > ROUNDS


def test_a_forked_process_writes_a_file_of_its_own(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "journal")
    writer.append([RECORD])
    pid, reader = forked(lambda _: writer.append([replace(RECORD, version=1)]))
    assert acknowledged(reader) == set()
    assert os.waitpid(pid, 0)[1] == 0
    writer.append([replace(RECORD, version=2)])
    files = sorted((tmp_path / "journal").glob("*.journal"))
    assert sorted(tuple(record.version for record in read_all(path).records) for path in files) == [
        (0, 2),
        (1,),
    ]


def until_full(directory: Path) -> Callable[[int], None]:
    """Append under a file size limit, three times past it; report what returned."""

    def work(pipe: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        writer = JournalWriter(directory)
        refused = version = 0
        while refused < 3:
            version += 1
            try:
                writer.append([replace(RECORD, version=version)])
                os.write(pipe, struct.pack("=I", version))
            except JournalFull:
                refused += 1

    return work


def test_a_file_size_limit_is_refused_and_everything_acknowledged_is_there(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    pid, reader = forked(until_full(directory))
    returned = acknowledged(reader)
    assert os.waitpid(pid, 0)[1] == 0
    view = read_all(directory)
    assert {record.version for record in view.records} == returned
    assert view.damages == view.torn == ()
    assert len(list(directory.glob("*.journal"))) > 1


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_a_batch_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, room: int) -> None:
    def work(pipe: int) -> None:
        writer = JournalWriter(tmp_path / "journal")
        writer.append([RECORD])
        (path,) = (tmp_path / "journal").glob("*.journal")
        limit = path.stat().st_size + room
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            writer.append([replace(RECORD, version=version) for version in range(1, 6)])
        except JournalFull:
            os.write(pipe, struct.pack("=I", 1))

    pid, reader = forked(work)
    assert acknowledged(reader) == {1}
    assert os.waitpid(pid, 0)[1] == 0
    view = read_all(tmp_path / "journal")
    assert view.records == (RECORD,)
    assert view.damages == view.torn == ()
