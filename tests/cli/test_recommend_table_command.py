"""`unified-ranker recommend --requests`: a table of requests, from file to file."""

import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import (
    LATE_ITEM,
    LATE_ITEM_CREATED,
    TASKS,
    built_project,
    cli,
    events_table,
    items_table,
    write_tables,
)

from unified_ranker.serving.answering import recommender
from unified_ranker.serving.answering.project_log import project_log
from unified_ranker.serving.answering.request_table import read_requests

pytestmark = [pytest.mark.xdist_group("small_project"), pytest.mark.usefixtures("model_in_memory")]
ITEM_IDS = set(items_table()["item_id"])
END = events_table()["timestamp"].max()


def no_remark(text):
    raise AssertionError(text)


def bulk(release, requests, folder, *options):
    """Answer a table of requests, given as DataFrame or Arrow table, and return the answers."""
    if isinstance(requests, pd.DataFrame):
        requests.to_parquet(folder / "requests.parquet", index=False)
    else:
        pq.write_table(requests, folder / "requests.parquet")
    output = folder / "answers.parquet"
    shown = cli("recommend", release, "--requests", folder / "requests.parquet", "--output", output, *options)
    assert shown.exit_code == 0, shown.output
    return pd.read_parquet(output)


def requests_table():
    """A request of every surface at the moments of some events, and users whom nobody knows."""
    events = events_table()
    chosen = events[events["user_id"].notna() & (events.index > 300)].iloc[::29]
    table = chosen[["user_id", "task", "query", "source_item_id", "country", "timestamp"]]
    # u3 exactly when, and a second after, u3 did something; users without a history.
    moment = events.loc[events["user_id"] == "u3", "timestamp"].iloc[10]
    rows = [("u3", moment), ("u3", moment + pd.Timedelta(1, "s")), ("nobody", moment), (None, moment)]
    more = pd.DataFrame([{"user_id": user, "task": "home_feed", "timestamp": when} for user, when in rows])
    return pd.concat([table, more], ignore_index=True)


def history_of(user, moment):
    """What a user did strictly before a moment, straight from the events."""
    events = events_table()
    own = events[(events["user_id"] == user) & (events["timestamp"] < moment)].sort_values("timestamp")
    fields = own[["item_id", "event_type", "task", "timestamp", "value"]]
    return fields.astype({"value": object}).where(fields.notna(), None).to_dict("records")


