"""The Python API: the same stages, answers and messages as the command line, for tables in memory."""

import inspect
import json
import re
import subprocess
import sys
import textwrap

import pandas as pd
import pyarrow as pa
import pytest
from small_project import built_project, cli, events_table, items_table, predict_of, tables, users_table, write_project

import unified_ranker
from unified_ranker import Project, Recommender
from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import silent
from unified_ranker.evaluation.results import Evaluation
from unified_ranker.serving.answering.recommending import Answer

pytestmark = pytest.mark.xdist_group("small_project")
EVENT = {"item_id": "i5", "timestamp": "2024-02-01T12:00:00Z"}


@pytest.fixture(scope="module")
def recommender():
    return Recommender(built_project().release, predict=predict_of(built_project().release), progress=silent)


def ids(answer):
    return [item.item_id for item in answer.items]


def refusal(call, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# --- the names


def test_names_are_listed_and_typed():
    assert {"Project", "Recommender", "open_store"} <= set(dir(unified_ranker))
    with pytest.raises(AttributeError, match="`projekt`"):
        _ = unified_ranker.projekt


STEPS = """
import sys, tempfile, json
seen = {}
def note(name):
    heavy = {"tensorflow", "scann", "apache_beam", "pandas", "numpy"}
    seen[name] = sorted(heavy & sys.modules.keys())
import unified_ranker; note("import")
store = unified_ranker.open_store(sys.argv[2]); note("open_store")
from unified_ranker import Project
project = Project(sys.argv[1]); note("Project")
assert not any(check.failed for check in project.validate()); note("validate")
assert project.prepare().output.is_dir(); note("prepare")
print(json.dumps(seen))
"""


def test_tensorflow_waits_until_a_model_is_needed(tmp_path):
    write_project(tmp_path / "small")
    done = subprocess.run(
        [sys.executable, "-c", STEPS, tmp_path / "small", tmp_path / "store"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["import"] == []
    assert seen["open_store"] == ["numpy"]
    assert not any("tensorflow" in loaded for loaded in seen.values()), seen
    assert not any("scann" in loaded for loaded in seen.values()), seen


# --- a project


@pytest.mark.parametrize("as_given", [lambda frame: frame, pa.Table.from_pandas], ids=["pandas", "arrow"])
def test_a_project_of_tables_is_the_one_that_init_writes(tmp_path, as_given):
    given = {name: as_given(frame) for name, frame in tables().items()}
    project = Project.from_tables(**given, directory=tmp_path / "a" / "shop")
    folder = tmp_path / "b" / "shop"
    (folder / "data").mkdir(parents=True)
    options = []
    for name, frame in tables().items():
        frame.to_parquet(folder / "data" / f"{name}.parquet")
        options += [f"--{name}", folder / "data" / f"{name}.parquet"]
    assert cli("init", folder, *options).exit_code == 0
    files = {p.relative_to(folder): p.read_text() for p in folder.rglob("*.yaml")}
    assert len(files) > 8
    assert files == {p.relative_to(project.directory): p.read_text() for p in project.directory.rglob("*.yaml")}
    assert not any(check.failed for check in project.validate())


def test_a_named_index_of_pandas_is_a_column(tmp_path):
    items = items_table().set_index("item_id")
    project = Project.from_tables(events_table(), items, directory=tmp_path / "shop")
    assert pd.read_parquet(project.directory / "data" / "items.parquet")["item_id"].tolist() == items.index.tolist()


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"events": events_table().drop(columns="item_id")}, "item_id"),
        ({"events": "events.parquet"}, "`events` must be a pandas.DataFrame or a pyarrow.Table. Received: str"),
        ({"items": items_table().assign(minutes=[1, "two"] * 20)}, "`items` must have columns of one type"),
        ({"overrides": {"project.training.epoch": 3}}, "Did you mean `epochs`?"),
        ({"tasks": ["serch"]}, "Did you mean `search`?"),
    ],
)
def test_nothing_stays_of_a_project_that_cannot_be(tmp_path, changed, wanted):
    there = tmp_path / "there"
    there.mkdir()
    (there / "notes.txt").write_text("mine")
    for place in (there, tmp_path / "new" / "shop"):
        assert wanted in refusal(Project.from_tables, **{**tables(), "directory": place, **changed})
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["there", "there/notes.txt"]


