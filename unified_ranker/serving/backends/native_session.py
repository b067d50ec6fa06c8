"""Session of a SavedModel by TensorFlow's C API, without TensorFlow's Python.

Python's `import tensorflow` takes three seconds and 300 MB, its objects fill the passes of the garbage collector, and
it holds the interpreter while it loads a graph, so that requests wait. The library itself does none of this: loading
and running let other threads of Python run.

Reference: tensorflow/c/c_api.h, tensorflow/c/tf_tensor.h, tensorflow/c/tf_tstring.h.
"""

import ctypes
import functools
import importlib.util
import os
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.tensor_messages import STRING_NUMBER, TensorSpec, as_bytes
from unified_ranker.serving.client import wire
from unified_ranker.serving.client.tensors import dtype_of, number_of, read_spec

_LIBRARY = "libtensorflow_cc.so.2"
_SET_LOG_LEVEL = "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE"
"""Function `absl::SetMinLogLevel` of the pinned TensorFlow, whose C API has none. Its optimiser logs dozens of lines
that no variable of the environment silences."""
_CELL, _INLINE = 24, 22
"""Bytes of a string in a tensor, and most bytes of one that has no memory of its own."""
_TAG = b"serve"
_REASONS = {code.value[0]: code.name for code in grpc.StatusCode}
_OPTIONS = wire.SessionConfig(
    intra_op_parallelism_threads=1,
    inter_op_parallelism_threads=-1,
    use_per_session_threads=True,
    experimental=wire.SessionExperimental(disable_thread_spinning=True),
)
"""Those of the embedded model server (`session_options`): an operation is never split between cores."""


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


_P, _I, _S, _N = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
_QUICK: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_NewStatus": (_P, ()),
    "TF_GetCode": (_I, (_P,)),
    "TF_Message": (_S, (_P,)),
    "TF_DeleteStatus": (None, (_P,)),
    "TF_NewSessionOptions": (_P, ()),
    "TF_SetConfig": (None, (_P, _S, _N, _P)),
    "TF_DeleteSessionOptions": (None, (_P,)),
    "TF_NewGraph": (_P, ()),
    "TF_NewBuffer": (ctypes.POINTER(_Buffer), ()),
    "TF_DeleteBuffer": (None, (ctypes.POINTER(_Buffer),)),
    "TF_GraphOperationByName": (_P, (_P, _S)),
    "TF_AllocateTensor": (_P, (_I, ctypes.POINTER(ctypes.c_int64), _I, _N)),
    "TF_TensorData": (_P, (_P,)),
    "TF_TensorType": (_I, (_P,)),
    "TF_NumDims": (_I, (_P,)),
    "TF_Dim": (ctypes.c_int64, (_P, _I)),
    "TF_DeleteTensor": (None, (_P,)),
    "TF_StringCopy": (None, (_P, _S, _N)),
    "TF_StringDealloc": (None, (_P,)),
    "TF_StringGetDataPointer": (_P, (_P,)),
    "TF_StringGetSize": (_N, (_P,)),
}
"""Functions that return at once, by name: types of result and arguments. The interpreter stays with their caller."""
_LONG: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_LoadSessionFromSavedModel": (
        _P,
        (_P, _P, _S, ctypes.POINTER(_S), _I, _P, ctypes.POINTER(_Buffer), _P),
    ),
    "TF_SessionRun": (
        None,
        (_P, _P, ctypes.POINTER(_Output), ctypes.POINTER(_P), _I, ctypes.POINTER(_Output), ctypes.POINTER(_P), _I,
         ctypes.POINTER(_P), _I, _P, _P),
    ),
    "TF_CloseSession": (None, (_P, _P)),
    "TF_DeleteSession": (None, (_P, _P)),
    "TF_DeleteGraph": (None, (_P,)),
}  # fmt: skip
"""Functions beside which other threads run."""


