"""The served graph: what each signature does, over a trained model and the vectors of the release's items."""

from typing import Any, NamedTuple

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.proposal_rule import raised
from unified_ranker.core.signature_names import (
    CANDIDATE_IDS,
    CANDIDATE_INDICES,
    FINAL_SCORE,
    IMPUTED_QUERY,
    ITEM_IDS,
    ITEM_VECTOR,
    LIMIT,
    LIVE_ROW,
    LIVE_TITLES,
    LIVE_VECTORS,
    POPULARITY_NOW,
    PROPOSED_IDS,
    PROPOSED_INDICES,
    QUERY_EMBEDDING,
    QUERY_VECTOR,
    RETRIEVAL_SCORE,
    SCORES,
    TRENDING_INDICES,
)
from unified_ranker.core.times import NEVER
from unified_ranker.export.candidate_mask import candidate_mask, multi_hot
from unified_ranker.export.offer_table import OfferTable
from unified_ranker.export.quality_table import QualityTable
from unified_ranker.export.query_text import QueryText
from unified_ranker.export.request_graph import GivenFields, RequestGraph, history_columns
from unified_ranker.model.encode import encode_requests, served_states, states_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.model.scored import Scored
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.array_functions import TENSORFLOW
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf

Tensors = dict[str, tf.Tensor]
"""Inputs or outputs of a signature, by name."""


class LiveInputs(NamedTuple):
    """Changes since the release was written, for the candidates of requests.

    Attributes:
        row: row in `vectors` of a candidate that the release does not know, `[batch, n]`; -1 where it knows it.
        vectors: stored vectors of such items, `[batch, live, dim + quality]`, as `embed_items` gives them.
        titles: titles of such items, `[batch, live]`; None: they are not known.
    """

    row: tf.Tensor
    vectors: tf.Tensor
    titles: tf.Tensor | None = None


class GivenCandidates(NamedTuple):
    """Candidates of requests, as the signatures that rank are given them.

    Attributes:
        indices: in the catalogue, `[batch, n]`; -1 where it does not know the item.
        present: whether there is a candidate, `[batch, n]`.
        live: what came since the release was written; None: nothing.
        popularity: as of the requests, `[batch, n, popularities]`, NaN: as released; None: all as released.
    """

    indices: tf.Tensor
    present: tf.Tensor
    live: LiveInputs | None = None
    popularity: tf.Tensor | None = None


class RequestEncodings(NamedTuple):
    """Requests with the fields that they gave, their queries `[batch]`, imputed where missing, and their states."""

    given: GivenFields
    query: tf.Tensor
    state: EncodedState


