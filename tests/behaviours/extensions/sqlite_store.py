"""Store of vectors in one SQLite file: `sqlite:///directory`."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.locks import lock
from unified_ranker.store.base import STORE_BACKENDS, WRITERS, Document, Records, WriterRole
from unified_ranker.store.state import StoreState, require_format

SCHEMA = """
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT);
CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY, manifest TEXT, position TEXT DEFAULT '');
CREATE TABLE IF NOT EXISTS entries (version INTEGER, kind TEXT, id TEXT, record BLOB, PRIMARY KEY (version, kind, id))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, kind TEXT, id TEXT);
"""


@STORE_BACKENDS.register("sqlite")
class SqliteBackend:
    """See `StoreBackend`. A version is sealed once it has a row in `versions`; each call is one transaction."""

    def __init__(self, place: str) -> None:
        """Open nothing yet: the file is made by the first writer."""
        self.place = place
        self.root = Path(place.partition("://")[2])
        self.file = self.root / "vectors.sqlite"

    def state(self) -> Document | None:
        """See `StoreBackend.state`."""
        found = self._one("SELECT document FROM state")
        return None if found is None else json.loads(found)

    def switch(self, state: Document) -> None:
        """See `StoreBackend.switch`."""
        with self._writing() as run:
            run.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (json.dumps(state),))

    def lock(self, role: WriterRole) -> AbstractContextManager[None]:
        """See `StoreBackend.lock`."""
        return lock(self.root, f".{role}.lock", WRITERS[role], "--store")

    def versions(self) -> list[int]:
        """See `StoreBackend.versions`."""
        with self._reading() as run:
            return [number for (number,) in run.execute("SELECT version FROM versions ORDER BY version")]

    def manifest(self, version: int) -> Document | None:
        """See `StoreBackend.manifest`."""
        found = self._one("SELECT manifest FROM versions WHERE version = ?", version)
        return None if found is None else json.loads(found)

    def begin(self, version: int) -> None:
        """See `StoreBackend.begin`."""
        self.drop(version)

    def put(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes]) -> list[str]:
        """See `StoreBackend.put`."""
        again = []
        with self._writing() as run:
            for name, record in zip(ids, records, strict=True):
                done = run.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", (version, kind, name, record))
                if not done.rowcount:
                    again.append(name)
        return again

    def seal(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.seal`."""
        with self._writing() as run:
            run.execute("INSERT INTO versions (version, manifest) VALUES (?, ?)", (version, json.dumps(manifest)))

    def note(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.note`."""
        with self._writing() as run:
            run.execute("UPDATE versions SET manifest = ? WHERE version = ?", (json.dumps(manifest), version))

    def drop(self, version: int) -> None:
        """See `StoreBackend.drop`."""
        with self._writing() as run:
            run.execute("DELETE FROM versions WHERE version = ?", (version,))
            run.execute("DELETE FROM entries WHERE version = ?", (version,))
            run.execute("DELETE FROM changes WHERE version = ?", (version,))

    def clear(self) -> None:
        """See `StoreBackend.clear`."""
        with self._writing() as run:
            run.execute("DELETE FROM entries WHERE version NOT IN (SELECT version FROM versions)")

    def get(self, kind: str, ids: Sequence[str], version: int | None) -> tuple[int, list[bytes | None]]:
        """See `StoreBackend.get`."""
        with self._reading() as run:
            chosen = version or self._published(run)
            self._require(run, chosen)
            select = "SELECT record FROM entries WHERE version = ? AND kind = ? AND id = ?"
            found = [run.execute(select, (chosen, kind, name)).fetchone() for name in ids]
        return chosen, [None if row is None else row[0] for row in found]

    def scan(self, version: int, kind: str, size: int) -> Iterator[Records]:
        """See `StoreBackend.scan`."""
        with self._reading() as run:
            self._require(run, version)
            rows = run.execute("SELECT id, record FROM entries WHERE version = ? AND kind = ?", (version, kind))
            while part := rows.fetchmany(size):
                yield [name for name, _ in part], [record for _, record in part]

    def count(self, version: int, kind: str) -> int:
        """See `StoreBackend.count`."""
        with self._reading() as run:
            self._require(run, version)
            select = "SELECT COUNT(*) FROM entries WHERE version = ? AND kind = ?"
            return int(run.execute(select, (version, kind)).fetchone()[0])

    def update(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes], position: str) -> None:
        """See `StoreBackend.update`."""
        with self._writing() as run:
            self._require(run, version)
            rows = [(version, kind, name, record) for name, record in zip(ids, records, strict=True)]
            run.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
            run.executemany("INSERT INTO changes (version, kind, id) VALUES (?, ?, ?)", [row[:3] for row in rows])
            run.execute("UPDATE versions SET position = ? WHERE version = ?", (position, version))

    def changes(self, version: int, kind: str, since: int) -> tuple[int, list[str]]:
        """See `StoreBackend.changes`."""
        with self._reading() as run:
            self._require(run, version)
            select = "SELECT number, kind, id FROM changes WHERE version = ? AND number > ? ORDER BY number"
            found = run.execute(select, (version, since)).fetchall()
        return max((number for number, _, _ in found), default=since), [name for _, k, name in found if k == kind]

    def position(self, version: int) -> str:
        """See `StoreBackend.position`."""
        return str(self._one("SELECT position FROM versions WHERE version = ?", version) or "")

    def check(self, version: int) -> list[str]:
        """See `StoreBackend.check`."""
        kinds = (self.manifest(version) or {}).get("kinds", {})
        counts = {kind: self.count(version, kind) for kind in kinds}
        return [
            f"version {version} must have {declared['count']:,} entries of kind `{kind}`. Received: {counts[kind]:,}."
            for kind, declared in kinds.items()
            if counts[kind] < declared["count"]
        ]

    def close(self) -> None:
        """See `StoreBackend.close`: connections end with each call."""

    def _one(self, select: str, *values: object) -> str | None:
        """Return the one value that a query finds; None for none."""
        with self._reading() as run:
            found = run.execute(select, values).fetchone()
        return None if found is None else found[0]

    def _published(self, run: sqlite3.Connection) -> int:
        found = run.execute("SELECT document FROM state").fetchone()
        published = StoreState.of(found and json.loads(found[0]), self.place).published
        if not published:
            raise UserError(f"`{self.place}` has no published version. Export embeddings into it.")
        return published

    def _require(self, run: sqlite3.Connection, version: int) -> None:
        found = dict(run.execute("SELECT version, manifest FROM versions"))
        if version not in found:
            raise UserError(f"`{self.place}` has no version {version}. Use one of those: {[*found]}.")
        require_format(json.loads(found[version]), f"`{self.place}`, version {version}")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Connect for one call, which sees one moment of the store; an empty one where there is no file."""
        run = sqlite3.connect(self.file if self.file.exists() else ":memory:", timeout=30, isolation_level=None)
        with contextlib.closing(run):
            if not self.file.exists():
                run.executescript(SCHEMA)
            run.execute("BEGIN")
            yield run

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Connect for one transaction, which is written whole or not at all."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as run:
                run.execute("PRAGMA journal_mode = WAL")
                run.executescript(SCHEMA)
                run.execute("BEGIN IMMEDIATE")
                yield run
                run.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"`{self.place}` cannot be written: {error}. Make room, and run again.") from error