class SessionError(RuntimeError):
    """Error: the model could not be loaded, or a call of it failed.

    Attributes:
        reason: gRPC's status name, such as "INVALID_ARGUMENT".
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class _Signature:
    """Types of the inputs and outputs of a signature by name, in order, and where the graph has them."""

    inputs: dict[str, TensorSpec]
    outputs: tuple[str, ...]
    fed: Any
    fetched: Any


class NativeSession:
    """Loaded SavedModel, whose signatures run. Safe to use from several threads.

    Its memory is freed with its last reference.

    Args:
        directory: of the SavedModel.
        library: file of TensorFlow's library; see `tensorflow_library`.

    Raises:
        SessionError: it cannot be loaded.
    """

    def __init__(self, directory: Path, library: Path) -> None:
        self._c = _library(library)
        status, options, meta = _Status(self._c), self._c.TF_NewSessionOptions(), self._c.TF_NewBuffer()
        self._graph = self._c.TF_NewGraph()
        try:
            packed = _OPTIONS.SerializeToString()
            self._c.TF_SetConfig(options, packed, len(packed), status.at)
            status.check()
            self._session = self._c.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(directory), (_S * 1)(_TAG), 1, self._graph, meta, status.at
            )
            status.check()
            # Its last reference frees it: not at the end of the process, which frees everything.
            weakref.finalize(self, _free, self._c, self._session, self._graph).atexit = False
            read = wire.MetaGraph.FromString(ctypes.string_at(meta.contents.data, meta.contents.length))
        finally:
            self._c.TF_DeleteBuffer(meta)
            self._c.TF_DeleteSessionOptions(options)
        self._signatures = {
            name: self._signature(definition)
            for name, definition in read.signature_def.items()
            if not name.startswith("__") and definition.outputs
        }

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Run a signature.

        Args:
            signature: its name.
            inputs: one array per input, of exactly its type; strings as `str` or `bytes`.

        Raises:
            SessionError: there is no such signature, its inputs are others, or the graph failed.
            TypeError: an array has no TensorFlow type.
        """
        known = self._signatures.get(signature)
        if known is None:
            names = ", ".join(sorted(self._signatures))
            raise SessionError("FAILED_PRECONDITION", f"it has no such signature. Known: {names}")
        _check(known.inputs, inputs)
        status, fed = _Status(self._c), _Fed(self._c)
        results = (_P * len(known.outputs))()
        try:
            for name in known.inputs:
                try:
                    fed.add(np.asarray(inputs[name]))
                except TypeError as error:
                    raise TypeError(f"input `{name}` of signature `{signature}`: {error}") from error
            values = (_P * len(fed.tensors))(*fed.tensors)
            self._c.TF_SessionRun(
                self._session, None, known.fed, values, len(values), known.fetched, results, len(results), None, 0,
                None, status.at,
            )  # fmt: skip
            status.check()
            return {name: self._array(tensor) for name, tensor in zip(known.outputs, results, strict=True)}
        finally:
            for tensor in filter(None, results):
                self._c.TF_DeleteTensor(tensor)
            fed.free()

    def _signature(self, definition: Any) -> _Signature:
        inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
        return _Signature(
            {name: read_spec(info) for name, info in inputs},
            tuple(name for name, _ in outputs),
            self._outputs_of(info.name for _, info in inputs),
            self._outputs_of(info.name for _, info in outputs),
        )

    def _outputs_of(self, names: Iterable[str]) -> Any:
        parts = [name.rpartition(":") for name in names]
        found = [_Output(self._c.TF_GraphOperationByName(self._graph, op.encode()), int(i)) for op, _, i in parts]
        return (_Output * len(found))(*found)

    def _array(self, tensor: int) -> np.ndarray:
        """Return the array in a tensor; a copy, because the tensor is freed."""
        c, number = self._c, self._c.TF_TensorType(tensor)
        shape = tuple(c.TF_Dim(tensor, axis) for axis in range(c.TF_NumDims(tensor)))
        if number == STRING_NUMBER:
            out = np.empty(shape, object)
            first = c.TF_TensorData(tensor) or 0
            for index in range(out.size):
                cell = first + _CELL * index
                out.flat[index] = ctypes.string_at(c.TF_StringGetDataPointer(cell), c.TF_StringGetSize(cell))
            return out
        out = np.empty(shape, dtype_of(number))
        if out.nbytes:
            ctypes.memmove(out.ctypes.data, c.TF_TensorData(tensor), out.nbytes)
        return out