def test_a_project_that_is_there_stays(tmp_path):
    write_project(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert "is a project already" in refusal(Project.from_tables, **tables(), directory=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_overrides_are_values_or_texts():
    directory = built_project().directory
    values = {"project.training.epochs": 7, "project.evaluation.baselines": ["popularity"], "project.name": "größer"}
    with pytest.raises(UserError, match="größer"):
        Project(directory, values)
    del values["project.name"]
    config = Project(directory, values).config.project
    assert (config.training.epochs, list(config.evaluation.baselines)) == (7, ["popularity"])
    assert Project(directory, ["project.training.epochs=7"]).config.project.training.epochs == 7
    assert "Put it in a list" in refusal(Project, directory, "project.training.epochs=7")


def test_what_is_up_to_date_is_read(tmp_path):
    """What the command line has built is built for the Python API as well, and nothing loads a model for it."""
    project = Project(built_project().copy(tmp_path), progress=silent)
    assert [stage().skipped for stage in (project.prepare, project.train)] == [True, True]
    assert project.export() == project.build() == project.releases[-1] == project.directory / "releases" / "1"
    evaluation = project.evaluate()
    assert isinstance(evaluation, Evaluation)
    frame = evaluation.to_frame()
    shown = json.loads(cli("evaluate", "--project", project.directory, "--json").stdout)
    everything = frame[frame["dimension"] == "all"].set_index(["task", "scorer"])
    for task, scorers in shown.items():
        for scorer, metrics in scorers.items():
            assert round(everything.loc[(task, scorer), "ndcg@10"], 5) == metrics["ndcg@10"]
    # Of all requests: over a slice of two or three, a percentile of the bootstrap may lie on the mean's other side.
    assert (everything["mrr_low"] <= everything["mrr"]).all()
    assert (everything["mrr"] <= everything["mrr_high"]).all()


def test_a_changed_file_counts_from_the_next_call_on_and_failed_checks_stop_a_build(tmp_path):
    heard = []
    project = Project(write_project(tmp_path), progress=heard.append)
    assert not project.prepare().skipped
    assert project.prepare().skipped
    assert heard
    events_table().drop(columns="task").to_parquet(tmp_path / "data" / "events.parquet")
    assert any(check.failed for check in project.validate())
    lines = refusal(project.build).splitlines()
    assert lines
    assert all(line.startswith("FAIL") for line in lines)
    assert project.releases == []


# --- answers


def test_one_request_is_answered_as_on_the_command_line(recommender):
    options = ["--user", "u5", "--task", "search", "--query", "blue drama", "--country", "GB", "--limit", "7", "--json"]
    shown = json.loads(cli("recommend", built_project().release, *options).stdout)
    answer = recommender.recommend(user_id="u5", task="search", query="blue drama", country="GB", limit=7)
    assert isinstance(answer, Answer)
    assert ids(answer) == [item["item_id"] for item in shown["items"]]
    assert [item.score for item in answer.items] == pytest.approx([item["score"] for item in shown["items"]], abs=1e-2)
    frame = answer.to_frame()
    assert frame["item_id"].tolist() == ids(answer)
    assert set(answer.items[0].heads) < set(frame.columns)


def test_columns_of_an_answer_keep_their_places(recommender):
    """However the model orders its outputs, which differs each time that it is loaded."""

    def reversed_outputs(signature, inputs):
        return dict(reversed(predict_of(built_project().release)(signature, inputs).items()))

    other = Recommender(built_project().release, predict=reversed_outputs, progress=silent)
    frames = [given.recommend(task="home_feed", user_id="u2").to_frame() for given in (recommender, other)]
    assert list(frames[0].columns)[-2:] == ["click", "like"]
    pd.testing.assert_frame_equal(*frames)


def test_a_history_is_given_as_records_or_as_a_table_or_comes_from_the_log(recommender):
    rows = events_table().query("user_id == 'u2'")[["item_id", "event_type", "task", "timestamp", "value"]]
    given = [
        rows,
        pa.Table.from_pandas(rows, preserve_index=False),
        rows.astype(object).where(rows.notna(), None).to_dict("records"),
    ]
    answers = [ids(recommender.recommend(task="home_feed", user_id="nobody", history=history)) for history in given]
    assert answers[0] == answers[1] == answers[2]
    none = ids(recommender.recommend(task="home_feed", user_id="nobody"))
    assert none != answers[0]
    assert ids(recommender.recommend(task="home_feed", user_id="u2", history=[])) != answers[0]
    request = recommender.request({"task": "home_feed", "user_id": "u2"})
    assert sorted(request.history.item_id) == sorted(rows["item_id"])


def test_a_table_is_answered_by_one_of_its_kind(recommender):
    requests = pd.DataFrame({"user_id": ["u1", "u2"], "task": ["home_feed", "search"], "query": [None, "amber"]})
    answers = recommender.recommend_table(requests, limit=3)
    assert isinstance(answers, pd.DataFrame)
    assert answers.groupby("row")["rank"].apply(list).tolist() == [[1, 2, 3]] * 2
    single = recommender.recommend(user_id="u2", task="search", query="amber", limit=3)
    assert answers[answers["row"] == 1]["item_id"].tolist() == ids(single)
    arrow = recommender.recommend_table(pa.Table.from_pandas(requests), limit=3)
    assert isinstance(arrow, pa.Table)
    pd.testing.assert_frame_equal(arrow.to_pandas(), answers)
    assert len(recommender.recommend_table(requests.head(0))) == 0


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"task": "serch"}, ["--task", "serch"]),
        ({"task": "search", "country": "gb"}, ["--task", "search", "--country", "gb"]),
    ],
)
def test_a_mistake_has_the_message_of_the_command_line(recommender, fields, options):
    shown = cli("recommend", built_project().release, *options)
    assert shown.stderr == f"error: {refusal(recommender.recommend, **fields)}\n"


