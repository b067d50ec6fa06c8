"""SavedModel for TF Serving, and its warm-up requests."""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Arrays
from unified_ranker.core.request import state_arrays
from unified_ranker.core.signature_names import (
    CANDIDATE_IDS,
    CANDIDATE_INDICES,
    ENCODE,
    ENCODE_LIVE,
    LIVE_ROW,
    LIVE_TITLES,
    LIVE_VECTORS,
    POPULARITY_NOW,
    RANK,
    RANK_KNOWN,
    RANK_TITLED,
    TRENDING_INDICES,
    WARMUP_REQUESTS,
)
from unified_ranker.export.signature_graph import SignatureGraph
from unified_ranker.export.signatures import signatures_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.towers.tensorflow import tf

Served = Mapping[str, Callable[..., dict[str, tf.Tensor]]]
"""Signatures of a SavedModel by their names."""


def save_model(model: UnifiedRanker, vectors: np.ndarray, directory: Path) -> None:
    """Write the SavedModel with all signatures into `directory`, which becomes a version directory of TF Serving."""
    served = SignatureGraph(model, vectors)
    # In a notebook TensorFlow logs at INFO to standard output, here a directory that is about to be renamed.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        tf.saved_model.save(served, str(directory), signatures=signatures_of(served, model.config))
    finally:
        logger.setLevel(level)


def load_served(directory: Path) -> Served:
    """Load the SavedModel in `directory` as TF Serving does; it takes seconds, so callers share the result."""
    served: Served = tf.saved_model.load(str(directory)).signatures
    return served


def write_warmup(
    directory: Path, served: Served, prepared: Prepared, examples: Examples, config: Config, model_name: str
) -> int:
    """Write recorded requests of every task to the warm-up file of the SavedModel in `directory`; returns how many.

    Each record is one Predict call: the signatures that services call, by turns, each in the batch sizes of
    `warmup_batch_sizes`, so that all are traced and allocated before the version serves (TF Serving takes 1,000
    records at most).
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    target = directory / WARMUP_REQUESTS
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with tf.io.TFRecordWriter(str(target)) as writer:
        for signature, arrays in _recorded(prepared, examples, config, served):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = model_name, signature
            for name, array in arrays.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
            written += 1
    return written


def warmed(served: Served) -> tuple[str, str, str, str]:
    """Return the signatures that are warmed up: the three that the ranking service calls, and `rank`."""
    return ENCODE_LIVE if ENCODE_LIVE in served else ENCODE, RANK_KNOWN, RANK_TITLED, RANK


def _recorded(prepared: Prepared, examples: Examples, config: Config, served: Served) -> Iterator[tuple[str, Arrays]]:
    rng = np.random.default_rng(config.project.seed)
    calls = list(itertools.product(config.export.serving.warmup_batch_sizes, warmed(served)))
    most = min(len(prepared.items), max(t.serving.candidates for t in config.tasks.values()))
    of_task = [np.flatnonzero(examples.task == task) for task in np.unique(examples.task)]
    for number in range(config.export.serving.warmup_requests):
        size, signature = calls[number % len(calls)]
        rows = [rng.choice(of_task[(number + offset) % len(of_task)]) for offset in range(size)]
        arrays = request_arrays(examples.take(np.array(rows)), prepared, config.towers.events_read)
        if signature in (RANK_KNOWN, RANK_TITLED):
            encoded = served[ENCODE](**{name: tf.constant(array) for name, array in arrays.items()})
            arrays = state_arrays({name: value.numpy() for name, value in encoded.items()})
        candidates = np.tile(rng.permutation(len(prepared.items))[:most], (size, 1))
        popularities = len(config.towers.item.popularities)
        if signature == ENCODE_LIVE:
            arrays[TRENDING_INDICES] = np.full((size, popularities, TRENDING), MISSING, np.int64)
        if signature in (RANK, RANK_TITLED):
            arrays[CANDIDATE_IDS] = prepared.item_ids[candidates]
        if signature == RANK_KNOWN:
            arrays[CANDIDATE_INDICES] = candidates
        if signature == RANK_TITLED:
            arrays[LIVE_ROW] = np.full((size, most), -1, np.int32)
            arrays[LIVE_VECTORS] = np.zeros((size, 0, config.query_dim), np.float32)
            arrays[LIVE_TITLES] = np.zeros((size, 0), object)
        if signature in (RANK_KNOWN, RANK_TITLED) and popularities:
            arrays[POPULARITY_NOW] = np.full((size, most, popularities), np.nan, np.float32)
        yield signature, arrays


def known_requests(examples: Examples) -> Examples:
    """Return the examples whose user is known, all of them where none is."""
    known = examples.user != MISSING
    return examples.take(known) if known.any() else examples