def tensorflow_library() -> Path:
    """Return the file of TensorFlow's library, which is not loaded by that; TensorFlow must be installed."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise SessionError("FAILED_PRECONDITION", "TensorFlow is not installed")
    return Path(spec.submodule_search_locations[0], _LIBRARY)


class _Status:
    """Status that a function of the library fills, freed with its last reference."""

    def __init__(self, c: Any) -> None:
        self._c, self.at = c, c.TF_NewStatus()
        weakref.finalize(self, c.TF_DeleteStatus, self.at).atexit = False

    def check(self) -> None:
        """Raise the error that the last function left, if it left one."""
        if code := self._c.TF_GetCode(self.at):
            raise SessionError(_REASONS.get(code, "UNKNOWN"), self._c.TF_Message(self.at).decode(errors="replace"))


class _Fed:
    """Tensors of the inputs of a call, and those of their strings that have memory of their own."""

    def __init__(self, c: Any) -> None:
        self._c = c
        self.tensors: list[int] = []
        self._long: list[int] = []

    def add(self, array: np.ndarray) -> None:
        """Copy an array into a tensor."""
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        if array.dtype.kind in "OUS":
            return self._add_strings(array, shape)
        values = np.ascontiguousarray(array)
        tensor = self._c.TF_AllocateTensor(number_of(values.dtype), shape, array.ndim, values.nbytes)
        self.tensors.append(tensor)
        if values.nbytes:
            ctypes.memmove(self._c.TF_TensorData(tensor), values.ctypes.data, values.nbytes)
        return None

    def _add_strings(self, array: np.ndarray, shape: Any) -> None:
        tensor = self._c.TF_AllocateTensor(STRING_NUMBER, shape, array.ndim, _CELL * array.size)
        self.tensors.append(tensor)
        if not array.size:
            return
        cell = self._c.TF_TensorData(tensor)
        ctypes.memset(cell, 0, _CELL * array.size)  # as `TF_StringInit` does: strings of no bytes
        for value in array.ravel().tolist():
            raw = as_bytes(value)
            if raw:
                self._c.TF_StringCopy(cell, raw, len(raw))
            if len(raw) > _INLINE:
                self._long.append(cell)
            cell += _CELL

    def free(self) -> None:
        """Free everything; a tensor does not free the memory of its strings."""
        for cell in self._long:
            self._c.TF_StringDealloc(cell)
        for tensor in self.tensors:
            self._c.TF_DeleteTensor(tensor)


def _check(wanted: Mapping[str, TensorSpec], inputs: Mapping[str, np.ndarray]) -> None:
    if inputs.keys() != wanted.keys():
        raise SessionError("INVALID_ARGUMENT", f"its inputs are {sorted(wanted)}. Received: {sorted(inputs)}")
    for name, spec in wanted.items():
        array = inputs[name]
        kind = "string" if array.dtype.kind in "OUS" else array.dtype.name
        if kind != spec.dtype or not spec.admits(array.shape):
            raise SessionError(
                "INVALID_ARGUMENT", f"input `{name}` must be {spec}. Received: {TensorSpec(kind, array.shape)}"
            )


def _free(c: Any, session: int, graph: int) -> None:
    status = _Status(c)
    c.TF_CloseSession(session, status.at)
    c.TF_DeleteSession(session, status.at)
    c.TF_DeleteGraph(graph)


@functools.cache
def _library(file: Path) -> Any:
    """Load TensorFlow's library, and return its functions; it is the one that TensorFlow's Python loads, too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as for TensorFlow's Python (`towers/tensorflow.py`)
    functions = type("TensorFlow", (), {})()
    for loaded, declared in ((ctypes.PyDLL(str(file)), _QUICK), (ctypes.CDLL(str(file)), _LONG)):
        for name, (result, arguments) in declared.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
            setattr(functions, name, function)
    getattr(loaded, _SET_LOG_LEVEL)(int(os.environ["TF_CPP_MIN_LOG_LEVEL"]))
    return functions
