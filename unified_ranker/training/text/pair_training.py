"""Contrastive training of the text encoder: a query finds the title of the item that it led to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unified_ranker.config import TextPairSettings as PairSettings
from unified_ranker.core.arrays import MISSING
from unified_ranker.model.lookups import impute_examples
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.tasks.losses import NOT_A_CANDIDATE
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import TextEncoder
from unified_ranker.training.text.descent import Descent, TextBatch, descend


@dataclass(frozen=True)
class TextPairs:
    """Queries of the fit window as the model sees them, and what they led to.

    Attributes:
        queries: typed, or imputed from a source item's title, `[pairs]`.
        items: the item of each, `[pairs]`.
        banned: the source and the query item, which the query must not learn to avoid, `[pairs, 2]`; -1 for none.
        columns: the text features of all items, `[items]` each. Only rows of `known` are ever read.
        known: the items that existed before the end of the fit window.
    """

    queries: np.ndarray
    items: np.ndarray
    banned: np.ndarray
    columns: dict[str, np.ndarray]
    known: np.ndarray

    @classmethod
    def of(cls, model: UnifiedRanker, prepared: Prepared, examples: Examples) -> "TextPairs":
        """Collect the pairs of `examples` whose query has a text and whose item is known."""
        catalogue = model.catalogue
        filled = impute_examples(prepared, examples, model)
        queries = np.array([query.decode() for query in filled.query.numpy()], object)
        is_known = np.zeros(len(catalogue.item_ids) + 1, bool)
        is_known[catalogue.known] = True
        keep = np.flatnonzero((queries != "") & is_known[examples.item])
        source = np.where(examples.source_item == MISSING, filled.source_item.numpy(), examples.source_item)
        features = model.config.towers.item.features
        return cls(
            queries=queries[keep],
            items=examples.item[keep],
            banned=np.stack([source, examples.query_item], 1)[keep],
            columns={f.column: catalogue.item_fields[f.column] for f in features if f.reads_text},
            known=catalogue.known,
        )

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.queries)

    @property
    def titles(self) -> np.ndarray:
        """The texts of the known items, all features one after the other."""
        return np.concatenate([np.zeros(0, object), *(column[self.known] for column in self.columns.values())])

    def texts(self) -> np.ndarray:
        """Return every distinct text of the fit window, `[n]`: titles and queries; none is empty."""
        texts = np.unique(np.concatenate([self.titles, self.queries]).astype(str))
        return texts[texts != ""].astype(object)

    def batches(self, count: int, size: int, negatives: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield `count` batches: `query` and `item`, the places of pairs and items, and what else is an answer."""
        rng = np.random.default_rng([seed, 1])
        for _ in range(count):
            rows = rng.choice(len(self), size, replace=size > len(self))
            candidates = np.concatenate([self.items[rows], rng.choice(self.known, negatives)])
            own = np.arange(len(rows))[:, None] == np.arange(len(candidates))[None]
            same = candidates[None] == self.items[rows][:, None]
            banned = (candidates[None, :, None] == self.banned[rows][:, None]).any(2)
            yield {"query": rows, "candidates": candidates, "left_out": (same | banned) & ~own}


def learn_pairs(encoder: TextEncoder, pairs: TextPairs, settings: PairSettings, seed: int) -> None:
    """Train `encoder` on `pairs` by a softmax over the titles of the batch and of random known items.

    Reference: in-batch contrastive training of query and document, DPR, arXiv 2004.04906, section 3.2.
    """
    if not settings.steps or not len(pairs) or not pairs.columns:
        return
    queries, place = np.unique(pairs.queries.astype(str), return_inverse=True)
    tokens = encoder.tokenise(tf.constant(queries.astype(object), tf.string))
    known = np.full(int(pairs.known.max()) + 1, -1)
    known[pairs.known] = np.arange(len(pairs.known))
    columns = [encoder.tokenise(tf.constant(c[pairs.known], tf.string)) for c in pairs.columns.values()]

    def loss(batch: TextBatch) -> tf.Tensor:
        items = sum(encoder.embed(column.at(batch["candidates"])) for column in columns)
        return contrast(
            encoder.embed(tokens.at(batch["query"])),
            tf.math.l2_normalize(items, 1),
            batch["left_out"],
            settings.temperature,
        )

    def batches() -> Iterator[TextBatch]:
        for batch in pairs.batches(settings.steps, settings.batch, settings.negatives, seed):
            yield {
                "query": tf.constant(place.reshape(-1)[batch["query"]]),
                "candidates": tf.constant(known[batch["candidates"]]),
                "left_out": tf.constant(batch["left_out"]),
            }

    rate = encoder.pairs_rate if settings.learning_rate == "auto" else settings.learning_rate
    how = Descent("text pairs", settings.steps, rate, settings.max_seconds)
    descend(loss, batches(), encoder.learnt, how)


def contrast(queries: tf.Tensor, items: tf.Tensor, left_out: tf.Tensor, temperature: float) -> tf.Tensor:
    """Return the mean cross-entropy of query i `[n, dim]` choosing item i among `items` `[m, dim]`, m >= n.

    `left_out` `[n, m]` marks items that take no part for a query: they may be answers too.
    """
    logits = tf.matmul(queries, items, transpose_b=True) / temperature
    logits = tf.where(left_out, NOT_A_CANDIDATE, logits)
    own = tf.range(tf.shape(queries)[0])
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits))
