"""`unified-ranker recommend`: one request, as a user asks it."""

import json
import shutil

import pytest
from small_project import (
    TASKS,
    built_project,
    cli,
    events_table,
    items_table,
    title,
    write_project,
)

pytestmark = [pytest.mark.xdist_group("small_project"), pytest.mark.usefixtures("model_in_memory")]
ITEM_IDS = set(items_table()["item_id"])


def one(release, *options):
    """Answer one request and return the JSON."""
    shown = cli("recommend", release, *options, "--json")
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


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
    assert "users have no histories: " in shown.stderr
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
