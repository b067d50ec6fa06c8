"""Shard storage: memory for small jobs, or Arrow files that any worker on any machine can read."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import flush, whole_directory
from unified_ranker.engines.job import Job, Outputs

NOTES = "shard.json"


class MemoryShards:
    """Keeps shards in this process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._made: dict[tuple[str, int], Outputs] = {}

    def has(self, stage: str, shard: int) -> bool:
        """Tell whether a shard is finished."""
        return (stage, shard) in self._made

    def write(self, stage: str, shard: int, outputs: Outputs, notes: Mapping[str, Any]) -> None:
        """Keep a shard's outputs."""
        self._made[stage, shard] = outputs

    def read(self, stage: str, shard: int, output: str, partition: int | None = None) -> pa.Table:
        """Return one partition of a shard's output, or all of them concatenated."""
        parts = self._made[stage, shard][output]
        return pa.concat_tables(parts) if partition is None else parts[partition]

    def gather(self, stage: str, output: str, partition: int | None = None) -> pa.Table:
        """Return an output of all shards of a stage, in the order of the shards."""
        numbers = sorted(shard for name, shard in self._made if name == stage)
        return pa.concat_tables([self.read(stage, shard, output, partition) for shard in numbers])


class DiskShards:
    """Keeps shards as `<root>/<stage>/<shard>/<output>.arrow`, one record batch for each partition.

    A shard is written as a draft beside its directory, then renamed: it is there whole or not at all, and the first
    worker to finish it wins. `shard.json` holds rows, bytes and SHA-256 of every file. On several machines `root` must
    be on a disk that all of them share.
    """

    def __init__(self, root: Path) -> None:
        """Keep shards below `root`."""
        self.root = Path(root)

    def directory(self, stage: str, shard: int) -> Path:
        """Return the directory of a shard."""
        return self.root / stage / f"{shard:05d}"

    def has(self, stage: str, shard: int) -> bool:
        """Tell whether a shard is finished."""
        return (self.directory(stage, shard) / NOTES).is_file()

    def notes(self, stage: str, shard: int) -> dict[str, Any]:
        """Return the notes that were written with a shard."""
        return json.loads((self.directory(stage, shard) / NOTES).read_text(encoding="utf-8"))

    def write(self, stage: str, shard: int, outputs: Outputs, notes: Mapping[str, Any]) -> None:
        """Keep a shard's outputs; does nothing when another worker was first."""
        try:
            with whole_directory(self.directory(stage, shard)) as draft:
                files = {}
                for output, parts in outputs.items():
                    file = draft / f"{output}.arrow"
                    rows = write_parts(file, parts)
                    files[file.name] = {"rows": rows, "bytes": file.stat().st_size, "sha256": sha256(file)}
                text = json.dumps({**notes, "files": files}, indent=2)
                (draft / NOTES).write_text(text, encoding="utf-8")
        except OSError:
            # Another worker has made the same bytes in the meantime; anything else is a fault.
            if not self.has(stage, shard):
                raise

    def read(self, stage: str, shard: int, output: str, partition: int | None = None) -> pa.Table:
        """Return one partition of a shard's output, or all of them concatenated; memory-mapped."""
        file = self.directory(stage, shard) / f"{output}.arrow"
        return read_parts(file, partition)

    def gather(self, stage: str, output: str, partition: int | None = None) -> pa.Table:
        """Return an output of all shards of a stage, in the order of the shards."""
        numbers = sorted(int(p.name) for p in (self.root / stage).iterdir() if p.name.isdigit())
        return pa.concat_tables([self.read(stage, shard, output, partition) for shard in numbers])

    def resume(self, job: Job) -> int:
        """Remove drafts of an interrupted run and damaged shards; returns the number of finished shards."""
        whole = 0
        for stage in job.stages:
            folder = self.root / stage.name
            if not folder.is_dir():
                continue
            for entry in sorted(folder.iterdir()):
                if entry.name.isdigit() and int(entry.name) < stage.shards and self._intact(entry):
                    whole += 1
                else:
                    shutil.rmtree(entry)
        return whole

    def _intact(self, directory: Path) -> bool:
        notes = directory / NOTES
        if not notes.is_file():
            return False
        files = json.loads(notes.read_text(encoding="utf-8"))["files"]
        return all((directory / n).is_file() and sha256(directory / n) == f["sha256"] for n, f in files.items())


def write_parts(file: Path, parts: list[pa.Table] | Any) -> int:
    """Write tables of one schema as the record batches of an Arrow file, flushed to disk; returns the rows."""
    schema = parts[0].schema.remove_metadata() if len(parts) > 1 else parts[0].schema
    with file.open("wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part in parts:
            batches = part.replace_schema_metadata(schema.metadata).combine_chunks().to_batches()
            batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
            writer.write_batch(batch)
    flush(file)
    return sum(len(part) for part in parts)


def read_parts(file: Path, partition: int | None = None) -> pa.Table:
    """Read what `write_parts` wrote, memory-mapped: only the parts that are read are loaded.

    Raises:
        UserError: the file is damaged.
    """
    try:
        source = pa.ipc.open_file(pa.memory_map(str(file)))
        if partition is not None:
            return pa.Table.from_batches([source.get_batch(partition)])
        return source.read_all()
    except pa.ArrowInvalid as error:
        raise UserError(f"`{file}` is damaged: {error}. Remove its directory, and run again.") from error
