"""Raw requests to what the model takes, inside the served graph: look-up, imputation, history cut."""

from dataclasses import dataclass

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.request import EVENT_FIELDS, REQUEST_FIELDS, TEXT, history_input
from unified_ranker.model.inputs import RequestIndices
from unified_ranker.model.lookups import imputer_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.signals.base import SignalRequest
from unified_ranker.tasks.imputation import RequestFields
from unified_ranker.towers.history import HistoryEvents, HistoryWindows
from unified_ranker.towers.lookup import large_string_table
from unified_ranker.towers.tensorflow import tf


def request_signature() -> dict[str, tf.TensorSpec]:
    """Return the request's fields: "" and 0 stand for absent, history is `[batch, events]`, oldest first.

    Seconds since 1970 are the unit of times. Places of the history whose item is "" are skipped, wherever they are.
    """
    of_request = {name: ([None], kind) for name, kind in REQUEST_FIELDS.items()}
    of_events = {history_input(name): ([None, None], kind) for name, kind in EVENT_FIELDS.items()}
    return {
        name: tf.TensorSpec(shape, tf.string if kind == TEXT else tf.as_dtype(kind), name=name)
        for name, (shape, kind) in (of_request | of_events).items()
    }


@dataclass(frozen=True)
class LookedUp:
    """Requests as numbers, and what candidate rules and answers need besides.

    Attributes:
        windows: the last events before each, `[batch, events]`.
        request: `[batch]`.
        query: text, imputed where it is missing, `[batch]`.
        query_item: index of the query item, `[batch]`; -1 without one.
        signals: what the signals read.
    """

    windows: HistoryWindows
    request: RequestIndices
    query: tf.Tensor
    query_item: tf.Tensor
    signals: SignalRequest


class RequestGraph(tf.Module):
    """Looks requests up against the release's catalogue.

    Events at or after the request's time are cut (design section 4), then all but the last `history_length`; a signal
    may read further back. A request without a time is made now. An event on an item that the catalogue lacks keeps its
    place, with an empty vector. A value that is not finite is taken for absent.
    """

    def __init__(self, model: UnifiedRanker) -> None:
        """Build over the model's catalogue."""
        super().__init__(name="request_graph")
        catalogue = model.catalogue
        self.items = large_string_table(catalogue.item_ids)
        self.users = large_string_table(catalogue.user_ids)
        self.unknown_user = len(catalogue.user_ids)
        self.length, self.read = model.config.towers.user.history_length, model.config.towers.ranker.events_read
        self.imputer = imputer_of(model)
        # A variable: a constant of the graph is held several times over by a process that serves it.
        self.titles = tf.Variable(self.imputer.titles, trainable=False)
        self.imputer.titles = self.titles
        self.tables = [
            self.items, self.users, model.categories.lookup, model.context_tower.tasks.lookup,
            model.user_tower.tasks.lookup, model.user_tower.event_types.lookup,
        ]  # fmt: skip
        # Called through closures: the layers' variables belong to the served model, which tracks them itself.
        self._event_types = model.user_tower.event_types.index
        self._history_tasks = model.user_tower.tasks.index
        self._tasks = model.context_tower.tasks.index
        self._words = lambda texts: model.signals.words(texts)
        self._country = lambda values: model.categories.index("country", values)

    def __call__(self, fields: dict[str, tf.Tensor]) -> LookedUp:
        """Look up a batch of raw requests (see `request_signature`)."""
        time = tf.where(fields["timestamp"] > 0, fields["timestamp"], tf.cast(tf.timestamp(), tf.int64))
        order, found = self._in_order(fields, time)
        events, times, length = self._history(fields, order, found)
        last, some = tf.maximum(length - 1, 0), length > 0
        last_item, last_task, last_time = (
            tf.gather(column, last, batch_dims=1) for column in (events.item, events.task, times)
        )
        user = self.users.lookup(fields["user_id"])
        filled = self.imputer(
            RequestFields(
                fields["task"], fields["query"], self.items.lookup(fields["source_item_id"]), fields["country"]
            ),
            tf.where(some, last_item, MISSING),
            user,
        )
        request = RequestIndices(
            task=self._tasks(fields["task"]),
            source=filled.source_item,
            country=self._country(filled.country),
            previous_task=tf.where(some, last_task, 0),
            gap=tf.where(some, time - last_time, -1),
            timestamp=time,
            position=length,
        )
        known = tf.where(user < 0, tf.constant(self.unknown_user, tf.int64), user)
        signals = SignalRequest(self._words(filled.query), filled.source_item, self._recent(fields, order, found))
        query_item = self.items.lookup(fields["query_item_id"])
        return LookedUp(HistoryWindows(known, events), request, filled.query, query_item, signals)

    def _in_order(self, fields: dict[str, tf.Tensor], time: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the places `[batch, events + 1]` of events strictly before `time`, oldest first, and their number.

        The last place is behind all events, for what is blank.
        """
        before = (fields["history_item_id"] != "") & (fields["history_timestamp"] < time[:, None])
        # Events that are kept come first, in their order; a stable sort keeps the rest behind them.
        order = tf.argsort(tf.cast(~before, tf.int32), axis=1, stable=True)
        behind = tf.fill([tf.shape(order)[0], 1], tf.shape(order)[1])
        return tf.concat([order, behind], 1), tf.reduce_sum(tf.cast(before, tf.int64), 1)

    def _recent(self, fields: dict[str, tf.Tensor], order: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        """Return the last items `[batch, n]`, newest first, -1 where there are fewer, of as many as signals read."""
        column = tf.range(1, self.read + 1, dtype=tf.int64)[None]
        there = column <= found[:, None]
        place = tf.where(there, found[:, None] - column, tf.shape(order, tf.int64)[1] - 1)
        rows = tf.gather(order, place, batch_dims=1)
        ids = tf.gather(tf.pad(fields["history_item_id"], [[0, 0], [0, 1]], constant_values=""), rows, batch_dims=1)
        return tf.where(there, self.items.lookup(ids), MISSING)

    def _history(
        self, fields: dict[str, tf.Tensor], order: tf.Tensor, found: tf.Tensor
    ) -> tuple[HistoryEvents, tf.Tensor, tf.Tensor]:
        """Return the last events that the user tower reads and their times `[batch, n]`, and their number `[batch]`."""
        kept = tf.minimum(found, self.length)
        column = tf.range(tf.maximum(tf.reduce_max(tf.concat([kept, [1]], 0)), 1))[None]
        present = column < kept[:, None]
        place = tf.where(present, (found - kept)[:, None] + column, tf.shape(order, tf.int64)[1] - 1)
        rows = tf.gather(order, place, batch_dims=1)

        def pick(name: str, blank: object) -> tf.Tensor:
            padded = tf.pad(fields[name], [[0, 0], [0, 1]], constant_values=blank)
            return tf.where(present, tf.gather(padded, rows, batch_dims=1), tf.constant(blank, padded.dtype))

        timestamp, value = pick("history_timestamp", 0), pick("history_value", 0.0)
        earlier = tf.concat([timestamp[:, :1], timestamp[:, :-1]], 1)
        events = HistoryEvents(
            item=tf.where(present, self.items.lookup(pick("history_item_id", "")), MISSING),
            event_type=self._event_types(pick("history_event_type", "")),
            task=self._history_tasks(pick("history_task", "")),
            gap=tf.where(present, timestamp - earlier, 0),
            value=tf.where(tf.math.is_finite(value), value, 0.0),
        )
        return events, timestamp, kept
