"""Contrastive training of the text encoder: a query finds the title of the item that it led to."""

from collections.abc import Iterator

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.model.lookups import impute_examples
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import Descent, TextBatch, TextEncoder, TextPairSettings
from unified_ranker.towers.text.pairs import TextPairs, contrast
from unified_ranker.training.text.descent import descend


def pairs_of(model: UnifiedRanker, prepared: Prepared, examples: Examples) -> TextPairs:
    """Collect the pairs of `examples` whose query has a text and whose item is known."""
    catalogue = model.catalogue
    filled = impute_examples(prepared, examples, model)
    queries = np.array([query.decode() for query in filled.query.numpy()], object)
    is_known = np.zeros(len(catalogue.item_ids) + 1, bool)
    is_known[catalogue.known] = True
    keep = np.flatnonzero((queries != "") & is_known[examples.item])
    source = np.where(examples.source_item == MISSING, filled.source_item.numpy(), examples.source_item)
    features = model.config.towers.item.features
    return TextPairs(
        queries=queries[keep],
        items=examples.item[keep],
        banned=np.stack([source, examples.query_item], 1)[keep],
        columns={f.column: catalogue.item_fields[f.column] for f in features if f.reads_text},
        known=catalogue.known,
    )


def learn_pairs(encoder: TextEncoder, pairs: TextPairs, settings: TextPairSettings, seed: int) -> None:
    """Train `encoder` on `pairs` by a softmax over the titles of the batch and of random known items.

    Reference: in-batch contrastive training of query and document, DPR, arXiv 2004.04906, section 3.2.
    """
    if not settings.steps or not len(pairs) or not pairs.columns:
        return
    queries, inverse = np.unique(pairs.queries.astype(str), return_inverse=True)
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
                "query": tf.constant(inverse.reshape(-1)[batch["query"]]),
                "candidates": tf.constant(known[batch["candidates"]]),
                "left_out": tf.constant(batch["left_out"]),
            }

    rate = encoder.pairs_rate if settings.learning_rate == "auto" else settings.learning_rate
    how = Descent("text pairs", settings.steps, rate, settings.max_seconds)
    descend(loss, batches(), encoder.learnt, how)
