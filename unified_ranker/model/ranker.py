"""The whole model: three towers and a multi-task head, trained by one joint objective."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.model.catalogue import Catalogue
from unified_ranker.model.encode import encode_queries, visible, with_history
from unified_ranker.model.inputs import RequestIndices, TrainingBatch, TrainingExamples
from unified_ranker.model.scored import RankedExamples, Scored
from unified_ranker.model.task_tables import proposing_signals, quality_weights, score_weights
from unified_ranker.prepare.quality import TRENDING, most_popular
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.signals.base import SignalRequest
from unified_ranker.signals.proposals import merged
from unified_ranker.signals.signals import SignalLayer
from unified_ranker.tasks.blend import Blend
from unified_ranker.tasks.candidate_scores import CandidateScores
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.tasks.head_groups import HeadGroups, RankedBatch, kind_by_head
from unified_ranker.tasks.heads import MultiTaskHead
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.log_q import chance_among
from unified_ranker.tasks.ranking import QualityLookup, RankingObjective
from unified_ranker.tasks.retrieval import RetrievalObjective, share_of
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.context import ContextEncoder
from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.item import EncodedItems, ItemEncoder
from unified_ranker.towers.tensorflow import tf, tfrs
from unified_ranker.towers.user import UserEncoder

PROPOSED_SHARE = 0.8
"""Largest share of a task's candidates that come from signals; retrieval gives the rest."""

_ITEMS_AT_ONCE = 1 << 16


