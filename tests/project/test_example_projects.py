"""The example projects: they load, fit their logs, say what they train and how, and can be pointed at other tables."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from unified_ranker.config.loading import load_config
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.log.schema import InteractionLog, normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.quality_types.popularity_feature import PopularityFeature
from unified_ranker.prepare.vocabulary import build_vocabulary
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.reading.typed_table import read_table
from unified_ranker.tasks.objectives.sampled import SampledItems

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("UNIFIED_RANKER_SHARED", ROOT / ".." / "shared"))
EXAMPLES = ["travel", "retail"]
LICENCES = {"travel": "CC BY-SA 3.0", "retail": "CC BY 4.0"}
TASK_FILES = sorted((ROOT / "examples").glob("*/tasks/*.yaml"))


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request):
    """Return an example's name, declarations and log."""
    tables = [SHARED / "data" / request.param / f"{table}.parquet" for table in ("events", "items", "users")]
    if not tables[0].exists():
        pytest.skip(f"{tables[0]} is not there")
    return request.param, load_config(ROOT / "examples" / request.param), normalise(*map(read_table, tables))


def sample(log, share=20):
    """Return the log of one in `share` users, with the anonymous events of the items that they touched."""
    users = log.users.iloc[::share]
    known = log.events["user_id"].isin(users["user_id"])
    anonymous = log.events["user_id"].isna() & log.events["item_id"].isin(log.events.loc[known, "item_id"])
    events = log.events[known | anonymous]
    touched = events[["item_id", "source_item_id", "query_item_id"]].stack().unique()
    return InteractionLog(events, log.items[log.items["item_id"].isin(touched)], users)


def test_an_example_fits_its_log(example):
    _, config, log = example
    assert [check.line() for check in check_declarations(config, log) if not check.passed] == []
    assert [check.line() for check in validate_tables(log.events, log.items, log.users)[1] if check.failed] == []
    assert set(config.tasks) == set(log.events["task"].unique())


def test_an_example_can_be_prepared_from_a_sample(example):
    _, config, log = example
    part = sample(log)
    _, checks = validate_tables(part.events, part.items, part.users)
    assert [c.line() for c in [*checks, *check_declarations(config, part)] if c.failed] == []
    prepared = prepare(part, config)
    assert set(prepared.examples.task) == set(config.tasks)
    assert set(prepared.examples.head) == set(config.heads)
    vocabulary = build_vocabulary(prepared, config, prepared.split.validation_end)
    columns = {feature.column for feature in (*config.towers.item.features, *config.towers.user.profile)}
    numbers = set(vocabulary.item_numbers) | set(vocabulary.user_numbers)
    categories = {name.partition("=")[0] for name in vocabulary.categories}
    assert numbers | categories | {"title"} >= columns


def test_travel_declares_what_its_log_needs():
    config = load_config(ROOT / "examples" / "travel")
    feed = config.tasks["home_feed"]
    assert {p.event_type: p.weight for p in feed.positives} == {"answer": 1.0, "favorite": 1.0, "comment": 0.5}
    assert config.heads == ("answer", "favorite", "comment", "click")
    assert config.towers.item.quality["upvotes"] == PopularityFeature(type="popularity", event_types=("upvote",))
    assert config.towers.item.quality["freshness"].scale_days == 2
    # New questions first, by weights below those of the cosines (docs/records/quality-weights.md).
    assert 0 < feed.quality_weights["freshness"] < 1
    assert all(task.negatives == SampledItems(type="sampled", uniform=1024) for task in config.tasks.values())
    (author,) = [f for f in config.towers.item.features if f.column == "author_id"]
    assert author.min_count >= 5


def test_retail_has_no_search_and_its_baskets_are_derived():
    config = load_config(ROOT / "examples" / "retail")
    assert set(config.tasks) == {"home_feed", "more_like_this"}
    assert [config.tasks[name].derived for name in ("home_feed", "more_like_this")] == [False, True]
    (price,) = [f for f in config.towers.item.features if f.column == "price"]
    assert price.log
    assert config.tasks["home_feed"].first_engagement_only


