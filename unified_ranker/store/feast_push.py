"""Copy of vectors into Feast's online store, for teams that serve all of their features from there.

Feast needs pandas 2 and this project pandas 3, so they cannot share an environment. Install this package's wheel
into Feast's environment without its dependencies, and the packages of serving_config/requirements/vectors.txt
(docs/guide/install.md).
"""

from datetime import UTC, datetime
from typing import Any

from unified_ranker.core.errors import UserError
from unified_ranker.store.embedding_store import EmbeddingStore
from unified_ranker.store.records import unpack

_AT_ONCE = 5_000


def push(store: EmbeddingStore, kind: str, features: Any, view: str, entity: str = "id", vector: str = "vector") -> int:
    """Write all entries of a kind into the online store of a feature view; returns their number.

    Args:
        store: to read; the whole call reads one version.
        kind: of the entries.
        features: a `feast.FeatureStore`.
        view: name of a feature view with the columns `entity` (the join key, text), `vector` (`Array(Float32)`),
            `release` and `version` (`Int64`), and `event_timestamp`.
        entity: name of the join key.
        vector: name of the feature that holds the vector.

    Raises:
        UserError: pandas is not installed, or the store cannot be read.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise UserError("`push` runs in Feast's environment, which has pandas 2. See docs/guide/vectors.md.") from error
    version, pushed = store.version, 0
    width = store.manifest.kinds[kind].width
    for ids, records in store.backend.scan(version, kind, _AT_ONCE):
        rows = unpack(records, width)
        frame = pd.DataFrame(
            {
                entity: ids,
                vector: list(rows["vector"]),
                "release": rows["release"].astype("int64"),
                "version": version,
                "event_timestamp": [datetime.fromtimestamp(int(time), UTC) for time in rows["time"]],
            }
        )
        features.write_to_online_store(view, df=frame)
        pushed += len(ids)
    return pushed