class UnifiedRanker(tfrs.Model):
    """One model for every task.

    Item vectors come from the item tower, also for histories and source items. The user tower turns a history into a
    state, the context tower turns state and request into the query embedding. Retrieval is their dot product;
    the ranking head scores the candidates of retrieval.
    """

    def __init__(
        self, config: Config, vocabulary: Vocabulary, catalogue: Catalogue, quality: QualityLookup, signals: SignalLayer
    ) -> None:
        """Build the towers over the catalogue; `quality` and `signals` answer for candidates while training."""
        super().__init__()
        self._joint = True
        self.config, self.catalogue, self.signals = config, catalogue, signals
        dim, training = config.towers.item.dim, config.project.training
        self.text = config.towers.item.text.build(dim, catalogue.known_titles)
        self.text.trainable = config.towers.item.text.joint == "trained"
        self.categories = CategoryTable(vocabulary.categories, dim)
        self.item_tower = ItemEncoder(
            config.towers.item, vocabulary, self.text, self.categories, catalogue.trained_ids, catalogue.as_of
        )
        self.user_tower = UserEncoder(config.towers.user, vocabulary, dim, self.categories)
        self.context_tower = ContextEncoder(config.towers.context, vocabulary, dim, self.categories)
        direct = len(config.towers.item.quality) + len(signals.learnt)
        self.head = MultiTaskHead(
            config.towers.ranker,
            [task.ranking_strength for task in config.tasks.values()],
            [task.ranking_crosses for task in config.tasks.values()],
            [kind.ranks for kind in kind_by_head(config).values()],
            dim,
            direct,
            training.temperature,
        )
        self.head_groups = HeadGroups(config)
        self.calibration = self.add_weight(
            "calibration", (len(config.tasks) + 1, len(config.heads), 2), initializer="zeros"
        )
        # A cached function, because Keras would track an attribute; see `items`.
        self._items = functools.cache(self._encode_items)
        self.profiles = self.user_tower.encode_profile(
            {name: tf.constant(column) for name, column in catalogue.user_fields.items()}
        )
        self.created = tf.constant(catalogue.created_at)
        self.whole_catalogue = any(task.negatives.whole_catalogue for task in config.tasks.values())
        self.blend = Blend(
            ("score", "retrieval", *config.heads, *config.towers.item.quality, *signals.learnt, *signals.counted),
            len(config.tasks),
        )
        self.retrieval = RetrievalObjective(config, catalogue.chosen)
        self.ranking = RankingObjective(config, quality)
        self.candidate_scores = CandidateScores(config, len(catalogue.item_ids), catalogue.times, quality)
        self.share = tf.constant(share_of(catalogue.chosen), tf.float32)
        # Queries of the training slice, tokenised once: set by the training job before `fit`.
        self.query_tokens = self.text.tokenise(tf.constant([""]))
        self.query_words = signals.words(tf.constant([""]))
        allowed = proposing_signals(config)
        self._sources = None if allowed.all() else tf.constant(allowed)
        counted = [list(config.towers.item.quality).index(name) for name in config.towers.item.popularities]
        self.trending = tf.constant(most_popular(catalogue.quality[None][..., counted], TRENDING)[0])
        candidates = [task.serving.candidates for task in config.tasks.values()]
        self._most_proposed = tf.constant([int(PROPOSED_SHARE * n) for n in (max(candidates), *candidates)])
        self.quality_weights = tf.constant(quality_weights(config))
        self.score_weights = tf.constant(score_weights(config))
        self.retrieval_share = tf.constant([0.0, *(t.weight for t in config.tasks.values())], tf.float32)
        self.ranking_share = tf.constant([0.0, *(t.ranking_weight for t in config.tasks.values())], tf.float32)
        self.losses_by_task = {
            f"{kind}/{name}": tf.keras.metrics.Mean(f"{kind}/{name}")
            for kind in ("retrieval", "ranking")
            for name in config.tasks
        }

    @property
    def items(self) -> EncodedItems:
        """The catalogue's fields after look-up, computed at first use, when the text encoder has been prepared."""
        with tf.init_scope():
            return self._items()

    def _encode_items(self) -> EncodedItems:
        catalogue = self.catalogue
        fields = {name: tf.constant(column) for name, column in catalogue.item_fields.items()}
        encoded = self.item_tower.encode(fields, tf.range(len(catalogue.item_ids), dtype=tf.int64), self.created)
        return encoded if self.text.trainable else self.item_tower.precompute_texts(encoded)

    # --- the towers -----------------------------------------------------------------------------------------------

    def item_vectors(
        self, indices: tf.Tensor | None = None, training: bool = False, moments: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return vectors `[n, dim]` of the items `indices` `[n]`; None: of the whole catalogue.

        `moments` `[n]` (seconds) are the times of their ages, for an age gate; None: the end of the fit window.
        """
        chosen = self.items if indices is None else self.items.at(indices)
        return self.item_tower(chosen, training=training, moments=moments)

    def catalogue_vectors(self) -> npt.NDArray[np.float32]:
        """Return the vectors of the whole catalogue, `[items, dim]`.

        In parts, because the item tower holds several tensors that are wider than a vector, of all items at once.
        """
        items = tf.range(len(self.catalogue.item_ids), dtype=tf.int64)
        parts = [items[start : start + _ITEMS_AT_ONCE] for start in range(0, len(items), _ITEMS_AT_ONCE)]
        return np.concatenate([self.item_vectors(part).numpy() for part in parts])

    def rank(
        self,
        state: EncodedState,
        items: tf.Tensor,
        quality: tf.Tensor,
        signals: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score candidates: `score` `[batch, candidates]`, head logits `[batch, candidates, heads]`, retrieval.

        Args:
            state: the requests, encoded.
            items: vectors of the candidates `[batch, candidates, dim]`.
            quality: their quality as of the request `[batch, candidates, features]`.
            signals: features of the signals `[batch, candidates, channels]`.
            training: whether dropout is on.
        """
        weights = tf.gather(self.quality_weights, state.task)
        retrieval = tf.einsum("bd,bnd->bn", state.embedding, items) + tf.einsum("bq,bnq->bn", weights, quality)
        # If towers/context.yaml hides the task, it is hidden from the head, too.
        seen = state if "task" in self.context_tower.fields else replace(state, task=tf.zeros_like(state.task))
        logits = self.head(seen, items, quality, signals, retrieval, training=training)
        numbers, values = tf.gather(self.calibration, state.task), tf.gather(self.score_weights, state.task)
        score = self.head_groups.score(logits, numbers, values)
        return score, logits, retrieval

    def scored(
        self,
        state: EncodedState,
        indices: tf.Tensor,
        items: tf.Tensor,
        quality: tf.Tensor,
        present: tf.Tensor,
        cells: tf.Tensor | None = None,
        titles: tf.Tensor | None = None,
    ) -> Scored:
        """Score the candidates of served requests by the blend of all channels.

        Args:
            state: the requests, encoded.
            indices: item indices of the candidates `[batch, candidates]`; -1 for an unknown item.
            items: their vectors `[batch, candidates, dim]`.
            quality: their quality as of the request `[batch, candidates, features]`.
            present: which slots hold a candidate, `[batch, candidates]`.
            cells: request and candidate of titles that came since, `[titles, 2]`; None: all are as released.
            titles: these titles, `[titles]`.
        """
        signals = self.signals.features(state.signals, indices)
        if cells is not None:
            signals = self.signals.retitled(signals, state.signals, cells, titles, learnt=True)
        score, logits, retrieval = self.rank(state, items, quality, signals)
        counted = self.signals.counts(state.signals, indices)
        if cells is not None:
            counted = self.signals.retitled(counted, state.signals, cells, titles, learnt=False)
        channels = tf.concat([score[..., None], retrieval[..., None], logits, quality, signals, counted], -1)
        return Scored(self.blend(channels, present, state.task), logits, retrieval, channels)

    def proposals(self, state: EncodedState, trending: tf.Tensor | None = None) -> tf.Tensor:
        """Return the proposals of signals for served requests, `[batch, n]`, each item once; -1 after the last.

        Signals take turns, each with its best items first, and a fifth of the candidates is left to retrieval.
        `trending` `[batch, lists, n]` are the most popular items as of each request; None: as of the end of the fit
        window.
        """
        parts = self.signals.proposals_by_signal(state.signals)
        if self._sources is not None:
            heard = tf.gather(self._sources, state.task)
            parts = [tf.where(heard[:, n : n + 1], part, MISSING) for n, part in enumerate(parts)]
        if trending is None:
            trending = tf.repeat(self.trending[None], tf.shape(state.task)[0], 0)
        most, items = tf.gather(self._most_proposed, state.task), len(self.catalogue.item_ids)
        return merged([*parts, *tf.unstack(trending, axis=1)], most, items)

    def head_outputs(self, logits: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Turn head logits `[batch, candidates, heads]` into outputs: calibrated probabilities of events."""
        return self.head_groups.output(logits, tf.gather(self.calibration, task))

    def head_losses(self, batch: RankedBatch, task: tf.Tensor) -> tf.Tensor:
        """Return the losses of the heads on a batch of examples of tasks `[rows]`, `[rows]`."""
        return self.head_groups.loss(batch, tf.gather(self.calibration, task))

    # --- training -------------------------------------------------------------------------------------------------

    train_function: Any

    def make_train_function(self, force: bool = False) -> Callable[[Iterator[Any]], dict[str, tf.Tensor]]:
        """Return the step function: the joint loss in every `ranking_every`-th step, else the loss of retrieval."""
        if self.train_function is not None and not force:
            return self.train_function
        functions = {}
        for joint in (True, False):
            self.train_function = None
            functions[joint] = super().make_train_function(force=True)
        every, kept = self.config.project.training.ranking_every, {}

        def step(batches: Iterator[Any]) -> dict[str, tf.Tensor]:
            # Read when the function is traced, at its first call.
            self._joint = int(self.optimizer.iterations.numpy()) % every == 0
            logs = functions[self._joint](batches)
            if self._joint:
                kept["loss"] = logs["loss"]
            # The loss of retrieval alone is not comparable, so the joint loss of the last joint step is shown.
            return {**logs, **kept}

        self.train_function = step
        return step

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take one step. Gradients of several replicas are summed, so each replica takes its share of the loss.

        Keras sums the returned values, too. Metrics hold the losses of all replicas, so each returns its share.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            share = self.compute_loss(inputs, training=True) / replicas
        gradients = tape.gradient(share, self.trainable_variables)
        # In a step of retrieval alone the ranking head has no gradients.
        pairs = zip(gradients, self.trainable_variables, strict=True)
        self.optimizer.apply_gradients([(gradient, variable) for gradient, variable in pairs if gradient is not None])
        return {**{metric.name: metric.result() / replicas for metric in self.metrics}, "loss": share}

    # Nothing below branches on a tensor, and AutoGraph's conversion would take as long as the tracing itself.
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = True) -> tf.Tensor:
        """Return the loss of a batch, a scalar, and update the losses by task; joint or, in other steps, of retrieval.

        Args:
            inputs: columns of a `TrainingBatch` by name, as `tf.data` returns them.
            training: whether dropout is on.
        """
        batch = TrainingBatch.of_names(inputs)
        windows, request = visible(self, batch.windows, batch.examples.request)
        labels = batch.examples.labels
        drawn = self.retrieval.draw()
        needed = [windows.events.item, labels.item, request.source, labels.targets, drawn]
        ranked = self._ranked_examples(batch, windows, request) if self._joint else None
        if ranked is not None:
            needed += [ranked.proposed, ranked.refused]
        items = self._batch_items(needed, labels.item, request.timestamp, training)
        texts = self._query_vectors(batch.examples.query)
        query = encode_queries(self, windows, request, texts, items, batch.row, training)
        losses = self.retrieval(query, labels, items, drawn)
        self._record("retrieval", losses, request.task)
        shares = labels.retrieved * tf.gather(self.retrieval_share, request.task)
        loss = _mean(losses, labels.weight * shares)
        if ranked is None:
            return loss
        chosen = ranked.chosen
        history = tf.gather(windows.events.item, tf.gather(batch.row, chosen))
        state = with_history(query.at(chosen), history, tf.gather(request.position, chosen), ranked.signals, items)
        own = labels.at(chosen)
        scores = self.candidate_scores(state, items, tf.gather(self.quality_weights, state.task))
        ranking = self.ranking(
            state, own, scores, ranked.proposed, ranked.proposals, ranked.refused, items, self, training
        )
        self._record("ranking", ranking, state.task)
        return loss + _mean(ranking, own.weight * tf.gather(self.ranking_share, state.task))

    def _ranked_examples(
        self, batch: TrainingBatch, windows: HistoryWindows, request: RequestIndices
    ) -> RankedExamples:
        chosen = self.ranking.choose(request.task)
        user = tf.gather(windows.user, tf.gather(batch.row, chosen))
        signals = self._signal_request(user, batch.examples.at(chosen))
        proposals = self.signals.proposals(signals)
        refused = self.signals.refused(user, signals.timestamp, signals.task)
        return RankedExamples(chosen, signals, proposals, self.ranking.draw_proposals(proposals), refused)

    def _signal_request(self, user: tf.Tensor, examples: TrainingExamples) -> SignalRequest:
        recent, recent_time = self.signals.recent(user, examples.request.timestamp)
        return SignalRequest(
            words=tf.gather(self.query_words, examples.query),
            source_item=examples.request.source,
            recent=recent,
            recent_time=recent_time,
            task=examples.request.task,
            timestamp=examples.request.timestamp,
        )

    def _query_vectors(self, query: tf.Tensor) -> tf.Tensor:
        """Return the vectors `[examples, dim]` of queries, given their indices in the training slice."""
        # The home feed's empty query and popular titles repeat within a batch: embed each once.
        queries, inverse = tf.unique(query)
        return tf.gather(self.text.embed(self.query_tokens.at(queries)), inverse)

    def _batch_items(
        self, needed: list[tf.Tensor], positives: tf.Tensor, times: tf.Tensor, training: bool
    ) -> ItemVectors:
        """Return the vectors of the items of a batch: the `needed` ones, which include the uniformly drawn ones.

        `positives` and `times` (seconds) are those of its examples, `[examples]`.
        """
        if self.whole_catalogue:
            moments = self._moments(positives, times, None)
            return ItemVectors(None, self.item_vectors(training=training, moments=moments), self.created)
        flat = tf.concat([tf.reshape(part, [-1]) for part in needed], 0)
        ids = tf.sort(tf.unique(tf.boolean_mask(flat, flat >= 0))[0])
        moments = self._moments(positives, times, ids)
        # Counts all items but the uniformly drawn ones as positives, since items of histories are chosen items, too.
        asked = tf.math.count_nonzero(flat >= 0) - self.retrieval.uniform
        included = chance_among(tf.gather(self.share, ids), len(self.catalogue.item_ids), asked, self.retrieval.uniform)
        return ItemVectors(
            ids, self.item_vectors(ids, training=training, moments=moments), tf.gather(self.created, ids), included
        )

    def _moments(self, positives: tf.Tensor, times: tf.Tensor, ids: tf.Tensor | None) -> tf.Tensor | None:
        """Return the time of each item's age in a batch (seconds, `[items]`); None without an age gate.

        An item has one vector in a batch: as of the last request whose positive it is, or else of a random one.
        """
        if not self.config.towers.item.age_gate:
            return None
        count = len(self.catalogue.item_ids) if ids is None else tf.shape(ids)[0]
        row = positives if ids is None else tf.searchsorted(ids, positives, out_type=tf.int64)
        last = tf.math.unsorted_segment_max(times, row, count)
        drawn = tf.gather(times, tf.random.uniform([count], 0, tf.shape(times)[0], tf.int32))
        return tf.where(last > times.dtype.min, last, drawn)

    def _record(self, kind: str, losses: tf.Tensor, task: tf.Tensor) -> None:
        # A sum by task, not `losses * own`: NaN times 0 is NaN, so the NaN of one task would appear in all.
        totals, counts = (
            tf.unstack(tf.math.unsorted_segment_sum(values, task, len(self.config.tasks) + 1))
            for values in (losses, tf.ones_like(losses))
        )
        # Added directly, because `update_state` would add thirty operations for each metric.
        for name, total, count in zip(self.config.tasks, totals[1:], counts[1:], strict=True):
            metric = self.losses_by_task[f"{kind}/{name}"]
            metric.total.assign_add(total)
            metric.count.assign_add(count)


def _mean(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(losses * weights) / tf.maximum(tf.cast(tf.size(losses), tf.float32), 1.0)
