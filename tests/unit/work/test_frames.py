from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.work.forkserver import frames
from executors.contract import (
    Hop,
    Login,
    Outcome,
    Proof,
    ProofKind,
    ProofPlan,
    Report,
    Secret,
    SecretKind,
    StepRecord,
    Target,
    Value,
    ValueKind,
    Verdict,
)
from executors.session import Job

texts = st.text(st.characters(), max_size=20)  # surrogates and control characters included
secrets = st.builds(Secret, st.text(max_size=20))
logins = st.builds(Login, texts, secrets, st.sampled_from(SecretKind))
seconds = st.floats(0, 1e6)
plain_targets = st.builds(
    Target,
    texts,
    texts,
    st.integers(0, 65535),
    st.tuples(texts),
    st.booleans(),
    seconds,
    seconds,
    st.none(),
    cleartext=st.booleans(),
    weak_algorithms=st.booleans(),
)
targets = st.one_of(
    plain_targets,
    st.builds(
        Target,
        texts,
        texts,
        st.integers(0, 65535),
        jump=st.builds(Hop, plain_targets, logins),
    ),
)
values = st.dictionaries(
    texts, st.builds(Value, st.sampled_from(ValueKind), st.one_of(texts, secrets)), max_size=4
)
jobs = st.builds(
    Job,
    texts,
    texts,
    st.integers(1, 1000),
    targets,
    st.none() | logins,
    values,
    st.lists(secrets, max_size=3).map(tuple),
    seconds,
)
plans = st.builds(ProofPlan, st.sampled_from(ProofKind), st.none() | logins)
steps = st.builds(StepRecord, st.integers(0, 99), texts, st.sampled_from(Outcome), st.integers(0, 10**6))
reports = st.builds(
    Report,
    st.sampled_from(Outcome),
    texts,
    st.dictionaries(texts, texts, max_size=3),
    st.lists(steps, max_size=3).map(tuple),
)
proofs = st.builds(Proof, st.sampled_from(Verdict), st.sampled_from(ProofKind), texts)


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(10)
        other.settimeout(10)
        yield one, other


def carried(message: frames.Wire) -> frames.Wire:
    """What arrives of a message: through a real pair of sockets."""
    with pair() as (here, there):
        here.sendall(frames.pack(message))
        return frames.receive(there)


@given(jobs)
def test_a_job_arrives_as_it_was_sent(job: Job) -> None:
    assert frames.read(frames.decode_job, carried(frames.encode_job(job))) == job


@given(logins, plans)
def test_a_login_and_its_plan_arrive_as_they_were_sent(login: Login, plan: ProofPlan) -> None:
    assert frames.read(frames.decode_login, carried(frames.encode_login(login))) == login
    assert frames.read(frames.decode_plan, carried(frames.encode_plan(plan))) == plan


@given(texts)
def test_a_secret_with_a_lone_surrogate_arrives_as_it_is_to_be_refused_by_its_encoder(text: str) -> None:
    login = frames.read(frames.decode_login, carried(frames.encode_login(Login("bob", Secret(text)))))
    assert login.secret.reveal() == text


@given(reports, proofs)
def test_answers_arrive_as_they_were_sent(report: Report, proof: Proof) -> None:
    assert frames.read(frames.decode_report, carried(frames.encode_report(report))) == report
    assert frames.read(frames.decode_proof, carried(frames.encode_proof(proof))) == proof


@given(st.floats(allow_nan=False))
def test_a_deadline_arrives_exactly(deadline: float) -> None:
    with pair() as (here, there):
        frames.send_header(here, deadline)
        assert frames.receive_header(there) == deadline


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, junk, max_size=4))
@pytest.mark.parametrize(
    "decode",
    [frames.decode_job, frames.decode_login, frames.decode_plan, frames.decode_report, frames.decode_proof],
)
def test_a_message_of_another_shape_is_a_frame_error(
    decode: Callable[[Any], object], message: frames.Wire
) -> None:
    with pytest.raises(frames.FrameError):
        frames.read(decode, message)


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_json_object_are_a_frame_error(data: bytes) -> None:
    if data.lstrip().startswith(b"{"):
        data = b"!" + data
    with pair() as (here, there):
        here.sendall(struct.pack("!I", len(data)) + data)
        with pytest.raises(frames.FrameError):
            frames.receive(there)


def test_deeply_nested_json_is_a_frame_error() -> None:
    data = b"[" * 200_000
    with pair() as (here, there):
        here.settimeout(None)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        here.sendall(struct.pack("!I", len(data)) + data)
        with pytest.raises(frames.FrameError):
            frames.receive(there)


def test_an_oversize_message_is_not_packed() -> None:
    with pytest.raises(frames.FrameTooLarge):
        frames.pack({"body": "x" * frames.FRAME_LIMIT})


def test_an_oversize_length_is_refused_before_the_content_is_read() -> None:
    with pair() as (here, there):
        here.sendall(struct.pack("!I", frames.FRAME_LIMIT + 1))
        with pytest.raises(frames.FrameTooLarge):
            frames.receive(there)


def test_a_header_with_another_magic_is_refused() -> None:
    with pair() as (here, there):
        here.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(frames.FrameError):
            frames.receive_header(there)


def test_a_frame_cut_short_is_an_end_of_file() -> None:
    with pair() as (here, there):
        here.sendall(struct.pack("!I", 10) + b"{")
        here.close()
        with pytest.raises(EOFError):
            frames.receive(there)


def test_no_error_quotes_what_was_in_the_frame() -> None:
    with pytest.raises(frames.FrameError) as caught:
        frames.read(frames.decode_login, {"username": "bob", "secret": "hunter2-canary", "kind": "none such"})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_job_in_an_error_message_shows_no_secret() -> None:
    login = Login("bob", Secret("hunter2-canary"))
    job = Job(
        "fake",
        "set [#NEW_PASSWORD#]",
        1,
        Target("box", "box", 22, jump=Hop(Target("hop", "hop", 22), login)),
        login,
        {"NEW_PASSWORD": Value(ValueKind.SECRET, Secret("hunter2-canary"))},
        (Secret("hunter2-canary"),),
        1.0,
    )
    assert "hunter2" not in repr(job)