def test_the_tables_lie_beside_the_repository_and_can_lie_elsewhere():
    for name in EXAMPLES:
        project = ROOT / "examples" / name
        data = load_config(project).project.data
        shared = (ROOT / ".." / "shared" / "data" / name).resolve()
        assert {(project / table.files).resolve() for table in data.tables.values()} == {
            shared / f"{table}.parquet" for table in ("events", "items", "users")
        }
        moved = load_config(project, ["project.data.events=/elsewhere/events.csv"]).project.data
        assert moved.events.files == Path("/elsewhere/events.csv")
        assert moved.items == data.items


@pytest.mark.parametrize("file", TASK_FILES, ids=lambda f: f"{f.parts[-3]}/{f.stem}")
def test_a_task_file_says_what_it_trains_on_what_and_how(file):
    header = re.split(r"(?m)^(?!#)", file.read_text(encoding="utf-8"))[0]
    name = file.parts[-3]
    assert "Data: " in header
    assert LICENCES[name] in header
    assert f"unified-ranker train --project examples/{name} --tasks {file.stem}" in header


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_project_file_has_the_attribution_and_the_command(name):
    text = (ROOT / "examples" / name / "project.yaml").read_text(encoding="utf-8")
    assert LICENCES[name] in text
    assert f"unified-ranker build --project examples/{name}" in text


def test_counts_in_the_comments_are_those_of_the_log(example):
    name, _, log = example
    counts = log.events.groupby(["task", "event_type"])["user_id"].agg(["size", "nunique"])
    for (task, event_type), (events, users) in pd.DataFrame(counts).iterrows():
        text = (ROOT / "examples" / name / "tasks" / f"{task}.yaml").read_text(encoding="utf-8")
        line = next((line for line in text.splitlines() if f"event_type: {event_type}" in line), None)
        if line is not None:
            assert f"{events:,} by {users:,}" in line


SMALL = [
    "project.training={epochs: 1, batch_examples: 512, ranking_examples: 32, ranking_candidates: 8}",
    "project.evaluation={requests_per_task: 40, bootstrap_samples: 100}",
    "towers.item.dim=16",
    "towers.item.text={type: hashed, buckets: 4096, pairs: {steps: 3}, joint: frozen}",
    "export.serving={warmup_requests: 4, warmup_batch_sizes: [1, 8]}",
]


@pytest.mark.xdist_group("examples")
# The one with every field at every run, the other by `make test-slow`.
@pytest.mark.parametrize("example", ["travel", pytest.param("retail", marks=pytest.mark.slow)], indirect=True)
def test_an_example_builds_from_a_sample_of_its_log_and_answers_every_task(example, tmp_path):
    from unified_ranker.core.request import Request
    from unified_ranker.project.stage_context import StageContext
    from unified_ranker.project.stages import build
    from unified_ranker.project.workspace import Workspace
    from unified_ranker.serving.answering.recommender import Recommender

    name, config, log = example
    part = sample(log, share=40)
    tables = {"events": part.events, "items": part.items, "users": part.users}
    for table, frame in tables.items():
        frame.to_parquet(tmp_path / f"{table}.parquet")
    paths = [f"project.data.{table}={tmp_path / f'{table}.parquet'}" for table in tables]
    small = load_config(ROOT / "examples" / name, [*SMALL, *paths])
    *_, exported, verified = build(StageContext(Workspace(tmp_path, small)))
    release = exported.output
    assert verified.summary.endswith("links hold")
    source = part.events["source_item_id"].dropna().iloc[0]
    requests = [Request(part.users["user_id"].iloc[0], task, "visa", source, limit=5) for task in config.tasks]
    for request, answer in zip(requests, Recommender(release).answer(requests), strict=True):
        assert len({item.item_id for item in answer.items} - {source}) == 5, request.task
