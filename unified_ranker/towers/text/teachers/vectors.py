"""Cache on disk of a teacher's vectors, so that each text is embedded once on a machine."""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from unified_ranker.core.progress import Progress
from unified_ranker.log.wheel_files import default_cache_dir
from unified_ranker.towers.tensorflow import tf

_BATCH = 64
SAVE_EVERY = 2048
"""Texts after which vectors are saved: an interrupted run loses at most this number."""
EmbedSentences = Callable[[tf.Tensor], tf.Tensor]


class Sentences(Protocol):
    """Sentence encoder: a name that is unique to its weights, the width of its vectors, and the graph."""

    @property
    def name_on_disk(self) -> str:
        """Name of the file that keeps the vectors."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""

    def embed_strings(self, texts: tf.Tensor) -> tf.Tensor:
        """Embed strings `[n]` as `[n, dim]`."""


def teacher_vectors(teacher: Sentences, texts: Sequence[str] | np.ndarray, cache_dir: Path | None = None) -> np.ndarray:
    """Return unit vectors `[n, dim]` of `texts` `[n]`, float32.

    Args:
        teacher: see `Sentences`.
        texts: may repeat; each text is embedded once.
        cache_dir: directory of the cache, with a file for each teacher; None: the user's cache directory.
    """
    unique, inverse = np.unique(np.asarray(texts, object).astype(str), return_inverse=True)
    if not len(unique):
        return np.zeros((0, teacher.dim), np.float32)
    keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in unique]
    out = np.zeros((len(unique), teacher.dim), np.float32)
    folder = (cache_dir or default_cache_dir()) / "text-vectors"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / f"{teacher.name_on_disk}.sqlite", timeout=600)) as store:
        store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB)")
        missing = _load(store, keys, out)
        if not missing:
            return out[inverse.reshape(-1)]
        with Progress(f"text vectors ({teacher.name_on_disk})", len(missing), "texts") as progress:
            for start in range(0, len(missing), SAVE_EVERY):
                rows = missing[start : start + SAVE_EVERY]
                out[rows] = embed_all(teacher.embed_strings, unique[rows], progress.advance)
                with store:
                    store.executemany(
                        "INSERT OR REPLACE INTO vectors VALUES (?, ?)", [(keys[r], out[r].tobytes()) for r in rows]
                    )
    return out[inverse.reshape(-1)]


def embed_all(
    embed: EmbedSentences, texts: np.ndarray, report: Callable[[int], object] = lambda done: None
) -> np.ndarray:
    """Embed `texts` `[n]` in batches of similar length; `report` is called with the size of each finished batch."""
    order = np.argsort([len(text) for text in texts], kind="stable")
    call = tf.function(embed, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    parts = []
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        parts.append(call(tf.constant(texts[rows].astype(object), tf.string)).numpy())
        report(len(rows))
    out = np.concatenate(parts)
    return out[np.argsort(order)]


def _load(store: sqlite3.Connection, keys: list[bytes], out: np.ndarray) -> list[int]:
    """Fill the rows of `out` whose vectors are in the cache, and return the other rows."""
    missing = []
    for row, key in enumerate(keys):
        found = store.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        if found is None:
            missing.append(row)
        else:
            out[row] = np.frombuffer(found[0], np.float32)
    return missing
