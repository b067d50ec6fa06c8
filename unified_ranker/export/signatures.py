"""The served model: the signatures of design section 5 over a trained model and the release's item vectors."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from unified_ranker.config import Config, FreshnessFeature
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.candidate_rule import Pairs, allowed, excluded_events
from unified_ranker.core.freshness import freshness, query_factor, stored_factor
from unified_ranker.core.request import history_input
from unified_ranker.core.times import NEVER
from unified_ranker.evaluation.scoring import PROPOSED
from unified_ranker.export.offer_table import OfferTable
from unified_ranker.export.query_text import QueryText
from unified_ranker.export.request_graph import LookedUp, RequestGraph, request_signature
from unified_ranker.model.catalogue import Catalogue
from unified_ranker.model.encode import encode, served_states, states_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.release.query_names import EMBED, ENCODE
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.array_functions import TENSORS
from unified_ranker.towers.tensorflow import tf

SIGNATURES = ("encode", "rank_encoded", "rank", "rank_live", "recommend", "embed_items", "serving_default")
"""What every model has; see `query_text` for two that some have."""

Tensors = dict[str, tf.Tensor]


class PastColumns(NamedTuple):
    """Columns of the histories of requests, `[batch, events]`, that say what their users engaged with."""

    task: tf.Tensor
    event_type: tf.Tensor
    timestamp: tf.Tensor
    value: tf.Tensor


class QualityTable(tf.Module):
    """Quality of the release's items, with freshness as of the request.

    Item vectors hold one factor of freshness, query vectors the other (`core.freshness`), from the end of the log on.
    """

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        """Store the table, with one row more for items that the catalogue lacks."""
        super().__init__(name="quality")
        self.origin = catalogue.log_end
        features = config.towers.item.quality.values()
        self.scales = [f.scale if isinstance(f, FreshnessFeature) else 0.0 for f in features]
        self.table = tf.Variable(
            np.concatenate([catalogue.quality, catalogue.quality_unseen[None]]), trainable=False, dtype=tf.float32
        )
        self.created = tf.Variable(np.append(catalogue.created_at, NEVER), trainable=False, dtype=tf.int64)

    def at(self, indices: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Return quality `[batch, n, features]` of items `[batch, n]` (-1 = unknown) at times `[batch]` (seconds)."""
        rows = tf.where(indices < 0, tf.shape(self.table, tf.int64)[0] - 1, indices)
        created = tf.gather(self.created, rows)
        return self._with(tf.gather(self.table, rows), lambda scale: freshness(created, time[:, None], scale, TENSORS))

    def stored(self, known: tf.Tensor, created: tf.Tensor) -> tf.Tensor:
        """Return the part of the item vector `[n, features]`: items at table rows `known` `[n]` (-1 = a new item)."""
        rows = tf.where(known < 0, tf.shape(self.table, tf.int64)[0] - 1, known)
        return self._with(
            tf.gather(self.table, rows), lambda scale: stored_factor(created, self.origin, scale, TENSORS)
        )

    def decay(self, time: tf.Tensor) -> tf.Tensor:
        """Return the query vector's factors `[batch, features]`: 1, but for freshness."""
        ones = tf.ones_like(time, tf.float32)
        return _stack([query_factor(time, self.origin, s, TENSORS) if s else ones for s in self.scales], time)

    def _with(self, table: tf.Tensor, fresh: Callable[[float], tf.Tensor]) -> tf.Tensor:
        """Return the `table` `[…, features]` with `fresh` of its scale in the place of every freshness."""
        columns = [fresh(scale) if scale else table[..., place] for place, scale in enumerate(self.scales)]
        return tf.stack(columns, -1) if columns else table


