"""The store from a shell."""

import json
import subprocess
import sys

import numpy as np
import pytest
from small_project import cli
from store_toy import WIDTH, export, seal, unit, write_release

from unified_ranker.store import Limits, open_store

LINKS = ("pointer", "version", "data", "vectors", "entry", "release", "configuration", "data window", "commit")


@pytest.fixture
def place(tmp_path):
    with open_store(tmp_path / "store") as store:
        export(store, unit(20), unit(5, seed=3))
    return tmp_path / "store"


def test_get_prints_vectors_and_fails_for_one_that_is_not_there(place):
    shown = cli("store", "get", place, "item", "item-3")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"item item-3 (version 1, release 7, of 1970-01-01T00:16:40Z, width {WIDTH}): ")
    lacking = cli("store", "get", place, "item", "item-3", "nobody", "--json")
    assert lacking.exit_code == 1
    first, second = json.loads(lacking.stdout)
    np.testing.assert_allclose(first["vector"], unit(20)[3], rtol=1e-6)
    assert second == {"id": "nobody", "found": False}


def test_neighbours_of_a_user_among_items(place):
    neighbours = json.loads(
        cli("store", "neighbours", place, "item", "user-2", "--of-kind", "user", "-k", 3, "--json").stdout
    )
    scores = unit(20) @ unit(5, seed=3)[2]
    assert [one["id"] for one in neighbours] == [f"item-{n}" for n in np.argsort(-scores)[:3]]
    assert len(cli("store", "neighbours", place, "item", "item-1", "-k", 4).stdout.splitlines()) == 4


def test_versions_diff_publish_and_rollback(place):
    with open_store(place) as store, store.writing():
        seal(store, unit(20, seed=5), unit(5, seed=3), limits=Limits(neighbours=0.0))
    assert "never published" in cli("store", "versions", place).stdout
    refused = cli("store", "publish", place, 2)
    assert refused.exit_code == 2
    assert "FAIL neighbours (item): at most 0.0%" in refused.stderr, "under the limits that it was written under"
    assert json.loads(cli("store", "publish", place, 2, "--force", "neighbours", "--json").stdout)["published"] == 2
    assert "forced checks: neighbours" in cli("store", "versions", place).stdout
    differing = cli("store", "diff", place, 1, 2)
    assert differing.exit_code == 1
    assert "item: 20 in both, 0 missing, 0 extra, 20 differing" in differing.stdout
    assert "user: 5 in both, 0 missing, 0 extra, 0 differing" in differing.stdout
    assert cli("store", "rollback", place).stdout == "version 1 is published instead of 2\n"
    assert [v["published"] for v in json.loads(cli("store", "versions", place, "--json").stdout)] == [True, False]


def test_verify_walks_the_chain_and_names_the_broken_link(place, tmp_path):
    broken = cli("store", "verify", place)
    assert broken.exit_code == 2
    assert "broken link `release`" in broken.stderr
    releases = write_release(tmp_path / "releases")
    shown = cli("store", "verify", place, "--entry", "user:user-3", "--releases", releases)
    assert shown.exit_code == 0
    assert [line.split(":")[0] for line in shown.stdout.splitlines()] == [f"PASS {link}" for link in LINKS]
    assert cli("store", "verify", place, "--entry", "user-3").exit_code == 2


def test_mistakes_are_one_line_with_exit_code_2(tmp_path, place):
    for arguments, said in (
        (("get", tmp_path / "none", "item", "x"), "has no published version"),
        (("get", place, "items", "x"), "Did you mean `item`"),
        (("get", place, "item", "x", "--version", 9), "has no version 9"),
        (("publish", place, 9), "has no version 9"),
        (("rollback", place), "keeps no version from before"),
    ):
        shown = cli("store", *arguments)
        assert shown.exit_code == 2
        assert said in shown.stderr
        assert len(shown.stderr.splitlines()) == 1


def test_the_shell_needs_no_tensorflow(place):
    code = (
        "import sys\nfrom unified_ranker.cli import app\n"
        "app(['store', 'neighbours', sys.argv[1], 'item', 'item-1'], standalone_mode=False)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint({"tensorflow", "pandas", "pyarrow", "apache_beam", "scann"})
