"""`unified-ranker recommend`: one request, and a table of them, as a user asks."""

import json
import os
import shutil
import time

import numpy as np
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
    predict_of,
    title,
    write_files,
    write_project,
    write_tables,
)

from unified_ranker.core.errors import UserError
from unified_ranker.serving.answering import recommender
from unified_ranker.serving.answering.project_log import project_log
from unified_ranker.serving.answering.request_table import read_requests

pytestmark = pytest.mark.xdist_group("small_project")
ITEM_IDS = set(items_table()["item_id"])
END = events_table()["timestamp"].max()


def loaded(_):
    """Return the model of the one release: whatever the tests ask is it, or a copy of it."""
    return predict_of(built_project().release)


def no_remark(text):
    raise AssertionError(text)


@pytest.fixture(autouse=True)
def model_in_memory(monkeypatch):
    """To load it takes longer than all the rest; `test_pipeline` has a test that loads it as the command does."""
    monkeypatch.setattr(recommender, "load_predict", loaded)


@pytest.fixture(scope="module")
def release():
    return built_project().release


def one(release, *options):
    """Answer one request and return the JSON."""
    shown = cli("recommend", release, *options, "--json")
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


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


# --- one request


SURFACES = {
    "search": ["--query", "blue drama"],
    "more_like_this": ["--source-item", "i9"],
    "home_feed": [],
    "pre_query": ["--country", "GB"],
}


@pytest.mark.parametrize("task", SURFACES)
def test_every_surface_answers_with_titles_in_order_of_score(release, task):
    answer = one(release, "--user", "u5", "--task", task, *SURFACES[task])
    assert (answer["release"], answer["user_id"], answer["task"]) == (1, "u5", task)
    scores = [item["score"] for item in answer["items"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    titles = items_table().set_index("item_id")["title"]
    assert [item["title"] for item in answer["items"]] == [titles[item["item_id"]] for item in answer["items"]]
    heads = {"click", "like"} if task == "home_feed" else {"click"}
    for item in answer["items"]:
        assert heads <= item["heads"].keys()
        assert all(0 <= chance <= 1 for chance in item["heads"].values())


def test_a_table_shows_rank_title_and_score(release):
    shown = cli("recommend", release, "--user", "u0", "--task", "search", "--query", "amber comedy", "--limit", "40")
    assert shown.exit_code == 0
    heading, *rows = shown.stdout.splitlines()
    events = (events_table()["user_id"] == "u0").sum()
    assert heading.startswith(f"search for user u0 ({events} events), query 'amber comedy', release 1")
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows if row.startswith("│")]
    assert [cell[0] for cell in cells] == [str(rank) for rank in range(1, 41)]
    assert {cell[1] for cell in cells} == ITEM_IDS
    # Brackets in a title are text, not markup.
    assert [cell[2] for cell in cells if cell[1] == "i0"] == [title(0)] == ["The Amber Comedy [uncut]"]


def test_a_query_is_answered_by_its_title(release):
    found = one(release, "--user", "u1", "--task", "search", "--query", "ebony western")["items"]
    assert any(word in item["title"] for item in found for word in ("Ebony", "Western"))


def test_the_query_of_a_source_item_is_its_title(release):
    answer = one(release, "--user", "u1", "--task", "more_like_this", "--source-item", "i9")
    assert answer["imputed_query"] == title(9)
    assert "i9" not in [item["item_id"] for item in answer["items"]]


def test_the_limit_is_the_tasks_own_unless_given(release):
    assert len(one(release, "--user", "u1", "--task", "search")["items"]) == 5
    assert len(one(release, "--user", "u1", "--task", "search", "--limit", "3")["items"]) == 3
    # More than the 30 candidates that the task declares.
    assert len(one(release, "--user", "u1", "--task", "search", "--limit", "99")["items"]) == 40
    assert cli("recommend", release, "--user", "u1", "--task", "search", "--limit", "-1").exit_code == 2


def test_a_history_counts(release):
    """Users of the two kinds get other answers; a user without one as well."""
    answers = [one(release, "--user", user, "--task", "home_feed")["items"] for user in ("u1", "u2", "stranger")]
    assert len({tuple(item["item_id"] for item in items) for items in answers}) == 3


@pytest.mark.parametrize("task", TASKS)
def test_unknown_users_countries_and_words_are_ordinary(release, task):
    options = ["--task", task, "--country", "ZZ", "--query", "qwertz ÄÖ 东京 🎬"]
    for user in (["--user", "nobody"], []):
        answer = one(release, *user, *options)
        assert len(answer["items"]) == 5
    shown = cli("recommend", release, *options)
    assert "user unknown (0 events)" in shown.stdout


def test_an_unknown_source_item_is_remarked_beside_the_json(release):
    shown = cli("recommend", release, "--user", "u1", "--task", "more_like_this", "--source-item", "i99", "--json")
    assert shown.exit_code == 0
    assert "the catalogue has no item 'i99'" in shown.stderr
    assert len(json.loads(shown.stdout)["items"]) == 5


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--user", "u1"], "`--task` is required. Known: `home_feed`"),
        (["--user", "u1", "--task", "serch"], "Did you mean `search`?"),
        (["--output", "x.parquet", "--task", "search"], "`--output` must be given with `--requests`"),
        (["--requests", "x.parquet"], "`--requests` needs `--output`"),
        (["--requests", "x.parquet", "--output", "y.parquet", "--user", "u1"], "must be given without `--user`"),
        (["--requests", "x.parquet", "--output", "."], "must be a file. Received: the directory"),
        (["--task", "search", "--project", "nowhere"], "nowhere/project.yaml` does not exist"),
    ],
)
def test_options_that_do_not_fit_are_one_line(release, options, wanted):
    shown = cli("recommend", release, *options)
    assert shown.exit_code == 2
    assert wanted in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert shown.stdout == ""


