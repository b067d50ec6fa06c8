"""The three ways to consume, as docs/guide/vectors.md tells them: each example is run, and must be worth something."""

import re

import pytest
from retail_project import ROOT, build_release, example
from small_project import built_project, cli

pytestmark = pytest.mark.xdist_group("small_project")


@pytest.fixture(scope="module")
def retail(shared_data):
    folder = shared_data / "retail"
    if not (folder / "events.parquet").is_file():
        pytest.skip("the Retail log is not here; see examples/retail/project.yaml")
    return folder


@pytest.fixture(scope="module")
def retail_release(retail, tmp_path_factory):
    return build_release(retail, tmp_path_factory.mktemp("retail") / "project", example("next_kinds").MOMENT)


def test_reading_vectors(tmp_path, capsys):
    project = built_project().copy(tmp_path)
    cli("export-embeddings", project / "releases" / "1")
    found = example("read_vectors").main(str(project / "vectors"), "i1", "u1")
    assert "i1" not in found["similar"]
    assert len(found["wanted"]) == 5
    assert "5 vectors (5, 8) of version 1, release 1" in capsys.readouterr().out


@pytest.mark.slow
def test_a_frozen_tower_adds_to_what_another_team_has(retail, retail_release):
    found = example("tower_in_a_model").main(retail_release, retail)
    assert found["habits_and_tower"] > found["habits"] + 0.005, found


@pytest.mark.slow
def test_a_tower_that_is_trained_on_beats_the_same_network_from_nothing(retail, retail_release):
    found = example("fine_tune").main(retail_release, retail)
    assert found["fine_tuned"] > found["from_nothing"], found


def test_the_page_names_examples_that_are_there():
    page = (ROOT / "docs" / "guide" / "vectors.md").read_text(encoding="utf-8")
    named = set(re.findall(r"consume/(\w+\.py)", page))
    assert named == {"read_vectors.py", "tower_in_a_model.py", "fine_tune.py"}
    assert all((ROOT / "docs" / "consume" / name).is_file() for name in named)
