"""Project of a simulated log: its declarations, with which `unified-ranker build` runs unchanged."""

from pathlib import Path
from typing import Any

import yaml

from unified_ranker.simulation.spec import MarketplaceSpec
from unified_ranker.tasks.objectives.all_items import ALL_ITEMS_BELOW

_LARGE = 100_000


def write_project(spec: MarketplaceSpec, directory: Path) -> None:
    """Write project.yaml, towers/, tasks/ and export/ into `directory`, beside the tables."""
    for name, tree in declarations(spec).items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def declarations(spec: MarketplaceSpec) -> dict[str, dict[str, Any]]:
    """Return the files of the project by their paths; sizes follow the number of items."""
    large = spec.items >= _LARGE
    off = spec.switches
    positives = [{"event_type": "click"}] + ([{"event_type": "purchase"}] if off.purchases else [])
    negatives = {"type": "all_items"} if spec.items < ALL_ITEMS_BELOW else {"type": "sampled", "uniform": 2048}
    task: dict[str, Any] = {
        "positives": positives,
        "negatives": negatives,
        "serving": {"candidates": 500 if large else 200, "limit": spec.slate},
    }
    files: dict[str, dict[str, Any]] = {
        "project.yaml": {
            "name": "marketplace",
            "description": f"simulated: {spec.items:,} items, {spec.users:,} users, about {spec.events:,} events",
            "data": {"type": "tables", "events": "events", "items": "items", "users": "users", "max_bad_share": 0.001},
            "seed": spec.seed,
            "training": {
                "epochs": 2 if large else 6,
                "batch_examples": 4096 if large else 1024,
                "learning_rate": 0.003,
                "ranking_examples": 512 if large else 256,
            },
            "evaluation": {"requests_per_task": 300 if large else 1000},
        },
        "towers/item.yaml": {
            "dim": 32,
            "features": [
                {"type": "text", "column": "title"},
                {"type": "categories", "column": "categories"},
                {"type": "number", "column": "price", "log": True},
            ],
            # No character n-grams: titles are made of invented words, whose parts carry no meaning.
            "text": {"type": "hashed", "character_ngram": 0, "max_ngrams": 0},
            "quality": {
                "popularity": {"type": "popularity"},
                "trend": {"type": "popularity", "window_days": 14},
            },
        },
        "towers/ranker.yaml": {"signals": [{"type": kind} for kind in _signals(spec)]},
        "towers/user.yaml": {
            "history_length": 30,
            # Without impressions: those of a request come before its click, and would tell what can be clicked.
            "history_events": [p["event_type"] for p in positives],
            "encoder": {"type": "transformer", "layers": 1, "heads": 2, "dropout": 0.1},
            "profile": [{"type": "category", "column": "country"}],
        },
        "export/serving.yaml": {"warmup_requests": 16, "warmup_batch_sizes": [1, 8]},
        "tasks/home_feed.yaml": {**task, "first_engagement_only": True, "exclude_engaged": True},
        "tasks/search.yaml": {**task},
        "tasks/more_like_this.yaml": {**task, "imputation": {"query": "source_item_title"}},
    }
    return {n: f for n, f in files.items() if not n.startswith("tasks/") or spec.shares.get(n[6:-5], 0) > 0}


def _signals(spec: MarketplaceSpec) -> list[str]:
    """Return the signals that `init` declares for the log of `spec`."""
    searched, beside = (spec.shares.get(task, 0) > 0 for task in ("search", "more_like_this"))
    wanted = {
        # Beside an item, its title stands for a query.
        "lexical": beside or (searched and spec.switches.queries),
        "source_pairs": beside,
        "successions": True,
        "popular": True,
        "newest": True,
        "query_memory": searched and spec.switches.queries,
        "like_queries": searched and spec.switches.queries,
        "neighbours": True,
        "ease": True,
        "transitions": True,
        # Who buys has clicked before.
        "repeats": searched or beside,
        "returns": searched or beside,
    }
    return [kind for kind, there in wanted.items() if there]
