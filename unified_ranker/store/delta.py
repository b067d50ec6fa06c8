"""Offline copy: a Delta Lake table with the newest version, and earlier ones by time travel."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import require_extra

VERSION_KEY = "unified_ranker.store_version"


def offline_schema() -> pa.Schema:
    """Return the columns of the copy; lists of float32, because Delta Lake has none of a fixed size."""
    return pa.schema(
        [
            ("kind", pa.string()),
            ("id", pa.string()),
            ("vector", pa.list_(pa.float32())),
            ("time", pa.timestamp("us", "UTC")),
            ("release", pa.int64()),
            ("cold", pa.bool_()),
            ("version", pa.int64()),
        ]
    )


class DeltaCopy:
    """Delta Lake table of copied versions; each copy is one atomic commit.

    Args:
        directory: of the Delta Lake table.

    Raises:
        UserError: the library is not installed.
    """

    def __init__(self, directory: Path) -> None:
        require_extra(
            "delta", f"the Delta Lake copy `{directory}`", "or leave `store.offline` out of export/embeddings.yaml"
        )
        import deltalake

        self.directory, self._delta = directory, deltalake

    def write(self, version: int, batches: Iterable[pa.RecordBatch], notes: dict[str, str]) -> None:
        """Replace the table by a version, in one commit; batches are streamed.

        Raises:
            UserError: it cannot be written; the table is unchanged.
        """
        from deltalake.exceptions import DeltaError

        reader = pa.RecordBatchReader.from_batches(offline_schema(), batches)
        properties = self._delta.CommitProperties(custom_metadata={VERSION_KEY: str(version), **notes})
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self._delta.write_deltalake(
                str(self.directory), reader, mode="overwrite", schema_mode="overwrite", partition_by=["kind"],
                commit_properties=properties,
            )  # fmt: skip
        except (DeltaError, OSError) as error:
            raise UserError(
                f"version {version} cannot be copied into `{self.directory}`: {error}. The copy is unchanged. "
                "Make room, and run the same command again."
            ) from error

    def versions(self) -> dict[int, int]:
        """Return Delta Lake's version numbers by the store's; for a version that was copied twice, the later number."""
        if not self._delta.DeltaTable.is_deltatable(str(self.directory)):
            return {}
        history: list[dict[str, Any]] = self._delta.DeltaTable(str(self.directory)).history()
        return {int(h[VERSION_KEY]): h["version"] for h in reversed(history) if VERSION_KEY in h}

    def read(self, version: int | None = None) -> pa.Table:
        """Return a version of the store as a table (see `offline_schema`); the newest copy without.

        Raises:
            UserError: it was never copied.
        """
        known = self.versions()
        chosen = max(known, default=None) if version is None else version
        if chosen is None or chosen not in known:
            raise UserError(f"`{self.directory}` has no copy of version {version}. There: {sorted(known) or 'none'}.")
        table = self._delta.DeltaTable(str(self.directory), version=known[chosen])
        return pa.table(table.to_pyarrow_table()).select(offline_schema().names)
