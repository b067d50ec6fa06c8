"""MovieLens 100K as an interaction log: ratings as the home feed, and two surfaces derived from the likes.

Both forms of the data set are read, GroupLens' own archive and the atomic files in the wheel of `recbole`,
and give the same log.
"""

import csv
import io
import logging
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from unified_ranker.core.errors import UserError
from unified_ranker.log.movielens_files import fetch_movielens
from unified_ranker.log.movielens_tasks import UNKNOWN_TITLE, more_like_this, searches
from unified_ranker.log.schema import InteractionLog, normalise

logger = logging.getLogger(__name__)

TERMS = """\
MovieLens 100K was collected by the GroupLens Research Project at the University of Minnesota.
It may be used for research under these conditions:
- no endorsement by the University of Minnesota or GroupLens may be stated or implied;
- publications must acknowledge the data set;
- it may not be redistributed without separate permission;
- it may not be used for commercial or revenue-bearing purposes without permission from GroupLens.
No correctness or suitability is guaranteed. Please cite:
F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context.
ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19. https://doi.org/10.1145/2827872"""

MIN_LIKED = 4
# In the order of the flags in `u.item`; the first one means that no genre is known.
GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
# As the titles of the data set have them at the end: "Godfather, The", "Enfer, L'", "Convento, O".
ARTICLE_LAST = re.compile(r"^(.+), (The|An?|La|Les?|L'|Il|El|Los|Las|Der|Die|Das|Det|O)$", re.IGNORECASE)
YEAR_LAST = re.compile(r"\s*\((\d{4})\)$")
VIDEO_LAST = re.compile(r"\s*\(V\)$")
US_ZIP, CA_ZIP = r"\d{5}", r"[A-Za-z]\d[A-Za-z].*"

Frames = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def load_movielens(source: Path | None = None, seed: int = 0, cache_dir: Path | None = None) -> InteractionLog:
    """Load MovieLens 100K and derive its three surfaces.

    `home_feed` holds every rating (`event_type` `rating`, `value` 1 to 5). `more_like_this` holds each like
    (a rating from 4 up) within an hour of the user's previous like, whose item is `source_item_id`. `search` holds
    derived queries. The last two have the `event_type` `like`, no `value`, and are marked `derived`. The user's
    country is in the events, too.

    Args:
        source: GroupLens' `ml-100k.zip`, or the directory it unpacks to; None for the cache or PyPI.
        seed: seed of the rule that derives queries.
        cache_dir: where the download is kept; None for the user's cache directory.

    Returns:
        The log. Items have `title` as shown to people, `categories` (genres) and `year`; users have `age`,
        `gender`, `occupation` and `country`.

    Raises:
        UserError: the source is missing or not MovieLens 100K, or the download failed.
    """
    logger.info("%s", TERMS)
    if source is None:
        ratings, items, users = _read_atomic(fetch_movielens(cache_dir))
    else:
        ratings, items, users = _read_grouplens(Path(source))
    items = pd.DataFrame(
        [
            (item, *clean_title(title, year), [g for g in genres if g in GENRES[1:]])
            for item, title, year, genres in items.itertuples(index=False)
        ],
        columns=["item_id", "title", "year", "categories"],
    ).astype({"year": "Int64"})
    users = users.assign(age=_numbers(users["age"], "age"), country=country_of_zip(users["zip_code"]))
    return normalise(_events(ratings, items, users, seed), items, users.drop(columns="zip_code"))


def clean_title(title: str, year: str = "") -> tuple[str, int | None]:
    """Return a title as shown to people, and its year.

    Args:
        title: a title as either form of the data set has it: "Godfather, The (1972)" or "Godfather, The".
        year: the year when it is not in the title; whatever is not four digits is unknown.

    Returns:
        For example ("The Godfather", 1972). A title in brackets is treated alike: "Horseman on the Roof, The
        (Hussard sur le toit, Le)" becomes "The Horseman on the Roof (Le Hussard sur le toit)".
    """
    # `unkonwn` is the wheel's spelling of the one item that has no title.
    if title.lower() in {"", "unknown", "unkonwn"}:
        return UNKNOWN_TITLE, None
    title = VIDEO_LAST.sub("", title.strip())
    dated = YEAR_LAST.search(title)
    if dated:
        title, year = title[: dated.start()], dated[1]
    main, bracket, other = title.partition(" (")
    if bracket and other.endswith(")"):
        title = f"{_article_first(main)} ({_article_first(other[:-1])})"
    else:
        title = _article_first(title)
    return title, int(year) if re.fullmatch(r"\d{4}", year) else None


def country_of_zip(zip_codes: pd.Series) -> pd.Series:
    """Return the country `[users]` by the form of a zip code: US for five digits, CA for letter digit letter."""
    countries = pd.Series(pd.NA, index=zip_codes.index, dtype="str")
    countries[zip_codes.str.fullmatch(US_ZIP)] = "US"
    countries[zip_codes.str.fullmatch(CA_ZIP)] = "CA"
    return countries


