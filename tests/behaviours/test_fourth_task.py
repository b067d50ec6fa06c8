"""A new surface is a new file in tasks/ and nothing else: `pre_query`, with user, country and time but no query."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_project import (
    FOURTH_FILE,
    FOURTH_TASK,
    TASKS,
    built_project,
    cli,
    declarations,
    predict_of,
    recommender,
    write_files,
    write_project,
)

import unified_ranker
from unified_ranker.config.loading import load_config
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.serving.answering import recommender as recommending

pytestmark = pytest.mark.xdist_group("small_project")
NOW = 1_720_000_000


@pytest.fixture(autouse=True)
def model_in_memory(monkeypatch):
    monkeypatch.setattr(recommending, "load_predict", lambda _: predict_of(built_project().release))


def serve(signature, *requests, **more):
    """Run a signature of the served model, as TF Serving does."""
    return predict_of(built_project().release)(signature, {**to_arrays(requests, 8), **more})


def request(**fields):
    return Request(**{"user_id": "u1", "task": FOURTH_TASK, "timestamp": NOW, **fields})


def remarks(project):
    """What `validate` warns of."""
    return [line for line in cli("validate", "--project", project).stdout.splitlines() if line.startswith("WARN")]


def test_one_file_is_all_that_the_project_gained(tmp_path):
    """Without it the same log validates, and only remarks that nobody declares the surface."""
    project = write_project(tmp_path)
    files = {p.relative_to(project) for p in project.rglob("*.yaml")}
    more = {p.relative_to(built_project().directory) for p in built_project().directory.rglob("*.yaml")}
    assert more - files == {Path("tasks", f"{FOURTH_TASK}.yaml")}
    assert files <= more
    assert all((project / f).read_text() == (built_project().directory / f).read_text() for f in files)
    assert set(declarations()) == {str(f) for f in files}
    assert load_config(project).tasks.keys() == set(TASKS)
    assert [line for line in remarks(project) if f"declared: no file for `{FOURTH_TASK}`" in line]
    write_files(project, {f"tasks/{FOURTH_TASK}.yaml": FOURTH_FILE})
    assert not [line for line in remarks(project) if FOURTH_TASK in line]


def test_the_engine_knows_no_surface_of_this_name():
    sources = Path(unified_ranker.__file__).parent.rglob("*.py")
    assert not [p for p in sources if FOURTH_TASK in p.read_text(encoding="utf-8")]


def test_the_model_has_the_surface():
    manifest = json.loads((built_project().release / "manifest.json").read_text())
    assert FOURTH_TASK in manifest["tasks_trained"]
    trained = json.loads((built_project().directory / ".unified_ranker" / "train" / "training.json").read_text())
    assert trained["curves"][f"retrieval/{FOURTH_TASK}"][0] > 0
    assert trained["curves"][f"ranking/{FOURTH_TASK}"][0] > 0


def test_the_report_has_its_section():
    release = built_project().release
    tasks = {t["task"]: t for t in json.loads((release / "report.json").read_text())["evaluation"]["tasks"]}
    own = tasks[FOURTH_TASK]
    assert own["requests"] > 10
    assert own["remark"] == ""
    assert {"joint model", "popularity"} <= {row["scorer"] for row in own["slices"][0]["rows"]}
    assert own["comparisons"]
    page = (release / "report.html").read_text()
    assert page.count(FOURTH_TASK) >= 2


def test_it_answers_on_the_command_line():
    shown = cli(
        "recommend", built_project().release, "--user", "u1", "--task", FOURTH_TASK, "--country", "GB", "--json"
    )
    assert shown.exit_code == 0
    answer = json.loads(shown.stdout)
    assert answer["task"] == FOURTH_TASK
    assert answer["imputed_query"] == ""
    assert len(answer["items"]) == FOURTH_FILE["serving"]["limit"]


def test_it_is_encoded_by_the_served_model():
    encoded = serve("encode", request(), request(user_id="nobody"), request(query="blue drama"))
    assert encoded["query_vector"].shape == (3, 10)
    assert np.isfinite(encoded["query_vector"]).all()
    assert encoded["imputed_query"].tolist() == [b"", b"", b"blue drama"]


def test_user_country_and_time_each_count():
    changes = [{}, {"user_id": "u2"}, {"country": "DE"}, {"country": "GB"}, {"timestamp": NOW + 6 * 3600}]
    vectors = serve("encode", *(request(**change) for change in changes))["query_vector"]
    distance = np.abs(vectors[:, None] - vectors[None]).max(-1) + np.eye(len(changes))
    # u1 comes from DE, which is also what is imputed where the request names no country.
    assert distance[0, 2] < 1e-5
    distance[0, 2] = distance[2, 0] = 1
    assert distance.min() > 1e-4


def test_the_served_recommend_and_the_command_line_agree():
    """Two implementations of one answer: the graph of the model, and the stages of the service.

    As of the end of the fit window: from then on the service counts popularity, and the graph does not.
    """
    counts = json.loads((built_project().release / "manifest.json").read_text())["counts"]
    users = ({}, {"user_id": "u7", "country": "GB"}, {"user_id": "nobody", "country": "ZZ"})
    requests = [request(**user, timestamp=counts["exact_from"]) for user in users]
    served = serve("recommend", *requests, limit=np.full(3, 5, np.int32))
    assert served["item_ids"].shape == (3, 5)
    for row, answer in enumerate(recommender(built_project().release).answer(requests)):
        ids = [name.decode() for name in served["item_ids"][row]]
        assert "" not in ids
        assert [item.item_id for item in answer.items] == ids
        np.testing.assert_allclose([item.score for item in answer.items], served["scores"][row], rtol=1e-4)
