"""Replay of a SavedModel's warm-up requests, so that the first user does not wait for tracing and allocation.

Reference: TF Serving, g3doc/saved_model_warmup.md.
"""

import logging
from pathlib import Path

from google.protobuf.message import DecodeError

from unified_ranker.core.signature_names import WARMUP_REQUESTS
from unified_ranker.model_server.messages import prediction_log_pb2
from unified_ranker.model_server.plain_tensorflow import tf
from unified_ranker.model_server.predict import run_predict
from unified_ranker.model_server.savedmodels import SavedModel
from unified_ranker.model_server.status_codes import ServingError

MAX_RECORDS = 1000

logger = logging.getLogger(__name__)


def replay_warmup(model: SavedModel, directory: Path) -> int:
    """Run every request of the version's warm-up file, if there is one.

    Args:
        model: the loaded version.
        directory: directory that it was loaded from.

    Returns:
        The number of requests that ran.

    Raises:
        ValueError: the file is not a TFRecord of at most 1000 PredictionLogs of Predict requests that the
            model answers; as in TF Serving, such a version does not become available.
    """
    path = directory / WARMUP_REQUESTS
    if not path.is_file():
        logger.info("no warm-up requests at `%s`", path)
        return 0
    number = 0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator(), start=1):
            if number > MAX_RECORDS:
                raise ValueError(f"`{WARMUP_REQUESTS}` must hold at most {MAX_RECORDS} records")
            _replay(model, prediction_log_pb2.PredictionLog.FromString(record))
    except tf.errors.DataLossError as error:
        raise ValueError(
            f"`{WARMUP_REQUESTS}` must be a TFRecord file; it breaks off after record {number}: {error.message}"
        ) from error
    except DecodeError as error:
        raise ValueError(f"record {number} of `{WARMUP_REQUESTS}` is no PredictionLog") from error
    except ServingError as error:
        raise ValueError(
            f"record {number} of `{WARMUP_REQUESTS}` failed: {error.code.name}: {error.message}"
        ) from error
    return number


def _replay(model: SavedModel, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise ValueError(f"`{WARMUP_REQUESTS}` must hold Predict requests. Received: {kind}")
    run_predict(model, log.predict_log.request)
