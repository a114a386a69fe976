"""What ships for Prometheus and Grafana asks only for what is exported, and people are told what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from engine.cli.main import main
from tests.exported import by_sample, families, metrics_of
from tests.unit.operations.room import Room

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "keyturn.rules.yaml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "keyturn.rules.test.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "keyturn.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

OF_SCRAPES = {"instance", "job"}  # labels that Prometheus itself adds
METRIC = re.compile(r"\b(?:keyturn|process)_[a-z_]+")
MATCHERS = re.compile(r"\b((?:keyturn|process)_[a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")


@pytest.fixture(scope="module")
def board() -> Any:
    return json.loads(DASHBOARD.read_text())


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


@pytest.fixture
def known(room: Room) -> dict[str, frozenset[str]]:
    return by_sample(families(metrics_of(room)))


def panels(board: Any) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def targets(board: Any) -> list[dict[str, Any]]:
    return [target for panel in panels(board) for target in panel.get("targets", [])]


def unknown(expression: str, shown: str, known: dict[str, frozenset[str]]) -> list[str]:
    """Metrics and labels that no process exports."""
    text = expression.replace("$__rate_interval", "5m").replace("$zone", "z")
    named = set(METRIC.findall(re.sub(r'"[^"]*"', '""', text)))
    wrong = sorted(named - known.keys())
    labels = OF_SCRAPES.union(*(known[name] for name in named & known.keys()))
    for name, matchers in MATCHERS.findall(text):
        wrong += sorted(set(MATCHER.findall(matchers)) - known.get(name, frozenset()) - OF_SCRAPES)
    for group in GROUPING.findall(text):
        wrong += [label for label in re.split(r"[,\s]+", group) if label and label not in labels]
    return wrong + [label for label in LEGEND.findall(shown) if label not in labels]


def test_the_search_for_unknown_names_finds_them() -> None:
    known = {"keyturn_workers": frozenset({"zone"})}
    assert unknown('max by (zone) (keyturn_workers{zone="x"})', "{{zone}}", known) == []
    assert unknown("keyturn_wokers", "", known) == ["keyturn_wokers"]
    assert unknown('keyturn_workers{host="a"}', "", known) == ["host"]
    assert unknown("sum by (host) (keyturn_workers)", "{{user}}", known) == ["host", "user"]


def test_the_dashboard_asks_for_nothing_that_is_not_exported(
    board: Any, known: dict[str, frozenset[str]]
) -> None:
    assert len(targets(board)) > 30
    for target in targets(board):
        assert unknown(target["expr"], target["legendFormat"], known) == [], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert METRIC.findall(variable["query"]["query"])[0] in known


def test_the_rules_ask_for_nothing_that_is_not_exported(
    rules: list[dict[str, Any]], known: dict[str, frozenset[str]]
) -> None:
    for rule in rules:
        shown = rule["annotations"]["summary"] + rule["annotations"]["description"]
        assert unknown(rule["expr"], shown, known) == [], rule["alert"]


def test_every_gauge_of_the_engine_is_on_the_dashboard(board: Any, known: dict[str, frozenset[str]]) -> None:
    asked = {name for target in targets(board) for name in METRIC.findall(target["expr"])}
    ours = {name for name in known if name.startswith("keyturn_")}
    assert ours - asked == {"keyturn_heartbeat_interval_seconds"}


def test_panels_have_ids_of_their_own_and_do_not_cover_each_other(board: Any) -> None:
    every = list(panels(board))
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in every)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)
    for panel in every:
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(refs)) == len(refs)
        assert panel["title"]


def test_the_data_source_is_the_readers_choice(board: Any) -> None:
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    sources = re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text())
    assert set(sources) == {"${datasource}", board["uid"]}
    for panel in panels(board):
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"


def test_every_alert_says_what_is_wrong_and_where_to_read_what_to_do(rules: list[dict[str, Any]]) -> None:
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names)
    headings = [
        line.removeprefix("## ") for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")
    ]
    assert [each for each in headings if each.startswith("Keyturn")] == names
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert "for" in rule


def test_every_alert_is_tested(rules: list[dict[str, Any]]) -> None:
    tested = {each["name"] for each in yaml.safe_load(RULE_TESTS.read_text())["tests"]}
    assert {rule["alert"] for rule in rules} <= tested


def test_every_command_of_the_runbook_exists() -> None:
    for named in re.findall(r"`keyturn ([a-z]+)(?: ([a-z]+))?", RUNBOOK.read_text()):
        command: click.Command | None = main
        for word in filter(None, named):
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(main), word)
        assert command is not None, named


def test_the_runbook_tells_of_each_alert_what_it_means_where_to_look_and_what_to_do() -> None:
    sections = RUNBOOK.read_text().split("\n## ")[1:]
    for section in (each for each in sections if each.startswith("Keyturn")):
        for word in ("**Means**", "**Look**", "**Do**"):
            assert word in section, section.partition("\n")[0]
