"""A later window: ids keep their places, training goes on from a release, and what nobody touched stays where it is."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_project import (
    GENRES,
    START,
    cli,
    declarations,
    events_table,
    items_table,
    recommender,
    users_table,
    write_project,
    write_tables,
)

from unified_ranker.core.request import Request, to_arrays
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.vocabulary import Scale, Vocabulary
from unified_ranker.release.items import read_items
from unified_ranker.serving.backends.in_process_model import InProcessModel
from unified_ranker.training.continuing import extended_vocabulary

LATER = START + pd.Timedelta(hours=1500)
NEW_TITLES = tuple(f"The Brandnew {genre.capitalize()}" for genre in GENRES)
pytestmark = pytest.mark.xdist_group("continuing")


def new_items():
    """One new item of each genre, and one of a genre that was not there; their ids sort before all others."""
    titles = [*NEW_TITLES, "The Brandnew Musical"]
    return pd.DataFrame(
        {
            "item_id": [f"a{n}" for n in range(5)],
            "title": titles,
            # Created before everything else, as far as the catalogue says: places must not follow that.
            "created_at": [START - pd.Timedelta(days=99 - n) for n in range(5)],
            "categories": [*GENRES, "musical"],
            "minutes": 90,
        }
    )


def new_events():
    """Users of each genre, old and new, click its new item; nobody touches anything else."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(600):
        kind = int(rng.integers(5))
        user = f"u{4 * int(rng.integers(14)) + kind % 4}" if rng.random() < 0.8 else f"a{int(rng.integers(6))}"
        task = str(rng.choice(["search", "home_feed"]))
        title = [*NEW_TITLES, "The Brandnew Musical"][kind]
        rows.append(
            {
                "user_id": user,
                "item_id": f"a{kind}",
                "task": task,
                "event_type": "click",
                "timestamp": LATER + pd.Timedelta(minutes=10 * number),
                "query": title.lower().removeprefix("the ") if task == "search" else None,
                "country": "FR" if number % 2 else None,
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """The small project, released; then a later window, prepared since its release, trained from it and exported."""
    directory = tmp_path_factory.mktemp("continued") / "project"
    files = declarations()
    files["project.yaml"]["training"] = {**files["project.yaml"]["training"], "epochs": 4}
    files["towers/ranker.yaml"] = {
        **files.get("towers/ranker.yaml", {}),
        "signals": [{"type": "lexical"}, {"type": "successions"}],
    }
    del files["tasks/more_like_this.yaml"]
    files["tasks/search.yaml"] = {**files["tasks/search.yaml"], "negatives": {"type": "all_items"}}
    files["export/serving.yaml"] = {"warmup_requests": 0}
    write_project(directory, files=files)
    run(directory, ("prepare",), ("train",), ("export",))
    frames = {
        "events": pd.concat([events_table(), new_events()]),
        "items": pd.concat([new_items(), items_table()]),
        "users": pd.concat([users_table(), pd.DataFrame({"user_id": ["a0"], "country": ["FR"], "age": [30]})]),
    }
    write_tables(directory, frames)
    release = directory / "releases" / "1"
    early = cli("train", "-p", directory, "--from", release)
    assert early.exit_code == 2
    assert "prepare --since" in early.stderr
    run(directory, ("prepare", "--since", release), ("train", "--from", release), ("export",))
    return directory


def run(directory, *commands):
    """Run stages, each with what follows its name. None measures: what a model is worth is not asked here."""
    for name, *options in commands:
        result = cli(name, "-p", directory, *options)
        assert result.exit_code == 0, result.output


def test_old_ids_keep_their_places_and_new_ones_follow(continued):
    prepared = Prepared.load(continued / ".unified_ranker" / "prepare")
    old, _ = read_items(continued / "releases" / "1" / "items")
    assert prepared.item_ids[: len(old)].tolist() == old.tolist()
    assert prepared.item_ids[len(old) :].tolist() == [f"a{n}" for n in range(5)]
    users = pq.read_table(continued / "releases/1/training/users.parquet")["user_id"].to_pylist()
    assert prepared.user_ids[: len(users)].tolist() == users
    assert set(prepared.user_ids[len(users) :]) == {f"a{n}" for n in range(6)}
    before, after = (
        json.loads((continued / f"releases/{n}/training/training.json").read_text())["vocabulary"] for n in (1, 2)
    )
    count = len(before["categories"])
    assert after["categories"][:count] == before["categories"]
    assert {"categories=musical", "country=FR"} <= set(after["categories"][count:])
    assert after["item_numbers"] == before["item_numbers"], "inputs mean what they meant"


def test_untouched_items_move_little_and_new_ones_are_found(continued):
    (ids, old), (new_ids, new) = (read_items(continued / "releases" / n / "items") for n in ("1", "2"))
    width = 8
    kept = dict(zip(new_ids, new[:, :width], strict=True))
    moved = np.array([float(vector[:width] @ kept[name]) for name, vector in zip(ids, old, strict=True)])
    assert np.median(moved) > 0.95, "cosine of an untouched item's vector with its earlier self"
    assert moved.min() > 0.7
    release = continued / "releases" / "2"
    asked = [Request("", "search", query=title.lower(), limit=5) for title in [*NEW_TITLES, "The Brandnew Musical"]]
    answers = recommender(release).answer(asked)
    found = [f"a{number}" in [item.item_id for item in answer.items] for number, answer in enumerate(answers)]
    assert sum(found) >= 4
    assert cli("verify", release).exit_code == 0


def test_signals_are_counted_anew(continued):
    predict = InProcessModel.of_release(continued / "releases" / "2").predict
    for number, title in enumerate(NEW_TITLES):
        proposed = predict("encode", to_arrays([Request("", "search", query=title.lower())], 8))["proposed_ids"]
        assert f"a{number}".encode() in proposed[0].tolist(), "the title lexically, though the old release had not it"


def test_later_stages_keep_to_the_lineage_until_it_is_taken_back(continued):
    assert "up to date" in cli("prepare", "-p", continued).stdout
    assert "up to date" in cli("train", "-p", continued).stdout
    lineage = json.loads((continued / ".unified_ranker" / "lineage.json").read_text())
    assert set(lineage) == {"since", "start"}
    assert lineage["since"].endswith("releases/1")


def test_a_release_that_cannot_be_gone_on_from_is_refused(continued, tmp_path):
    missing = cli("prepare", "-p", continued, "--since", tmp_path / "nothing")
    assert missing.exit_code == 2
    assert "is no release" in missing.stderr


def test_names_join_behind_the_old_ones():
    old = Vocabulary(["search"], ["click"], ["c=b", "c=x"], {"m": Scale(1.0, 2.0)}, {}, 0.1)
    new = Vocabulary(["search", "feed"], ["buy", "click"], ["c=a", "c=b"], {"m": Scale(5.0, 6.0)}, {}, 0.5)
    whole = extended_vocabulary(old, new)
    assert whole.categories == ["c=b", "c=x", "c=a"]
    assert whole.event_types == ["click", "buy"]
    assert whole.item_numbers == {"m": Scale(1.0, 2.0)}
    assert whole.id_mask_rate == 0.1
