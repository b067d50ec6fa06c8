"""The forward pass from looked-up requests to their encoded state: for training, evaluation and the served graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.request import STATE_PREFIX
from unified_ranker.model.catalogue import Catalogue
from unified_ranker.model.inputs import RequestIndices
from unified_ranker.signals.base import SignalRequest
from unified_ranker.tasks.encoded_state import EncodedQuery, EncodedState
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.context import ContextEncoder, RequestVectors
from unified_ranker.towers.feature_group import FeatureParts
from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.user import UserEncoder
from unified_ranker.towers.window_states import states_at


class EncodingTowers(Protocol):
    """Parts of the model that encode requests."""

    config: Config
    catalogue: Catalogue
    user_tower: UserEncoder
    context_tower: ContextEncoder
    profiles: FeatureParts
    """Features of users, one row for each and a last one for unknown users."""


def encode_requests(
    towers: EncodingTowers,
    windows: HistoryWindows,
    request: RequestIndices,
    query: tf.Tensor,
    signals: SignalRequest,
    items: ItemVectors,
) -> EncodedState:
    """Encode requests that have a window each.

    Args:
        towers: the trained model.
        windows: the last events before each request, `[batch, events]`.
        request: `[batch]`.
        query: vectors of the queries, `[batch, dim]`; zero without one.
        signals: inputs of the signals.
        items: vectors of the whole catalogue.
    """
    windows, request = visible(towers, windows, request)
    if not towers.config.towers.user.personal:
        signals = signals.without_user()
    encoded = encode_queries(towers, windows, request, query, items)
    return with_history(encoded, windows.events.item, request.position, signals, items)


def encode_queries(
    towers: EncodingTowers,
    windows: HistoryWindows,
    request: RequestIndices,
    query: tf.Tensor,
    items: ItemVectors,
    row: tf.Tensor | None = None,
    training: bool = False,
) -> EncodedQuery:
    """Run user and context tower: histories to user states, states and requests to query embeddings.

    Args:
        towers: the model.
        windows: `[windows, events]`.
        request: `[batch]`.
        query: vectors of the queries, `[batch, dim]`.
        items: the items of histories and sources, at least.
        row: the window of each request, `[batch]`; None: the window of the same number.
        training: whether dropout is on.
    """

    def states(part: HistoryWindows) -> tf.Tensor:
        profile = towers.profiles.at(part.user)
        return towers.user_tower(items.at(part.events.item), part.events, profile, training=training)

    if row is None:
        user = tf.gather(states(windows), request.position, batch_dims=1)
    else:
        user = states_at(states, windows, row, request.position, towers.config.towers.user.history_length)
    vectors = RequestVectors(
        user=user,
        query=query,
        source=items.at(request.source),
        task=request.task,
        country=request.country,
        previous_task=request.previous_task,
        timestamp=request.timestamp,
        gap=request.gap,
    )
    embedding, context = towers.context_tower(vectors)
    source = towers.context_tower.visible(vectors).source
    return EncodedQuery(embedding, source, context, request.task, request.timestamp)


def with_history(
    query: EncodedQuery, history: tf.Tensor, position: tf.Tensor, signals: SignalRequest, items: ItemVectors
) -> EncodedState:
    """Add the history and the inputs of signals, which ranking needs.

    Args:
        query: encoded requests `[batch]`.
        history: items of each request's window, `[batch, events]`; -1 for an unknown one or a blank slot.
        position: how many of them lie before the request, `[batch]`.
        signals: inputs of the signals.
        items: those of the histories, at least.
    """
    before = tf.range(tf.shape(history)[1], dtype=tf.int64)[None] < position[:, None]
    return EncodedState(**vars(query), history=items.at(history), history_mask=before & (history >= 0), signals=signals)


def visible(
    towers: EncodingTowers, windows: HistoryWindows, request: RequestIndices
) -> tuple[HistoryWindows, RequestIndices]:
    """Blank the user and the history, if towers/user.yaml declares that the model is not personal."""
    if towers.config.towers.user.personal:
        return windows, request
    nobody = tf.fill(tf.shape(windows.user), tf.constant(len(towers.catalogue.user_ids), tf.int64))
    blank = replace(windows.events, item=tf.fill(tf.shape(windows.events.item), np.int64(MISSING)))
    nothing = tf.zeros_like(request.position)
    return HistoryWindows(nobody, blank), replace(request, position=nothing, previous_task=nothing, gap=nothing - 1)


def served_states(state: EncodedState) -> dict[str, Any]:
    """Return the states by the names of the outputs of `encode` that `rank_encoded` takes."""
    return {_served_name(name): column for name, column in state.by_name().items()}


def states_of(served: Mapping[str, Any]) -> EncodedState:
    """Return the states in the inputs `served`; the inverse of `served_states`."""
    return EncodedState.of_names({name: served[_served_name(name)] for name in EncodedState.names()})


def _served_name(name: str) -> str:
    """Return the served name of a column of `EncodedState`: `state_` and its own, without its group's."""
    return STATE_PREFIX + name.rpartition("/")[2]
