"""Dashboard and alert rules ask for metrics and labels that exist, rules do what they should, each has a runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyrack import exposition, metrics
from support.parts import require_part

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/keyrack.rules.yml"
TESTS = ROOT / "deploy/prometheus/keyrack.rules.test.yml"
DASHBOARD = ROOT / "deploy/grafana/keyrack.json"
OF_PROMETHEUS = {"job", "instance"}
WORDS = {"by", "without", "or", "and", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
GIVEN_LABELS = re.compile(r"\b(?:by|without|on|ignoring) \(([^)]*)\)")
SERIES = re.compile(r"\b([a-z_]\w*)(?:\{([^}]*(?:\{[^}]*\}[^}]*)*)\})?")


def known() -> dict[str, set[str]]:
    """Return all series that Keyrack tells, with the names of their labels."""
    found: dict[str, set[str]] = {"up": set()}
    for collector in metrics.REGISTRY._collector_to_names:
        labels = set(collector._labelnames)  # type: ignore[attr-defined]
        for name in metrics.REGISTRY._collector_to_names[collector]:
            if name.endswith("_created") or (collector._type != "gauge" and name == collector._name):  # type: ignore[attr-defined]
                continue
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    for name in exposition.FACTS:
        found[name] = {exposition._FACT_LABELS[name]} if name in exposition._FACT_LABELS else set()
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return list(group["rules"])


def panels() -> Iterator[tuple[str, str, str]]:
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"], target["legendFormat"]


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that an expression asks for, with the labels by which it chooses among its series."""
    bare = GIVEN_LABELS.sub(" ", re.sub(r"\[[^\]]*\]", "", expression))
    for name, selector in SERIES.findall(_without_texts(bare)):
        called = re.search(rf"\b{name}\s*\(", bare) is not None
        if name not in WORDS and not called:
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def _without_texts(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def wrong(expression: str) -> list[str]:
    """Return what an expression asks for that there is not."""
    series, problems = known(), []
    every: set[str] = set(OF_PROMETHEUS)
    for name, labels in asked(expression):
        if name not in series:
            problems.append(name)
            continue
        every |= series[name]
        problems += [f"{name}{{{label}}}" for label in labels - series[name] - OF_PROMETHEUS]
    for names in GIVEN_LABELS.findall(expression):
        problems += [f"by {name}" for name in (part.strip() for part in names.split(",")) if name and name not in every]
    return problems


EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in rules()] + [(title, text) for title, text, _ in panels()]


@pytest.mark.parametrize(("of", "expression"), EXPRESSIONS)
def test_what_is_asked_for_is_told(of: str, expression: str) -> None:
    assert list(asked(expression)), of
    assert wrong(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(keyrack_requests_totals[5m]))",
        'keyrack_requests_total{outcome="x"}',
        "sum by (origin) (rate(keyrack_requests_total[5m]))",
        "keyrack_request_seconds",
        'sum(keyrack_secrets_due{tenant="x"})',
    ],
)
def test_this_test_notices_what_is_wrong(expression: str) -> None:
    assert wrong(expression)


def test_legends_name_labels_that_are_there() -> None:
    for title, expression, legend in panels():
        given = {name.strip() for names in GIVEN_LABELS.findall(expression) for name in names.split(",")}
        assert set(re.findall(r"{{(\w+)}}", legend)) <= given, title


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expression for _, expression, _ in panels())
    missing = [name for name in exposition.names() if not re.search(rf"\b{name}(_bucket)?\b", shown)]
    assert missing == []


def test_panels_do_not_lie_on_each_other_and_fit() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_has_its_runbook_and_no_other_has() -> None:
    page = (ROOT / "docs/alerts.md").read_text("utf-8")
    alerts = [rule["alert"] for rule in rules()]
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == alerts
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(alerts) > 15


def test_every_alert_is_tried_when_it_fires_and_when_all_is_well() -> None:
    fires: set[str] = set()
    rests: set[str] = set()
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else rests).add(case["alertname"])
    assert fires == rests == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("how", [("check", "rules", RULES), ("test", "rules", TESTS)], ids=["check", "test"])
def test_promtool_agrees(how: tuple[str, str, Path]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        require_part("promtool", "not on the path; Debian's package prometheus has it")
    done = subprocess.run([promtool, *how[:2], str(how[2])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
