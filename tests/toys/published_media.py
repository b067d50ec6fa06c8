"""Small logs in the layouts of published media: news, books, music and films; see published_shops."""

import numpy as np
import pandas as pd
from drawn_log import ITEMS, USERS, csv, drawn, json_lines, log, stamped, titles


def mind(folder):
    rng = np.random.default_rng(5)
    e = drawn(first="2019-11-09", days=7).sample(300, random_state=1).sort_values("time")
    expected = []
    for part, rows in (("MINDsmall_train", e.iloc[:200]), ("MINDsmall_dev", e.iloc[200:])):
        lines = []
        for number, (user, item, time) in enumerate(zip(rows.user, rows.item, rows.time, strict=True), 1):
            others = [int(i) for i in rng.choice(ITEMS, 4, replace=False) if i != item]
            shown = [(item, 1), *((other, 0) for other in others)]
            when = stamped(time)
            text = when.strftime("%m/%d/%Y ") + when.strftime("%I:%M:%S %p").lstrip("0")
            listed = " ".join(f"N{55_189 + i}-{label}" for i, label in shown)
            history = "" if number % 9 == 0 else "N55189 N55190"
            lines.append(f"{number}\tU{80_000 + user}\t{text}\t{history}\t{listed}\n")
            expected += [
                (f"U{80_000 + user}", f"N{55_189 + i}", when, "click" if label else "impression") for i, label in shown
            ]
        (folder / part).mkdir(parents=True)
        (folder / part / "behaviors.tsv").write_text("".join(lines))
        news = [
            f'N{55_189 + i}\t{["lifestyle", "news"][i % 2]}\t{["royals", "us", "crime"][i % 3]}\t{title} says "no\t'
            f'An abstract of news {i}\thttps://assets.msn.com/labs/mind/{i}.html\t[{{"Label": "x"}}]\t[]\n'
            for i, title in enumerate(titles())
        ]
        (folder / part / "news.tsv").write_text("".join(news))
        (folder / part / "entity_embedding.vec").write_text("Q41\t" + "\t".join(["-0.063388"] * 100) + "\n")
        (folder / part / "relation_embedding.vec").write_text("P31\t" + "\t".join(["-0.073467"] * 100) + "\n")
    users, items, times, kinds = zip(*expected, strict=True)
    return log(users, items, list(times), list(kinds)).drop_duplicates()


