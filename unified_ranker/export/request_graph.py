"""Inputs of the model from raw requests, inside the served graph: look-up, imputation, cut of the history."""

from collections.abc import Mapping
from dataclasses import dataclass

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.request import EVENT_FIELDS, History, history_input
from unified_ranker.model.inputs import RequestIndices
from unified_ranker.model.lookups import imputer_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.signals.base import SignalRequest
from unified_ranker.tasks.imputation import ImputableFields
from unified_ranker.towers.columns import Columns
from unified_ranker.towers.history import HistoryEvents, HistoryWindows
from unified_ranker.towers.lookup import large_string_table
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class GivenFields(Columns):
    """Fields of requests as given, before imputation.

    Attributes:
        query: text, `[batch]`; "" where there is none.
        source_item: index of the source item, `[batch]`; -1 for none.
        query_item: index of the query item, `[batch]`; -1 for none.
        country: text, `[batch]`; "" where unknown.
        history_items: indices of the items of whole histories, `[batch, events]`; -1 for none, or one that the
            catalogue lacks.
    """

    query: tf.Tensor
    source_item: tf.Tensor
    query_item: tf.Tensor
    country: tf.Tensor
    history_items: tf.Tensor


@dataclass(frozen=True)
class LookedUp:
    """Requests as inputs of the model.

    Attributes:
        given: the fields as given.
        windows: the last events before each, `[batch, events]`.
        request: `[batch]`.
        query: text, imputed where it is missing, `[batch]`.
        signals: inputs of the signals.
    """

    given: GivenFields
    windows: HistoryWindows
    request: RequestIndices
    query: tf.Tensor
    signals: SignalRequest


def history_columns(fields: Mapping[str, tf.Tensor]) -> History:
    """Return the whole histories of requests, columns `[batch, events]`, in which slots without an item are blank."""
    return History(**{name: fields[history_input(name)] for name in EVENT_FIELDS})


