"""A few films, people and ratings in both forms of MovieLens 100K: GroupLens' files and RecBole's."""

from unified_ranker.log.movielens import GENRES

ITEMS = [
    # id, title as people say it, GroupLens' title, wheel's title, wheel's year, genres
    ("1", "Toy Story", "Toy Story (1995)", "Toy Story", "1995", ["Animation", "Children's", "Comedy"]),
    ("2", "The Godfather", "Godfather, The (1972)", "Godfather, The", "1972", ["Action", "Crime"]),
    ("3", "Les Misérables", "Misérables, Les (1995)", "Misérables, Les", "1995", ["Drama", "Musical"]),
    ("4", "unknown", "unknown", "unkonwn", "unkonwn", ["unknown"]),
    (
        "5",
        "Land Before Time III",
        "Land Before Time III (1995) (V)",
        "Land Before Time III (1995)",
        "V",
        ["Sci-Fi"],
    ),
    (
        "6",
        "The Visitors (Les Visiteurs)",
        "Visitors, The (Visiteurs, Les) (1993)",
        "Visitors, The (Visiteurs, Les)",
        "1993",
        ["Film-Noir"],
    ),
]
USERS = [
    ("1", "24", "M", "writer", "85711"),
    ("2", "53", "F", "other", "T8H1N"),
    ("3", "9", "F", "none", "E1 6AN"),
]
START = 881250949
RATINGS = [
    # user, item, rating, seconds after the start
    ("1", "1", 5, 0),
    ("1", "2", 4, 3600),
    ("1", "3", 3, 3700),
    ("1", "5", 4, 7201),
    ("1", "4", 5, 7201),
    ("2", "6", 4, 10),
    ("2", "2", 1, 20),
    ("3", "4", 4, 30),
]


def write_grouplens(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{u}\t{i}\t{r}\t{START + t}" for u, i, r, t in RATINGS]
    (folder / "u.data").write_text("\n".join(rows) + "\n")
    rows = [
        "|".join([item, theirs, "01-Jan-1995", "", "http://x", *("1" if g in genres else "0" for g in GENRES)])
        for item, _, theirs, _, _, genres in ITEMS
    ]
    (folder / "u.item").write_bytes(("\n".join(rows) + "\n").encode("latin-1"))
    (folder / "u.user").write_text("\n".join("|".join(row) for row in USERS) + "\n")


def atomic_files():
    inter = [f"{u}\t{i}\t{r}\t{START + t}" for u, i, r, t in RATINGS]
    item = [f"{i}\t{title}\t{year}\t{' '.join(genres)}" for i, _, _, title, year, genres in ITEMS]
    heads = {
        "ml-100k.inter": ("user_id:token\titem_id:token\trating:float\ttimestamp:float", inter),
        "ml-100k.item": ("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", item),
        "ml-100k.user": (
            "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
            ["\t".join(row) for row in USERS],
        ),
    }
    return {name: "\n".join([head, *rows, ""]).encode() for name, (head, rows) in heads.items()}