def test_what_is_no_release_is_named(tmp_path):
    shown = cli("recommend", tmp_path, "--user", "u1", "--task", "search")
    assert shown.exit_code == 2
    assert "is no release" in shown.stderr


def test_a_release_away_from_its_project_answers_without_histories(release, tmp_path):
    away = shutil.copytree(release, tmp_path / "elsewhere" / "1")
    shown = cli("recommend", away, "--user", "u1", "--task", "home_feed")
    assert shown.exit_code == 0
    assert "no histories; name one with --project" in shown.stderr
    assert "(0 events)" in shown.stdout
    named = cli("recommend", away, "--user", "u1", "--task", "home_feed", "--project", built_project().directory)
    assert named.stderr == ""
    assert "(0 events)" not in named.stdout


def test_a_task_that_a_release_was_not_trained_for_is_remarked(tmp_path):
    """As after `build --tasks search`: the other surfaces are declared, and answered, by an untaught model."""
    release = built_project().copy(tmp_path) / "releases" / "1"
    manifest = json.loads((release / "manifest.json").read_text())
    (release / "manifest.json").write_text(json.dumps(manifest | {"tasks_trained": ["search"]}))
    shown = cli("recommend", release, "--user", "u1", "--task", "home_feed", "--json")
    assert shown.stderr == "note: the release was trained for search alone; it has learnt nothing for home_feed\n"
    assert len(json.loads(shown.stdout)["items"]) == 5
    search = ["--user", "u1", "--task", "search", "--query", "drama", "--json"]
    assert cli("recommend", release, *search).stderr == ""
    requests_table().to_parquet(tmp_path / "requests.parquet", index=False)
    paths = ["--requests", tmp_path / "requests.parquet", "--output", tmp_path / "answers.parquet", "--json"]
    remarks = cli("recommend", release, *paths).stderr.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in remarks] == ["home_feed", "more_like_this", "pre_query"]


# --- a table of requests


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
def answered(release, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommender, "load_predict", loaded)
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


def test_an_item_is_a_candidate_from_its_creation_on(release, tmp_path):
    moments = [LATE_ITEM_CREATED - pd.Timedelta(1, "s"), LATE_ITEM_CREATED, pd.NaT]
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
    told = json.loads(shown.stdout)
    assert (told["requests"], told["rows"]) == (len(requests_table()), len(answered))
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
    "negative limit": ({**GOOD, "limit": -3}, ["`limit` is 0", "-3 (row 0)", "`--limit`"]),
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


