"""Loading a SavedModel version and running its signatures, with TensorFlow alone."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from unified_ranker.extras import text_ops
from unified_ranker.serving.model_server.batching import Batcher, BatchingParameters
from unified_ranker.serving.model_server.messages import meta_graph_pb2, saved_model_pb2
from unified_ranker.serving.model_server.plain_tensorflow import tf
from unified_ranker.serving.model_server.status_codes import ServingError, invalid_argument, status_code
from unified_ranker.serving.model_server.tensor_protos import TensorSpec

SERVE_TAG = "serve"
DEFAULT_SIGNATURE = "serving_default"

# What TensorFlow puts before the message of an op when the SavedModel carries no stack traces.
_TRACE_PREFIX = "<stack traces unavailable>\n"

# How the names of the ops of TensorFlow Text begin that the encoders' tokenizers use.
_TEXT_OPS = ("TFText>", "Sentencepiece", "NormalizeUTF8", "FastWordpiece", "FastBert")

logger = logging.getLogger(__name__)


class Signature:
    """One signature of a loaded SavedModel. Safe to run from several threads.

    Args:
        name: the signature's key in the SavedModel.
        function: the ConcreteFunction behind it, which takes tensors by keyword and returns a dict.
        definition: its SignatureDef, against which inputs are checked.
    """

    def __init__(self, name: str, function: Any, definition: meta_graph_pb2.SignatureDef) -> None:
        self.name = name
        self.inputs = {key: TensorSpec.from_info(info) for key, info in sorted(definition.inputs.items())}
        self.outputs = {key: TensorSpec.from_info(info) for key, info in sorted(definition.outputs.items())}
        self._function = function
        self._batcher: Batcher | None = None

    def batch(self, parameters: BatchingParameters) -> None:
        """Gather calls into batches from here on; a signature without rows in all it takes and gives runs as before."""
        specs = [*self.inputs.values(), *self.outputs.values()]
        if self.inputs and all(spec.shape is not None and spec.shape[:1] == (None,) for spec in specs):
            self._batcher = Batcher(self._run_all, parameters)

    def close(self) -> None:
        """End what `batch` started."""
        if self._batcher is not None:
            self._batcher.close()

    def run(self, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Run the signature.

        Args:
            inputs: one array per input, of exactly its type (strings: object arrays of `bytes`).
            output_filter: the outputs to return; none named: all.

        Raises:
            ServingError: INVALID_ARGUMENT for inputs or outputs that the signature does not have, or of
                another type or shape; else the code with which the graph failed.
        """
        self._check_inputs(inputs)
        wanted = self._wanted(output_filter)
        if self._batcher is not None:
            results = self._batcher(inputs)
            return {key: results[key] for key in wanted}
        return self._run_all(inputs, wanted)

    def _run_all(self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> dict[str, np.ndarray]:
        try:
            tensors = {key: tf.constant(inputs[key], spec.dtype) for key, spec in self.inputs.items()}
            results = self._function(**tensors)
            return {key: results[key].numpy() for key in wanted or self.outputs}
        except tf.errors.OpError as error:
            message = error.message.rsplit(_TRACE_PREFIX, 1)[-1]
            raise ServingError(status_code(error.error_code), message) from error

    def _check_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        if inputs.keys() != self.inputs.keys():
            raise invalid_argument(
                f"inputs do not match signature `{self.name}`. "
                f"Sent extra: {{{','.join(sorted(inputs.keys() - self.inputs.keys()))}}}. "
                f"Missing but required: {{{','.join(sorted(self.inputs.keys() - inputs.keys()))}}}."
            )
        for key, spec in self.inputs.items():
            array = inputs[key]
            if array.dtype != spec.numpy_dtype or not spec.admits(array.shape):
                received = TensorSpec(tf.as_dtype(array.dtype).name, array.shape)
                raise invalid_argument(
                    f"input `{key}` of signature `{self.name}` must be {spec}. Received: {received}."
                )

    def _wanted(self, output_filter: Sequence[str]) -> Sequence[str]:
        for position, key in enumerate(output_filter):
            if key not in self.outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {key}. Outputs expected to be in the set "
                    f"{{{','.join(self.outputs)}}}."
                )
            if key in output_filter[:position]:
                raise invalid_argument(f"duplicate output tensor alias: {key}")
        return output_filter or list(self.outputs)


@dataclass(frozen=True)
class SavedModel:
    """A loaded version of a model.

    Attributes:
        version: its number.
        definitions: every SignatureDef of the file, as GetModelMetadata returns them.
        signatures: those that can be run.
        loaded: the object that keeps the variables alive.
    """

    version: int
    definitions: Mapping[str, meta_graph_pb2.SignatureDef]
    signatures: Mapping[str, Signature]
    loaded: Any

    def signature(self, name: str) -> Signature:
        """Return the signature of a name; an empty name means `serving_default`.

        Raises:
            ServingError: FAILED_PRECONDITION, as TF Serving answers, when the model has no such signature.
        """
        key = name or DEFAULT_SIGNATURE
        if key not in self.signatures:
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        return self.signatures[key]


def load_saved_model(directory: Path, version: int) -> SavedModel:
    """Load the SavedModel in `<base path>/<version>/`.

    Raises:
        OSError, ValueError, RuntimeError, tf.errors.OpError: whatever makes it unreadable.
    """
    definitions = _signature_definitions(directory)
    import_text_ops(directory)
    loaded = tf.saved_model.load(str(directory), tags=[SERVE_TAG])
    signatures = {name: Signature(name, fn, definitions[name]) for name, fn in loaded.signatures.items()}
    logger.info("loaded `%s` with the signatures %s", directory, ", ".join(sorted(signatures)))
    return SavedModel(version, definitions, signatures, loaded)


def import_text_ops(directory: Path) -> None:
    """Import TensorFlow Text where the SavedModel in `directory` needs its ops; TF Serving has them built in.

    Raises:
        UserError: it needs them, and they are not installed.
    """
    saved_model = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    ops = {op.name for graph in saved_model.meta_graphs for op in graph.meta_info_def.stripped_op_list.op}
    if any(name.startswith(_TEXT_OPS) for name in ops):
        text_ops()


def _signature_definitions(directory: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved_model = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == {SERVE_TAG}:
            return dict(meta_graph.signature_def)
    found = [sorted(meta_graph.meta_info_def.tags) for meta_graph in saved_model.meta_graphs]
    raise ValueError(f"it has no meta graph with the tag `{SERVE_TAG}`. Found: {found}")
