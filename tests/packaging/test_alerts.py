"""The alerts ask for metrics that a replica exports, and each says what to do."""

import re

import pytest

from tests.tidy.sources import ROOT, source_modules

ALERTS = ROOT / "packaging" / "alerts.yml"
SERIES_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def metrics_asked_for() -> set[str]:
    names = re.findall(r"\blibelli_[a-z_]+\b", ALERTS.read_text(encoding="utf-8"))
    return {SERIES_SUFFIX.sub("", name) for name in names}


def metrics_exported() -> set[str]:
    """Names of metrics in the modules that export any, with or without the prefix."""
    exporters = [module for module in source_modules() if "prometheus_client" in module.text]
    if not exporters:
        pytest.skip("nothing exports metrics yet")
    names = {name for module in exporters for name in re.findall(r'"([a-z][a-z_]+)"', module.text)}
    return {SERIES_SUFFIX.sub("", name if name.startswith("libelli_") else f"libelli_{name}") for name in names}


def test_every_metric_that_an_alert_asks_for_is_exported() -> None:
    assert metrics_asked_for() - metrics_exported() == set()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    alerts = ALERTS.read_text(encoding="utf-8").split("- alert: ")[1:]
    lacking = [
        alert.split()[0]
        for alert in alerts
        if not re.search(r"severity: (page|ticket)\b", alert) or "summary: " not in alert or "action: " not in alert
    ]
    assert len(alerts) > 0
    assert lacking == []
