"""The model: three towers and a multi-task head, trained by one joint objective."""

import functools

import numpy as np

from unified_ranker.config import AllItems, Config
from unified_ranker.model.catalogue import Catalogue
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.signals.signals import Signals
from unified_ranker.tasks.candidate_scores import CandidateScores
from unified_ranker.tasks.heads import MultiTaskHead
from unified_ranker.tasks.losses import log_mixture
from unified_ranker.tasks.negatives import chance_among
from unified_ranker.tasks.ranking import QualityLookup, RankingObjective
from unified_ranker.tasks.retrieval import ItemVectors, RetrievalObjective, share_of
from unified_ranker.towers.categories import CategoryTable
from unified_ranker.towers.context import ContextEncoder, RequestVectors
from unified_ranker.towers.item import EncodedItems, ItemEncoder
from unified_ranker.towers.tensorflow import tf, tfrs
from unified_ranker.towers.text import build_text_encoder
from unified_ranker.towers.user import UserEncoder
from unified_ranker.towers.windows import states_at


class UnifiedRanker(tfrs.Model):
    """One model for every task.

    Item vectors come from the item tower, also inside histories and as source items; the user tower turns a history
    into a state, the context tower turns state and request into the query embedding. Retrieval is their dot product;
    the ranking head scores candidates that retrieval would hand it.
    """

    def __init__(
        self, config: Config, vocabulary: Vocabulary, catalogue: Catalogue, quality: QualityLookup, signals: Signals
    ) -> None:
        """Build the towers over the catalogue; `quality` and `signals` answer for candidates while training."""
        super().__init__()
        self.config, self.catalogue, self.signals = config, catalogue, signals
        dim, training = config.towers.item.dim, config.project.training
        self.text = build_text_encoder(config.towers.item.text, dim, catalogue.known_titles)
        self.text.trainable = config.towers.item.text.joint == "trained"
        self.categories = CategoryTable(vocabulary.categories, dim)
        self.item_tower = ItemEncoder(
            config.towers.item, vocabulary, self.text, self.categories, catalogue.trained_ids, catalogue.as_of
        )
        self.user_tower = UserEncoder(config.towers.user, vocabulary, dim, self.categories)
        self.context_tower = ContextEncoder(config.towers.context, vocabulary, dim, self.categories)
        direct = len(config.towers.item.quality) + signals.channels
        self.head = MultiTaskHead(
            config.towers.ranker,
            [task.ranking_strength for task in config.tasks.values()],
            [task.ranking_crosses for task in config.tasks.values()],
            len(config.heads),
            dim,
            direct,
            training.temperature,
        )
        self.calibration = self.add_weight(
            "calibration", (len(config.tasks) + 1, len(config.heads), 2), initializer="zeros"
        )
        # A function, so that Keras does not track what is kept: see `items`.
        self._items = functools.cache(self._encode_items)
        self.profiles = self.user_tower.encode_profile(
            {name: tf.constant(column) for name, column in catalogue.user_fields.items()}
        )
        self.created = tf.constant(catalogue.created_at)
        self.whole_catalogue = any(isinstance(t.negatives, AllItems) for t in config.tasks.values())
        self.retrieval = RetrievalObjective(config, catalogue.chosen)
        self.ranking = RankingObjective(config, quality)
        self.standing = CandidateScores(config, len(catalogue.item_ids), catalogue.times, quality)
        self.share = tf.constant(share_of(catalogue.chosen), tf.float32)
        # Queries of the training slice, tokenised once: set by the training job before `fit`.
        self.query_tokens = self.text.tokenise(tf.constant([""]))
        self.query_words = signals.words(tf.constant([""]))
        allowed = sources(config)
        self._sources = None if allowed.all() else tf.constant(allowed)
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
        """The catalogue's fields after look-up, made at the first use: texts read by what the encoder is by then."""
        with tf.init_scope():
            return self._items()

    def _encode_items(self) -> EncodedItems:
        catalogue = self.catalogue
        fields = {name: tf.constant(column) for name, column in catalogue.item_fields.items()}
        encoded = self.item_tower.encode(fields, tf.range(len(catalogue.item_ids), dtype=tf.int64))
        if self.config.towers.item.age_gate:
            encoded["created"] = self.created
        return encoded if self.text.trainable else self.item_tower.settle(encoded)

    # --- the towers -----------------------------------------------------------------------------------------------

    def item_vectors(
        self, indices: tf.Tensor | None = None, training: bool = False, moments: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return vectors `[n, dim]` of the items at `indices` `[n]`, of the whole catalogue without.

        `moments` `[n]` (seconds) say as of when, for an age gate; without, as of the end of the fit window.
        """
        chosen = self.items if indices is None else {k: tf.gather(v, indices) for k, v in self.items.items()}
        return self.item_tower(chosen, training=training, moments=moments)

    def rank(
        self,
        state: dict[str, tf.Tensor],
        items: tf.Tensor,
        quality: tf.Tensor,
        signals: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score candidates: `score` `[batch, candidates]`, head logits `[batch, candidates, heads]`, retrieval.

        Args:
            state: see `MultiTaskHead`, with `embedding` of unit length.
            items: vectors of the candidates `[batch, candidates, dim]`.
            quality: their quality as of the request `[batch, candidates, features]`.
            signals: what links them to the request beyond vectors `[batch, candidates, channels]`.
            training: whether dropout is on.
        """
        weights = tf.gather(self.quality_weights, state["task"])
        retrieval = tf.einsum("bd,bnd->bn", state["embedding"], items) + tf.einsum("bq,bnq->bn", weights, quality)
        # Whoever hides the task from the context tower hides it from the head, too.
        seen = state if "task" in self.context_tower.fields else {**state, "task": tf.zeros_like(state["task"])}
        logits = self.head(seen, items, quality, signals, retrieval, training=training)
        score = log_mixture(logits, tf.gather(self.score_weights, state["task"])[:, None])
        return score, logits, retrieval

    def proposals(self, state: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return what the signals propose to the requests' tasks when served, `[batch, n]`; -1 where there are fewer.

        Training takes what all signals propose: `serving.sources` can be changed without training.
        """
        if self._sources is None:
            return self.signals.proposals(state)
        return self.signals.proposals(state, tf.gather(self._sources, state["task"]))

    def probabilities(self, logits: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Turn head logits `[batch, candidates, heads]` into calibrated probabilities of the event."""
        scale, shift = tf.unstack(tf.gather(self.calibration, task)[:, None], axis=-1)
        return tf.sigmoid(tf.exp(scale) * logits + shift)

    def visible(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Blank who asks, where towers/user.yaml says that the model is not personal."""
        if self.config.towers.user.personal:
            return inputs
        blanks = {
            "user": len(self.catalogue.user_ids), "history_item": -1, "recent": -1, "position": 0, "length": 0,
            "previous_task": 0, "gap": -1,
        }  # fmt: skip
        hidden = {name: tf.fill(tf.shape(inputs[name]), np.int64(v)) for name, v in blanks.items() if name in inputs}
        return {**inputs, **hidden}

    # --- training -------------------------------------------------------------------------------------------------

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take one step. Gradients of several replicas are added up, so each takes its share of the loss.

        Keras adds up what they return, too: each returns its share of the losses, which metrics know of all.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return super().train_step(inputs)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, training=True)
            share = loss / replicas
        gradients = tape.gradient(share, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {**{metric.name: metric.result() / replicas for metric in self.metrics}, "loss": share}

    # Nothing below branches on a tensor, and to have AutoGraph look takes as long as the tracing itself.
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = True) -> tf.Tensor:
        """Return the joint loss of a batch of `WindowBatches`, a scalar, and update the losses by task."""
        inputs = self.visible(inputs)
        drawn = self.retrieval.draw()
        chosen = self.ranking.choose(inputs["task"])
        linked = self._signal_state(inputs, chosen)
        proposals = self.signals.proposals(linked)
        proposed = self.ranking.draw_proposals(proposals)
        items = self._batch_items(inputs, drawn, proposed, training)
        states = states_at(
            lambda events, profile: self.user_tower(items.at(events["item"]), events, profile, training=training),
            {k: inputs[f"history_{k}"] for k in ("item", "event_type", "task", "gap", "value")},
            {k: tf.gather(v, inputs["user"]) for k, v in self.profiles.items()},
            inputs["row"],
            inputs["position"],
            self.config.towers.user.history_length,
        )
        request = self._request(inputs, states, items)
        embedding, context = self.context_tower(request)
        losses = self.retrieval(inputs, embedding, items, drawn)
        weights = inputs["weight"] * tf.gather(self.retrieval_share, inputs["task"])
        self._record("retrieval", losses, inputs["task"])
        state = {
            "embedding": embedding,
            "source": self.context_tower.visible(request).source,
            "context": context,
            "task": inputs["task"],
        }
        state = {**linked, **{name: tf.gather(value, chosen) for name, value in state.items()}}
        row, position = tf.gather(inputs["row"], chosen), tf.gather(inputs["position"], chosen)
        history = tf.gather(inputs["history_item"], row)
        state["history"] = items.at(history)
        state["history_mask"] = tf.range(tf.shape(history)[1], dtype=tf.int64)[None] < position[:, None]
        batch = {name: tf.gather(inputs[name], chosen) for name in ("item", "task", "head", "timestamp", "weight")}
        scores = self.standing(state, items, batch["timestamp"], tf.gather(self.quality_weights, state["task"]))
        ranking = self.ranking(batch, state, scores, proposed, proposals, items, self, training)
        self._record("ranking", ranking, batch["task"])
        share = batch["weight"] * tf.gather(self.ranking_share, batch["task"])
        return _mean(losses, weights) + _mean(ranking, share)

    def _signal_state(self, inputs: dict[str, tf.Tensor], chosen: tf.Tensor) -> dict[str, tf.Tensor]:
        row = tf.gather(inputs["row"], chosen)
        return {
            "words": tf.gather(self.query_words, tf.gather(inputs["query"], chosen)),
            "source_item": tf.gather(inputs["source"], chosen),
            "recent": self.signals.recent(tf.gather(inputs["user"], row), tf.gather(inputs["timestamp"], chosen)),
        }

    def _batch_items(
        self, inputs: dict[str, tf.Tensor], drawn: tf.Tensor, proposed: tf.Tensor, training: bool
    ) -> ItemVectors:
        if self.whole_catalogue:
            moments = self._moments(inputs, None)
            return ItemVectors(None, self.item_vectors(training=training, moments=moments), self.created)
        needed = [inputs["history_item"], inputs["item"], inputs["source"], inputs["targets"], drawn, proposed]
        flat = tf.concat([tf.reshape(part, [-1]) for part in needed], 0)
        ids = tf.sort(tf.unique(tf.boolean_mask(flat, flat >= 0))[0])
        moments = self._moments(inputs, ids)
        # As if all but the uniform ones were positives: histories are made of what was chosen, too.
        asked = tf.math.count_nonzero(flat >= 0) - tf.size(drawn, tf.int64)
        included = chance_among(tf.gather(self.share, ids), len(self.catalogue.item_ids), asked, self.retrieval.uniform)
        return ItemVectors(
            ids, self.item_vectors(ids, training=training, moments=moments), tf.gather(self.created, ids), included
        )

    def _moments(self, inputs: dict[str, tf.Tensor], ids: tf.Tensor | None) -> tf.Tensor | None:
        """Return as of when each item of a batch is asked for (seconds, `[items]`); None where nothing depends on it.

        An item has one vector a batch: as of the last request that it answers, or of one drawn at random.
        """
        if not self.config.towers.item.age_gate:
            return None
        times = inputs["timestamp"]
        count = len(self.catalogue.item_ids) if ids is None else tf.shape(ids)[0]
        place = inputs["item"] if ids is None else tf.searchsorted(ids, inputs["item"], out_type=tf.int64)
        last = tf.math.unsorted_segment_max(times, place, count)
        drawn = tf.gather(times, tf.random.uniform([count], 0, tf.shape(times)[0], tf.int32))
        return tf.where(last > times.dtype.min, last, drawn)

    def _request(self, inputs: dict[str, tf.Tensor], states: tf.Tensor, items: ItemVectors) -> RequestVectors:
        # The home feed's empty query and popular titles repeat within a batch: embed each once.
        queries, place = tf.unique(inputs["query"])
        return RequestVectors(
            user=states,
            query=tf.gather(self.text.embed(self.query_tokens.at(queries)), place),
            source=items.at(inputs["source"]),
            task=inputs["task"],
            country=inputs["country"],
            previous_task=inputs["previous_task"],
            timestamp=inputs["timestamp"],
            gap=inputs["gap"],
        )

    def _record(self, kind: str, losses: tf.Tensor, task: tf.Tensor) -> None:
        # A sum by task, not `losses * own`: NaN times 0 is NaN, and would name every task for the fault of one.
        totals, counts = (
            tf.unstack(tf.math.unsorted_segment_sum(values, task, len(self.config.tasks) + 1))
            for values in (losses, tf.ones_like(losses))
        )
        # Added to directly: `update_state` would write thirty operations for each.
        for name, total, count in zip(self.config.tasks, totals[1:], counts[1:], strict=True):
            metric = self.losses_by_task[f"{kind}/{name}"]
            metric.total.assign_add(total)
            metric.count.assign_add(count)


def quality_weights(config: Config) -> np.ndarray:
    """Return the declared quality weights, `[tasks + 1, features]`; row 0, the unknown task, has none."""
    names = list(config.towers.item.quality)
    rows = [[task.quality_weights.get(name, 0.0) for name in names] for task in config.tasks.values()]
    return np.array([[0.0] * len(names), *rows], np.float32).reshape(len(rows) + 1, len(names))


def sources(config: Config) -> np.ndarray:
    """Return which signals propose candidates to which task, `[tasks + 1, signals]`; all to the unknown task."""
    kinds = [signal.type for signal in config.towers.ranker.signals]
    declared = [task.serving.sources for task in config.tasks.values()]
    rows = [[names is None or kind in names for kind in kinds] for names in declared]
    return np.array([[True] * len(kinds), *rows], bool).reshape(len(rows) + 1, len(kinds))


def score_weights(config: Config) -> np.ndarray:
    """Return the weight of each head in a task's score, `[tasks + 1, heads]`; by default its own heads, equally."""
    rows = [[1.0] * len(config.heads)]
    for task in config.tasks.values():
        declared = task.score or dict.fromkeys(task.heads, 1.0)
        rows.append([declared.get(head, 0.0) for head in config.heads])
    return np.array(rows, np.float32)


def _mean(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(losses * weights) / tf.maximum(tf.cast(tf.size(losses), tf.float32), 1.0)
