"""Rules that derive two surfaces that MovieLens lacks, from the likes of its users.

MovieLens records ratings only. `more_like_this` and `search` events are made from them by rule, are marked
`derived`, and are not what a user typed or clicked. The rules are pure: the query for a like depends on the
seed, the user and the item, and on no other row.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

# A like counts as "more like the previous one" if it follows within this time.
MAX_GAP = pd.Timedelta(seconds=3600)
QUERY_SHARE = 0.5
TITLE_QUERY_SHARE = 0.7
MISSING_WORD_SHARE = 0.5
MIN_WORDS_TO_DROP = 3
ARTICLES = frozenset({"the", "a", "an"})
UNKNOWN_TITLE = "unknown"
DRAWS = 4


def more_like_this(likes: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return one event per like that follows another like of the same user within an hour.

    Args:
        likes: `[likes]` with `user_id`, `item_id`, `timestamp`.
        seed: of the random order of a user's likes within one second, where 43 % of the pairs lie. In order of ids,
            the target would always have the higher id, which a model could learn.

    Returns:
        `[events]`: the columns of `likes` and `source_item_id`, the item liked just before.
    """
    order = draws(f"{seed}/order", likes["user_id"].tolist(), likes["item_id"].tolist())[:, 0]
    ordered = likes.assign(order=order).sort_values(["user_id", "timestamp", "order"], kind="stable", ignore_index=True)
    ordered = ordered.drop(columns="order")
    before = ordered.groupby("user_id", sort=False)[["item_id", "timestamp"]].shift()
    near = (ordered["timestamp"] - before["timestamp"]) <= MAX_GAP
    events = ordered.assign(source_item_id=before["item_id"].astype("str"))
    return events[near & (events["source_item_id"] != events["item_id"])].reset_index(drop=True)


def searches(likes: pd.DataFrame, items: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a query for about half of the likes: words of the item's title, or its genre and decade.

    Args:
        likes: `[likes]` with `user_id`, `item_id`, `timestamp`.
        items: `[items]` with `item_id`, `title`, `categories`, `year`.
        seed: seed of the rule.

    Returns:
        `[events]`: the columns of `likes` and `query`.
    """
    chances = draws(seed, likes["user_id"].tolist(), likes["item_id"].tolist())
    facts = {
        item: (title_words(title), tuple(genres), None if pd.isna(year) else int(year))
        for item, title, genres, year in zip(
            items["item_id"], items["title"], items["categories"], items["year"], strict=True
        )
    }
    # An item that the data set does not describe has no words, hence no query; the checks report it.
    undescribed: tuple[list[str], tuple[str, ...], int | None] = ([], (), None)
    queries = [
        derive_query(*facts.get(item, undescribed), chance)
        for item, chance in zip(likes["item_id"].tolist(), chances.tolist(), strict=True)
    ]
    events = likes.assign(query=pd.array(queries, dtype="str"))
    return events[events["query"].notna()].reset_index(drop=True)


def draws(seed: int | str, users: Sequence[str], items: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return uniform numbers in [0, 1), `[pairs, 4]`, each row a function of (seed, user, item) alone."""
    digests = b"".join(
        hashlib.blake2b(f"{seed}\x1f{user}\x1f{item}".encode(), digest_size=8 * DRAWS).digest()
        for user, item in zip(users, items, strict=True)
    )
    # A float64 in [0, 1) holds 53 bits.
    bits = np.frombuffer(digests, dtype="<u8").reshape(-1, DRAWS) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def derive_query(
    words: Sequence[str],
    genres: Sequence[str],
    year: int | None,
    chance: Sequence[float],
) -> str | None:
    """Return the query that stands for liking an item, or None.

    Args:
        words: the words of the item's title, from `title_words`.
        genres: its genres.
        year: its year.
        chance: four uniform numbers in [0, 1): whether there is a query; title or genre; whether a word is
            missing; which word, or which genre.

    Returns:
        With a chance of 0.5 None; else with 0.7 the title's words, one of them missing with 0.5 when there
        are three or more; else "<genre> <decade>s", or the title's words where genre or year is unknown. None
        when the title has no words.
    """
    if chance[0] >= QUERY_SHARE or not words:
        return None
    if chance[1] >= TITLE_QUERY_SHARE and genres and year is not None:
        return f"{genres[int(chance[3] * len(genres))].lower()} {year // 10 * 10}s"
    if len(words) >= MIN_WORDS_TO_DROP and chance[2] < MISSING_WORD_SHARE:
        missing = int(chance[3] * len(words))
        words = [*words[:missing], *words[missing + 1 :]]
    return " ".join(words)


def title_words(title: str | None) -> list[str]:
    """Return a title's words in lower case, without its article and the text in brackets.

    Brackets hold a title in another language ("Seven (Se7en)"), which users do not type together with the first one.
    """
    if not title or title.lower() == UNKNOWN_TITLE:
        return []
    words = [_stripped(word) for word in title.split("(")[0].lower().split()]
    words = [word for word in words if word]
    return words[1:] if len(words) > 1 and words[0] in ARTICLES else words


def _stripped(word: str) -> str:
    """Return a word without the punctuation around it."""
    letters = [i for i, character in enumerate(word) if character.isalnum()]
    return word[letters[0] : letters[-1] + 1] if letters else ""
