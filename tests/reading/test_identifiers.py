"""Identifiers: every kind of file and type gives the same text, in every table."""

import json
import tempfile
import uuid
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_toy import read_project

from unified_ranker.log.absent_words import ABSENT_WORDS
from unified_ranker.reading.id_values import to_id_text

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=12)
# A line of one quotation mark, or one that begins with a mark of order, is no fault of identifiers.
IDS = st.lists(
    TEXT.filter(lambda t: t not in ABSENT_WORDS and not set(t) & set('"\'\ufeff') and not t.endswith(".0")),
    min_size=3, max_size=12, unique=True,
)  # fmt: skip


def write_csv(path, ids):
    pd.DataFrame({"item_id": ids, "n": range(len(ids))}).to_csv(path, index=False)


def write_jsonl(path, ids):
    path.write_text("".join(json.dumps({"item_id": i, "n": n}) + "\n" for n, i in enumerate(ids)))


def write_json(path, ids):
    path.write_text(json.dumps([{"item_id": i, "n": n} for n, i in enumerate(ids)], ensure_ascii=False))


def write_tsv(path, ids):
    pd.DataFrame({"item_id": ids, "n": range(len(ids))}).to_csv(path, index=False, sep="\t", compression="gzip")


def write_parquet(path, ids):
    pq.write_table(pa.table({"item_id": ids, "n": range(len(ids))}), path)


WRITERS = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".json": write_json,
    ".tsv.gz": write_tsv,
    ".parquet": write_parquet,
}


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=20)
@given(ids=IDS)
def test_text_comes_back_from_every_kind_of_file(kind, ids):
    with tempfile.TemporaryDirectory() as folder:
        WRITERS[kind](Path(folder) / f"items{kind}", ids)
        _, items, _ = read_project(Path(folder), {"items": f"items{kind}"})
        assert items["item_id"].to_pylist() == ids


def of(array):
    text, bad = to_id_text(pa.chunked_array([array]))
    return text.to_pylist(), bad.tolist()


def test_types_of_identifiers_become_text():
    key = uuid.UUID("12345678-1234-5678-1234-567812345678")
    assert of(pa.array([12, None], pa.int32())) == (["12", None], [False, False])
    assert of(pa.array([2**64 - 1], pa.uint64()))[0] == [str(2**64 - 1)]
    assert of(pa.array([9.0, None, 9.5])) == (["9", None, None], [False, False, True])
    assert of(pa.array([float("nan"), 3.0], pa.float32())) == ([None, "3"], [False, False])
    assert of(pa.array([Decimal("123456789012345678901"), None]))[0] == ["123456789012345678901", None]
    assert of(pa.array([Decimal("7.00"), Decimal("7.50")])) == (["7", None], [False, True])
    assert of(pa.array([key.bytes], pa.binary(16)))[0] == [str(key)]
    assert of(pa.array([b"abc", b"\x00\xff"], pa.binary()))[0] == ["abc", "00ff"]
    assert of(pa.array(["a"]).dictionary_encode())[0] == ["a"]
    assert of(pa.array([True, None])) == ([None, None], [True, False])


EVENTS = pd.DataFrame(
    {"user_id": ["1.0", None, "2.0"], "item_id": ["9.0", "10.0", "9.0"], "task": "home_feed", "event_type": "view",
     "timestamp": ["2024-05-01", "2024-05-02", "2024-05-03"]}
)  # fmt: skip


def ids_of(tmp_path, items, events=EVENTS, kind="csv"):
    events.to_csv(tmp_path / "events.csv", index=False)
    if kind == "csv":
        items.to_csv(tmp_path / "items.csv", index=False)
    else:
        items.to_parquet(tmp_path / "items.parquet", index=False)
    read, found, _ = read_project(tmp_path, {"events": "events.csv", "items": f"items.{kind}"})
    return read["item_id"].to_pylist(), found["item_id"].to_pylist()


def test_the_point_that_pandas_adds_goes_from_all_tables_alike(tmp_path):
    assert ids_of(tmp_path, pd.DataFrame({"item_id": ["9", "10"]})) == (["9", "10", "9"], ["9", "10"])
    assert ids_of(tmp_path, pd.DataFrame({"item_id": [9.0, 10.0]}), kind="parquet") == (["9", "10", "9"], ["9", "10"])
    assert ids_of(tmp_path, pd.DataFrame({"item_id": ["9.0", "10.0"]}), kind="parquet")[1] == ["9", "10"]


def test_the_point_stays_in_all_tables_where_one_has_other_names(tmp_path):
    for kind in ("csv", "parquet"):
        items = pd.DataFrame({"item_id": ["9.0", "10.0", "9.5"]})
        assert ids_of(tmp_path, items, kind=kind) == (["9.0", "10.0", "9.0"], ["9.0", "10.0", "9.5"])