EVENT = pa.struct(
    [
        ("item_id", pa.string()),
        ("event_type", pa.string()),
        ("task", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("value", pa.float64()),
    ]
)


def with_histories(requests, histories):
    table = pa.Table.from_pandas(requests, preserve_index=False)
    return table.append_column("history", pa.array(histories, pa.list_(EVENT)))


@pytest.fixture(scope="module")
def answered(release, model_in_memory, tmp_path_factory):
    return bulk(release, requests_table(), tmp_path_factory.mktemp("bulk"), "--limit", "40")


def test_answers_are_rows_by_request_and_rank(answered):
    assert list(answered.columns) == ["row", "rank", "item_id", "score"]
    assert [str(kind) for kind in answered.dtypes] == ["int64", "int32", "str", "float32"]
    assert answered["row"].unique().tolist() == list(range(len(requests_table())))
    for _, own in answered.groupby("row"):
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert own["score"].is_monotonic_decreasing
        assert own["item_id"].is_unique


def test_histories_come_from_the_log_strictly_before_each_request(release, answered, tmp_path):
    requests = requests_table()
    histories = [history_of(*row) for row in zip(requests["user_id"], requests["timestamp"], strict=True)]
    assert [len(h) for h in histories[-4:]] == [10, 11, 0, 0]
    given = bulk(release, with_histories(requests, histories), tmp_path, "--limit", "40")
    pd.testing.assert_frame_equal(given, answered)


def test_a_history_ends_before_the_second_of_its_request(release, tmp_path):
    """The model would cut later events too; they are not even read."""
    requests_table().to_parquet(tmp_path / "requests.parquet", index=False)
    read = read_requests(
        tmp_path / "requests.parquet", ("pre_query", *TASKS), lambda: project_log(release, None, no_remark), limit=0
    )
    for request, row in zip(read, requests_table().to_dict("records"), strict=True):
        wanted = [event["item_id"] for event in history_of(row["user_id"], row["timestamp"])]
        assert request.history.item_id.tolist() == wanted


def test_histories_make_a_difference(release, answered, tmp_path):
    """Or the test above would show nothing."""
    requests = requests_table()
    without = bulk(release, with_histories(requests, [[] for _ in requests.index]), tmp_path, "--limit", "40")
    for row in range(5):
        ours, theirs = (a[a["row"] == row].reset_index(drop=True) for a in (answered, without))
        assert not ours["score"].equals(theirs["score"])
    assert not answered[answered["row"] == len(requests) - 4].equals(answered[answered["row"] == len(requests) - 3])


def test_events_in_the_order_of_the_list_do_not_matter(release, answered, tmp_path):
    requests = requests_table()
    histories = [history_of(*row)[::-1] for row in zip(requests["user_id"], requests["timestamp"], strict=True)]
    pd.testing.assert_frame_equal(
        bulk(release, with_histories(requests, histories), tmp_path, "--limit", "40"), answered
    )


def test_later_events_do_not_change_an_answer(answered, tmp_path):
    """The log goes on: earlier requests are answered as before, and a command that reads writes nothing."""
    project = built_project().copy(tmp_path)
    stamps = {name: project / ".unified_ranker" / name / "stamp.json" for name in ("prepare", "train", "evaluate")}
    before = {name: file.read_bytes() for name, file in stamps.items()}
    events = events_table()
    later = events.assign(timestamp=events["timestamp"] + (END - events["timestamp"].min()) + pd.Timedelta(1, "h"))
    write_tables(project, {"events": pd.concat([events, later])})
    again = bulk(project / "releases" / "latest", requests_table(), tmp_path, "--limit", "40")
    pd.testing.assert_frame_equal(again, answered)
    now = {name: file.read_bytes() for name, file in stamps.items()}
    assert now == before


def test_what_comes_before_a_request_does_change_its_answer(answered, tmp_path):
    project = built_project().copy(tmp_path)
    events = events_table()
    write_tables(project, {"events": events[events["user_id"] != "u3"]})
    again = bulk(project / "releases" / "1", requests_table(), tmp_path, "--limit", "40")
    row = len(requests_table()) - 4
    ours, theirs = (a.loc[a["row"] == row, "score"].reset_index(drop=True) for a in (answered, again))
    assert not ours.equals(theirs)


def expected_candidates(request):
    """The items that may answer a request, by the rules of the design alone."""
    allowed = ITEM_IDS - {request["source_item_id"]}
    if request["timestamp"] < LATE_ITEM_CREATED:
        allowed -= {LATE_ITEM}
    if request["task"] == "home_feed" and request["user_id"] is not None:
        engaged = (
            event["item_id"]
            for event in history_of(request["user_id"], request["timestamp"])
            if event["task"] == "home_feed" and (event["event_type"] == "click" or event["value"] >= 4)
        )
        allowed -= set(engaged)
    return allowed


def test_every_item_that_may_answer_does_and_no_other(answered):
    """With a limit as high as the catalogue: items of later, engaged ones and the source item are no candidates."""
    requests = requests_table().astype(object).where(requests_table().notna(), None).to_dict("records")
    seen = {"late": 0, "engaged": 0, "source": 0}
    for row, request in enumerate(requests):
        found = set(answered.loc[answered["row"] == row, "item_id"])
        assert found == expected_candidates(request), request
        seen["late"] += LATE_ITEM not in found
        seen["source"] += request["source_item_id"] is not None
        seen["engaged"] += request["task"] == "home_feed" and len(found) < 39
    assert all(seen.values()), "the requests do not meet every rule"
    assert any(LATE_ITEM in set(own["item_id"]) for _, own in answered.groupby("row"))


def test_an_item_is_a_candidate_after_its_creation(release, tmp_path):
    moments = [LATE_ITEM_CREATED, LATE_ITEM_CREATED + pd.Timedelta(1, "s"), pd.NaT]
    requests = pd.DataFrame({"user_id": "u1", "task": "search", "timestamp": moments})
    found = bulk(release, requests, tmp_path, "--limit", "40").groupby("row")["item_id"].agg(set)
    assert [LATE_ITEM in items for items in found] == [False, True, True]


def test_the_item_that_is_the_query_is_never_its_answer(release, tmp_path):
    requests = pd.DataFrame({"user_id": "u1", "task": "search", "query_item_id": ["i4", "i99", None]})
    found = bulk(release, requests, tmp_path, "--limit", "40").groupby("row")["item_id"].agg(set)
    assert [ITEM_IDS - items for items in found] == [{"i4"}, set(), set()]


@pytest.mark.parametrize(("flag", "counts"), [(["--limit", "7"], [3, 7, 5]), ([], [3, 5, 5])])
def test_a_row_has_its_own_limit_then_the_options_then_the_tasks(release, tmp_path, flag, counts):
    requests = pd.DataFrame({"user_id": "u1", "task": "search", "limit": pd.array([3, None, 0], "Int64")})
    answers = bulk(release, requests, tmp_path, *flag)
    assert answers.groupby("row").size().tolist() == counts


def test_a_csv_of_requests_gives_the_same_answers(release, answered, tmp_path):
    requests_table().to_csv(tmp_path / "requests.csv", index=False)
    output = tmp_path / "answers.parquet"
    options = ["--requests", tmp_path / "requests.csv", "--output", output, "--limit", "40", "--json"]
    shown = cli("recommend", release, *options)
    assert shown.exit_code == 0
    summary = json.loads(shown.stdout)
    assert (summary["requests"], summary["rows"]) == (len(requests_table()), len(answered))
    pd.testing.assert_frame_equal(pd.read_parquet(output), answered)


def test_no_requests_give_no_answers(release, tmp_path):
    answers = bulk(release, requests_table().head(0), tmp_path)
    assert list(answers.columns) == ["row", "rank", "item_id", "score"]
    assert answers.empty


def test_more_requests_than_fit_in_a_batch_are_answered_in_order(release, answered, tmp_path):
    requests = pd.concat([requests_table()] * 2, ignore_index=True)
    count = len(requests_table())
    assert count < 64 < len(requests)
    answers = bulk(release, requests, tmp_path, "--limit", "40")
    second = answers[answers["row"] >= count].assign(row=lambda a: a["row"] - count).reset_index(drop=True)
    pd.testing.assert_frame_equal(second, answered, rtol=1e-4)


# --- tables that are none


GOOD = {"user_id": "u1", "task": "search"}
OLD = pd.Timestamp("1969-05-01", tz="UTC")
EVENT_OF_NAN = {"item_id": "i1", "event_type": "rating", "task": "home_feed", "timestamp": END, "value": float("nan")}
FAULTS = {
    "no task": ({"user_id": "u1"}, ["the column `task` of a request is missing", "`user_id`"]),
    "no user": ({"userid": "u1", "task": "search"}, ["`user_id` of a request is missing", "Did you mean `userid`?"]),
    "unknown column": (
        {**GOOD, "contry": "GB"},
        ["`contry` is no column", "Allowed: `user_id`", "Did you mean `country`?"],
    ),
    "unknown task": ({**GOOD, "task": "serch"}, ["row 0: unknown task `serch`", "Did you mean `search`?"]),
    "empty task": ({**GOOD, "task": " "}, ["`task` is present", "1 rows", "(row 0)", "fill it in"]),
    "text for a time": ({**GOOD, "timestamp": "noon"}, ["`timestamp` is a time", "ISO 8601", "`noon`"]),
    "too early": ({**GOOD, "timestamp": OLD}, ["`timestamp` lies after 1970", "1969-05-01 00:00:00+00:00 (row 0)"]),
    "milliseconds": ({**GOOD, "timestamp": 1_700_000_000_000}, ["`timestamp` is a time", "milliseconds?"]),
    "half a limit": ({**GOOD, "limit": 2.5}, ["`limit` is a whole number", "`2.5`"]),
    "negative limit": ({**GOOD, "limit": -3}, ["`limit` is from 0", "-3 (row 0)", "`--limit`"]),
    "text for a limit": ({**GOOD, "limit": "ten"}, ["`limit` is a whole number", "string"]),
    "country in small letters": (
        {**GOOD, "country": "us"},
        ["`country` is two capital letters", "in 1 rows, e.g. `us (row 0)`", "GB"],
    ),
    "country of three letters": ({**GOOD, "country": "USA"}, ["`country` is two capital letters", "`USA (row 0)`"]),
    "text for a history": ({**GOOD, "history": "i1|i2"}, ["`history` holds lists of structs", "CSV has no lists"]),
    "history of ids": ({**GOOD, "history": ["i1"]}, ["`history` holds lists of structs", "`item_id`"]),
    "history without times": ({**GOOD, "history": [{"item_id": "i1"}]}, ["`timestamp` of `history` is missing"]),
    "history with more": (
        {**GOOD, "history": [{"item_id": "i1", "timestamp": END, "valu": 1}]},
        ["`valu` is no column of `history`", "Did you mean `value`?"],
    ),
    "history with a null": (
        {**GOOD, "history": [{"item_id": "i1", "timestamp": END}, {"item_id": None, "timestamp": END}]},
        ["`history.item_id` is present", "1 rows"],
    ),
    "history with NaN": ({**GOOD, "history": [EVENT_OF_NAN]}, ["`history.value` is finite or null", "nan"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_table_is_one_line_and_no_file(release, tmp_path, fault):
    row, wanted = FAULTS[fault]
    requests, output = tmp_path / "requests.parquet", tmp_path / "answers.parquet"
    pq.write_table(pa.Table.from_pylist([row]), requests)
    shown = cli("recommend", release, "--requests", requests, "--output", output)
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1, shown.stderr
    assert shown.stderr.startswith(f"error: `{requests}`: ")
    assert all(part in shown.stderr for part in wanted), shown.stderr
    assert shown.stdout == ""
    assert os.listdir(tmp_path) == ["requests.parquet"]


def test_a_table_that_is_not_there_is_named(release, tmp_path):
    shown = cli("recommend", release, "--requests", tmp_path / "r.csv", "--output", tmp_path / "a.parquet")
    assert shown.exit_code == 2
    assert "r.csv` does not exist" in shown.stderr


def test_an_interrupt_leaves_no_answers(release, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    requests_table().to_parquet(tmp_path / "requests.parquet", index=False)
    (tmp_path / "answers.parquet").write_text("of yesterday")
    monkeypatch.setattr(recommender.Recommender, "answer", interrupted)
    shown = cli(
        "recommend", release, "--requests", tmp_path / "requests.parquet", "--output", tmp_path / "answers.parquet"
    )
    assert shown.exit_code == 130
    assert sorted(os.listdir(tmp_path)) == ["answers.parquet", "requests.parquet"]
    assert (tmp_path / "answers.parquet").read_text() == "of yesterday"


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".parquet"])
def test_the_output_is_of_the_kind_that_its_name_says(release, tmp_path, suffix):
    pq.write_table(pa.Table.from_pylist([GOOD]), tmp_path / "requests.parquet")
    output = tmp_path / f"answers{suffix}"
    shown = cli("recommend", release, "--requests", tmp_path / "requests.parquet", "--output", output, "--limit", "3")
    assert shown.exit_code == 0, shown.output
    table = pd.read_parquet(output) if suffix == ".parquet" else pd.read_csv(output)
    assert table.columns.tolist() == ["row", "rank", "item_id", "score"]
    assert table["rank"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("answers.txt", "`--output` must end in .parquet or .csv. Received: `"),
        ("answers", "`--output` must end in .parquet or .csv. Received: `"),
        ("no/such/answers.csv", "`--output` must lie in a directory that exists. Received: `"),
    ],
)
def test_an_output_that_cannot_be_is_one_line_and_makes_nothing(release, tmp_path, name, said):
    pq.write_table(pa.Table.from_pylist([GOOD]), tmp_path / "requests.parquet")
    shown = cli("recommend", release, "--requests", tmp_path / "requests.parquet", "--output", tmp_path / name)
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"error: {said}")
    assert len(shown.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["requests.parquet"]


def test_surfaces_that_a_release_was_not_trained_for_are_remarked_once_each(tmp_path):
    release = built_project().copy(tmp_path) / "releases" / "1"
    manifest = json.loads((release / "manifest.json").read_text())
    (release / "manifest.json").write_text(json.dumps(manifest | {"tasks_trained": ["search"]}))
    requests_table().to_parquet(tmp_path / "requests.parquet", index=False)
    paths = ["--requests", tmp_path / "requests.parquet", "--output", tmp_path / "answers.parquet", "--json"]
    remarks = cli("recommend", release, *paths).stderr.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in remarks] == ["home_feed", "more_like_this", "pre_query"]
