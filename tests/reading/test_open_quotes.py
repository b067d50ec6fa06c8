"""Quotation marks that nothing closes: the rows that they swallow are counted as bad ones, and the remedy is named."""

import pytest
from reading_toy import quarantined, read_log

HEADER = "user_id,item_id,task,event_type,timestamp,query\n"
ROWS = [f"u{n},i{n % 9},search,click,2024-05-{n % 28 + 1:02d},red shoe {n % 9}" for n in range(1500)]


def write(folder, changed):
    rows = [changed.get(n, row) for n, row in enumerate(ROWS)]
    (folder / "e.csv").write_text(HEADER + "\n".join(rows) + "\n")


OPEN = {
    "in the last column": ({700: ROWS[700].replace("red", '"red'), 720: ROWS[720].replace("red", '5" red')}, 21),
    "in the midst of a row": ({700: ROWS[700].replace("click", '"click'), 720: ROWS[720].replace("i0", 'i"0')}, 21),
    "to the end": ({1400: ROWS[1400].replace("red", '"red')}, 100),
}


@pytest.mark.parametrize(("changed", "lost"), OPEN.values(), ids=OPEN)
def test_each_row_behind_an_open_quotation_mark_is_counted(changed, lost, tmp_path):
    write(tmp_path, changed)
    found = read_log(tmp_path, {"events": "e.csv"})
    events = found.read.tables["events"]
    assert (events.rows, events.bad) == (len(ROWS), lost)
    (failed,) = [check for check in found.read.checks(0.0) if not check.passed]
    assert "behind a quotation mark" in failed.name
    assert "`data.events: {files: e.csv, quote: ''}`" in failed.what_to_do
    assert {row["line"] for row in quarantined(found)} >= {ROWS[n] for n in range(1405, 1499) if "end" in changed}
    mended = read_log(tmp_path, {"events": {"files": "e.csv", "quote": ""}}).read.tables["events"]
    assert (mended.rows, mended.bad) == (len(ROWS), 0)


def test_text_of_several_lines_is_no_open_quote(tmp_path):
    text = '"shoes, red,\nof size 5, not 4,\nplease, and soon\n"'
    write(tmp_path, {n: f"{ROWS[n].rpartition(',')[0]},{text}" for n in range(0, 1500, 7)})
    assert read_log(tmp_path, {"events": "e.csv"}).read.tables["events"].bad == 0