def _article_first(title: str) -> str:
    found = ARTICLE_LAST.match(title)
    if not found:
        return title
    return f"{found[2]}{'' if found[2].endswith(chr(39)) else ' '}{found[1]}"


def _events(ratings: pd.DataFrame, items: pd.DataFrame, users: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the events of the three tasks."""
    values = _numbers(ratings["rating"], "rating").astype("float32")
    seconds = _numbers(ratings["timestamp"], "timestamp")
    columns = {
        "user_id": ratings["user_id"],
        "item_id": ratings["item_id"],
        "timestamp": pd.to_datetime(seconds, unit="s", utc=True),
        "country": ratings["user_id"].map(users.drop_duplicates("user_id").set_index("user_id")["country"]),
    }
    home = pd.DataFrame(columns)
    likes = home[values >= MIN_LIKED]
    events = [
        home.assign(task="home_feed", event_type="rating", value=values, derived=False),
        more_like_this(likes, seed).assign(task="more_like_this", event_type="like", derived=True),
        searches(likes, items, seed).assign(task="search", event_type="like", derived=True),
    ]
    return pd.concat(events, ignore_index=True)


def _numbers(column: pd.Series, name: str) -> pd.Series:
    try:
        return pd.to_numeric(column).astype("int64")
    except (ValueError, TypeError) as error:
        raise UserError(f"MovieLens: `{name}` must hold whole numbers. Received: {error}.") from error


def _read_atomic(folder: Path) -> Frames:
    """Read the three files of the wheel; items as (id, title, year, genres)."""
    ratings, items, users = (
        _parse((folder / f"ml-100k.{kind}").read_text(encoding="utf-8"), "\t", None)
        for kind in ("inter", "item", "user")
    )
    genres = items["class"].str.split(" ")
    return ratings, items[["item_id", "movie_title", "release_year"]].assign(genres=genres), users


def _read_grouplens(source: Path) -> Frames:
    """Read `u.data`, `u.item` and `u.user`; items as (id, title, year, genres); the title has the year."""
    read = _reader(source)
    ratings = _parse(read("u.data"), "\t", ["user_id", "item_id", "rating", "timestamp"])
    users = _parse(read("u.user"), "|", ["user_id", "age", "gender", "occupation", "zip_code"])
    raw = _parse(read("u.item"), "|", ["item_id", "title", "released", "video", "url", *GENRES])
    flags = raw[GENRES].to_numpy() == "1"
    genres = [[g for g, flag in zip(GENRES, row, strict=True) if flag] for row in flags]
    items = raw[["item_id", "title"]].assign(year="", genres=pd.Series(genres, dtype=object))
    return ratings, items, users


def _reader(source: Path) -> Callable[[str], str]:
    """Return a function that gives the text of one of GroupLens' files in an archive or a directory."""
    files: dict[str, bytes] = {}
    if source.is_dir():
        folder = source if (source / "u.data").exists() else source / "ml-100k"
        files = {path.name: path.read_bytes() for path in folder.glob("u.*") if path.is_file()}
    elif source.is_file():
        try:
            with zipfile.ZipFile(source) as archive:
                members = [name for name in archive.namelist() if Path(name).name.startswith("u.")]
                files = {Path(name).name: archive.read(name) for name in members}
        except zipfile.BadZipFile as error:
            what = f"`{source}` must be GroupLens' `ml-100k.zip` or its directory"
            raise UserError(f"{what}. Received: {error}.") from error
    else:
        raise UserError(f"`{source}` does not exist. Give GroupLens' `ml-100k.zip`, or the directory it unpacks to.")

    def read(name: str) -> str:
        if name not in files:
            listed = ", ".join(f"`{n}`" for n in sorted(files)) or "none of its files"
            raise UserError(f"`{source}` must hold MovieLens 100K with `{name}`. Received: {listed}.")
        # The files of 1998 are Latin-1.
        return files[name].decode("latin-1")

    return read


def _parse(text: str, separator: str, names: list[str] | None) -> pd.DataFrame:
    """Return a table of text; `names` None takes them from the first line ("rating:float" is `rating`)."""
    lines = csv.reader(io.StringIO(text), delimiter=separator, quoting=csv.QUOTE_NONE)
    rows = [row for row in lines if row]
    if names is None:
        names, rows = [column.split(":")[0] for column in rows[0]], rows[1:]
    wrong = [row for row in rows if len(row) != len(names)]
    if wrong:
        shown = separator.join(wrong[0])[:80]
        raise UserError(f"MovieLens: a line must have {len(names)} fields. Received: {len(wrong[0])} in `{shown}`.")
    return pd.DataFrame(rows, columns=names, dtype="str")
