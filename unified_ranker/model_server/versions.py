"""Versions of one served model: their states, and the choice of the one that answers a request."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from unified_ranker.core.errors import UserError
from unified_ranker.core.memory import keep_loaded
from unified_ranker.model_server.base_path import resolve_base_path, versions
from unified_ranker.model_server.batching import BatchingParameters
from unified_ranker.model_server.labels import ModelConfig
from unified_ranker.model_server.messages import get_model_status_pb2, model_pb2
from unified_ranker.model_server.plain_tensorflow import tf
from unified_ranker.model_server.savedmodels import SavedModel, load_saved_model
from unified_ranker.model_server.status_codes import invalid_argument, not_found
from unified_ranker.model_server.stock_ops import require_stock_ops
from unified_ranker.model_server.warmup import replay_warmup

VersionState = get_model_status_pb2.ModelVersionStatus.State

LOAD_RETRIES, LOAD_RETRY_SECONDS = 5, 60.0
"""TF Serving's defaults of --max_num_load_retries and --load_retry_interval_micros."""
POLL_SECONDS = 1.0
"""TF Serving's default of --file_system_poll_wait_seconds."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedVersion:
    """One version and its state of loading.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END, as GetModelStatus reports it.
        error: reason why it did not become available; None while nothing has failed.
        model: the loaded model while it is AVAILABLE.
    """

    version: int
    state: int
    error: str | None = None
    model: SavedModel | None = None

    def to_proto(self) -> get_model_status_pb2.ModelVersionStatus:
        """Return the entry of a GetModelStatusResponse."""
        status = get_model_status_pb2.ModelVersionStatus(version=self.version, state=self.state)
        status.status.error_code = (grpc.StatusCode.UNKNOWN if self.error else grpc.StatusCode.OK).value[0]
        status.status.error_message = self.error or ""
        return status


class ModelVersions:
    """Versions of one model under a base path.

    Requests read a table that a change replaces as a whole, so that they never wait for a version that loads.

    Args:
        base_path: directory of `<version>/saved_model.pb`, or a release.
        model_name: the name that requests give.
        config: versions to serve and their labels; None: the newest, without labels.
        batching: parameters of batches; None: each request runs by itself.
        retry_seconds: to wait before a version is tried again that could not be loaded, such as one that was being
            copied.

    Raises:
        UserError: there is no version under `base_path`.
    """

    def __init__(
        self,
        base_path: Path | str,
        model_name: str,
        config: ModelConfig | None = None,
        batching: BatchingParameters | None = None,
        retry_seconds: float = LOAD_RETRY_SECONDS,
    ) -> None:
        self.base_path = resolve_base_path(base_path)
        self.model_name = model_name
        self._config = config or ModelConfig(model_name, str(base_path))
        self._batching = batching
        self._table: dict[int, ServedVersion] = {}
        self._seen: set[int] = set()
        self._retry_seconds = retry_seconds
        self._failed: dict[int, tuple[int, float]] = {}
        self._changing = threading.Lock()
        self._end = threading.Event()

    def load_wanted(self) -> int:
        """Load and warm up the versions that are to be served, and return the highest.

        Raises:
            UserError: one of them cannot be loaded or its warm-up requests fail, or a label names none of them.
        """
        wanted = self._config.wanted(versions(self.base_path))
        self._seen = set(wanted)
        for version, directory in wanted.items():
            self._load(version, directory)
        stray = {label: version for label, version in self._config.labels.items() if version not in wanted}
        if stray or not wanted:
            raise UserError(
                f"labels must name versions that are served: {sorted(wanted)}. Received: {stray or 'no version'}. "
                "Correct `version_labels` or `model_version_policy`."
            )
        return max(wanted)

    def follow(self, seconds: float = POLL_SECONDS) -> None:
        """Start a thread that looks for new version directories until `stop_following`."""
        threading.Thread(target=self._follow, args=(seconds,), name="version-watch", daemon=True).start()

    def stop_following(self) -> None:
        """End the thread of `follow`."""
        self._end.set()

    def look(self) -> None:
        """Load versions that are new, or there again, then unload those that are no longer to be served.

        A version that does not load is reported as END with its reason, and tried again; the others keep running.
        """
        wanted = self._config.wanted(versions(self.base_path))
        self._failed = {version: failed for version, failed in self._failed.items() if version in wanted}
        now = time.monotonic()
        again = {version for version, (times, due) in self._failed.items() if times <= LOAD_RETRIES and now >= due}
        new = {version: wanted[version] for version in wanted if version not in self._seen or version in again}
        self._seen = set(wanted)
        for version, directory in new.items():
            # One that is there again may still answer, where no other took its place.
            if version not in self._answering():
                self._try(version, directory)
        # An old version is unloaded only while a wanted one answers, as in TF Serving.
        answering = self._answering()
        gone = answering - wanted.keys()
        if answering & wanted.keys():
            for version in sorted(gone):
                self._unload(version)

    def _try(self, version: int, directory: Path) -> None:
        try:
            self._load(version, directory)
        except UserError as error:
            times = self._failed.get(version, (0, 0.0))[0] + 1
            self._failed[version] = (times, time.monotonic() + self._retry_seconds)
            logger.error("%s", error)
        else:
            self._failed.pop(version, None)

    def _answering(self) -> set[int]:
        return {version for version, served in self._table.items() if served.model is not None}

    def _follow(self, seconds: float) -> None:
        while not self._end.wait(seconds):
            try:
                self.look()
            except Exception:
                # The thread must outlive any fault, such as a disk that is away for a moment.
                logger.exception("the search for versions failed; the next one is in %g s", seconds)

    def _unload(self, version: int) -> None:
        model = self._table[version].model
        self._set(ServedVersion(version, VersionState.END))
        if model is not None:
            for signature in model.signatures.values():
                signature.close()
        logger.info("model `%s` version %d is no longer served", self.model_name, version)

    def find(self, spec: model_pb2.ModelSpec) -> SavedModel:
        """Return the model version that a request names, or else the highest that is available.

        Raises:
            ServingError: NOT_FOUND when no available version fits, INVALID_ARGUMENT for an unnamed model or a
                label.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        wanted = spec.version.value if choice == "version" else None
        if choice == "version_label":
            wanted = self._version_of(spec.version_label)
        available = self._available(spec.name)
        if not available or (wanted is not None and wanted not in available):
            request = f"Latest({spec.name})" if wanted is None else f"Specific({spec.name}, {wanted})"
            raise not_found(f"Servable not found for request: {request}")
        return available[max(available) if wanted is None else wanted]

    def statuses(self, spec: model_pb2.ModelSpec) -> list[ServedVersion]:
        """Return the state of the version that a request names, or of all versions, the newest first.

        Raises:
            ServingError: NOT_FOUND when there is none.
        """
        table = self._table if spec.name == self.model_name else {}
        if spec.WhichOneof("version_choice") == "version_label":
            labelled = model_pb2.ModelSpec(name=spec.name)
            labelled.version.value = self._version_of(spec.version_label)
            return self.statuses(labelled)
        if spec.HasField("version"):
            if spec.version.value not in table:
                raise not_found(f"Could not find version {spec.version.value} of model {spec.name}")
            return [table[spec.version.value]]
        if not table:
            raise not_found(f"Could not find any versions of model {spec.name}")
        return [table[version] for version in sorted(table, reverse=True)]

    def _version_of(self, label: str) -> int:
        if label not in self._config.labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return self._config.labels[label]

    def _available(self, name: str) -> dict[int, SavedModel]:
        if name != self.model_name:
            return {}
        return {served.version: served.model for served in self._table.values() if served.model is not None}

    def _load(self, version: int, directory: Path) -> None:
        started = time.monotonic()
        self._set(ServedVersion(version, VersionState.LOADING))
        try:
            require_stock_ops(directory)
            model = load_saved_model(directory, version)
            if self._batching is not None:
                for signature in model.signatures.values():
                    signature.batch(self._batching)
            replayed = replay_warmup(model, directory)
        except (OSError, ValueError, RuntimeError, DecodeError, tf.errors.OpError) as error:
            self._set(ServedVersion(version, VersionState.END, error=str(error)))
            raise UserError(
                f"`base_path` must hold SavedModels that stock TensorFlow loads and runs. Received: version "
                f"{version} of model `{self.model_name}` at `{directory}`: {error}. Export it again."
            ) from error
        keep_loaded()
        self._set(ServedVersion(version, VersionState.AVAILABLE, model=model))
        logger.info(
            "model `%s` version %d is AVAILABLE after %.1f s and %d warm-up requests",
            self.model_name,
            version,
            time.monotonic() - started,
            replayed,
        )

    def _set(self, served: ServedVersion) -> None:
        with self._changing:
            self._table = {**self._table, served.version: served}
