"""Tables of a simulated log, in the form of the interaction log (docs/reference/interaction-log.md)."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import Ints
from unified_ranker.simulation.choices import SlateOutcomes
from unified_ranker.simulation.spec import TASKS
from unified_ranker.simulation.visits import Requests
from unified_ranker.simulation.world import CATEGORIES, WORLD_COUNTRIES, World

EVENT_TYPES = ("impression", "click", "purchase")
TIME = pa.timestamp("s", "UTC")


class EventTables:
    """Events table: a row for each impression, click and purchase of the requests."""

    def __init__(self, world: World) -> None:
        """Keep the ids of `world` as Arrow arrays, from which rows are taken."""
        self._world = world
        self._items, self._users = pa.array(world.item_ids), pa.array(world.user_ids)
        self._words, self._countries = pa.array(world.words), pa.array(WORLD_COUNTRIES)
        self._tasks, self._types = pa.array(TASKS), pa.array(EVENT_TYPES)

    def rows(
        self, requests: Requests, slate: Ints, answers: SlateOutcomes, first: int, rng: np.random.Generator
    ) -> pa.Table:
        """Return the events of requests in order of time; `first` is the number of the first request."""
        marks = [answers.shown if self._world.spec.switches.impressions else np.zeros_like(answers.shown)]
        marks += [answers.clicked, answers.bought]
        row, position, kind = (
            np.concatenate(parts) for parts in zip(*(_at(m, k) for k, m in enumerate(marks)), strict=True)
        )
        wait = rng.integers(2, 60, slate.shape)
        think = rng.integers(30, 900, slate.shape)
        time = requests.time[row] + np.choose(kind, [0 * row, wait[row, position], (wait + think)[row, position]])
        order = np.lexsort((position, row, time))
        row, position, kind, time = row[order], position[order], kind[order], time[order]
        item = slate[row, position]
        value = np.where(kind == 2, self._world.items.log_price[item], np.nan).astype(np.float32)
        number = pa.array(first + row)
        return pa.table(
            {
                "user_id": _take(self._users, requests.user[row]),
                "item_id": self._items.take(pa.array(item)),
                "task": self._tasks.take(pa.array(requests.task[row])),
                "event_type": self._types.take(pa.array(kind)),
                "timestamp": pa.array(time).cast(TIME),
                "query": self._queries(requests.words).take(pa.array(row)),
                "source_item_id": _take(self._items, requests.source[row]),
                "country": self._countries.take(pa.array(requests.country[row])),
                "value": pa.array(value, from_pandas=True),
                "request_id": pc.binary_join_element_wise("r", number.cast(pa.string()), ""),
                "position": pa.array(position.astype(np.int32)),
            }
        )

    def _queries(self, words: Ints) -> pa.Array:
        first, second = (_take(self._words, column) for column in words.T)
        both = pc.binary_join_element_wise(first, second, " ")
        return pc.coalesce(both, first)


def item_table(world: World, start: int, stop: int) -> pa.Table:
    """Return the items at indices `start` to `stop` - 1, without their latent properties."""
    items, rows = world.items, slice(start, stop)
    words = [pa.array(world.words).take(pa.array(column)) for column in items.words[rows].T]
    category = pa.array(CATEGORIES).take(pa.array(world.segments.category[items.segment[rows]]))
    single = pa.array(np.arange(len(category) + 1, dtype=np.int32))
    return pa.table(
        {
            "item_id": pa.array(world.item_ids[rows]),
            "title": pc.binary_join_element_wise(*words, " "),
            "created_at": pa.array(items.created[rows]).cast(TIME),
            "categories": pa.ListArray.from_arrays(single, category),
            "price": pa.array(np.round(np.exp(items.log_price[rows].astype(np.float64)), 2)),
        }
    )


def user_table(world: World, start: int, stop: int) -> pa.Table:
    """Return the users at indices `start` to `stop` - 1."""
    users, rows = world.users, slice(start, stop)
    return pa.table(
        {
            "user_id": pa.array(world.user_ids[rows]),
            "country": pa.array(WORLD_COUNTRIES).take(pa.array(users.country[rows])),
            "created_at": pa.array(users.created[rows]).cast(TIME),
        }
    )


def _at(mark: npt.NDArray[np.bool_], kind: int) -> tuple[Ints, Ints, Ints]:
    row, position = np.nonzero(mark)
    return row, position, np.full(len(row), kind, np.int64)


def _take(values: pa.Array, index: Ints) -> pa.Array:
    """Return `values` at `index`, null for -1."""
    return values.take(pa.array(index, mask=index < 0))
