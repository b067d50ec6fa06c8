"""Tables as they lie: forms that are recognised, rows that are numbered, and what a folder or a query adds."""

import bz2
import gzip
import json
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.reading.delimited_rows import DelimitedRows
from unified_ranker.reading.raw import form_in_words, open_table, raw_table
from unified_ranker.reading.source_files import files_of

ROWS = [{"user": "u1", "item": "7", "text": "a, b; c"}, {"user": "u2", "item": "008", "text": None}]


def read(directory, source, rows=None):
    return raw_table(TableSource.model_validate(source), directory, rows).to_pylist()


def rejected(directory, source):
    opened = open_table(TableSource.model_validate(source), directory, directory / "answer")
    return [(one.row, one.text) for part in opened.rows(opened.columns) for one in part.rejected]


def numbers(directory, source):
    opened = open_table(TableSource.model_validate(source), directory, directory / "answer")
    return [int(n) for part in opened.rows(opened.columns) for n in part.numbers]


TEXTS = {
    "commas": (b'user,item,text\nu1,7,"a, b; c"\nu2,008,\n', "commas between the columns, a header"),
    "semicolons": (b'user;item;text\nu1;7;"a, b; c"\nu2;008;\n', "semicolons"),
    "tabs": (b"user\titem\ttext\nu1\t7\ta, b; c\nu2\t008\t\n", "tabs"),
    "bars": (b"user|item|text\nu1|7|a, b; c\nu2|008|\n", "bars"),
    "double colons": (b"user::item::text\nu1::7::a, b; c\nu2::008::\n", "double colons"),
    "control-A": (b"user\x01item\x01text\nu1\x017\x01a, b; c\nu2\x01008\x01\n", "control-A"),
    "a byte order mark": (b"\xef\xbb\xbfuser,item,text\r\nu1,7,\"a, b; c\"\r\nu2,008,\r\n", "commas"),
    "UTF-16": ("user,item,text\nu1,7,\"a, b; c\"\nu2,008,\n".encode("utf-16"), "utf-16"),
    "gzip": (gzip.compress(b'user,item,text\nu1,7,"a, b; c"\nu2,008,\n'), "commas"),
    "bz2": (bz2.compress(b"user\titem\ttext\nu1\t7\ta, b; c\nu2\t008\t\n"), "tabs"),
    "zstd": (pa.compress(b"user|item|text\nu1|7|a, b; c\nu2|008|\n", "zstd", asbytes=True), "bars"),
    "JSON lines": (b'{"user":"u1","item":7,"text":"a, b; c"}\n{"user":"u2","item":"008","text":null}\n', "JSON lines"),
    "a JSON list": (b'[{"user":"u1","item":7,"text":"a, b; c"},\n{"user":"u2","item":"008"}]', "a JSON list"),
    "JSON in bz2": (bz2.compress(b'{"user":"u1","item":7,"text":"a, b; c"}\n{"user":"u2","item":"008"}\n'), "JSON"),
    "UTF-16 without a mark": ("user,item,text\nu1,7,\"a, b; c\"\nu2,008,\n".encode("utf-16-be"), "utf-16-be"),
    "JSON in UTF-16": ('[{"user":"u1","item":7,"text":"a, b; c"},{"user":"u2","item":"008"}]'.encode("utf-16"), "-16"),
    "JSON in gzip": (gzip.compress(b'{"user":"u1","item":7,"text":"a, b; c"}\n{"user":"u2","item":"008"}\n'), "JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "form"), TEXTS.values(), ids=TEXTS)
def test_the_form_of_a_file_is_recognised(tmp_path, content, form):
    (tmp_path / "log.dat").write_bytes(content)
    assert read(tmp_path, "log.dat") == ROWS
    assert form in form_in_words(TableSource(files="log.dat"), tmp_path)


def test_fields_of_text_hold_what_stands_between_the_quotes(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,"x, ""y""\nz"\n2," w "\n')
    assert read(tmp_path, "a.csv") == [{"a": "1", "b": 'x, "y"\nz'}, {"a": "2", "b": " w "}]


def test_marks_that_are_no_quotes_are_text(tmp_path):
    (tmp_path / "news.tsv").write_text('id\ttitle\nn1\t"Odd\nn2\t"So" he said\nn3\tplain\n')
    assert [row["title"] for row in read(tmp_path, "news.tsv")] == ['"Odd', '"So" he said', "plain"]
    (tmp_path / "one.tsv").write_text("id\ttitle\nn1\t'a\tb'\n")
    assert read(tmp_path, {"files": "one.tsv", "quote": "'"}) == [{"id": "n1", "title": "a\tb"}]


def test_text_without_a_header_has_numbered_columns_or_the_given_names(tmp_path):
    (tmp_path / "ratings.dat").write_bytes("1::Am\xe9lie::978300760\n2::B: C::978300761\n".encode("latin-1"))
    source = {"files": "ratings.dat", "encoding": "latin-1"}
    assert read(tmp_path, source)[0] == {"column0": "1", "column1": "Amélie", "column2": "978300760"}
    assert read(tmp_path, source | {"header": ["user", "title", "time"]})[1] == {
        "user": "2", "title": "B: C", "time": "978300761",
    }  # fmt: skip
    (tmp_path / "words.csv").write_text("ann,hat,view\neve,coat,view\neve,hat,buy\ndan,scarf,view\n")
    assert read(tmp_path, "words.csv")[0] == {"column0": "ann", "column1": "hat", "column2": "view"}
    (tmp_path / "joined.csv").write_text("who,what,how\nann,hat,view\n" * 3)
    assert read(tmp_path, "joined.csv")[0] == {"who": "ann", "what": "hat", "how": "view"}
    (tmp_path / "names.csv").write_text("ann,bob\neve,dan\n")
    assert len(read(tmp_path, {"files": "names.csv"})) == 1
    assert len(read(tmp_path, {"files": "names.csv", "header": False})) == 2


def test_the_row_numbers_that_pandas_writes_are_no_column(tmp_path):
    (tmp_path / "a.csv").write_text(",user,item\n0,u1,7\n1,u2,8\n")
    assert read(tmp_path, "a.csv")[0] == {"user": "u1", "item": "7"}


def test_rows_of_another_width_and_bytes_that_are_no_text_keep_their_numbers(tmp_path):
    lines = [b"user,item"] + [f"u{n},{n}".encode() for n in range(9)]
    lines[3], lines[5], lines[9] = b"u2", b"u\xff4,4", b"u8,8,8"
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    assert rejected(tmp_path, "a.csv") == [(2, "u2"), (4, "u\\xff4, 4"), (8, "u8,8,8")]
    assert numbers(tmp_path, "a.csv") == [0, 1, 3, 5, 6, 7]


def test_rows_are_numbered_across_blocks_of_text(tmp_path):
    bad = set(range(5, 4000, 37)) | {3998, 3999}
    lines = ["user,item"] + [f"u{n}" if n in bad else f"u{n},{n}" for n in range(4000)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    parts = list(in_blocks(tmp_path / "a.csv", 256).rows(["user", "item"]))
    assert len(parts) > 10
    assert [int(n) for part in parts for n in part.numbers] == [n for n in range(4000) if n not in bad]
    assert [one.row for part in parts for one in part.rejected] == sorted(bad)
    assert all(part.table["item"].to_pylist() == [str(n) for n in part.numbers] for part in parts)


def in_blocks(path, size):
    """A text that is read in blocks of so many bytes."""
    source = TableSource(files=path)
    return DelimitedRows(files_of(source, path.parent)[0], source, size)


def test_lines_that_are_no_json_object_keep_their_numbers(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a":1}\nnot json\n[1]\n{"a":{"b":[1,"x"]},"c/~d":true}\n')
    assert [row for row, _ in rejected(tmp_path, "a.jsonl")] == [1, 2]
    assert numbers(tmp_path, "a.jsonl") == [0, 3]
    rows = read(tmp_path, "a.jsonl")
    assert rows[0] == {"a": "1", "c/~d": None}
    assert (json.loads(rows[1]["a"]), rows[1]["c/~d"]) == ({"b": [1, "x"]}, "true")


def test_folders_are_columns_and_parts_may_be_of_several_formats(tmp_path):
    for day, year in (("a", "year=2023"), ("b", "year=2024/day=1")):
        (tmp_path / "log" / year).mkdir(parents=True)
        pq.write_table(pa.table({"item": [day]}), tmp_path / "log" / year / "part.parquet")
    (tmp_path / "log" / "year=2025").mkdir()
    (tmp_path / "log" / "year=2025" / "part.csv.gz").write_bytes(gzip.compress(b"item,price\nc,5\n"))
    (tmp_path / "log" / "_SUCCESS").touch()
    (tmp_path / "log" / "README.md").write_text("no part of the table")
    assert sorted(map(str, (list(row.values()) for row in read(tmp_path, "log")))) == sorted(
        map(str, [["a", None, "2023", None], ["b", None, "2024", "1"], ["c", "5", "2025", None]])
    )


def test_a_pattern_names_several_files(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.csv").write_text(f"a,b\n{n},x\n")
    (tmp_path / "other.txt").write_text("c,d\n9,9\n")
    assert [row["a"] for row in read(tmp_path, "*.csv")] == ["0", "1", "2"]
    assert [row["a"] for row in read(tmp_path, str(tmp_path / "[12].csv"))] == ["1", "2"]


def test_a_query_reads_paths_from_the_project_on_and_keeps_types(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.csv").write_text("v,t\n1,2024-05-01\n2,2024-05-02\n")
    sql = "SELECT v AS user_id, t AS timestamp FROM 'log/*.csv' WHERE v > 1;"
    table = raw_table(TableSource(sql=sql), tmp_path)
    assert table.to_pylist()[0]["user_id"] == 2
    assert pa.types.is_date(table["timestamp"].type)
    with pytest.raises(UserError, match=r"the query `SELECT nope` failed: .*nope.*relative to"):
        read(tmp_path, {"sql": "SELECT nope"})
    with pytest.raises(UserError, match="`v` twice"):
        read(tmp_path, {"sql": "SELECT v, v FROM 'log/a.csv'"})


@pytest.mark.parametrize("rows", [1, 7, 100, 999, 5000])
def test_a_sample_is_evenly_chosen_from_all_rows(tmp_path, rows):
    for part in range(100):
        lines = "".join(f"{n},x\n" for n in range(10 * part, 10 * part + 10))
        (tmp_path / f"{part:02}.csv").write_text("a,b\n" + lines)
    chosen = [int(row["a"]) for row in read(tmp_path, "*.csv", rows)]
    assert len(chosen) == min(rows, 1000)
    assert chosen == sorted(set(chosen))
    if 1 < rows <= 1000:
        assert max(b - a for a, b in pairwise(chosen)) <= 4 * 1000 / rows
        assert chosen[-1] >= 1000 - 4 * 1000 / rows


MISTAKES = {
    "a spreadsheet": ("a.csv", b"PK\x03\x04 and more", "a zip archive or a spreadsheet"),
    "bytes": ("a.csv", b"\x00\x01\x02", "bytes that are no text"),
    "nothing": ("a.csv", b"\n", "an empty file"),
    "a name twice": ("a.csv", b"a,b,a\n1,2,3\n", "`a` 2 times"),
    "half a list": ("a.json", b'[{"a":1}, {"a"', "cannot be read as JSON"),
}


@pytest.mark.parametrize(("name", "content", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_read_is_named_with_the_reason(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        read(tmp_path, name)
    assert name in str(error.value)


def test_an_unknown_encoding_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"`encoding` must be one that Python knows.*`latin-99`"):
        read(tmp_path, {"files": "a.csv", "encoding": "latin-99"})


def test_a_row_longer_than_a_block_is_an_open_quotation_mark(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'a,b\n1,"x' + b"y" * 100_000 + b"\n2,z\n")
    with pytest.raises(UserError, match="open quotation mark"):
        list(in_blocks(tmp_path / "a.csv", 1000).rows(["a", "b"]))


WESTERN = {
    "Latin 1": ("latin-1", ["málaga", "andalucía", "Ærø", "plain", "Zürich"], True),
    "Windows 1252": ("cp1252", ["café “Roma”", "5 €", "naïve…", "Übel", "garçon"], True),
    "UTF-8": ("utf-8", ["málaga", "Zürich", "“Roma”", "größe", "ñ"], True),
    "Cyrillic, which is not guessed": ("cp1251", ["москва", "казань", "plain", "тверь", "омск"], False),
}


@pytest.mark.parametrize(("encoding", "words", "read_as_written"), WESTERN.values(), ids=WESTERN)
def test_text_of_western_europe_is_read_in_its_encoding(tmp_path, encoding, words, read_as_written):
    lines = ["user;place"] + [f"u{n};{words[n % len(words)]}" for n in range(60)]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode(encoding))
    kept = [row["place"] for row in read(tmp_path, "a.csv")]
    assert (kept == [words[n % len(words)] for n in range(60)]) is read_as_written
    assert bool(rejected(tmp_path, "a.csv")) is not read_as_written
    said = form_in_words(TableSource(files="a.csv"), tmp_path)
    assert (f"encoded in {encoding}" in said) is (read_as_written and encoding != "utf-8")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_encoding_is_recognised_wherever_its_letters_begin(tmp_path, encoding, name):
    """Behind a megabyte of ASCII; a byte that the encoding does not have is of one row."""
    words = ["plain"] * 60_000 + [*WESTERN["Latin 1" if encoding == "latin-1" else "Windows 1252"][1]] * 3
    lines = [
        f'{{"user":"u{n}","place":"{word}"}}' if "json" in name else f"u{n};{word}" for n, word in enumerate(words)
    ]
    text = "\n".join(lines if "json" in name else ["user;place", *lines]).encode(encoding)
    odd = b'\n{"user":"odd","place":"\x81"}' if "json" in name else b"\nodd;\x81"
    (tmp_path / name).write_bytes(text + odd * (encoding == "cp1252"))
    assert [row["place"] for row in read(tmp_path, name)][: len(words)] == words
    assert [row for row, _ in rejected(tmp_path, name)] == [len(words)] * (encoding == "cp1252")
    assert f"encoded in {encoding}" in form_in_words(TableSource(files=name), tmp_path)


def test_a_bad_byte_between_double_colons_is_of_one_row(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"1::a::1\n2::\xe9b::2\n3::c::3\n")
    assert rejected(tmp_path, "a.dat") == [(1, "2, \\xe9b, 2")]
    assert numbers(tmp_path, "a.dat") == [0, 2]


def test_single_bad_bytes_in_a_file_of_utf_8_are_rejected_and_not_read_in_another_encoding(tmp_path):
    lines = [b"user;place"] + [f"u{n};Zürich".encode() for n in range(60)]
    for bad in (7, 20, 31, 50):
        lines[bad] = b"u;M\xe1laga"
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    assert [row for row, _ in rejected(tmp_path, "a.csv")] == [6, 19, 30, 49]


def test_names_in_quotes_behind_a_blank_are_names(tmp_path):
    (tmp_path / "a.csv").write_text('"user", "item" , "play list"\nu1,i1,p\n')
    assert read(tmp_path, "a.csv") == [{"user": "u1", "item": "i1", "play list": "p"}]
