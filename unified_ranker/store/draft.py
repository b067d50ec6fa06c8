"""Draft: a version that is being written, which readers do not see until it is sealed and published."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.store.base import StoreBackend
from unified_ranker.store.limits import Limits
from unified_ranker.store.records import ENTRY_KINDS, pack, require_ids
from unified_ranker.store.tally import Tally
from unified_ranker.store.version_manifest import KindEntries, VersionManifest, VersionNotes


class Draft:
    """Adds entries to a version and counts faulty ones.

    Args:
        backend: has begun the version.
        version: its number.
        widths: of the vectors of each kind that the version is to have.
        limits: for the checks of the entries.
    """

    def __init__(self, backend: StoreBackend, version: int, widths: Mapping[str, int], limits: Limits) -> None:
        for kind in widths:
            if kind not in ENTRY_KINDS:
                raise unknown_name("kind of entry", kind, ENTRY_KINDS)
        self.version, self._backend, self._limits = version, backend, limits
        self._tallies = {kind: Tally(kind, width) for kind, width in widths.items()}
        self._stored = dict.fromkeys(widths, 0)

    def put_many(
        self,
        kind: str,
        ids: Sequence[str],
        vectors: npt.NDArray,
        time: npt.ArrayLike,
        release: int,
        cold: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Add entries; a repeated id keeps its first vector, and is counted.

        Args:
            kind: one of the kinds in `widths`.
            ids: `[n]`.
            vectors: `[n, width]`.
            time: seconds, as of which the vectors are, `[n]` or one for all.
            release: number of the release whose towers made them.
            cold: `[n]`, marks entries without history; None: none.

        Raises:
            UserError: the kind is unknown, an id cannot be held, or the backend cannot write.
        """
        if kind not in self._tallies:
            raise unknown_name("kind of this version", kind, self._tallies)
        tally, names = self._tallies[kind], list(ids)
        require_ids(names)
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(names):
            raise UserError(
                f"`vectors` must be [{len(names)}, width], one row for each id. Received: {list(vectors.shape)}."
            )
        if vectors.shape[1] != tally.width:
            tally.wrong_width.add(names)
            return
        flags = np.zeros(len(names), bool) if cold is None else cold
        times = np.broadcast_to(np.asarray(time, np.int64), len(names))
        again = self._backend.put(self.version, kind, names, pack(vectors, times, release, flags))
        tally.again.add(again)
        if again:
            # The digest covers stored entries: of a repeated id, the first.
            left, keep = Counter(again), []
            for name in reversed(names):
                keep.append(left[name] == 0)
                left[name] -= left[name] > 0
            kept = np.array(keep[::-1], bool)
            tally.given += len(names) - int(kept.sum())
            names, vectors, flags = [n for n, k in zip(names, kept, strict=True) if k], vectors[kept], flags[kept]
        tally.add(names, vectors, flags)
        self._stored[kind] += len(names)

    def seal(self, notes: VersionNotes) -> VersionManifest:
        """End the writing; returns the manifest, with `notes` and the findings of the checks of entries.

        Raises:
            UserError: the backend has lost entries, or cannot write.
        """
        manifest = VersionManifest(
            **{name: getattr(notes, name) for name in (f.name for f in fields(VersionNotes))},
            version=self.version,
            kinds={
                kind: KindEntries(tally.width, self._stored[kind], tally.digest)
                for kind, tally in self._tallies.items()
            },
            created_at=int(time.time()),
            limits=self._limits,
            checks=tuple(
                check for tally in self._tallies.values() for check in tally.checks(self._limits.duplicate_vectors)
            ),
        )
        self._backend.seal(self.version, manifest.document())
        return manifest
