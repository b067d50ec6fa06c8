"""Recorded requests of a SavedModel (`assets.extra/tf_serving_warmup_requests`), read without TensorFlow."""

import struct
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.signature_names import WARMUP_REQUESTS
from unified_ranker.serving.client import wire
from unified_ranker.serving.client.tensors import read_tensor

_HEAD, _CHECKSUM = struct.Struct("<Q4x"), 4
"""Head of a TFRecord: the length of its data, and a checksum, as there is one after the data."""


def recorded_calls(directory: Path) -> Iterator[tuple[str, Arrays]]:
    """Yield the signature and the inputs of each recorded request; none where there is no file.

    Checksums are not compared: the release's manifest has the file's SHA-256.

    Raises:
        ValueError: the file breaks off, or holds something else.
    """
    file = directory / WARMUP_REQUESTS
    if not file.is_file():
        return
    with file.open("rb") as records:
        while head := records.read(_HEAD.size):
            data = b""
            if len(head) == _HEAD.size:
                (size,) = _HEAD.unpack(head)
                data = records.read(size + _CHECKSUM)
            if not data or len(data) < size + _CHECKSUM:
                raise ValueError(f"`{WARMUP_REQUESTS}` breaks off")
            try:
                request = wire.PredictionLog.FromString(data[:size]).predict_log.request
            except DecodeError as error:
                raise ValueError(f"`{WARMUP_REQUESTS}` must hold PredictionLogs") from error
            inputs = {name: read_tensor(tensor) for name, tensor in request.inputs.items()}
            yield request.model_spec.signature_name, inputs
