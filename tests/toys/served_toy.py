"""The tiny world's served model, as tests ask it."""

import numpy as np
import tiny_world

from unified_ranker.core.request import to_arrays
from unified_ranker.core.times import DAY

LENGTH, DIM, QUALITY = 8, 8, 4
FRESHNESS = 3
STATES = (
    "embedding", "source", "context", "task", "history", "history_mask", "timestamp",
    "words", "source_item", "recent",
)  # fmt: skip
NOW = int(tiny_world.START.timestamp()) + tiny_world.DAYS * DAY


def states(encoded):
    return {f"state_{name}": encoded[f"state_{name}"] for name in STATES}


def everything(world, rows):
    return np.tile(world.item_ids, (rows, 1))


def events(count, first=NOW - 100 * 3600, every=3600):
    return [
        {
            "item_id": f"i{n % 18:02}",
            "event_type": "click",
            "task": "search",
            "timestamp": first + n * every,
            "value": n % 6,
        }
        for n in range(count)
    ]


def encode(*requests, width=1000):
    return tiny_world.call("encode", **to_arrays(requests, width))
