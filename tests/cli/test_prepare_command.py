"""`prepare`: what it says where there is nothing to do."""

import pytest
from small_project import built_project, cli

pytestmark = pytest.mark.xdist_group("small_project")


@pytest.mark.parametrize("engine", ["beam", "dask", "in-process"])
def test_an_engine_that_was_asked_for_and_not_used_is_explained(tmp_path, engine):
    project = built_project().copy(tmp_path)
    done = cli("prepare", "--project", project, "--engine", engine)
    assert done.exit_code == 0, done.output
    assert "up to date" in done.stdout
    assert f"`--engine {engine}` was not used: the output is up to date" in done.stdout
    assert "`--force`" in done.stdout


def test_no_message_names_an_engine_that_was_not_asked_for(tmp_path):
    project = built_project().copy(tmp_path)
    assert "same bytes" not in cli("prepare", "--project", project).stdout
