"""Splits of a table in many files: a directory that one reader takes is taken by the other."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.prepare.table_splits import plan_splits, read_split
from unified_ranker.reading.typed_table import read_table


def whole(path):
    return read_table(path)["item_id"].to_pylist()


def by_splits(path):
    return [
        row for split in plan_splits(path, 1) for part in read_split(split) for row in part.table["item_id"].to_pylist()
    ]


READERS = pytest.mark.parametrize("reader", [whole, by_splits])


@READERS
@pytest.mark.parametrize("other", [[5, 9], ["x", "y"]])
def test_the_row_numbers_of_pandas_in_one_file_are_no_column(tmp_path, reader, other):
    """Of numbers in the one and of text in the other, or in one file alone."""
    pd.DataFrame({"item_id": ["a", "b"]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"item_id": ["c", "d"]}, index=[7, 8]).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"item_id": ["e", "f"]}, index=other).to_parquet(tmp_path / "2.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "1.parquet").names
    assert reader(tmp_path) == ["a", "b", "c", "d", "e", "f"]


@READERS
def test_files_that_differ_are_refused_in_the_same_words(tmp_path, reader):
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"item_id": ["b"], "position": [1]}), tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"have the same columns\. `.*0.parquet` and `.*1.parquet` differ in: `p"):
        reader(tmp_path)
    pq.write_table(pa.table({"item_id": [1]}), tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"`item_id` is string in `.*0.parquet` and int64 in `.*1.parquet`"):
        reader(tmp_path)
    (tmp_path / "1.parquet").write_bytes(b"item_id\nb\n")
    with pytest.raises(UserError, match=r"`.*1.parquet` is not a Parquet file"):
        reader(tmp_path)
    (tmp_path / "1.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"`.*1.parquet` cannot be read as Parquet: .*[^.]\. Write it again\.$"):
        reader(tmp_path)