class ServedModel(tf.Module):
    """Signatures `encode`, `rank_encoded`, `rank`, `recommend` and `embed_items`, of stock TensorFlow ops only."""

    def __init__(self, model: UnifiedRanker, vectors: np.ndarray) -> None:
        """Build over a trained model and the vectors of its catalogue, `[items, dim]`."""
        super().__init__(name="unified_ranker")
        config, catalogue = model.config, model.catalogue
        self.heads = config.heads
        self.requests = RequestGraph(model)
        self.query_text = QueryText(model)
        self.quality = QualityTable(config, catalogue)
        self.offers = OfferTable(catalogue.offers)
        self.vectors = tf.Variable(
            np.concatenate([vectors, np.zeros_like(vectors[:1])]), trainable=False, dtype=tf.float32
        )
        self.item_ids = tf.Variable(catalogue.item_ids.astype(object), trainable=False, dtype=tf.string)
        self.weights = [*model.variables]
        # Behind a function, which TensorFlow does not track: a Keras model would be saved with its training code.
        self._model = lambda: model
        tasks = list(config.tasks.values())
        self.candidates = tf.constant(
            [max(t.serving.candidates for t in tasks)] + [t.serving.candidates for t in tasks]
        )
        self.limits = tf.constant([max(t.serving.limit for t in tasks)] + [t.serving.limit for t in tasks])

    # --- signatures -----------------------------------------------------------------------------------------------

    def encode(self, **fields: tf.Tensor) -> Tensors:
        """Encode requests: `query_vector` `[batch, dim + quality]`, `imputed_query`, `proposed_ids` and the states.

        `proposed_ids` `[batch, n]` are candidates of the signals, to be ranked beside those of the index; "" is none,
        and whether they may answer is left to whoever retrieves. As `encode_embedded`, with `query_embedding`
        `[batch, dim]`: what `embed_queries` gave for the field `query`.
        """
        given = fields.pop("query_embedding", None)
        request, state = self._encode(fields, given)
        proposed = self._model().proposals(state)
        ids = tf.where(proposed < 0, "", tf.gather(self.item_ids, tf.maximum(proposed, 0)))
        return {
            "query_vector": self._query_vector(state),
            "imputed_query": request.query,
            "proposed_ids": ids,
            **served_states(state),
        }

    def rank_encoded(self, **inputs: tf.Tensor) -> Tensors:
        """Score `candidate_ids` `[batch, n]` for encoded requests; unknown candidates get the empty vector."""
        return self._rank(states_of(inputs), self.requests.items.lookup(inputs["candidate_ids"]))

    def rank(self, **inputs: tf.Tensor) -> Tensors:
        """Encode and score in one call."""
        candidates = inputs.pop("candidate_ids")
        _, state = self._encode(inputs)
        return self._rank(state, self.requests.items.lookup(candidates))

    def rank_live(self, **inputs: tf.Tensor) -> Tensors:
        """Score candidates of which some came since the release was written, for encoded requests.

        `live_vectors` `[batch, live, dim + quality]` are stored vectors, as `embed_items` gives them, and `live_place`
        `[batch, n]` says which of them is a candidate's; -1: the release knows the candidate.
        """
        place, sent = inputs["live_place"], inputs["live_vectors"]
        # A row of zeros behind, so that there is one to gather where none were sent.
        own = tf.gather(tf.pad(sent, [[0, 0], [0, 1], [0, 0]]), tf.maximum(place, 0), batch_dims=1)
        return self._rank(states_of(inputs), self.requests.items.lookup(inputs["candidate_ids"]), (place >= 0, own))

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """Answer from the whole catalogue: `item_ids` and `scores` `[batch, limit]`, "" and -inf behind the end.

        The width is the highest limit of the batch, or the number of items where that is less. A limit of 0 stands for
        the task's own. Where a task leaves out what its user has engaged with, the whole history that is given counts,
        and not only the part that the model reads.
        """
        given = inputs.pop("limit")
        request, state = self._encode(inputs)
        count, task = tf.shape(self.item_ids)[0], state.task
        limit = tf.where(given > 0, given, tf.gather(self.limits, task))
        candidates = tf.maximum(tf.gather(self.candidates, task), limit)
        scores = tf.matmul(self._query_vector(state), self._stored_vectors(), transpose_b=True)
        scores = tf.where(self._allowed(inputs, request), scores, -np.inf)
        scores += PROPOSED * _marked(self._model().proposals(state), tf.shape(scores))
        retrieved, chosen = tf.math.top_k(scores, tf.minimum(_highest(candidates), count))
        own = tf.range(tf.shape(chosen)[1])[None] < candidates[:, None]
        ranked = self._rank(state, tf.cast(chosen, tf.int64))["score"]
        ranked = tf.where(own & (retrieved > -np.inf), ranked, -np.inf)
        best, place = tf.math.top_k(ranked, tf.minimum(_highest(limit), count))
        ids = tf.gather(self.item_ids, tf.gather(chosen, place, batch_dims=1))
        answered = (best > -np.inf) & (tf.range(tf.shape(best)[1])[None] < limit[:, None])
        return {"item_ids": tf.where(answered, ids, ""), "scores": tf.where(answered, best, -np.inf)}

    def embed_items(self, **fields: tf.Tensor) -> Tensors:
        """Embed items from their fields: `item_vector` `[batch, dim + quality]`, also for ids never seen."""
        model = self._model()
        index = self.requests.items.lookup(fields["item_id"])
        created = tf.where(fields["created_at"] == 0, NEVER, fields["created_at"])
        encoded = model.item_tower.encode(fields, index)
        if model.config.towers.item.age_gate:
            encoded["created"] = created
        vectors = model.item_tower(encoded)
        return {"item_vector": tf.concat([vectors, self.quality.stored(index, created)], 1)}

    # --- their parts ----------------------------------------------------------------------------------------------

    def _encode(self, fields: Tensors, given: tf.Tensor | None = None) -> tuple[LookedUp, EncodedState]:
        asked = self.requests(fields)
        query = self.query_text(fields["query"], asked, given)
        items = ItemVectors(None, self.vectors, self.quality.created)
        return asked, encode(self._model(), asked.windows, asked.request, query, asked.signals, items)

    def _query_vector(self, state: EncodedState) -> tf.Tensor:
        weights = tf.gather(self._model().quality_weights, state.task)
        return tf.concat([state.embedding, weights * self.quality.decay(state.timestamp)], 1)

    def _stored_vectors(self) -> tf.Tensor:
        known = tf.range(tf.shape(self.item_ids, tf.int64)[0])
        return tf.concat([self.vectors[:-1], self.quality.stored(known, self.quality.created[:-1])], 1)

    def _rank(
        self, state: EncodedState, indices: tf.Tensor, live: tuple[tf.Tensor, tf.Tensor] | None = None
    ) -> Tensors:
        model = self._model()
        rows = tf.where(indices < 0, tf.shape(self.vectors, tf.int64)[0] - 1, indices)
        quality = self.quality.at(indices, state.timestamp)
        vectors = tf.gather(self.vectors, rows)
        if live is not None:
            chosen, own = live
            dim = tf.shape(vectors)[2]
            vectors = tf.where(chosen[..., None], own[..., :dim], vectors)
            # Stored quality times its decay is the quality as of the request (docs/decisions/0003-freshness.md).
            now = own[..., dim:] * self.quality.decay(state.timestamp)[:, None]
            quality = tf.where(chosen[..., None], now, quality)
        signals = model.signals.features(state.signals, indices)
        score, logits, retrieval = model.rank(state, vectors, quality, signals)
        chances = model.probabilities(logits, state.task)
        heads = {name: chances[..., number] for number, name in enumerate(self.heads)}
        return {"score": score, "retrieval_score": retrieval, **heads}

    def _allowed(self, fields: Tensors, request: LookedUp) -> tf.Tensor:
        """Return which items may answer, `[batch, items]`, by the rule of `core.candidate_rule`."""
        created = self.quality.created[:-1]
        count = tf.shape(created, tf.int64)[0]
        moment = request.request.timestamp[:, None]
        history = self.requests.items.lookup(fields["history_item_id"])
        engaged = tf.where(self._engaged(fields, request.request.task, moment), history, MISSING)
        mask: tf.Tensor = allowed(
            Pairs(
                item=tf.range(count)[None],
                created_at=created[None],
                moment=moment,
                source_item=self.requests.items.lookup(fields["source_item_id"])[:, None],
                query_item=request.query_item[:, None],
                engaged=_marked(engaged, tf.stack([tf.shape(moment)[0], tf.cast(count, tf.int32)])) > 0,
                offered=self.offers.offered(fields["country"]),
                available=self.offers.available,
            )
        )
        return mask

    def _engaged(self, fields: Tensors, task: tf.Tensor, moment: tf.Tensor) -> tf.Tensor:
        """Mark the events `[batch, events]` whose items the tasks `[batch]` exclude."""
        events = PastColumns(*(fields[history_input(name)] for name in PastColumns._fields))
        out = tf.zeros_like(events.timestamp, tf.bool)
        for number, (name, declared) in enumerate(self._model().config.tasks.items(), start=1):
            out |= (task == number)[:, None] & excluded_events(events, moment, name, declared)
        return out


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
        "live_place": tf.TensorSpec([None, None], tf.int32, name="live_place"),
        "live_vectors": tf.TensorSpec([None, None, config.query_dim], tf.float32, name="live_vectors"),
    }