@pytest.mark.parametrize(
    "row",
    [
        {"user_id": "u1"},
        {"user_id": "u1", "task": "serch"},
        {"user_id": "u1", "task": "search", "contry": "GB"},
        {"user_id": "u1", "task": "search", "query": {"text": "blue"}},
        {"user_id": "u1", "task": "search", "limit": -1},
        {"user_id": "u1", "task": "search", "history": [{"item_id": "i1"}]},
    ],
    ids=lambda row: "-".join(row),
)
def test_a_bad_table_has_the_message_of_the_command_line(recommender, row, tmp_path):
    table = pa.Table.from_pylist([row])
    file = tmp_path / "requests.parquet"
    pa.parquet.write_table(table, file)
    shown = cli("recommend", built_project().release, "--requests", file, "--output", tmp_path / "answers.parquet")
    assert shown.stderr == f"error: `{file}`: {refusal(recommender.recommend_table, table)}\n"


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("query", ["blue"], "`query`"),
        ("query", object(), "`query` must have the form of a table's column"),
        ("limit", -3, "`limit` is from 0 (as the task declares) to"),
        ("limit", "many", "`limit`"),
        ("history", 7, "`history` must have the form"),
        ("history", [{"item_id": "i1"}], "`timestamp` of `history` is missing"),
        ("history", [{**EVENT, "valu": 1}], "Did you mean `value`?"),
        ("timestamp", "yesterday", "`timestamp`"),
    ],
)
def test_a_wrong_field_is_named(recommender, field, value, wanted):
    assert wanted in refusal(recommender.recommend, **{"task": "search", field: value})


def test_what_is_no_release_is_named_at_once(tmp_path):
    assert "is no release" in refusal(Recommender, tmp_path)


# --- the examples of the docstrings


def examples():
    """Return the code below `Example:` in the docstrings of the public names, by their dotted names."""
    found = {"Evaluation.to_frame": Evaluation.to_frame, "Answer.to_frame": Answer.to_frame}
    for owner in (Project, Recommender):
        found[owner.__name__] = owner
        found |= {f"{owner.__name__}.{n}": m for n, m in inspect.getmembers(owner) if not n.startswith("_")}
    texts = {name: (inspect.getdoc(thing) or "").partition("Example:\n")[2] for name, thing in found.items()}
    return {name: re.split(r"\n(?=\S)", text)[0] for name, text in texts.items() if text}


EXAMPLES = examples()


def test_every_method_of_a_project_has_an_example():
    public = {name for name, member in vars(Project).items() if not name.startswith("_")}
    assert {name.partition(".")[2] for name in EXAMPLES if name.startswith("Project.")} == public
    assert {"Project", "Recommender", "Recommender.recommend", "Recommender.recommend_table"} <= EXAMPLES.keys()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A copy of the built project, called `shop`."""
    folder = tmp_path_factory.mktemp("examples")
    built_project().copy(folder).rename(folder / "shop")
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, shop, monkeypatch):
    from unified_ranker.serving.answering import recommender as module

    monkeypatch.chdir(shop)
    monkeypatch.setattr(module, "load_predict", lambda _: predict_of(built_project().release))
    code = textwrap.dedent(EXAMPLES[name]).replace('{"project.training.epochs": 1}', "{}")
    names = {**vars(unified_ranker), "Project": Project, "Recommender": Recommender, "pd": pd}
    names |= {"events": events_table(), "items": items_table(), "users": users_table()}
    exec(code, names)  # noqa: S102
