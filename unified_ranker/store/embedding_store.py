"""Store of vectors by id, in versions of which one is published."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.store.base import StoreBackend
from unified_ranker.store.draft import Draft
from unified_ranker.store.limits import Limits
from unified_ranker.store.matrix import Neighbour, VectorMatrix
from unified_ranker.store.publishing import publish, rollback
from unified_ranker.store.records import ENTRY_KINDS, Entry, EntryBatch, pack, require_ids, to_batch
from unified_ranker.store.state import StoreState
from unified_ranker.store.tally import VectorCheck
from unified_ranker.store.version_manifest import VersionManifest, find_version, require_version


@dataclass(frozen=True)
class Version:
    """Version in a list: its manifest and its state."""

    number: int
    manifest: VersionManifest
    published: bool
    kept_for_rollback: bool
    reference: bool


class EmbeddingStore:
    """Vectors by kind and id. Reading is safe from several threads; each process opens a store of its own.

    Args:
        backend: holds the vectors.
        version: number of the one to read; None: at each call, the version that is then published.
    """

    def __init__(self, backend: StoreBackend, version: int | None = None) -> None:
        self.backend, self.pinned = backend, version
        self._widths: dict[int, dict[str, int]] = {}
        self._matrices: dict[str, VectorMatrix] = {}
        self._loading = threading.Lock()

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, kind: str, id: str) -> Entry | None:
        """Return one entry; None for an id that the store does not know.

        Raises:
            UserError: the kind is unknown, nothing is published, or the version is incomplete.
        """
        batch = self.get_many(kind, [id])
        if not batch.found[0]:
            return None
        time, release = int(batch.time[0]), int(batch.release[0])
        return Entry(kind, id, batch.vectors[0], time, release, batch.version, bool(batch.cold[0]))

    def get_many(self, kind: str, ids: Sequence[str]) -> EntryBatch:
        """Return entries in the order of `ids`, all of one version; `found` marks those that exist.

        Raises:
            UserError: see `get`.
        """
        if kind not in ENTRY_KINDS:
            raise unknown_name("kind of entry", kind, ENTRY_KINDS)
        version, records = self.backend.get(kind, ids, self.pinned)
        return to_batch(ids, records, self._width(version, kind), version)

    def neighbours(self, kind: str, of: str | npt.NDArray, k: int = 10, of_kind: str | None = None) -> list[Neighbour]:
        """Return the `k` entries of `kind` with the highest dot product, best first.

        The first call reads all vectors of the kind into memory: 260 MB for a million of width 64. The dot product is
        the cosine, because vectors have length 1; users, queries and items are in one space.

        Args:
            kind: of the neighbours.
            of: an id, which is left out of the result, or a vector `[width]`.
            k: number of neighbours.
            of_kind: kind of the id; None: `kind`.

        Raises:
            UserError: the id is unknown, or the vector has another width; see also `get`.
        """
        own = of_kind or kind
        if isinstance(of, str):
            entry = self.get(own, of)
            if entry is None:
                raise UserError(f"`{self.backend.place}` has no {own} `{of}`. Check the id; `refresh` adds new ones.")
            vector, version = entry.vector, entry.version
        else:
            vector, version = np.asarray(of, np.float32), self.version
        width = self._width(version, kind)
        if vector.shape != (width,):
            raise UserError(f"`of` must be an id or a vector [{width}]. Received: {list(vector.shape)}.")
        with self._loading:
            matrix = self._matrices.get(kind)
            if matrix is None or matrix.version != version:
                matrix = self._matrices[kind] = VectorMatrix(self.backend, version, kind, width)
            matrix.refresh()
            return matrix.nearest(vector, k, of if isinstance(of, str) and own == kind else None)

    @property
    def version(self) -> int:
        """The version that is read: the pinned or the published one.

        Raises:
            UserError: nothing is published.
        """
        if self.pinned is not None:
            return self.pinned
        state = self._state()
        if not state.published:
            raise UserError(f"`{self.backend.place}` has no published version. Export embeddings into it first.")
        return state.published

    @property
    def manifest(self) -> VersionManifest:
        """Manifest of the version that is read."""
        return require_version(self.backend, self.version)

    def versions(self) -> list[Version]:
        """Return all sealed versions, ascending."""
        state, out = self._state(), []
        for number in self.backend.versions():
            manifest = find_version(self.backend, number)
            if manifest is not None:  # None if it was dropped just now
                flags = (number == state.published, number in state.previous, number == state.reference)
                out.append(Version(number, manifest, *flags))
        return out

    # --- writing --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's lock for the time of a block, and remove what killed writers left.

        A block that is stopped leaves no unfinished version, neither on the disk nor open in this process.

        Raises:
            UserError: another process is writing.
        """
        with self.backend.lock("writer"):
            self._state()
            self.backend.clear()
            try:
                yield
            except BaseException:
                # What stopped the block, such as a full disk, may stop this, too; then the next writer removes it.
                with contextlib.suppress(UserError, OSError):
                    self.backend.clear()
                raise

    def begin(self, widths: Mapping[str, int], limits: Limits | None = None) -> Draft:
        """Begin the next version, beside the published one, inside of `writing`.

        Raises:
            UserError: the backend cannot hold a version.
        """
        state = self._state()
        number = max([state.next, *(version + 1 for version in self.backend.versions())])
        self.backend.switch(replace(state, next=number + 1).document())
        self.backend.begin(number)
        return Draft(self.backend, number, widths, limits or Limits())

    def publish(
        self, version: int, limits: Limits | None = None, force: Sequence[str] = (), keep: int | None = None
    ) -> list[VectorCheck]:
        """Publish a sealed version, inside of `writing`; see `publishing.publish`."""
        return publish(self.backend, version, limits, force, keep)

    def rollback(self) -> int:
        """Publish the previous version again, inside of `writing`; see `publishing.rollback`."""
        return rollback(self.backend)

    def put_many(
        self,
        kind: str,
        ids: Sequence[str],
        vectors: npt.NDArray,
        time: npt.ArrayLike,
        cold: npt.NDArray[np.bool_] | None = None,
        position: str = "",
    ) -> None:
        """Replace or add entries of the version that is read; the caller holds `backend.lock("refresher")`.

        Args:
            kind: of the entries.
            ids: `[n]`, each once.
            vectors: float32 `[n, width]`, in the version's space.
            time: seconds, as of which the vectors are, `[n]` or one for all.
            cold: `[n]`; None: none.
            position: of the refresher, stored with the entries.

        Raises:
            UserError: a vector is not finite, zero or of another width; then none of them is written.
        """
        manifest, names = self.manifest, list(ids)
        require_ids(names)
        width = self._width(manifest.version, kind)
        vectors = np.asarray(vectors, np.float32)
        good = vectors.shape == (len(names), width) and bool(np.isfinite(vectors).all() and vectors.any(1).all())
        if not good:
            raise UserError(
                f"entries must have vectors [{len(names)}, {width}], finite and not zero. Received: "
                f"{list(vectors.shape)} for {names[:3]}. None was written. Verify the release."
            )
        flags = np.zeros(len(names), bool) if cold is None else cold
        times = np.broadcast_to(np.asarray(time, np.int64), len(names))
        records = pack(vectors, times, manifest.release.version, flags)
        self.backend.update(manifest.version, kind, names, records, position)

    def close(self) -> None:
        """Free what is open."""
        self._matrices.clear()
        self.backend.close()

    def __enter__(self) -> "EmbeddingStore":
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _state(self) -> StoreState:
        return StoreState.of(self.backend.state(), self.backend.place)

    def _width(self, version: int, kind: str) -> int:
        widths = self._kinds(version)
        if kind not in widths:
            raise unknown_name("kind of entry", kind, widths)
        return widths[kind]

    def _kinds(self, version: int) -> dict[str, int]:
        known = self._widths.get(version)
        if known is None:
            kinds = require_version(self.backend, version).kinds
            known = self._widths[version] = {kind: own.width for kind, own in kinds.items()}
        return known
