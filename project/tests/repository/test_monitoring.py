"""The metrics match their documentation, the dashboard and the alerts."""

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import promql_parser
import yaml

from project.tests.base import BaseTestCase
from project.tests.support.paths import ROOT
from project.tests.support.scraping import DIGEST, Scrape, scrape

PAGE = (ROOT / "docs" / "metrics.md").read_text()
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "users.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())


def rules() -> list[dict[str, Any]]:
    """Return every rule of the alerts."""
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Yield every expression of the alerts and of the dashboard."""
    for rule in rules():
        yield rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m")


def parts(node: Any) -> Iterator[Any]:
    """Yield an expression and all expressions within it."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
        if inner := getattr(node, name, None):
            yield from parts(inner)
    for argument in getattr(node, "args", None) or ():
        yield from parts(argument)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each documented metric."""
    rows = re.findall(r"^\| `(users_\w+)` \| (\w+) \|(.*?)\| \S.* \|$", PAGE, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


class TestMonitoring(BaseTestCase):
    """Comparisons with the metrics of an app after some requests."""

    overrides: ClassVar[dict[str, object]] = {"METRICS_TOKEN": DIGEST}

    def scraped(self) -> Scrape:
        """Return the metrics after some requests."""
        self.caller.register()
        self.caller.get("/nothing")
        return scrape(self.caller)

    def labels(self) -> dict[str, set[str]]:
        """Return the labels of the samples by their name."""
        found: dict[str, set[str]] = {}
        for sample in self.scraped().samples():
            found.setdefault(sample.name, set()).update(sample.labels)
        return found

    def test_exactly_the_existing_metrics_are_documented(self) -> None:
        scraped = {}
        for family in self.scraped().families:
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            name = family.name + ("_total" if family.type == "counter" else "")
            scraped[name] = (family.type, labels)
        self.assertEqual(documented(), scraped)

    def test_documented_label_values_exist(self) -> None:
        values = {value for sample in self.scraped().samples() for value in sample.labels.values()}
        for value in ("account-network", "registration", "taken", "unavailable", "refresh_reused"):
            self.assertIn(f"`{value}`", PAGE)
            self.assertIn(value, values)

    def test_every_expression_uses_existing_metrics_and_labels(self) -> None:
        labels = self.labels()
        selectors = 0
        for expression in expressions():
            with self.subTest(expression):
                for part in parts(promql_parser.parse(expression)):
                    if isinstance(part, promql_parser.VectorSelector):
                        selectors += 1
                        matched = {matcher.name for matcher in part.matchers.matchers}
                        self.assertLessEqual(matched, labels[str(part.name)])
        self.assertGreaterEqual(selectors, len([*expressions()]))

    def test_every_grouping_uses_existing_labels(self) -> None:
        labels = self.labels()
        for expression in expressions():
            names = set(re.findall(r"users_\w+", expression))
            for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
                for name in names:
                    self.assertLessEqual(set(grouped.split(", ")), labels[name], expression)

    def test_every_error_code_in_an_expression_exists(self) -> None:
        values = {value for sample in self.scraped().samples() for value in sample.labels.values()}
        for expression in expressions():
            for value in re.findall(r'code="([^"]+)"', expression):
                self.assertIn(value, values)

    def test_every_alert_has_a_severity_a_summary_and_a_runbook(self) -> None:
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], {"page", "ticket"})
                self.assertRegex(rule["annotations"]["summary"], r"^[A-Z].*\.$")
                self.assertGreater(len(rule["annotations"]["runbook"]), 80)

    def test_every_panel_has_a_different_title_and_place(self) -> None:
        panels = DASHBOARD["panels"]
        for distinct in ("id", "title"):
            self.assertEqual(len({panel[distinct] for panel in panels}), len(panels))
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
        self.assertEqual(len(places), len(panels))