def signatures_of(served: ServedModel, config: Config) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Trace all signatures; `rank` is also the default."""
    request, candidates = request_signature(), tf.TensorSpec([None, None], tf.string, name="candidate_ids")
    wanted: dict[str, tuple[Callable[..., Tensors], dict[str, tf.TensorSpec]]] = {
        "encode": (served.encode, request),
        "rank_encoded": (served.rank_encoded, {**state_signature(config), "candidate_ids": candidates}),
        "rank": (served.rank, {**request, "candidate_ids": candidates}),
        "rank_live": (
            served.rank_live,
            {**state_signature(config), "candidate_ids": candidates, **live_signature(config)},
        ),
        "recommend": (served.recommend, {**request, "limit": tf.TensorSpec([None], tf.int32, name="limit")}),
        "embed_items": (served.embed_items, item_signature(config)),
    }
    if served.query_text.titles is not None:
        width = config.towers.item.dim
        given = {"query_embedding": tf.TensorSpec([None, width], tf.float32, name="query_embedding")}
        wanted[EMBED] = (served.query_text.embed, {"query": tf.TensorSpec([None], tf.string, name="query")})
        wanted[ENCODE] = (served.encode, {**request, **given})
    traced = {
        name: tf.function(call, autograph=False).get_concrete_function(**spec) for name, (call, spec) in wanted.items()
    }
    return {**traced, "serving_default": traced["rank"]}


def _marked(indices: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Return 1 at `indices` `[batch, n]` (-1 = none) of a table of `shape`, else 0."""
    rows = tf.repeat(tf.range(shape[0])[:, None], tf.shape(indices)[1], 1)
    known = indices >= 0
    places = tf.stack([tf.boolean_mask(rows, known), tf.cast(tf.boolean_mask(indices, known), tf.int32)], 1)
    marked = tf.scatter_nd(places, tf.ones(tf.shape(places)[0]), shape)
    return tf.minimum(marked, 1.0)


def _highest(numbers: tf.Tensor) -> tf.Tensor:
    """Return the highest of `[batch]`; 1 for no batch."""
    return tf.reduce_max(tf.concat([numbers, [1]], 0))


def _stack(columns: list[tf.Tensor], like: tf.Tensor) -> tf.Tensor:
    return tf.stack(columns, 1) if columns else tf.zeros([tf.shape(like)[0], 0])
