"""Consistency of the store: every vector is computed again, as of its entry's time, and compared."""

import time
from collections.abc import Container, Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd

from unified_ranker.core.errors import UserError
from unified_ranker.core.ids import is_storable
from unified_ranker.core.times import CLOCK_SKEW
from unified_ranker.prepare.prepared import to_frame
from unified_ranker.prepare.prepared_folder import PreparedFolder
from unified_ranker.store import EmbeddingStore
from unified_ranker.store.sample import read_many
from unified_ranker.store.version_diff import Difference, VersionDiff
from unified_ranker.vectors.embedded_release import EmbeddedRelease
from unified_ranker.vectors.embedder import Embedder
from unified_ranker.vectors.refresher import Sources, table_of_sound

_TOLERANCE = 1e-3
"""Largest distance of unit vectors that comes from rounding in batches of another shape."""
_AT_ONCE = 5_000
_ALL = 2**31


def check_consistency(
    release: EmbeddedRelease, prepared: PreparedFolder, store: EmbeddingStore, sources: Sources
) -> list[Difference]:
    """Compare the published version with vectors that the release's towers compute from the log and later events.

    Entries can be missing, extra, or differ by more than `_TOLERANCE`, when an event was lost or is not yet processed.

    Args:
        release: of the published version.
        prepared: its prepared data.
        store: that holds the version.
        sources: of events and items since the release.

    Raises:
        UserError: the published version is of another release.
    """
    manifest = store.manifest
    number = manifest.release.version
    if number != release.manifest.version:
        raise UserError(
            f"the published version is of release {number}. Received: release {release.manifest.version}. Name "
            "the release of the version."
        )
    if sources.feed is not None:
        sources.feed.poll()
    embedder = Embedder(release, manifest.space)
    return [_items(prepared, store, sources, release, embedder), _users(prepared, store, sources, embedder)]


def _items(
    prepared: PreparedFolder, store: EmbeddingStore, sources: Sources, release: EmbeddedRelease, embedder: Embedder
) -> Difference:
    table = prepared.items()
    late = {name: fields for name, fields in sources.new_items(release).items() if is_storable(name)}
    comparison, expected = VersionDiff("item", _TOLERANCE), set(late)
    parts: Iterator[pd.DataFrame] = (to_frame(table.slice(start, _AT_ONCE)) for start in range(0, len(table), _AT_ONCE))
    for rows in parts:
        expected.update(rows["item_id"])
        rows = rows[~rows["item_id"].isin(list(late))]
        _compare(store, comparison, rows["item_id"].tolist(), embedder.items(rows))
    if late:
        table = table_of_sound(embedder, late, sources.refused)
        _compare(store, comparison, table["item_id"].tolist(), embedder.items(table))
    _find_extra(store, comparison, "item", expected)
    return comparison.result()


def _users(prepared: PreparedFolder, store: EmbeddingStore, sources: Sources, embedder: Embedder) -> Difference:
    listed = prepared.users()["user_id"].to_pylist()
    expected = dict.fromkeys([*listed, *filter(is_storable, sources.histories.users("", _ALL))])
    manifest, comparison = store.manifest, VersionDiff("user", _TOLERANCE)
    names = iter(expected)
    while part := list(islice(names, _AT_ONCE)):
        there = read_many(store.backend, manifest.version, "user", part, manifest.kinds["user"].width)
        histories = [sources.histories.before(user, int(time.time()) + CLOCK_SKEW + 1) for user in part]
        last = np.array([history.timestamp.max(initial=0) for history in histories])
        # As of the entry's time, or of the user's last event since, which the entry should include.
        of = np.where(there.found, there.time, manifest.as_of)
        times = np.where(last >= of, last + 1, of).tolist()
        comparison.add(part, embedder.users(part, histories, times), there.vectors, there.found)
    _find_extra(store, comparison, "user", expected)
    return comparison.result()


def _compare(store: EmbeddingStore, comparison: VersionDiff, ids: Sequence[str], vectors: np.ndarray) -> None:
    version, width = store.version, vectors.shape[1]
    there = read_many(store.backend, version, "item", ids, width)
    comparison.add(ids, vectors, there.vectors, there.found)


def _find_extra(store: EmbeddingStore, comparison: VersionDiff, kind: str, expected: Container[str]) -> None:
    for ids, _ in store.backend.scan(store.version, kind, _AT_ONCE):
        comparison.add_extra([name for name in ids if name not in expected])
