"""The catalogue of notices, and whether the code writes what it says."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine
from engine.operations.states import OperationState
from engine.record.catalogue import FIELDS, KINDS, SEVERITIES, UNKNOWN, cef_key, faults, kind_of, page

SOURCE = Path(engine.__path__[0]).parent
ASKED = {"credential", "device", "zone", "action", "trigger", "requester", "parent_operation", "attempt"}

# Receivers match on these. A line may be added; none may change or go.
NUMBERS = {
    **{100: "operation.accepted", 101: "operation.scheduled", 102: "operation.waiting_approval"},
    **{103: "operation.running", 104: "operation.succeeded", 105: "operation.failed"},
    **{106: "operation.in_doubt", 107: "operation.canceled", 108: "operation.expired"},
    **{110: "operation.needs_person", 111: "operation.not_saved", 200: "attempt.failed"},
    **{300: "secret.break_glass", 301: "secret.revealed"},
    **{400: "engine.heartbeat", 401: "audit.checkpoint", 402: "engine.restored"},
    **{500: "worker.started", 501: "worker.stopped", 502: "worker.lost", 510: "zone.without_worker"},
    **{600: "receiver.failing", 700: "device.paused"},
}


@dataclass
class Written:
    """A place in the code that writes a notice."""

    where: str
    kind: ast.expr
    keys: set[str]


def test_numbers_are_never_given_to_another_kind() -> None:
    assert {kind.id: kind.name for kind in KINDS} == NUMBERS
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    assert UNKNOWN.id not in NUMBERS


def test_each_state_of_an_operation_has_a_kind() -> None:
    assert {f"operation.{state}" for state in OperationState} <= set(NUMBERS.values())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_complete(kind: object) -> None:
    known = kind_of(getattr(kind, "name", ""))
    assert known is kind
    assert len(known.name) <= 32, "RFC 5424 has no room for a longer MSGID"
    assert 0 <= known.severity < len(SEVERITIES)
    used = {name for _, name, _, _ in string.Formatter().parse(known.text) if name is not None}
    assert used <= known.types.keys() <= FIELDS.keys()
    keys = [cef_key(name) for name in known.types]
    assert len(set(keys)) == len(keys), "two fields of a kind may not share a key of CEF"


def test_the_page_of_the_documentation_is_current() -> None:
    """`python -m engine.record.catalogue > docs/notices.md` brings it up to date."""
    assert (SOURCE / "docs" / "notices.md").read_text() == "\n".join(page()) + "\n"


def test_what_is_not_as_declared_is_named() -> None:
    assert faults("zone.without_worker", {"zone": "north"}) == []
    assert faults("zone.without_worker", {}) == ["zone.without_worker: zone is missing"]
    assert faults("zone.without_worker", {"zone": None}) == [
        "zone.without_worker: zone is a NoneType, not a str"
    ]
    assert faults("zone.without_worker", {"zone": "north", "x": 1}) == [
        "zone.without_worker: x is not declared"
    ]
    assert faults("no.such", {}) == ["no.such is not in the catalogue"]


def test_the_code_writes_no_kind_that_is_not_listed_and_exactly_its_fields() -> None:
    found = list(_written())
    assert len(found) >= 10
    for each in found:
        for kind in _kinds(each):
            declared = set(kind_of(kind).types)
            assert kind_of(kind) is not UNKNOWN, f"{each.where} writes {kind}"
            assert each.keys == declared, f"{each.where} writes {kind} with {each.keys ^ declared} different"


def _kinds(written: Written) -> list[str]:
    if isinstance(written.kind, ast.Constant):
        return [str(written.kind.value)]
    assert ast.unparse(written.kind) == "f'operation.{state}'", f"{written.where}: write the kind as a text"
    return [f"operation.{state}" for state in OperationState]


def _written() -> Iterator[Written]:
    for path in (*SOURCE.glob("engine/**/*.py"), *SOURCE.glob("triggers/**/*.py")):
        module = ast.parse(path.read_text())
        for function in ast.walk(module):
            if isinstance(function, ast.FunctionDef) and function.name != "tell_also":
                yield from _in_function(path, module, function)


def _in_function(path: Path, module: ast.Module, function: ast.FunctionDef) -> Iterator[Written]:
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        where = f"{path.relative_to(SOURCE)}:{call.lineno}"
        called = call.func
        if isinstance(called, ast.Name) and called.id == "tell_also":
            yield Written(where, call.args[1], ASKED | {str(each.arg) for each in call.keywords})
        elif isinstance(called, ast.Attribute) and called.attr == "notice":
            yield Written(where, call.args[1], _keys(call.args[2], module, function, where))


def _keys(payload: ast.expr, module: ast.Module, function: ast.FunctionDef, where: str) -> set[str]:
    """The names in a payload: a dictionary, perhaps by way of a variable, a function, `**` or `|`."""
    match payload:
        case ast.Dict(keys, values):
            inner = [
                _keys(value, module, function, where)
                for key, value in zip(keys, values, strict=True)
                if key is None
            ]
            return {ast.literal_eval(key) for key in keys if key is not None}.union(*inner)
        case ast.BinOp(left, ast.BitOr(), right):
            return _keys(left, module, function, where) | _keys(right, module, function, where)
        case ast.Name(name):
            return _keys(_assigned(function, name, where), module, function, where)
        case ast.Call(ast.Name(name)):
            inside = next(
                each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name
            )
            returned = next(each.value for each in ast.walk(inside) if isinstance(each, ast.Return))
            assert returned is not None
            return _keys(returned, module, inside, where)
    raise AssertionError(f"{where}: write the payload so that its names can be read here")


def _assigned(function: ast.FunctionDef, name: str, where: str) -> ast.expr:
    for each in ast.walk(function):
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == name:
            return each.value
        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name and each.value is not None:
            return each.value
    raise AssertionError(f"{where}: {name} is not assigned in {function.name}")
