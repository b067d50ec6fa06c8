"""Batches of requests that arrive at the same time, as `--enable_batching` makes them in TF Serving.

Reference: TF Serving, tensorflow_serving/batching/README.md and session_bundle_config.proto (BatchingParameters).
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.status_codes import ServingError, invalid_argument

_Tensors = Mapping[str, np.ndarray]
RunBatch = Callable[[_Tensors], dict[str, np.ndarray]]
_LINE = re.compile(r"(\w+)\s*(?:\{\s*value\s*:\s*(\d+)\s*\}|:\s*(\w+))")
_NUMBERS = ("max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches")


@dataclass(frozen=True)
class BatchingParameters:
    """Parameters of a `batching.txt`.

    Attributes:
        max_batch_size: rows of a batch.
        batch_timeout_micros: microseconds for which a batch waits for more.
        num_batch_threads: batches that run at once.
        max_enqueued_batches: batches that may wait; more are refused.
        allowed_batch_sizes: sizes to which batches are padded; empty: they are not padded.
        pad_variable_length_inputs: whether inputs of different lengths are padded, by "" and 0, to share a batch.
    """

    max_batch_size: int = 32
    batch_timeout_micros: int = 1000
    num_batch_threads: int = 2
    max_enqueued_batches: int = 2
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    @classmethod
    def read(cls, file: Path) -> "BatchingParameters":
        """Read TF Serving's `--batching_parameters_file`.

        Raises:
            UserError: `file` cannot be read, a line is not understood, or the sizes do not ascend to `max_batch_size`.
        """
        try:
            lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
        except OSError as error:
            raise UserError(f"`{file}` cannot be read: {error.strerror}.") from error
        numbers, sizes, pad = {}, [], False
        for line in filter(None, lines):
            match = _LINE.fullmatch(line)
            if match and match[1] in _NUMBERS and match[2]:
                numbers[match[1]] = int(match[2])
            elif match and match[1] == "allowed_batch_sizes" and (match[3] or "").isdecimal():
                sizes.append(int(match[3]))
            elif match and match[1] == "pad_variable_length_inputs" and match[3] in ("true", "false"):
                pad = match[3] == "true"
            else:
                raise UserError(f"`{file}`: a line of BatchingParameters is not understood. Received: `{line}`.")
        made = cls(**numbers, allowed_batch_sizes=tuple(sizes), pad_variable_length_inputs=pad)
        if sizes and (sizes != sorted(set(sizes)) or sizes[-1] != made.max_batch_size):
            raise UserError(
                f"`{file}`: `allowed_batch_sizes` must ascend and end with `max_batch_size`. Received: {sizes} and "
                f"{made.max_batch_size}."
            )
        return made


@dataclass(eq=False)
class _Batch:
    """Requests that run together once the time `until` has passed or the batch is full."""

    until: float
    members: list[tuple[_Tensors, int, "Future[dict[str, np.ndarray]]"]] = field(default_factory=list)
    rows: int = 0


class Batcher:
    """Gathers calls of one signature into batches.

    Args:
        run: runs the signature on a batch.
        parameters: how batches are made.
    """

    def __init__(self, run: RunBatch, parameters: BatchingParameters) -> None:
        self._run, self._parameters = run, parameters
        self._batches: list[_Batch] = []
        self._changed = threading.Condition()
        self._ended = False
        for number in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def __call__(self, inputs: _Tensors) -> dict[str, np.ndarray]:
        """Run the signature as part of a batch.

        Raises:
            ServingError: UNAVAILABLE when the queue is full, as in TF Serving; INVALID_ARGUMENT for inputs
                without a common number of rows or with too many; else what the signature raises.
        """
        rows = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
        if len(rows) != 1 or min(rows) < 1:
            raise invalid_argument("Batching input tensors must all have the same 0th-dimension size, at least 1")
        [size] = rows
        if size > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {size} is larger than maximum input batch size {self._parameters.max_batch_size}"
            )
        done: Future[dict[str, np.ndarray]] = Future()
        with self._changed:
            batch = next((b for b in self._batches if self._fits(b, inputs, size)), None)
            if batch is None:
                if len(self._batches) >= self._parameters.max_enqueued_batches:
                    raise ServingError(
                        grpc.StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                batch = _Batch(time.monotonic() + self._parameters.batch_timeout_micros / 1e6)
                self._batches.append(batch)
            batch.members.append((inputs, size, done))
            batch.rows += size
            self._changed.notify()
        return done.result()

    def close(self) -> None:
        """End the threads after the batches that wait."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _fits(self, batch: _Batch, inputs: _Tensors, size: int) -> bool:
        if batch.rows + size > self._parameters.max_batch_size:
            return False
        if self._parameters.pad_variable_length_inputs:
            return True
        first = batch.members[0][0]
        return all(first[name].shape[1:] == array.shape[1:] for name, array in inputs.items())

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                joined = self._joined(batch)
                outputs = self._run(joined)
                rows = len(next(iter(joined.values())))
                if any(array.ndim == 0 or len(array) != rows for array in outputs.values()):
                    raise ServingError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                        "the input tensors",
                    )
            # Every error must reach the waiting callers, and none may end the thread.
            except Exception as error:  # noqa: BLE001
                for _, _, done in batch.members:
                    done.set_exception(error)
                continue
            start = 0
            for _, size, done in batch.members:
                done.set_result({name: array[start : start + size] for name, array in outputs.items()})
                start += size

    def _next(self) -> _Batch | None:
        with self._changed:
            while True:
                now = time.monotonic()
                for batch in self._batches:
                    if self._ended or batch.until <= now or batch.rows >= self._parameters.max_batch_size:
                        self._batches.remove(batch)
                        return batch
                if self._ended:
                    return None
                self._changed.wait(min((b.until for b in self._batches), default=now + 1.0) - now)

    def _joined(self, batch: _Batch) -> dict[str, np.ndarray]:
        sizes = self._parameters.allowed_batch_sizes
        target = next((size for size in sizes if size >= batch.rows), batch.rows)
        out = {}
        for name in batch.members[0][0]:
            parts = _same_lengths([inputs[name] for inputs, _, _ in batch.members])
            # Padded with the first row, as in TF Serving, because every graph can run it.
            parts += [parts[0][:1]] * (target - batch.rows)
            out[name] = np.concatenate(parts)
        return out


def _same_lengths(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Pad arrays at the end, in all dimensions but the first, to the longest."""
    longest = np.max([part.shape[1:] for part in parts], axis=0) if parts[0].ndim > 1 else ()
    padded = []
    for part in parts:
        more = [(0, 0), *((0, int(to - size)) for size, to in zip(part.shape[1:], longest, strict=True))]
        blank = b"" if part.dtype == object else part.dtype.type(0)
        padded.append(np.pad(part, more, constant_values=blank) if any(after for _, after in more) else part)
    return padded
