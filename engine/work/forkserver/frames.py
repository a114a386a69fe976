"""What goes over a child's socket: length-prefixed JSON, and the one place where jobs and answers become
JSON.

A session starts with a header that holds no secret (magic, deadline), so that the child arms its deadline
before the first secret arrives. Every frame after it is 4 bytes of length, big endian, and that many bytes of
JSON.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeVar

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

T = TypeVar("T")
Wire = dict[str, Any]

FRAME_LIMIT = 4 * 1024 * 1024  # bytes
_LENGTH = struct.Struct("!I")
_HEADER = struct.Struct("!4sd")
_MAGIC = b"KTC1"


class FrameError(Exception):
    """The other end sent what is no frame. Nothing of the content is quoted: it may be a secret."""


class FrameTooLarge(FrameError):
    def __init__(self, size: int) -> None:
        super().__init__(
            f"a frame of {size} bytes is over the limit of {FRAME_LIMIT}; shorten the template or its values"
        )


def send_header(link: socket.socket, deadline: float) -> None:
    """`deadline` is an instant of `executors.decorators.boottime()`."""
    link.sendall(_HEADER.pack(_MAGIC, deadline))


def receive_header(link: socket.socket) -> float:
    """Raises FrameError, EOFError."""
    magic, deadline = _HEADER.unpack(_exactly(link, _HEADER.size))
    if magic != _MAGIC:
        raise FrameError("the session does not start with a header")
    return float(deadline)


def pack(message: Wire) -> bytes:
    """One frame. Raises FrameTooLarge."""
    # surrogatepass: a value with a lone surrogate must arrive as it is, to be refused by the encoder that
    # meets it
    data = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(data) > FRAME_LIMIT:
        raise FrameTooLarge(len(data))
    return _LENGTH.pack(len(data)) + data


def receive(link: socket.socket) -> Wire:
    """Raises FrameError, EOFError when the other end closed."""
    (size,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    if size > FRAME_LIMIT:
        raise FrameTooLarge(size)
    data = _exactly(link, size)
    try:
        message = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise FrameError("a frame is not JSON") from None
    if not isinstance(message, dict):
        raise FrameError("a frame is not a JSON object")
    return message


def _exactly(link: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = link.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def read(decode: Callable[[Any], T], data: Any) -> T:
    """Decode one part of a message. Raises FrameError for anything missing or of the wrong shape."""
    try:
        return decode(data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise FrameError(f"a frame does not hold a {decode.__name__.removeprefix('decode_')}") from None


def encode_job(job: Job) -> Wire:
    return {
        "executor": job.executor,
        "body": job.body,
        "first_line": job.first_line,
        "target": _encode_target(job.target),
        "login": job.login and encode_login(job.login),
        "values": {name: _encode_value(value) for name, value in job.values.items()},
        "redact": [secret.reveal() for secret in job.redact],
        "deadline": job.deadline,
    }


def decode_job(data: Wire) -> Job:
    return Job(
        _text(data["executor"]),
        _text(data["body"]),
        int(data["first_line"]),
        _decode_target(data["target"]),
        data["login"] and decode_login(data["login"]),
        {_text(name): _decode_value(value) for name, value in data["values"].items()},
        tuple(Secret(_text(secret)) for secret in data["redact"]),
        float(data["deadline"]),
    )


def encode_login(login: Login) -> Wire:
    return {"username": login.username, "secret": login.secret.reveal(), "kind": login.kind.value}


def decode_login(data: Wire) -> Login:
    return Login(_text(data["username"]), Secret(_text(data["secret"])), SecretKind(data["kind"]))


def encode_plan(plan: ProofPlan) -> Wire:
    return {"kind": plan.kind.value, "via": plan.via and encode_login(plan.via)}


def decode_plan(data: Wire) -> ProofPlan:
    return ProofPlan(ProofKind(data["kind"]), data["via"] and decode_login(data["via"]))


def encode_report(report: Report) -> Wire:
    return {
        "outcome": report.outcome.value,
        "message": report.message,
        "facts": dict(report.facts),
        "steps": [[step.line, step.shown, step.outcome.value, step.milliseconds] for step in report.steps],
    }


def decode_report(data: Wire) -> Report:
    return Report(
        Outcome(data["outcome"]),
        _text(data["message"]),
        {_text(name): _text(fact) for name, fact in data["facts"].items()},
        tuple(
            StepRecord(int(line), _text(shown), Outcome(outcome), int(milliseconds))
            for line, shown, outcome, milliseconds in data["steps"]
        ),
    )


def encode_proof(proof: Proof) -> Wire:
    return {"verdict": proof.verdict.value, "kind": proof.kind.value, "detail": proof.detail}


def decode_proof(data: Wire) -> Proof:
    return Proof(Verdict(data["verdict"]), ProofKind(data["kind"]), _text(data["detail"]))


def decode_deadline(data: Any) -> float:
    """An instant as `send_header` sends it; no infinity and no NaN, which would disarm the timer."""
    deadline = float(data)
    if not isfinite(deadline):
        raise ValueError("not an instant")
    return deadline


def decode_flag(data: Any) -> bool:
    if not isinstance(data, bool):
        raise TypeError("not a flag")
    return data


def decode_text(data: Any) -> str:
    return _text(data)


def _encode_target(target: Target) -> Wire:
    return {
        "device": target.device,
        "address": target.address,
        "port": target.port,
        "host_keys": list(target.host_keys),
        "accept_any_host_key": target.accept_any_host_key,
        "connect_timeout": target.connect_timeout,
        "read_timeout": target.read_timeout,
        "cleartext": target.cleartext,
        "weak_algorithms": target.weak_algorithms,
        "jump": target.jump
        and {"target": _encode_target(target.jump.target), "login": encode_login(target.jump.login)},
    }


def _decode_target(data: Wire) -> Target:
    jump = data["jump"]
    return Target(
        _text(data["device"]),
        _text(data["address"]),
        int(data["port"]),
        tuple(_text(key) for key in data["host_keys"]),
        data["accept_any_host_key"] is True,
        float(data["connect_timeout"]),
        float(data["read_timeout"]),
        jump and Hop(_decode_target(jump["target"]), decode_login(jump["login"])),
        cleartext=data["cleartext"] is True,
        weak_algorithms=data["weak_algorithms"] is True,
    )


def _encode_value(value: Value) -> Wire:
    return {"kind": value.kind.value, "secret": value.is_secret, "content": value.reveal()}


def _decode_value(data: Mapping[str, Any]) -> Value:
    content = _text(data["content"])
    return Value(ValueKind(data["kind"]), Secret(content) if data["secret"] else content)


def _text(data: Any) -> str:
    if not isinstance(data, str):
        raise TypeError("not a text")
    return data
