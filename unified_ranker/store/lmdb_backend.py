"""Embedded backend: a directory with one LMDB environment for each version, for any number of reader processes.

`<place>/<version>/` holds `data.mdb` and, written last, `manifest.json`. `state.json` names the published version and
is replaced by a rename. A version is written as `.draft-<version>` and then renamed, so readers never see a part.
"""

import contextlib
import json
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lmdb

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import flush, numbered_entries, write_whole
from unified_ranker.core.ids import is_storable
from unified_ranker.core.locks import lock
from unified_ranker.store.base import WRITERS, Document, Records, WriterRole
from unified_ranker.store.lmdb_version import DATA_FILE, Opened, acquire, release
from unified_ranker.store.lmdb_walk import walk_fault
from unified_ranker.store.state import StoreState, require_format, undamaged_document
from unified_ranker.store.version_manifest import missing_entries, require_version

_STATE_FILE, _MANIFEST_FILE = "state.json", "manifest.json"
_NUMBER = struct.Struct(">Q")
_POSITION = b"position"
_AT_ONCE = 50_000


class LmdbBackend:
    """See `StoreBackend`.

    Args:
        directory: of the store; made by the first writer.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory.resolve()
        self.place = str(directory)
        self._open: dict[Path, Opened] = {}
        self._stamp: tuple[int, int] | None = None
        self._published = 0

    def state(self) -> Document | None:
        """See `StoreBackend.state`."""
        file = self.root / _STATE_FILE
        if not file.is_file():
            return None
        return _read(file)

    def switch(self, state: Document) -> None:
        """See `StoreBackend.switch`."""
        self._replace(self.root / _STATE_FILE, state)

    def lock(self, role: WriterRole) -> AbstractContextManager[None]:
        """See `StoreBackend.lock`."""
        return lock(self.root, f".{role}.lock", WRITERS[role], "--store")

    def versions(self) -> list[int]:
        """See `StoreBackend.versions`."""
        return [number for number, p in numbered_entries(self.root).items() if (p / _MANIFEST_FILE).is_file()]

    def manifest(self, version: int) -> Document | None:
        """See `StoreBackend.manifest`."""
        file = self.root / str(version) / _MANIFEST_FILE
        return _read(file) if file.is_file() else None

    def begin(self, version: int) -> None:
        """See `StoreBackend.begin`."""
        draft = self._draft(version)
        self._give_up(draft)
        shutil.rmtree(draft, ignore_errors=True)
        with self._writing(version):
            draft.mkdir(parents=True)
            self._open[draft] = acquire(draft, durable=False)

    def put(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes]) -> list[str]:
        """See `StoreBackend.put`."""
        opened, again = self._open[self._draft(version)], []
        with self._writing(version):
            for start in range(0, len(ids), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                with opened.env.begin(write=True, db=opened.kinds[kind]) as transaction:
                    for name, record in zip(ids[part], records[part], strict=True):
                        if not transaction.put(name.encode(), record, overwrite=False):
                            again.append(name)
        return again

    def seal(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.seal`."""
        draft = self._draft(version)
        with self._writing(version):
            self._open[draft].env.sync(True)
            self._give_up(draft)
            size = (draft / DATA_FILE).stat().st_size
            self._replace(draft / _MANIFEST_FILE, {**manifest, "bytes": size})
            draft.rename(self.root / str(version))
            flush(self.root)

    def note(self, version: int, manifest: Document) -> None:
        """See `StoreBackend.note`."""
        self._replace(self.root / str(version) / _MANIFEST_FILE, manifest)

    def drop(self, version: int) -> None:
        """See `StoreBackend.drop`."""
        for directory in (self._draft(version), self.root / str(version)):
            self._give_up(directory)
            if directory.exists():
                # Renamed first, so that readers see a complete version or none.
                gone = self.root / f".dropped-{version}"
                shutil.rmtree(gone, ignore_errors=True)
                directory.rename(gone)
                shutil.rmtree(gone)

    def clear(self) -> None:
        """See `StoreBackend.clear`."""
        for left in (*self.root.glob(".draft-*"), *self.root.glob(".dropped-*")):
            self._give_up(left)
            shutil.rmtree(left)

    def get(self, kind: str, ids: Sequence[str], version: int | None) -> tuple[int, list[bytes | None]]:
        """See `StoreBackend.get`."""
        chosen = version or self._current()
        opened = self._whole(chosen)
        keys = [name.encode() for name in ids]
        with self._reading(chosen), opened.env.begin(db=opened.kinds[kind]) as transaction:
            if len(keys) == 1 and is_storable(ids[0]):
                return chosen, [transaction.get(keys[0])]
            with transaction.cursor() as cursor:
                # LMDB fails for a key that it could not hold.
                found = cursor.getmulti([key for name, key in zip(ids, keys, strict=True) if is_storable(name)])
        if len(found) == len(keys):
            return chosen, [record for _, record in found]
        known = dict(found)
        return chosen, [known.get(key) for key in keys]

    def scan(self, version: int, kind: str, size: int) -> Iterator[Records]:
        """See `StoreBackend.scan`."""
        opened = self._whole(version)
        ids: list[str] = []
        records: list[bytes] = []
        begin = opened.env.begin
        with self._reading(version), begin(db=opened.kinds[kind]) as transaction, transaction.cursor() as cursor:
            for key, record in cursor:
                ids.append(key.decode())
                records.append(record)
                if len(ids) == size:
                    yield ids, records
                    ids, records = [], []
        if ids:
            yield ids, records

    def count(self, version: int, kind: str) -> int:
        """See `StoreBackend.count`."""
        opened = self._whole(version)
        with self._reading(version), opened.env.begin(db=opened.kinds[kind]) as transaction:
            return int(transaction.stat(opened.kinds[kind])["entries"])

    def update(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes], position: str) -> None:
        """See `StoreBackend.update`."""
        opened = self._whole(version)
        with self._writing(version), opened.env.begin(write=True) as transaction:
            with transaction.cursor(opened.changes) as cursor:
                number = _NUMBER.unpack(cursor.key())[0] + 1 if cursor.last() else 1
            for offset, (name, record) in enumerate(zip(ids, records, strict=True)):
                transaction.put(name.encode(), record, db=opened.kinds[kind])
                noted = f"{kind}\0{name}".encode()
                transaction.put(_NUMBER.pack(number + offset), noted, db=opened.changes, append=True)
            transaction.put(_POSITION, position.encode(), db=opened.meta)

    def changes(self, version: int, kind: str, since: int) -> tuple[int, list[str]]:
        """See `StoreBackend.changes`."""
        opened, last, found = self._whole(version), since, []
        begin = opened.env.begin
        with self._reading(version), begin(db=opened.changes) as transaction, transaction.cursor() as cursor:
            if cursor.set_range(_NUMBER.pack(since + 1)):
                for key, noted in cursor:
                    last = _NUMBER.unpack(key)[0]
                    of_kind, name = noted.decode().split("\0", 1)
                    if of_kind == kind:
                        found.append(name)
        return last, found

    def position(self, version: int) -> str:
        """See `StoreBackend.position`."""
        opened = self._whole(version)
        with self._reading(version), opened.env.begin(db=opened.meta) as transaction:
            return (transaction.get(_POSITION) or b"").decode()

    def check(self, version: int) -> list[str]:
        """See `StoreBackend.check`."""
        directory = self.root / str(version)
        try:
            self._require_whole(directory)
            if fault := walk_fault(directory):
                return [str(self._damaged(version, fault))]
            missing = missing_entries(self, require_version(self, version))
        except UserError as error:
            return [str(error)]
        return [
            f"version {version} must have {written:,} entries of kind `{kind}`. Received: {stored:,}."
            for kind, stored, written in missing
        ]

    def close(self) -> None:
        """See `StoreBackend.close`."""
        for directory in list(self._open):
            self._give_up(directory)

    def _draft(self, version: int) -> Path:
        return self.root / f".draft-{version}"

    def _give_up(self, directory: Path) -> None:
        if (opened := self._open.pop(directory, None)) is not None:
            release(opened)

    def _current(self) -> int:
        """Return the published version; the file is read again only when its stamp has changed."""
        try:
            status = (self.root / _STATE_FILE).stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            stamp = (0, 0)
        if stamp != self._stamp:
            self._published = StoreState.of(self.state(), self.place).published
            self._stamp = stamp
        if not self._published:
            there = self.versions()
            hint = f"Versions {there} are there: publish one" if there else "Export embeddings into it"
            raise UserError(f"`{self.place}` has no published version. {hint}, or name another store.")
        return self._published

    def _whole(self, version: int) -> Opened:
        """Return a version's environment, after a check of its size: a truncated file would crash the process."""
        directory = self.root / str(version)
        opened = self._open.get(directory)
        # Also of an open version: another process may have dropped it.
        if opened is None or not (directory / _MANIFEST_FILE).exists():
            self._require_whole(directory)
            with self._reading(version):
                opened = self._open[directory] = acquire(directory)
        return opened

    def _require_whole(self, directory: Path) -> None:
        if not (directory / _MANIFEST_FILE).exists():
            self._give_up(directory)
            there = ", ".join(map(str, self.versions())) or "none"
            cut = f"Its directory has no `{_MANIFEST_FILE}`: the copy is incomplete. Copy it again, or use" if (
                directory.is_dir()
            ) else "Use"  # fmt: skip
            raise UserError(
                f"`{self.place}` has no version {directory.name}. {cut} one of the complete versions: {there}."
            )
        manifest = _read(directory / _MANIFEST_FILE)
        require_format(manifest, f"`{directory}`")
        size = (directory / DATA_FILE).stat().st_size if (directory / DATA_FILE).is_file() else 0
        with undamaged_document(f"`{directory / _MANIFEST_FILE}`"):
            written = int(manifest["bytes"])
        if size < written:
            raise UserError(
                f"`{directory / DATA_FILE}` must have {written:,} bytes. Received: {size:,}: the copy is "
                "incomplete. Copy it again, or publish another version with `unified-ranker store rollback`."
            )

    def _damaged(self, version: int, fault: object) -> UserError:
        return UserError(
            f"`{self.root / str(version) / DATA_FILE}` is damaged: {fault}. Copy it again, export again, or publish "
            "another version with `unified-ranker store rollback`."
        )

    @contextlib.contextmanager
    def _reading(self, version: int) -> Iterator[None]:
        """Turn the errors of damaged pages and keys into one that says so."""
        try:
            yield
        except (lmdb.Error, UnicodeDecodeError, struct.error) as error:
            raise self._damaged(version, error) from error

    @contextlib.contextmanager
    def _writing(self, version: int) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise UserError(
                f"version {version} cannot be written into `{self.place}`: {error}. The published "
                "version is unchanged. Make room (or repair the disk), and run the same command again."
            ) from error

    def _replace(self, file: Path, document: Document) -> None:
        try:
            write_whole(file, json.dumps(document), durable=True)
        except OSError as error:
            raise UserError(
                f"`{file}` cannot be written: {error}. The published version is unchanged. Make room, and run again."
            ) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"`{file}` must be JSON. Received: {error}: the copy is incomplete or damaged. Copy it again, or roll back."
        ) from error
    return document
