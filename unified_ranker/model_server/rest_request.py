"""Request bodies of TF Serving's REST Predict API: JSON in row or column form, read into arrays.

Reference: TF Serving, g3doc/api_rest.md ("Predict API", "JSON mapping").
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from unified_ranker.core.tensor_messages import STRING
from unified_ranker.model_server.status_codes import ServingError, invalid_argument
from unified_ranker.model_server.tensor_protos import ProtoSpec

InputSpecs = Mapping[str, ProtoSpec]


@dataclass(frozen=True)
class PredictBody:
    """Body of a Predict request.

    Attributes:
        signature_name: the signature asked for; empty for the default.
        row: whether it came as `instances` (one value or object per example) rather than `inputs`.
        inputs: one array per input of the signature.
    """

    signature_name: str
    row: bool
    inputs: dict[str, np.ndarray]


# Types that the REST API knows; 16-bit floats are not among them.
JSON_DTYPES = frozenset(
    np.dtype(name)
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "float32", "float64")
) | {STRING}


def parse_predict(body: bytes, input_specs: Callable[[str], InputSpecs]) -> PredictBody:
    """Read the body of a Predict request.

    Args:
        body: JSON; `NaN`, `Infinity` and `-Infinity` are allowed as numbers.
        input_specs: gives the inputs of a signature by its name.

    Raises:
        ServingError: INVALID_ARGUMENT for another body, or whatever `input_specs` raises.
    """
    document = _parse_object(body)
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(f"'signature_name' must be a string value. Received: {_shown(name)}")
    specs = input_specs(name)
    if "instances" in document and "inputs" in document:
        raise invalid_argument("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return PredictBody(name, True, _from_instances(document["instances"], specs))
    if "inputs" in document:
        return PredictBody(name, False, _from_inputs(document["inputs"], specs))
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {_shown(document)} Is not object")
    return document


def _from_instances(instances: Any, specs: InputSpecs) -> dict[str, np.ndarray]:
    if not isinstance(instances, list) or not instances:
        raise invalid_argument(f"'instances' must be a list of at least one value. Received: {_shown(instances)}")
    if not _is_named(instances[0]):
        return {_only_input("instances", specs): _dense(instances, _only_spec(specs), "'instances'")}
    for position, instance in enumerate(instances):
        if not _is_named(instance) or instance.keys() != specs.keys():
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. It must be an object with the "
                f"keys {','.join(specs)}. Received: {_shown(instance)}"
            )
    return {
        name: _dense([instance[name] for instance in instances], spec, f"key: {name} of 'instances' list")
        for name, spec in specs.items()
    }


def _from_inputs(inputs: Any, specs: InputSpecs) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        return {_only_input("inputs", specs): _dense(inputs, _only_spec(specs), "'inputs'")}
    for name in specs:
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: _dense(inputs[name], spec, f"key: {name} of 'inputs'") for name, spec in specs.items()}


def _only_input(key: str, specs: InputSpecs) -> str:
    if len(specs) != 1:
        raise invalid_argument(
            f"'{key}' is a plain value or list, but must name its inputs, as the signature has {len(specs)}: "
            f"{','.join(specs)}"
        )
    return next(iter(specs))


def _only_spec(specs: InputSpecs) -> ProtoSpec:
    return next(iter(specs.values()), ProtoSpec("string", None))


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _dense(value: Any, spec: ProtoSpec, where: str) -> np.ndarray:
    """Turn nested lists into an array of the type that the signature wants."""
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    leaves: list[Any] = []
    try:
        _collect(value, shape, 0, spec.numpy_dtype, leaves)
        with np.errstate(over="ignore"):  # a number past float32 becomes infinite, as in TF Serving
            return np.array(leaves, dtype=spec.numpy_dtype).reshape(shape)
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise invalid_argument(f"Failed to process {where}. Error: {error}") from error
    except ServingError as error:
        raise ServingError(error.code, f"Failed to process {where}. Error: {error.message}") from error


def _collect(value: Any, shape: list[int], level: int, dtype: np.dtype[Any], leaves: list[Any]) -> None:
    if level == len(shape):
        leaves.append(_leaf(value, dtype))
        return
    if not isinstance(value, list):
        raise invalid_argument(f"JSON Value: {_shown(value)} found at level {level}, where a list is expected")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _collect(element, shape, level + 1, dtype, leaves)


def _leaf(value: Any, dtype: np.dtype[Any]) -> Any:
    if dtype not in JSON_DTYPES:
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Conversion of JSON values to type: {dtype}")
    if dtype == STRING:
        if isinstance(value, str):
            return value.encode("utf-8")
        if _is_base64(value):
            return _decode_base64(value["b64"])
    elif dtype.kind == "f":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif dtype.kind in "iu":
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(value, bool):
        return value
    expected = "string" if dtype == STRING else dtype
    raise invalid_argument(
        f"JSON Value: {_shown(value)} Type: {type(value).__name__} is not of expected type: {expected}"
    )


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(f"Unable to base64 decode: {error}") from error


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 256 else f"{text[:256]}..."
