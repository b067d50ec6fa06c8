"""Tables in memory: the types of columns of text, and what is said of a table that cannot be read."""

import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.reading.typed_table import read_table


def write_csv(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_parquet_keeps_null_apart_from_nan(tmp_path):
    table = pa.table({"item_id": ["007", "8"], "price": pa.array([None, math.nan], from_pandas=False)})
    pq.write_table(table, tmp_path / "items.parquet")
    read = read_table(tmp_path / "items.parquet")
    assert read["item_id"].to_pylist() == ["007", "8"]
    assert read["price"].null_count == 1
    assert math.isnan(read["price"][1].as_py())


def test_folder_names_do_not_become_columns(tmp_path):
    (tmp_path / "year=2020").mkdir()
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "year=2020" / "items.parquet")
    assert read_table(tmp_path / "year=2020" / "items.parquet").column_names == ["item_id"]


def test_a_directory_is_one_table(tmp_path):
    pq.write_table(pa.table({"item_id": ["b"], "size": pa.array([None], pa.null())}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"size": [5], "item_id": ["a"]}), tmp_path / "0.parquet")
    (tmp_path / "_SUCCESS").touch()
    rows = read_table(tmp_path).to_pylist()
    assert sorted(rows, key=lambda row: row["item_id"]) == [
        {"item_id": "a", "size": 5},
        {"item_id": "b", "size": None},
    ]


def test_files_of_one_directory_must_agree(tmp_path):
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"item_id": ["a"], "size": [1]}), tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"differ in: `size`"):
        read_table(tmp_path)
    moments = [pa.array([0], pa.timestamp("s")), pa.array([0], pa.timestamp("s", "UTC"))]
    for number, moment in enumerate(moments):
        pq.write_table(pa.table({"created_at": moment}), tmp_path / f"{number}.parquet")
    with pytest.raises(UserError, match="different types"):
        read_table(tmp_path)


def test_csv_ids_and_text_stay_as_written(tmp_path):
    path = write_csv(
        tmp_path / "items.csv",
        'item_id,title,store_id,zip,price,year,colour\n007,1984,1,01234,1.5,1999,red\n"8","a ""b""\n, c",2,02345,,,\n',
    )
    table = read_table(path)
    assert table["item_id"].to_pylist() == ["007", "8"]
    assert table["title"].to_pylist() == ["1984", 'a "b"\n, c']
    assert table["store_id"].to_pylist() == ["1", "2"]
    assert table["zip"].to_pylist() == ["01234", "02345"]
    assert table["price"].to_pylist() == [1.5, None]
    assert table["year"].to_pylist() == [1999, None]
    assert pa.types.is_integer(table["year"].type)
    assert table["colour"].to_pylist() == ["red", None]


def test_csv_empty_is_null_like_the_nan_of_an_export(tmp_path):
    path = write_csv(tmp_path / "e.csv", "item_id,value,price\na,nan,Inf\nb,,2\nc,3,-inf\n")
    table = read_table(path)
    value, price = table["value"].to_pylist(), table["price"].to_pylist()
    assert value == [None, None, 3.0]
    assert price == [math.inf, 2.0, -math.inf]


def test_csv_words_that_look_like_nan_are_text_in_text_columns(tmp_path):
    table = read_table(write_csv(tmp_path / "i.csv", "item_id,title,colour\nnan,inf,nan\n"))
    assert table.to_pylist() == [{"item_id": "nan", "title": "inf", "colour": "nan"}]


def test_csv_with_a_byte_order_mark_and_no_rows(tmp_path):
    path = tmp_path / "i.csv"
    path.write_bytes(b"\xef\xbb\xbfitem_id,title\n")
    table = read_table(path)
    assert table.column_names == ["item_id", "title"]
    assert table.num_rows == 0


def test_a_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "events.parquet").touch()
    with pytest.raises(UserError) as error:
        read_table(tmp_path / "event.parquet")
    assert "does not exist" in str(error.value)
    assert "Did you mean `events.parquet`?" in str(error.value)
    with pytest.raises(UserError, match=r"holds: `events.parquet`"):
        read_table(tmp_path / "no" / "such" / "items.csv")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.parquet", b"item_id\na\n", "is not a Parquet file"),
        ("a.parquet", b"PAR1 cut short", "cannot be read as Parquet"),
        ("a.xlsx", b"PK", "a zip archive or a spreadsheet"),
        ("a.csv", b"", "an empty file"),
        ("a.csv", b"item_id,item_id\n1,2\n", "`item_id` 2 times"),
        ("a.csv", b"item_id,title\n1,2,3\n", "row 0 (from 0): a row has as many fields as there are columns (2)"),
        ("a.csv", b"item_id,title\n1,caf\xe9\n", "UTF-8"),
    ],
)
def test_unreadable_files_are_named_with_the_reason(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read_table(tmp_path / name)
    assert said in str(error.value)
    assert name in str(error.value)


def test_a_directory_without_parquet_files(tmp_path):
    (tmp_path / "events.txt").touch()
    with pytest.raises(UserError, match=r"has no file of a table in it.*`events.txt`"):
        read_table(tmp_path)


def test_what_a_library_says_ends_with_one_full_stop(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError) as caught:
        read_table(tmp_path / "t.parquet")
    assert ".." not in str(caught.value).replace(str(tmp_path), "")
    assert str(caught.value).endswith(". Write it again.")


def test_the_row_numbers_of_pandas_are_no_column(tmp_path):
    frame = pd.DataFrame({"item_id": ["a", "b"]}, index=[5, 9])
    frame.to_parquet(tmp_path / "items.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "items.parquet").names
    assert read_table(tmp_path / "items.parquet").column_names == ["item_id"]