def goodreads_csv(folder):
    e = drawn().drop_duplicates(["user", "item"])
    # A user's shelf stands together, the newest book first.
    e = e.sort_values(["user", "time"], ascending=[True, False])
    rating = (e.draw * 6).astype(int)
    read = (e.draw > 0.1).astype(int)
    raw = pd.DataFrame(
        {"user_id": e.user, "book_id": e.item, "is_read": read, "rating": rating * read, "is_reviewed": rating // 5}
    )
    csv(raw, folder / "goodreads_interactions.csv")
    csv(
        pd.DataFrame({"book_id_csv": range(ITEMS), "book_id": np.arange(ITEMS) + 34_684_622}),
        folder / "book_id_map.csv",
    )
    kind = np.where(raw.is_read == 1, "read", "shelve")
    return log(raw.user_id, raw.book_id, None, kind, np.where(raw.rating > 0, raw.rating, np.nan))


def goodbooks(folder):
    e = drawn().drop_duplicates(["user", "item"])
    raw = pd.DataFrame({"user_id": e.user + 1, "book_id": e.item + 1, "rating": 1 + (e.draw * 5).astype(int)})
    csv(raw, folder / "ratings.csv")
    number = np.arange(1, ITEMS + 1)
    books = pd.DataFrame(
        {
            "book_id": number,
            "goodreads_book_id": number * 7 + 2_767_000,
            "best_book_id": number * 7 + 2_767_000,
            "work_id": number * 11 + 2_792_000,
            "books_count": number % 9 + 100,
            "isbn": [f"{439_023_480 + n}" for n in number],
            "authors": [f"Author {n % 7}" for n in number],
            "original_publication_year": 1990.0 + number % 9,
            "title": titles(),
            "language_code": ["eng", "en-US"] * (ITEMS // 2),
            "average_rating": 3 + number % 9 / 10,
        }
    )
    csv(books, folder / "books.csv")
    return log(raw.user_id, raw.book_id, None, "rating", raw.rating)


def goodreads_json(folder):
    e = drawn(first="2016-01-04", days=400).drop_duplicates(["user", "item"])
    form = stamped(e.time).dt.strftime("%a %b %d %H:%M:%S -0000 %Y")
    rating = (e.draw * 6).astype(int)
    users, books = [f"{u:032x}" for u in range(USERS)], [str(i * 13 + 24_375_664) for i in range(ITEMS)]
    json_lines(
        (
            {
                "user_id": users[u],
                "book_id": books[i],
                "review_id": f"{n:032x}",
                "is_read": bool(r),
                "rating": int(r),
                "review_text_incomplete": "",
                "date_added": when,
                "date_updated": when,
                "read_at": when if r > 2 else "",
                "started_at": "",
            }
            for n, (u, i, r, when) in enumerate(zip(e.user, e.item, rating, form, strict=True))
        ),
        folder / "goodreads_interactions_dedup.json.gz",
    )
    json_lines(
        (
            {
                "isbn": "",
                "text_reviews_count": str(i),
                "series": [],
                "country_code": "US",
                "language_code": "eng",
                "popular_shelves": [{"count": "3", "name": "to-read"}],
                "asin": "",
                "is_ebook": "false",
                "average_rating": "4.00",
                "kindle_asin": "",
                "similar_books": [],
                "description": f"The story of book {i} and what came of it",
                "format": ["Paperback", "Hardcover"][i % 2],
                "link": f"https://www.goodreads.com/book/show/{books[i]}",
                "authors": [{"author_id": str(i % 9), "role": ""}],
                "publisher": ["Penguin", "Knopf", "Tor"][i % 3],
                "num_pages": str(100 + i),
                "publication_day": "1",
                "isbn13": "",
                "publication_month": "5",
                "edition_information": "",
                "publication_year": "1999",
                "url": "",
                "image_url": "",
                "book_id": books[i],
                "ratings_count": str(i),
                "work_id": str(i + 5000),
                "title": title,
                "title_without_series": title,
            }
            for i, title in enumerate(titles())
        ),
        folder / "goodreads_books.json.gz",
    )
    return log([users[u] for u in e.user], [books[i] for i in e.item], stamped(e.time), "rating", rating)


def lastfm_1k(folder):
    e = drawn(first="2009-01-04", days=120)
    mbid = [f"f1b1cf71-bd35-4e99-8624-{i:012d}" if i % 4 else "" for i in range(ITEMS)]
    rows = [
        f"user_{u + 1:06d}\t{stamped(t).strftime('%Y-%m-%dT%H:%M:%SZ')}\t"
        f'a{i % 9:035d}\tThe "Artist {i % 9}\t{mbid[i]}\t{titles()[i]}\n'
        for u, i, t in zip(e.user, e.item, e.time, strict=True)
    ]
    folder.mkdir(parents=True)
    (folder / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("".join(rows), encoding="utf-8")
    profiles = [
        f"user_{u + 1:06d}\t{'mf'[u % 2]}\t{20 + u if u % 3 else ''}\tJapan\tAug {u % 28 + 1}, 2006\n"
        for u in range(USERS)
    ]
    (folder / "userid-profile.tsv").write_text("#id\tgender\tage\tcountry\tregistered\n" + "".join(profiles))
    tracks = [mbid[i] or f'The "Artist {i % 9} / {titles()[i]}' for i in e.item]
    return log([f"user_{u + 1:06d}" for u in e.user], tracks, stamped(e.time), "play")


def movielens_1m(folder):
    e = drawn(first="2000-12-01", days=300).drop_duplicates(["user", "item"])
    stars = (1 + e.draw * 5).astype(int)
    folder.mkdir(parents=True)
    lines = [f"{u + 1}::{i + 1}::{s}::{t}\n" for u, i, s, t in zip(e.user, e.item, stars, e.time, strict=True)]
    # As published, the first lines are those of user 1.
    lines.sort(key=lambda line: int(line.partition("::")[0]))
    (folder / "ratings.dat").write_text("".join(lines), encoding="latin-1")
    genres = ["Animation|Children's|Comedy", "Drama", "Comedy|Drama"]
    movies = [f"{i + 1}::{title} (1995)::{genres[i % 3]}\n" for i, title in enumerate(titles())]
    (folder / "movies.dat").write_text("".join(movies), encoding="latin-1")
    people = [f"{u + 1}::{'MF'[u % 2]}::{[1, 18, 25][u % 3]}::{u % 5}::{48_067 + u % 4}\n" for u in range(USERS)]
    (folder / "users.dat").write_text("".join(people), encoding="latin-1")
    return log(e.user + 1, e.item + 1, stamped(e.time), "rating", stars)


def movielens_latest(folder):
    e = drawn(first="2015-07-30", days=600).drop_duplicates(["user", "item"])
    stars = (1 + (e.draw * 10).astype(int)) / 2
    raw = pd.DataFrame({"userId": e.user + 1, "movieId": e.item + 1, "rating": stars, "timestamp": e.time})
    csv(raw, folder / "ratings.csv")
    csv(
        raw.head(50).drop(columns="rating").assign(tag="funny")[["userId", "movieId", "tag", "timestamp"]],
        folder / "tags.csv",
    )
    genres = ["Adventure|Animation|Children", "Drama", "(no genres listed)", "Comedy|Drama"]
    movies = {"movieId": range(1, ITEMS + 1), "title": titles(), "genres": [genres[i % 4] for i in range(ITEMS)]}
    csv(pd.DataFrame(movies), folder / "movies.csv")
    csv(
        pd.DataFrame(
            {
                "movieId": range(1, ITEMS + 1),
                "imdbId": [f"0{114_709 + i}" for i in range(ITEMS)],
                "tmdbId": [862.0 + i for i in range(ITEMS)],
            }
        ),
        folder / "links.csv",
    )
    return log(raw.userId, raw.movieId, stamped(e.time), "rating", stars)
