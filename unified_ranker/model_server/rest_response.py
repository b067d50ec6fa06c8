"""Response bodies of TF Serving's REST Predict API: arrays, written as JSON in row or column form.

Reference: TF Serving, g3doc/api_rest.md ("Response format", "JSON mapping").
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unified_ranker.core.tensor_messages import STRING
from unified_ranker.model_server.rest_request import JSON_DTYPES
from unified_ranker.model_server.status_codes import invalid_argument

# Outputs whose name ends with this are bytes rather than text, and are written as {"b64": ...}.
_BYTES_SUFFIX = "_bytes"


def format_outputs(outputs: Mapping[str, np.ndarray], row: bool) -> bytes:
    """Write the outputs of a Predict request: `predictions` in row form, else `outputs`.

    Raises:
        ServingError: INVALID_ARGUMENT for an output that JSON cannot hold, or, in row form, for outputs
            without one value per example.
    """
    if row:
        _check_batch(outputs)
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    payload: Any
    if len(columns) == 1:
        payload = next(iter(columns.values()))
    elif row:
        payload = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    else:
        payload = columns
    return json.dumps({"predictions" if row else "outputs": payload}, ensure_ascii=False).encode()


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise invalid_argument(
            f"outputs must have one value per instance in row form. Received first dimensions: {sizes}. "
            f"Ask with 'inputs' instead of 'instances'."
        )


def _to_json(name: str, array: np.ndarray) -> Any:
    if array.dtype == STRING:
        leaf: Callable[[bytes], Any] = _base64_object if name.endswith(_BYTES_SUFFIX) else bytes.decode
        try:
            return np.array([leaf(value) for value in array.ravel()], STRING).reshape(array.shape).tolist()
        except UnicodeDecodeError as error:
            raise invalid_argument(
                f"output `{name}` is not UTF-8, and its name does not end in `{_BYTES_SUFFIX}`: {error}"
            ) from error
    if array.dtype == np.float32:
        # The shortest decimals that mean the same float32: 0.2 and not 0.20000000298023224.
        return array.astype(np.str_).astype(np.float64).tolist()
    if array.dtype not in JSON_DTYPES:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")
    return array.tolist()


def _base64_object(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}
