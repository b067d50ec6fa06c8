"""Source of an export: rows of a project's prepared data, which are cut into shards without reading them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.core.ids import fits_in_key
from unified_ranker.prepare.prepared_folder import HistoryFile, PreparedFolder

ITEM_ROWS, USER_ROWS = 50_000, 20_000
_IDS_AT_ONCE = 10_000


@dataclass(frozen=True)
class EmbeddingSource:
    """Rows to embed, and the release that embeds them.

    Attributes:
        release: with the towers.
        prepared: the prepared data.
        config: the release's declarations.
        as_of: time as of which users are embedded, seconds; later events do not count.
        items: number of items.
        users: number of users.
        histories: files of histories.
        queries: distinct texts to embed as queries.
    """

    release: Path
    prepared: PreparedFolder
    config: Config
    as_of: int
    items: int
    users: int
    histories: tuple[HistoryFile, ...]
    queries: tuple[str, ...]

    def ids(self, kind: str) -> Iterator[list[str]]:
        """Yield the ids of all entries of a kind, in parts."""
        if kind == "query":
            yield list(self.queries)
            return
        column = (self.prepared.items() if kind == "item" else self.prepared.users())[f"{kind}_id"]
        for start in range(0, len(column), _IDS_AT_ONCE):
            yield column.slice(start, _IDS_AT_ONCE).to_pylist()


def open_source(release: Path, prepared: PreparedFolder, config: Config, as_of: int) -> EmbeddingSource:
    """Open prepared data; large tables stay on disk."""
    declared = config.export.embeddings.queries
    task = declared.task or ("search" if "search" in config.tasks else None)
    return EmbeddingSource(
        release=release,
        prepared=prepared,
        config=config,
        as_of=as_of,
        items=len(prepared.items()),
        users=len(prepared.users()),
        histories=prepared.history_files(),
        queries=_frequent(prepared, task, declared.most) if task else (),
    )


def user_task(config: Config) -> str:
    """Return the surface on which users are embedded.

    Raises:
        UserError: the declared one is no task of the release.
    """
    declared = config.export.embeddings.users.task
    if declared is not None and declared not in config.tasks:
        raise UserError(f"`users.task` must be a task of the release. Received: `{declared}`. Export a release first.")
    return declared or ("home_feed" if "home_feed" in config.tasks else next(iter(config.tasks)))


def query_task(config: Config) -> str:
    """Return the surface on which queries are embedded; for projects that have queries."""
    return config.export.embeddings.queries.task or "search"


def _frequent(prepared: PreparedFolder, task: str, most: int) -> tuple[str, ...]:
    """Return the most frequent queries of the examples of a task, by their number, then by their text."""
    counts = prepared.queries(task) if most else {}
    texts = sorted(counts, key=lambda text: (-counts[text], text))
    # Longer queries cannot be keys of a store.
    return tuple(text for text in texts if fits_in_key(text))[:most]
