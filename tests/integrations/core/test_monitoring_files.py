"""The shipped dashboard, alerts and documentation name the metrics that a running bridge has."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests import databases

from .processes import ROOT, Bridge
from .serving import TOKEN, serving

DASHBOARD = ROOT / "deploy" / "grafana" / "flowdock-bridge.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
# What Prometheus adds to each sample, and a metric of its own.
ADDED = {"job", "instance"}
OWN = {"up": [{}]}

Samples = dict[str, list[dict[str, str]]]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + [each.replace("$__rate_interval", "5m") for each in asked]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """The labels of each sample of a running bridge, by name."""
    folder = tmp_path_factory.mktemp("bridge")
    path = databases.migrated("bridge", folder / "bridge.sqlite3")
    bridge = Bridge(folder, f"sqlite:///{path}", "http://127.0.0.1:1")
    bridge.manage("deliver_activities")  # leaves a heartbeat
    found: Samples = defaultdict(list)
    with serving(bridge, folder) as web:
        answer = web.ask("/metrics", Authorization=f"Bearer {TOKEN}")
        for family in text_string_to_metric_families(answer.body):
            for sample in family.samples:
                found[sample.name].append(sample.labels)
    return {**found, **OWN}


def selectors(expression: str) -> list[Any]:
    """The selectors of an expression, as name and matchers."""
    found: list[Any] = []

    def visit(part: Any) -> bool:
        if isinstance(part, promql_parser.MatrixSelector):
            found.append(part.vector_selector)
        elif isinstance(part, promql_parser.VectorSelector):
            found.append(part)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def test_every_expression_selects_samples_that_exist(samples: Samples) -> None:
    assert len(expressions()) > 30
    for expression in expressions():
        chosen = selectors(expression)
        assert chosen, expression
        for selector in chosen:
            assert selector.name in samples, expression
            for matcher in selector.matchers.matchers:
                values = {labels.get(matcher.name) for labels in samples[selector.name]}
                if matcher.name in ADDED:
                    assert matcher.value in {"$job", "flowdock-bridge"}, expression
                elif matcher.op == promql_parser.MatchOp.Re:
                    assert set(matcher.value.split("|")) <= values, expression
                else:
                    assert matcher.value in values, expression


def test_expressions_group_by_labels_that_exist(samples: Samples) -> None:
    for expression in expressions():
        known = {name for selector in selectors(expression) for labels in samples[selector.name] for name in labels}
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            assert set(group.replace(" ", "").split(",")) <= known | ADDED, expression


def test_alerts_have_what_operators_need() -> None:
    names = [rule["alert"] for rule in alerts()]

    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"].endswith(".")
        assert re.fullmatch(r"\d+[mh]", rule["for"])


def test_dashboard_has_unique_panels_that_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_page_documents_every_metric_with_its_labels(samples: Samples) -> None:
    documented = {
        name: set(re.findall(r"`(\w+)`", labels.partition("(")[0]))
        for name, labels in re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram) \|([^|]*)\|", PAGE, re.MULTILINE)
    }
    existing: dict[str, set[str]] = {}
    for name, labels in samples.items():
        if name.startswith("flowdock_bridge_"):
            short = re.sub(r"_(bucket|sum|count)$", "", name.removeprefix("flowdock_bridge_"))
            existing.setdefault(short, set()).update(*(each.keys() - {"le"} for each in labels))

    assert documented == existing


def test_page_documents_every_alert() -> None:
    assert re.findall(r"^\| `(FlowdockBridge\w+)` \|", PAGE, re.MULTILINE) == [rule["alert"] for rule in alerts()]


def test_page_links_files_that_exist() -> None:
    linked = re.findall(r"\]\((\.\./[^)#]+)\)", PAGE)

    assert linked
    assert [path for path in linked if not (Path(ROOT / "docs") / path).exists()] == []
