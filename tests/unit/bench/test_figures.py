from __future__ import annotations

from typing import Any

import pytest

from bench.figures import rows, table


def sample(contender: str, number: int, client: float, **other: Any) -> dict[str, Any]:
    values = {"changes": 10, "wall_s": 2.0, "child_ms": 0.0, "sshd_ms": 100.0}
    return {"contender": contender, "round": number, "client_ms": client, **values, **other}


def test_a_ratio_is_taken_within_its_round_so_that_a_slow_round_does_not_count_twice() -> None:
    samples = [
        sample("paramiko, fresh", 1, 10.0),
        sample("engine, fresh", 1, 30.0),
        sample("paramiko, fresh", 2, 20.0),
        sample("engine, fresh", 2, 80.0),
    ]
    engine = rows(samples)[1]
    assert engine.ratio == pytest.approx(3.5)
    assert (engine.lowest, engine.highest) == (3.0, 4.0)


def test_own_passwords_are_held_against_bare_paramiko_changing_own_passwords() -> None:
    samples = [
        sample("paramiko, fresh", 1, 10.0),
        sample("paramiko, own password", 1, 20.0),
        sample("engine, own password", 1, 60.0),
    ]
    assert [row.ratio for row in rows(samples)] == [1.0, 1.0, 3.0]


def test_changes_per_second_are_the_median_of_the_rounds() -> None:
    samples = [
        sample("paramiko, fresh", number, 10.0, wall_s=wall) for number, wall in enumerate((1.0, 2.0, 50.0))
    ]
    assert rows(samples)[0].per_second == 5.0


def test_a_table_has_columns_of_one_width() -> None:
    lines = table(["name", "n"], [["a", 1], ["longer", 22]]).splitlines()
    assert lines[0] == "| name   | n    |"
    assert len({len(line) for line in lines}) == 1
