"""Vectors of queries in the served graph."""

from unified_ranker.core.signature_names import QUERY_EMBEDDING
from unified_ranker.export.request_graph import LookedUp
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.towers.tensorflow import tf


class QueryText(tf.Module):
    """Embeds the query of a request: a typed query by the text encoder, an imputed title by look-up."""

    def __init__(self, model: UnifiedRanker) -> None:
        """Build over a trained model."""
        super().__init__(name="query_text")
        self.resources = list(model.text.resources)
        # Behind a function, which TensorFlow does not track, because the weights belong to the served model.
        self._text = lambda: model.text
        self.titles: tf.Variable | None = None
        if model.text.costly:
            vectors = model.text(tf.constant(model.catalogue.titles, tf.string))
            self.titles = tf.Variable(tf.concat([vectors, tf.zeros_like(vectors[:1])], 0), trainable=False)

    def __call__(self, asked: LookedUp, vectors_of_typed: tf.Tensor | None = None) -> tf.Tensor:
        """Return the vectors `[batch, dim]` of the queries of requests.

        Args:
            asked: the requests.
            vectors_of_typed: vectors of the typed queries, `[batch, dim]`, if the caller has them.
        """
        if self.titles is None:
            return self._text()(asked.query)
        source, typed = asked.request.source, asked.given.query
        last = tf.shape(self.titles, tf.int64)[0] - 1
        # Without a typed query, a request has the title of its source item, or none.
        vectors = tf.gather(self.titles, tf.where((source < 0) | (asked.query == ""), last, source))
        some = typed != ""
        if vectors_of_typed is not None:
            return tf.where(some[:, None], vectors_of_typed, vectors)
        return tf.tensor_scatter_nd_update(vectors, tf.where(some), self._text()(tf.boolean_mask(typed, some)))

    def embed(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the signature `embed_queries`."""
        return {QUERY_EMBEDDING: self._text()(query)}
