"""A team without TensorFlow: what reading loads, and which readers need what."""

import subprocess
import sys

import pytest
from store_toy import export, unit

from unified_ranker.core.errors import UserError
from unified_ranker.store import open_store

HEAVY = ("tensorflow", "tf_keras", "pandas", "pyarrow", "apache_beam", "pydantic", "typer", "scann", "deltalake")
READ = """
import sys
from unified_ranker.store import open_store
with open_store(sys.argv[1]) as store:
    assert store.get("item", "item-3").width == 8
    assert store.get_many("item", ["item-1", "x"]).found.tolist() == [True, False]
    assert len(store.neighbours("item", "item-3", k=4)) == 4
    assert [v.number for v in store.versions()] == [1]
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def loaded(place):
    done = subprocess.run([sys.executable, "-c", READ, str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_reading_needs_numpy_and_lmdb_alone(tmp_path):
    with open_store(tmp_path) as store:
        export(store, unit(20))
    modules = loaded(tmp_path)
    assert modules.isdisjoint({*HEAVY, "redis"})
    assert {"numpy", "lmdb"} <= modules


def test_a_library_that_is_not_there_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(
        UserError, match=r"`redis://127.0.0.1:1/0` needs .* redis\. Remedy: pip install 'redis\[hiredis\]"
    ):
        open_store("redis://127.0.0.1:1/0")
