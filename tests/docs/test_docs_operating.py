"""The page for operators names every metric, and none that there is not."""

import re
from pathlib import Path

from doc_pages import ROOT

from unified_ranker.serving.service.service_metrics import ServiceMetrics
from unified_ranker.vectors.refresh_metrics import RefreshMetrics


def test_every_metric_is_explained_and_every_name_is_one_of_a_metric():
    families = [*ServiceMetrics().registry.collect(), *RefreshMetrics(Path("x.prom"), lambda: 0.0).registry.collect()]
    names = {
        f.name + ("_total" if f.type == "counter" else "") for f in families if f.name.startswith("unified_ranker")
    }
    page = (ROOT / "docs" / "guide" / "operating.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(unified_ranker_\w+)`", page)) == names