# --- what rows mean, without a model


class NoLog:
    """Counts how often somebody asks for the log."""

    asked = 0

    def __call__(self):
        self.asked += 1


def read(tmp_path, table, limit=0):
    pq.write_table(table, tmp_path / "requests.parquet")
    log = NoLog()
    return read_requests(tmp_path / "requests.parquet", TASKS, log, limit), log


def test_ids_are_read_as_in_the_log(tmp_path):
    """The number 12, or 12.0 as pandas stores it beside a null, is "12"."""
    table = pa.table({"user_id": [12.0, None, 7.0], "task": ["search"] * 3, "source_item_id": [1, 2, None]})
    requests, _ = read(tmp_path, table)
    assert [r.user_id for r in requests] == ["12", "", "7"]
    assert [r.source_item_id for r in requests] == ["1", "2", ""]


def test_blank_fields_are_absent(tmp_path):
    table = pa.table({"user_id": ["u1"], "task": ["search"], "query": ["  "], "country": [""]})
    (request,), _ = read(tmp_path, table)
    assert (request.query, request.country, request.timestamp, request.limit) == ("", "", 0, 0)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1_700_000_000, None]),
        pa.array(["2023-11-14T22:13:20Z", None]),
        pa.array(["2023-11-14T23:13:20+01:00", ""]),
        pa.array([1_700_000_000_000, None], pa.timestamp("ms")),
        pa.array([1_700_000_000_999_999, None], pa.timestamp("us", "America/New_York")),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_times_are_utc_seconds_wherever_they_are_read(tmp_path, monkeypatch, times, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        events = pa.StructArray.from_arrays([pa.array(["i1"]), times[:1]], ["item_id", "timestamp"])
        history = pa.ListArray.from_arrays([0, 1, 1], events)
        table = pa.table({"user_id": ["u", "u"], "task": ["search"] * 2, "timestamp": times, "history": history})
        requests, log = read(tmp_path, table)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [r.timestamp for r in requests] == [1_700_000_000, 0]
    assert [r.history.timestamp.tolist() for r in requests] == [[1_700_000_000], []]
    assert log.asked == 0


def test_a_history_keeps_its_rows_apart(tmp_path):
    histories = [
        [{"item_id": "b", "timestamp": 20, "value": 4.5}, {"item_id": "a", "timestamp": 10, "value": None}],
        None,
        [],
        [{"item_id": "c", "timestamp": 5, "value": None}],
    ]
    kind = pa.list_(pa.struct([("item_id", pa.string()), ("timestamp", pa.int64()), ("value", pa.float64())]))
    table = pa.table({"user_id": ["u"] * 4, "task": ["search"] * 4, "history": pa.array(histories, kind)})
    for layout in (kind, pa.large_list(kind.value_type)):
        cast = table.set_column(2, "history", table["history"].cast(layout))
        requests, _ = read(tmp_path, cast)
        found = [r.history for r in requests]
        assert [h.item_id.tolist() for h in found] == [["a", "b"], [], [], ["c"]]
        assert [h.value.tolist() for h in found] == [[0.0, 4.5], [], [], [0.0]]
        assert [h.event_type.tolist() for h in found] == [["", ""], [], [], [""]]


def test_histories_of_several_chunks_belong_to_their_rows(tmp_path):
    kind = pa.list_(pa.struct([("item_id", pa.string()), ("timestamp", pa.int64())]))
    chunks = [pa.array([[{"item_id": f"i{n}", "timestamp": n + 1}]] * 2, kind) for n in range(3)]
    table = pa.table({"user_id": ["u"] * 6, "task": ["search"] * 6, "history": pa.chunked_array(chunks)})
    requests, _ = read(tmp_path, table)
    assert [r.history.item_id.tolist() for r in requests] == [["i0"], ["i0"], ["i1"], ["i1"], ["i2"], ["i2"]]


def test_the_log_is_opened_only_for_tables_without_histories(tmp_path):
    table = pa.table({"user_id": ["u"] * 3, "task": ["search"] * 3})
    requests, log = read(tmp_path, table)
    assert log.asked == 1
    assert all(len(r.history) == 0 for r in requests)


def test_the_first_fault_of_many_rows_is_told_with_three_examples(tmp_path):
    table = pa.table({"user_id": ["u"] * 9, "task": ["search"] * 9, "limit": [1, -1, -2, 3, -4, -5, 6, 7, 8]})
    with pytest.raises(UserError) as caught:
        read(tmp_path, table)
    assert "in 4 rows, e.g. `-1 (row 1)`, `-2 (row 2)`, `-4 (row 4)`." in str(caught.value)


def test_releases_may_lie_deeper_in_a_project(tmp_path):
    """`releases_dir` tells how far up the project is."""
    project = write_project(tmp_path)
    manifest = json.loads((built_project().release / "manifest.json").read_text())
    manifest["config"]["project"]["releases_dir"] = "out/models"
    release = project / "out" / "models" / "1"
    release.mkdir(parents=True)
    (release / "manifest.json").write_text(json.dumps(manifest))
    write_files(project, {})
    assert len(project_log(release, None, no_remark).before("u1", 0)) == (events_table()["user_id"] == "u1").sum()


def test_a_named_project_brings_its_own_log(release, tmp_path):
    """With its own declarations: the tables may lie, and be called, otherwise."""
    project = write_project(tmp_path)
    (project / "data" / "events.parquet").rename(project / "data" / "log.parquet")
    files = (project / "project.yaml").read_text().replace("data/events.parquet", "data/log.parquet")
    (project / "project.yaml").write_text(files)
    remarks = []
    history = project_log(release, project, remarks.append).before("u1", np.datetime64("2024-01-20", "s").astype(int))
    assert remarks == [f"the data of {project} are not those that the release was made from"]
    early = events_table()["timestamp"] < "2024-01-20"
    assert len(history) == ((events_table()["user_id"] == "u1") & early).sum()


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


@pytest.mark.parametrize(("country", "hint"), [("usa", ""), ("us", "Did you mean `US`?"), ("U", "")])
def test_a_country_that_is_no_code_is_refused(release, country, hint):
    shown = cli("recommend", release, "--task", "search", "--query", "drama", "--country", country)
    assert shown.exit_code == 2
    assert f"Received: `{country}`.{' ' * bool(hint)}{hint} Leave it out" in shown.stderr


@pytest.mark.parametrize(
    ("task", "lack"),
    [
        ("search", "note: the request for search has no query: name one with --query"),
        ("more_like_this", "note: the request for more_like_this has no source item: name one with --source-item"),
        ("home_feed", ""),
    ],
)
def test_a_request_without_what_it_is_about_is_remarked(release, task, lack):
    shown = cli("recommend", release, "--user", "u1", "--task", task, "--json")
    assert shown.exit_code == 0
    assert shown.stderr.strip() == lack
    assert json.loads(shown.stdout)["items"]
    full = cli("recommend", release, "--task", task, "--query", "drama", "--source-item", "i3", "--json")
    assert full.stderr == ""


def test_another_project_is_refused_and_none_is_written_into(release, tmp_path):
    project = write_project(tmp_path)
    declared = (project / "project.yaml").read_text()
    (project / "project.yaml").write_text(declared.replace("name: small", "name: other"))
    options = ["--user", "u1", "--task", "home_feed", "--project", project]
    shown = cli("recommend", release, *options)
    assert shown.exit_code == 2
    assert "`--project` must be the project of the release, `small`" in shown.stderr
    assert "which is `other`" in shown.stderr
    (project / "project.yaml").write_text(declared)
    assert cli("recommend", release, *options).exit_code == 0
    assert not (project / ".unified_ranker").exists()
    events_table().iloc[:-1].to_parquet(project / "data" / "events.parquet", index=False)
    changed = cli("recommend", release, *options)
    assert changed.exit_code == 0
    assert f"note: the data of {project} are not those that the release was made from" in changed.stderr
