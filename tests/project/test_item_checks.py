"""Features of items that know the answers: `init` leaves them out, and `validate` warns with the remedy."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unified_ranker.config import Config
from unified_ranker.log.schema import normalise
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.init.inspect_facts import look_at
from unified_ranker.project.init.tower_text import item_page

ITEMS, EVENTS = 400, 8_000


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(3)
    item = rng.integers(0, ITEMS, EVENTS)
    time = datetime(2024, 1, 1, tzinfo=UTC).timestamp() + np.sort(rng.integers(0, 90 * 86_400, EVENTS))
    events = pa.table(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, 300, EVENTS)],
            "item_id": [f"i{n}" for n in item],
            "task": ["home_feed"] * EVENTS,
            "event_type": ["click"] * EVENTS,
            "timestamp": time.astype(np.int64),
        }
    )
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(ITEMS)],
            "review_count": np.bincount(item, minlength=ITEMS),
            "price": rng.lognormal(2, 1, ITEMS),
            "available": rng.random(ITEMS) < 0.9,
        }
    )
    return normalise(events, items)


def declared(*features):
    return Config.model_validate(
        {
            "project": {"name": "toy", "data": {"type": "tables", "events": "e", "items": "i"}},
            "towers": {"item": {"features": features}, "user": {}, "context": {}, "ranker": {}},
            "tasks": {"home_feed": {"positives": [{"event_type": "click"}]}},
        }
    )


def lines(config, log):
    return [check.line() for check in check_declarations(config, log) if not check.passed]


def test_init_leaves_out_what_counts_the_log_and_says_how_to_declare_it_safe(log):
    page = item_page(look_at(log, "toy"))
    features = page.replace("\n# ", " ")
    assert "Left out: `review_count` (it agrees with the number of events" in features
    assert "`- {type: number, column: review_count, known_before: true}`" in features
    assert "column: price" in page
    assert "available" not in page


def test_validate_warns_of_it_and_the_line_that_it_names_is_the_remedy(log):
    count, price = ({"type": "number", "column": name} for name in ("review_count", "price"))
    (line,) = lines(declared(price, count), log)
    assert line.startswith("WARN `towers/item.yaml`, `features[1].column`: `review_count` was known before the events")
    assert "`- {type: number, column: review_count, known_before: true}`" in line
    assert lines(declared(price, count | {"known_before": True}), log) == []


def test_availability_is_no_feature(log):
    (line,) = lines(declared({"type": "category", "column": "available"}), log)
    assert line.startswith("FAIL `towers/item.yaml`, `features[0].column`: `available` is a filter")
