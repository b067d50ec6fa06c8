"""Loaded SavedModel versions, whose signatures run with TensorFlow alone.

They run in a session, as in TF Serving. Eager functions hand every operation to a pool whose threads spin while they
wait: that took half as much processor time as the model itself (docs/decisions/0008-serving-without-tensorflow.md).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from unified_ranker.core.extras import text_ops
from unified_ranker.core.signature_names import DEFAULT_SIGNATURE
from unified_ranker.model_server.batching import Batcher, BatchingParameters
from unified_ranker.model_server.messages import config_pb2, meta_graph_pb2, saved_model_pb2
from unified_ranker.model_server.plain_tensorflow import tf
from unified_ranker.model_server.status_codes import ServingError, invalid_argument, status_code
from unified_ranker.model_server.tensor_protos import ProtoSpec

SERVE_TAG = "serve"
_INITIALISER = "__saved_model_init_op"

_CALLABLES_KEPT = 64

# Prefix that TensorFlow's Python adds to the error message of an op, and TF Serving does not.
_ERROR_PREFIX = "Graph execution error:\n\n"

# Prefixes of the TensorFlow Text ops that the encoders' tokenizers use.
_TEXT_OPS = ("TFText>", "Sentencepiece", "NormalizeUTF8", "FastWordpiece", "FastBert")

logger = logging.getLogger(__name__)


class Signature:
    """One signature of a loaded SavedModel. Safe to run from several threads.

    Args:
        name: the signature's key in the SavedModel.
        session: session with the graph and its variables.
        definition: its SignatureDef, which names the tensors to feed and to fetch, and their types and shapes.
    """

    def __init__(self, name: str, session: Any, definition: meta_graph_pb2.SignatureDef) -> None:
        self.name = name
        self.inputs = {key: ProtoSpec.from_info(info) for key, info in sorted(definition.inputs.items())}
        self.outputs = {key: ProtoSpec.from_info(info) for key, info in sorted(definition.outputs.items())}
        self._tensors = {key: info.name for key, info in definition.outputs.items()}
        self._feeds = [definition.inputs[key].name for key in self.inputs]
        self._session = session
        self._callables: dict[tuple[str, ...], Callable[..., list[np.ndarray]]] = {}
        self._batcher: Batcher | None = None

    def batch(self, parameters: BatchingParameters) -> None:
        """Run later calls in batches, if every input and output has a batch dimension; else change nothing."""
        specs = [*self.inputs.values(), *self.outputs.values()]
        if self.inputs and all(spec.shape is not None and spec.shape[:1] == (None,) for spec in specs):
            self._batcher = Batcher(self._run_all, parameters)

    def close(self) -> None:
        """End the threads that `batch` started."""
        if self._batcher is not None:
            self._batcher.close()

    def run(self, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Run the signature.

        Args:
            inputs: one array per input, of exactly its type (strings: object arrays of `bytes`).
            output_filter: names of the outputs to return; empty: all.

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
        keys = tuple(wanted or self.outputs)
        try:
            return dict(zip(keys, self._callable(keys)(*(inputs[key] for key in self.inputs)), strict=True))
        except tf.errors.OpError as error:
            raise ServingError(status_code(error.error_code), error.message.removeprefix(_ERROR_PREFIX)) from error

    def _callable(self, keys: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        """Return the function that computes these outputs. It is kept, since clients ask for few selections."""
        if keys not in self._callables:
            if len(self._callables) >= _CALLABLES_KEPT:
                self._callables.clear()
            options = config_pb2.CallableOptions(feed=self._feeds, fetch=[self._tensors[key] for key in keys])
            # Not `make_callable`, which goes through `Session.run`: 1 ms of Python for each call.
            self._callables[keys] = self._session._make_callable_from_options(options)
        return self._callables[keys]

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
                received = ProtoSpec(tf.as_dtype(array.dtype).name, array.shape)
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
        session: session with the graph and its variables; it is closed with its last reference.
    """

    version: int
    definitions: Mapping[str, meta_graph_pb2.SignatureDef]
    signatures: Mapping[str, Signature]
    session: Any

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
        OSError, ValueError, RuntimeError, tf.errors.OpError: the SavedModel cannot be read.
    """
    definitions = _signature_definitions(directory)
    import_text_ops(directory)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=session_options())
    # As TF Serving does, by TensorFlow's v1 API, which would log that it is deprecated.
    log = tf.get_logger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with session.graph.as_default():
            tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(directory))
    finally:
        log.setLevel(level)
    signatures = {
        name: Signature(name, session, definition)
        for name, definition in definitions.items()
        if name != _INITIALISER and definition.outputs
    }
    logger.info("loaded `%s` with the signatures %s", directory, ", ".join(sorted(signatures)))
    return SavedModel(version, definitions, signatures, session)


def session_options() -> Any:
    """Return the options of a session for online serving: an operation is never split between cores.

    The matrices are small: to split them costs more than it saves, and the other cores run other requests. The
    operations of a call run in the session's own pool of threads.
    """
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1, use_per_session_threads=True
    )
    config.experimental.disable_thread_spinning = True
    return config


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
