"""Signatures of the served model (docs/reference/served-model.md): their names, and what each of them takes."""

from collections.abc import Callable

from unified_ranker.config import Config
from unified_ranker.core.request import EVENT_FIELDS, REQUEST_FIELDS, TEXT_FIELD, history_input
from unified_ranker.core.signature_names import (
    CANDIDATE_IDS,
    CANDIDATE_INDICES,
    DEFAULT_SIGNATURE,
    EMBED_ITEMS,
    EMBED_QUERIES,
    ENCODE,
    ENCODE_EMBEDDED,
    ENCODE_LIVE,
    LIMIT,
    LIVE_ROW,
    LIVE_TITLES,
    LIVE_VECTORS,
    POPULARITY_NOW,
    QUERY_EMBEDDING,
    QUERY_FIELD,
    RANK,
    RANK_ENCODED,
    RANK_KNOWN,
    RANK_LIVE,
    RANK_TITLED,
    RECOMMEND,
    TRENDING_INDICES,
)
from unified_ranker.export.signature_graph import SignatureGraph, Tensors
from unified_ranker.model.encode import served_states
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.towers.tensorflow import tf


def request_signature() -> dict[str, tf.TensorSpec]:
    """Return the request's fields: "" and 0 stand for absent, history is `[batch, events]`, oldest first.

    Seconds since 1970 are the unit of times. Slots of the history whose item is "" are skipped, wherever they are.
    """
    of_request = {name: ([None], kind) for name, kind in REQUEST_FIELDS.items()}
    of_events = {history_input(name): ([None, None], kind) for name, kind in EVENT_FIELDS.items()}
    return {
        name: tf.TensorSpec(shape, tf.string if kind == TEXT_FIELD else tf.as_dtype(kind), name=name)
        for name, (shape, kind) in (of_request | of_events).items()
    }


def item_signature(config: Config) -> dict[str, tf.TensorSpec]:
    """Return the item fields that `embed_items` takes: "", 0 and NaN stand for absent."""
    spec = {"item_id": tf.TensorSpec([None], tf.string, name="item_id")}
    spec["created_at"] = tf.TensorSpec([None], tf.int64, name="created_at")
    for feature in config.towers.item.features:
        shape, kind = [None, None] if feature.listed else [None], tf.as_dtype(feature.dtype)
        spec[feature.column] = tf.TensorSpec(shape, kind, name=feature.column)
    return spec


def state_signature(config: Config) -> dict[str, tf.TensorSpec]:
    """Return the states that `encode` gives and `rank_encoded` takes."""
    specs = served_states(EncodedState.spec(config.towers.item.dim))
    return {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()}


def live_signature(config: Config) -> dict[str, tf.TensorSpec]:
    """Return what `rank_live` takes besides the inputs of `rank_encoded`."""
    return {
        LIVE_ROW: tf.TensorSpec([None, None], tf.int32, name=LIVE_ROW),
        LIVE_VECTORS: tf.TensorSpec([None, None, config.query_dim], tf.float32, name=LIVE_VECTORS),
        **popularity_signature(config),
    }


def popularity_signature(config: Config) -> dict[str, tf.TensorSpec]:
    """Return the input for popularity as of now; none where the quality vector has no popularity."""
    if not (popularities := len(config.towers.item.popularities)):
        return {}
    return {POPULARITY_NOW: tf.TensorSpec([None, None, popularities], tf.float32, name=POPULARITY_NOW)}


def signatures_of(served: SignatureGraph, config: Config) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Trace all signatures; `rank` is also the default."""
    request, candidates = request_signature(), tf.TensorSpec([None, None], tf.string, name=CANDIDATE_IDS)
    wanted: dict[str, tuple[Callable[..., Tensors], dict[str, tf.TensorSpec]]] = {
        ENCODE: (served.encode, request),
        RANK_ENCODED: (served.rank_encoded, {**state_signature(config), CANDIDATE_IDS: candidates}),
        RANK: (served.rank, {**request, CANDIDATE_IDS: candidates}),
        RANK_LIVE: (
            served.rank_live,
            {**state_signature(config), CANDIDATE_IDS: candidates, **live_signature(config)},
        ),
        RANK_TITLED: (
            served.rank_live,
            {
                **state_signature(config),
                CANDIDATE_IDS: candidates,
                **live_signature(config),
                LIVE_TITLES: tf.TensorSpec([None, None], tf.string, name=LIVE_TITLES),
            },
        ),
        RANK_KNOWN: (
            served.rank_known,
            {
                **state_signature(config),
                CANDIDATE_INDICES: tf.TensorSpec([None, None], tf.int64, name=CANDIDATE_INDICES),
                **popularity_signature(config),
            },
        ),
        RECOMMEND: (served.recommend, {**request, LIMIT: tf.TensorSpec([None], tf.int32, name=LIMIT)}),
        EMBED_ITEMS: (served.embed_items, item_signature(config)),
    }
    encode = wanted[ENCODE]
    if popularities := len(config.towers.item.popularities):
        lists = tf.TensorSpec([None, popularities, TRENDING], tf.int64, name=TRENDING_INDICES)
        wanted[ENCODE_LIVE] = encode = (served.encode_live, {**request, TRENDING_INDICES: lists})
    if served.query_text.titles is not None:
        width = config.towers.item.dim
        given = {QUERY_EMBEDDING: tf.TensorSpec([None, width], tf.float32, name=QUERY_EMBEDDING)}
        wanted[EMBED_QUERIES] = (
            served.query_text.embed,
            {QUERY_FIELD: tf.TensorSpec([None], tf.string, name=QUERY_FIELD)},
        )
        wanted[ENCODE_EMBEDDED] = (encode[0], {**encode[1], **given})
    traced = {
        name: tf.function(call, autograph=False).get_concrete_function(**spec) for name, (call, spec) in wanted.items()
    }
    return {**traced, DEFAULT_SIGNATURE: traced[RANK]}