class RequestGraph(tf.Module):
    """Looks requests up against the release's catalogue.

    Events at or after the request's time are cut, and those whose type towers/user.yaml leaves out of histories, then
    all but the last `history_length`, in whole seconds; a signal may read further back. A request without a time gets
    the present one: that is for callers of TF Serving that give none, since the service and `Recommender` have the time
    of `OpenedRelease.timed`. An event on an unknown item keeps its slot, with an empty vector. A value that is not
    finite counts as absent.
    """

    def __init__(self, model: UnifiedRanker) -> None:
        """Build over the model's catalogue."""
        super().__init__(name="request_graph")
        catalogue = model.catalogue
        self.items = large_string_table(catalogue.item_ids)
        self.users = large_string_table(catalogue.user_ids)
        self.unknown_user = len(catalogue.user_ids)
        user = model.config.towers.user
        self.length, self.read = user.history_length, model.config.towers.ranker.events_read
        self.history_types = None if user.history_events is None else tf.constant(["", *user.history_events])
        self.imputer = imputer_of(model)
        # A variable, because a serving process holds several copies of a graph's constants.
        self.titles = tf.Variable(self.imputer.titles, trainable=False)
        self.imputer.titles = self.titles
        self.tables = [
            self.items, self.users, model.categories.lookup, model.context_tower.tasks.lookup,
            model.user_tower.tasks.lookup, model.user_tower.event_types.lookup,
        ]  # fmt: skip
        # Called through closures, because the served model tracks the layers' variables itself.
        self._event_types = model.user_tower.event_types.index
        self._history_tasks = model.user_tower.tasks.index
        self._tasks = model.context_tower.tasks.index
        self._words = lambda texts: model.signals.words(texts)
        self._country = lambda values: model.categories.index("country", values)

    def __call__(self, fields: dict[str, tf.Tensor]) -> LookedUp:
        """Look up a batch of raw requests (see `signatures.request_signature`)."""
        given, history = self._given(fields), history_columns(fields)
        time = tf.where(fields["timestamp"] > 0, fields["timestamp"], tf.cast(tf.timestamp(), tf.int64))
        order, found = _in_order(history, given.history_items, time, self.history_types)
        events, times, length = self._window(given, history, order, found)
        last_time, some = tf.gather(times, tf.maximum(length - 1, 0), batch_dims=1), length > 0
        newest = (times == last_time[:, None]) & (tf.range(tf.shape(times)[1], dtype=tf.int64) < length[:, None])
        user = self.users.lookup(fields["user_id"])
        filled = self.imputer(
            ImputableFields(fields["task"], given.query, given.source_item, given.country),
            _common(events.item, newest, MISSING),
            user,
        )
        request = RequestIndices(
            task=self._tasks(fields["task"]),
            source=filled.source_item,
            country=self._country(filled.country),
            previous_task=_common(events.task, newest, 0),
            gap=tf.where(some, time - last_time, -1),
            timestamp=time,
            position=length,
        )
        known = tf.where(user < 0, tf.constant(self.unknown_user, tf.int64), user)
        recent, recent_time = self._recent(given, history, order, found)
        signals = SignalRequest(
            words=self._words(filled.query),
            source_item=filled.source_item,
            recent=recent,
            recent_time=recent_time,
            task=request.task,
            timestamp=time,
        )
        return LookedUp(given, HistoryWindows(known, events), request, filled.query, signals)

    def _given(self, fields: dict[str, tf.Tensor]) -> GivenFields:
        return GivenFields(
            query=fields["query"],
            source_item=self.items.lookup(fields["source_item_id"]),
            query_item=self.items.lookup(fields["query_item_id"]),
            country=fields["country"],
            history_items=self.items.lookup(fields[history_input("item_id")]),
        )

    def _recent(
        self, given: GivenFields, history: History, order: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return items and times of the last events that signals read, `[batch, n]` each, newest first.

        Items are -1 and times 0 where there are fewer; `n` is what the longest history of the batch needs, because
        signals take time for each slot.
        """
        width = tf.minimum(tf.reduce_max(tf.concat([found, [1]], 0)), self.read)
        column = tf.range(1, width + 1, dtype=tf.int64)[None]
        there = column <= _whole_seconds(history, order, found, self.read)[:, None]
        slot = tf.where(there, found[:, None] - column, tf.shape(order, tf.int64)[1] - 1)
        rows = tf.gather(order, slot, batch_dims=1)
        return _pick(given.history_items, rows, there, MISSING), _pick(history.timestamp, rows, there, 0)

    def _window(
        self, given: GivenFields, history: History, order: tf.Tensor, found: tf.Tensor
    ) -> tuple[HistoryEvents, tf.Tensor, tf.Tensor]:
        """Return the last events that the user tower reads and their times `[batch, n]`, and their number `[batch]`."""
        kept = _whole_seconds(history, order, found, self.length)
        column = tf.range(tf.maximum(tf.reduce_max(tf.concat([kept, [1]], 0)), 1))[None]
        present = column < kept[:, None]
        slot = tf.where(present, (found - kept)[:, None] + column, tf.shape(order, tf.int64)[1] - 1)
        rows = tf.gather(order, slot, batch_dims=1)
        timestamp, value = _pick(history.timestamp, rows, present, 0), _pick(history.value, rows, present, 0.0)
        earlier = tf.concat([timestamp[:, :1], timestamp[:, :-1]], 1)
        events = HistoryEvents(
            item=_pick(given.history_items, rows, present, MISSING),
            event_type=self._event_types(_pick(history.event_type, rows, present, "")),
            task=self._history_tasks(_pick(history.task, rows, present, "")),
            gap=tf.where(present, timestamp - earlier, MISSING),
            value=tf.where(tf.math.is_finite(value), value, 0.0),
        )
        return events, timestamp, kept


def _in_order(
    history: History, items: tf.Tensor, time: tf.Tensor, event_types: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the positions `[batch, events + 1]` of events strictly before `time`, oldest first, and their number.

    Those of one second are in the order of their `items` in the catalogue, as in prepared histories. Only those of
    `event_types` `[types]` count, all for None. The last position is after all events, for blanks.
    """
    before = (history.item_id != "") & (history.timestamp < time[:, None])
    if event_types is not None:
        before &= tf.reduce_any(history.event_type[..., None] == event_types, -1)
    by_item = tf.argsort(items, axis=1, stable=True)
    times = tf.where(before, history.timestamp, tf.int64.max)
    order = tf.argsort(tf.gather(times, by_item, batch_dims=1), axis=1, stable=True)
    order = tf.gather(by_item, order, batch_dims=1)
    behind = tf.fill([tf.shape(order)[0], 1], tf.shape(order)[1])
    return tf.concat([order, behind], 1), tf.reduce_sum(tf.cast(before, tf.int64), 1)


def _whole_seconds(history: History, order: tf.Tensor, found: tf.Tensor, most: int) -> tf.Tensor:
    """Return how many of `found` events in `order` a window of `most` holds, `[batch]`; see `windows.whole_seconds`."""
    begin = found - most
    times = tf.gather(tf.pad(history.timestamp, [[0, 0], [0, 1]]), order, batch_dims=1)
    left = tf.gather(times, tf.maximum(begin - 1, 0), batch_dims=1)
    slot = tf.range(tf.shape(order, tf.int64)[1])[None]
    inside = (slot >= begin[:, None]) & (slot < found[:, None]) & (times == left[:, None]) & (begin > 0)[:, None]
    divided = tf.math.count_nonzero(inside, 1)
    other = begin + divided - 1 - most
    more = (other >= 0) & (tf.gather(times, tf.maximum(other, 0), batch_dims=1) == left)
    return tf.minimum(found, most) - tf.where(more, tf.zeros_like(divided), divided)


def _common(column: tf.Tensor, there: tf.Tensor, blank: int) -> tf.Tensor:
    """Return the number that all events `there` have in a column `[batch, n]`, `[batch]`; see `Histories.common`."""
    low = tf.reduce_min(tf.where(there, column, column.dtype.max), 1)
    high = tf.reduce_max(tf.where(there, column, column.dtype.min), 1)
    return tf.where(low == high, low, tf.constant(blank, column.dtype))


def _pick(column: tf.Tensor, rows: tf.Tensor, present: tf.Tensor, blank: object) -> tf.Tensor:
    """Return the positions `rows` `[batch, n]` of a column `[batch, events]` where `present`, else `blank`."""
    padded = tf.pad(column, [[0, 0], [0, 1]], constant_values=blank)
    return tf.where(present, tf.gather(padded, rows, batch_dims=1), tf.constant(blank, padded.dtype))
