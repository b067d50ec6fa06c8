"""Metrics of a refresher: its lag and its counts, in a file that Prometheus' node exporter reads."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from unified_ranker.core.errors import UserError
from unified_ranker.vectors.refresh_metrics import RefreshMetrics
from unified_ranker.vectors.refresher import Refreshed

STEP = Refreshed(version=3, events=5, users=4, items=2, quarantined=1, delay=7.5)


def samples(file):
    families = text_string_to_metric_families(file.read_text())
    return {
        sample.name.removeprefix("unified_ranker_refresh_"): sample.value for one in families for sample in one.samples
    }


def test_the_lag_is_that_of_the_last_step_and_counts_grow(tmp_path):
    now = [1_700_000_000.0]
    metrics = RefreshMetrics(tmp_path / "refresh.prom", lambda: now[0])
    metrics.note(STEP)
    found = samples(tmp_path / "refresh.prom")
    assert {name: found[name] for name in ("version", "behind_seconds", "last_step_seconds")} == {
        "version": 3,
        "behind_seconds": 7.5,
        "last_step_seconds": now[0],
    }
    metrics.note(replace(STEP, version=4, events=1))
    now[0] += 60
    metrics.note(Refreshed(4, 0, 0, 0, 0, 0.0))
    found = samples(tmp_path / "refresh.prom")
    counted = {name: found[f"{name}_total"] for name in ("events", "users", "items", "quarantined")}
    assert counted == {"events": 6, "users": 8, "items": 4, "quarantined": 2}
    assert (found["version"], found["behind_seconds"], found["last_step_seconds"]) == (4, 0, now[0])


@pytest.mark.parametrize("name", ["refresh.txt", "nowhere/refresh.prom"])
def test_a_file_that_no_collector_reads_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="--metrics-file"):
        RefreshMetrics(tmp_path / name, lambda: 0.0)