class SignatureGraph(tf.Module):
    """Signatures of the served model, of stock TensorFlow ops only."""

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
        # Without the whole table of ids, which is as large as that of the vectors: an id that was not trained has the
        # vector of the unknown one.
        row, vectors_of_ids = model.item_tower.trained_vectors()
        self.id_row, self.id_vectors = tf.Variable(row, trainable=False), tf.Variable(vectors_of_ids)
        self.weights = [variable for variable in model.variables if variable is not model.item_tower.ids]
        # Behind a function, which TensorFlow does not track: a Keras model would be saved with its training code.
        self._model = lambda: model
        # What several signatures share is traced once. Behind functions, too: neither is a signature of its own.
        encode = tf.function(self._encode_anew, autograph=False)
        scored = tf.function(model.scored, autograph=False, input_signature=_scored_inputs(config))
        self._encode = lambda fields, given=None: encode(fields, given)
        self._scored_once = lambda *inputs: scored(*inputs)
        tasks = list(config.tasks.values())
        self.candidates = tf.constant(
            [max(t.serving.candidates for t in tasks)] + [t.serving.candidates for t in tasks]
        )
        self.limits = tf.constant([max(t.serving.limit for t in tasks)] + [t.serving.limit for t in tasks])

    # --- signatures -----------------------------------------------------------------------------------------------

    def encode(self, **fields: tf.Tensor) -> Tensors:
        """Encode requests: `query_vector` `[batch, dim + quality]`, `imputed_query`, `proposed_ids` and the states.

        `proposed_ids` `[batch, n]` are candidates of the signals, to be ranked beside those of the index; "" is none,
        and whether they may answer is left to whoever retrieves.
        """
        encoded, state = self._encoded(fields)
        proposed = self._model().proposals(state)
        ids = tf.where(proposed < 0, "", tf.gather(self.item_ids, tf.maximum(proposed, 0)))
        return {**encoded, PROPOSED_IDS: ids}

    def encode_live(self, **fields: tf.Tensor) -> Tensors:
        """Encode requests with the most popular items as of now.

        `trending` `[batch, popularities, n]` are indices in the release's catalogue, the most popular first; -1 is
        none, and higher indices stand for items that came later. So do those of `proposed` `[batch, m]`.
        """
        trending = fields.pop(TRENDING_INDICES)
        encoded, state = self._encoded(fields)
        return {**encoded, PROPOSED_INDICES: self._model().proposals(state, trending)}

    def rank_encoded(self, **inputs: tf.Tensor) -> Tensors:
        """Score `candidate_ids` `[batch, n]` for encoded requests; unknown candidates get the empty vector."""
        return self._rank(states_of(inputs), self._named(inputs[CANDIDATE_IDS]))

    def rank(self, **inputs: tf.Tensor) -> Tensors:
        """Encode and score in one call."""
        candidates = self._named(inputs.pop(CANDIDATE_IDS))
        return self._rank(self._encode(inputs).state, candidates)

    def rank_live(self, **inputs: tf.Tensor) -> Tensors:
        """Score candidates for encoded requests by what came since the release was written; see `LiveInputs`.

        With `live_titles` it is the signature `rank_titled`: the signals read the titles, too.
        `popularity` is that of the requests, `[batch, n, popularities]`, NaN: as released; absent where the release
        counts nothing.
        """
        live = LiveInputs(inputs[LIVE_ROW], inputs[LIVE_VECTORS], inputs.get(LIVE_TITLES))
        named = self._named(inputs[CANDIDATE_IDS])
        return self._rank(states_of(inputs), named._replace(live=live, popularity=inputs.get(POPULARITY_NOW)))

    def rank_known(self, **inputs: tf.Tensor) -> Tensors:
        """Score candidates for encoded requests by their indices in the catalogue, `[batch, n]`; -1 is none.

        That spares the caller texts and the graph their look-up. `popularity` is as for `rank_live`.
        """
        indices = inputs[CANDIDATE_INDICES]
        known = GivenCandidates(indices, indices >= 0, popularity=inputs.get(POPULARITY_NOW))
        return self._rank(states_of(inputs), known)

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """Answer from the whole catalogue: `item_ids` and `scores` `[batch, limit]`, "" and -inf behind the end.

        The width is the highest limit of the batch, or the number of items where that is less. A limit of 0 stands for
        the task's own. Where a task leaves out what its user has engaged with, the whole history that is given counts,
        and not only the part that the model reads.
        """
        given = inputs.pop(LIMIT)
        asked = self._encode(inputs)
        count, state = tf.shape(self.item_ids)[0], asked.state
        limit = tf.where(given > 0, given, tf.gather(self.limits, state.task))
        candidates = tf.maximum(tf.gather(self.candidates, state.task), limit)
        scores = tf.matmul(self._query_vector(state), self._stored_vectors(), transpose_b=True)
        tasks = self._model().config.tasks
        mask = candidate_mask(
            asked.given, state, history_columns(inputs), self.quality.created[:-1], self.offers, tasks
        )
        scores = tf.where(mask, scores, -np.inf)
        scores = raised(scores, multi_hot(self._model().proposals(state), tf.shape(scores)) > 0, TENSORFLOW)
        retrieved, chosen = tf.math.top_k(scores, tf.minimum(_highest(candidates), count))
        own = tf.range(tf.shape(chosen)[1])[None] < candidates[:, None]
        present = own & (retrieved > -np.inf)
        ours = GivenCandidates(tf.cast(chosen, tf.int64), present)
        ranked = tf.where(present, self._scored(state, ours).score, -np.inf)
        best, at = tf.math.top_k(ranked, tf.minimum(_highest(limit), count))
        ids = tf.gather(self.item_ids, tf.gather(chosen, at, batch_dims=1))
        answered = (best > -np.inf) & (tf.range(tf.shape(best)[1])[None] < limit[:, None])
        return {ITEM_IDS: tf.where(answered, ids, ""), SCORES: tf.where(answered, best, -np.inf)}

    def embed_items(self, **fields: tf.Tensor) -> Tensors:
        """Embed items from their fields: `item_vector` `[batch, dim + quality]`, also for ids never seen."""
        model = self._model()
        index = self.requests.items.lookup(fields["item_id"])
        created = tf.where(fields["created_at"] == 0, NEVER, fields["created_at"])
        of_ids = tf.gather(self.id_vectors, tf.gather(self.id_row, index + 1))
        vectors = model.item_tower(model.item_tower.encode(fields, index, created), of_ids=of_ids)
        return {ITEM_VECTOR: tf.concat([vectors, self.quality.stored(index, created)], 1)}

    # --- their parts ----------------------------------------------------------------------------------------------

    def _encode_anew(self, fields: Tensors, given: tf.Tensor | None) -> RequestEncodings:
        asked = self.requests(fields)
        query = self.query_text(asked, given)
        items = ItemVectors(None, self.vectors, self.quality.created)
        state = encode_requests(self._model(), asked.windows, asked.request, query, asked.signals, items)
        return RequestEncodings(asked.given, asked.query, state)

    def _encoded(self, fields: Tensors) -> tuple[Tensors, EncodedState]:
        """Return the outputs of every `encode`, and the state; `query_embedding` `[batch, dim]` may be a field, too."""
        given = fields.pop(QUERY_EMBEDDING, None)
        _, query, state = self._encode(fields, given)
        out = {QUERY_VECTOR: self._query_vector(state), IMPUTED_QUERY: query, **served_states(state)}
        return out, state

    def _query_vector(self, state: EncodedState) -> tf.Tensor:
        weights = tf.gather(self._model().quality_weights, state.task)
        return tf.concat([state.embedding, weights * self.quality.decay(state.timestamp)], 1)

    def _stored_vectors(self) -> tf.Tensor:
        known = tf.range(tf.shape(self.item_ids, tf.int64)[0])
        return tf.concat([self.vectors[:-1], self.quality.stored(known, self.quality.created[:-1])], 1)

    def _named(self, ids: tf.Tensor) -> GivenCandidates:
        return GivenCandidates(self.requests.items.lookup(ids), ids != "")

    def _rank(self, state: EncodedState, candidates: GivenCandidates) -> Tensors:
        found = self._scored(state, candidates)
        chances = self._model().head_outputs(found.logits, state.task)
        heads = {name: chances[..., number] for number, name in enumerate(self.heads)}
        return {FINAL_SCORE: found.score, RETRIEVAL_SCORE: found.retrieval, **heads}

    def _scored(self, state: EncodedState, candidates: GivenCandidates) -> Scored:
        indices, present, live, popularity = candidates
        rows = known_rows(self.vectors, indices)
        quality = self.quality.at(indices, state.timestamp)
        vectors = tf.gather(self.vectors, rows)
        if live is not None:
            # Few candidates came since: theirs alone are exchanged.
            changed = tf.where(live.row >= 0)
            slot = tf.stack([changed[:, 0], _at(live.row, changed)], 1)
            own = tf.gather_nd(live.vectors, slot)
            dim, request = vectors.shape[2], changed[:, 0]
            vectors = tf.tensor_scatter_nd_update(vectors, changed, own[:, :dim])
            # Stored quality times its decay is the quality as of the request (docs/decisions/0003-freshness.md).
            now = own[:, dim:] * tf.gather(self.quality.decay(state.timestamp), request)
            quality = tf.tensor_scatter_nd_update(quality, changed, now)
        if popularity is not None:
            quality = self.quality.counted_now(quality, popularity)
        if live is not None and live.titles is not None:
            titles = tf.gather_nd(live.titles, slot)
            return self._model().scored(state, indices, vectors, quality, present, changed, titles)
        return self._scored_once(state, indices, vectors, quality, present)


def _scored_inputs(config: Config) -> list[Any]:
    """Return the types of what `UnifiedRanker.scored` takes."""
    dim, quality = config.towers.item.dim, len(config.towers.item.quality)
    return [
        EncodedState.spec(dim),
        tf.TensorSpec([None, None], tf.int64),
        tf.TensorSpec([None, None, dim], tf.float32),
        tf.TensorSpec([None, None, quality], tf.float32),
        tf.TensorSpec([None, None], tf.bool),
    ]


def _at(values: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Return the `values` `[batch, n]` at `cells` `[k, 2]`, int64 `[k]`."""
    return tf.cast(tf.gather_nd(values, cells), tf.int64)


def _highest(numbers: tf.Tensor) -> tf.Tensor:
    """Return the highest of `[batch]`; 1 for no batch."""
    return tf.reduce_max(tf.concat([numbers, [1]], 0))
