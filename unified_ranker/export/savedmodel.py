"""Writes the SavedModel that TF Serving loads, and the requests that warm it up."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.data.examples import MISSING, Examples
from unified_ranker.data.prepared import Prepared
from unified_ranker.export.requests import Arrays, request_arrays
from unified_ranker.export.signatures import ServedModel, signatures_of
from unified_ranker.ranker import UnifiedRanker
from unified_ranker.tensorflow import tf

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


def save_model(model: UnifiedRanker, vectors: np.ndarray, directory: Path) -> None:
    """Write the SavedModel with all signatures into `directory`, which becomes a version directory of TF Serving."""
    served = ServedModel(model, vectors)
    tf.saved_model.save(served, str(directory), signatures=signatures_of(served, model.config))


def write_warmup(directory: Path, prepared: Prepared, examples: Examples, config: Config, model_name: str) -> int:
    """Write recorded requests of every task to the SavedModel's warm-up file; returns how many.

    Each record is one Predict call of a batch size in `warmup_batch_sizes`, so that all sizes are traced and allocated
    before the version serves (TF Serving takes 1,000 records at most).
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    target = directory / WARMUP
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with tf.io.TFRecordWriter(str(target)) as writer:
        for signature, arrays in _recorded(prepared, examples, config):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = model_name, signature
            for name, array in arrays.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
            written += 1
    return written


def _recorded(prepared: Prepared, examples: Examples, config: Config) -> Iterator[tuple[str, Arrays]]:
    rng = np.random.default_rng(config.project.seed)
    sizes = config.export.serving.warmup_batch_sizes
    count = config.export.serving.warmup_requests
    for number in range(count):
        size = sizes[number % len(sizes)]
        rows = examples.take(rng.choice(len(examples), size, replace=len(examples) < size))
        arrays = request_arrays(rows, prepared, config.towers.user.history_length)
        if number % 2:
            yield "encode", arrays
        else:
            candidates = min(len(prepared.items), max(t.serving.candidates for t in config.tasks.values()))
            ids = np.tile(prepared.item_ids[rng.permutation(len(prepared.items))[:candidates]], (size, 1))
            yield "rank", {**arrays, "candidate_ids": ids}


def known_requests(examples: Examples) -> Examples:
    """Return the examples whose user is known, all of them where none is."""
    known = examples.user != MISSING
    return examples.take(known) if known.any() else examples
