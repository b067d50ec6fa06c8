"""Kinds that other packages add to what `type` in a declaration chooses from."""

import json
import subprocess
import sys

import pytest
from toy_project import ROOT, line_of, lines_of, write_project

from unified_ranker.config import Config
from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds, tag_of
from unified_ranker.config.loading import load_config
from unified_ranker.towers.feature_types.base import ITEM_FEATURES

ZIP_CODE = """
from typing import Literal
from unified_ranker.towers.feature_types.base import ITEM_FEATURES
from unified_ranker.towers.feature_types.category import CategoryFeature

@ITEM_FEATURES.declare
class ZipCode(CategoryFeature):
    type: Literal["zip_code"]
    digits: int = 3
"""
FEATURES = "features: [{type: zip_code, column: place, digits: 2}]\n"
DATA = "name: toy\ndata: {type: tables, events: e.parquet, items: i.csv}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with an extension beside project.yaml."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "zip_codes.py").write_text(ZIP_CODE)
    extended = {"project.yaml": f"{DATA}extensions: [zip_codes]\n", "towers/item.yaml": FEATURES}
    yield write_project(tmp_path, tasks__search=None, **extended)
    sys.modules.pop("zip_codes", None)
    if "zip_code" in ITEM_FEATURES:
        ITEM_FEATURES.remove("zip_code")


def test_an_extension_is_loaded_with_the_project_that_names_it(project):
    [feature] = load_config(project).towers.item.features
    assert (feature.type, feature.column, feature.digits) == ("zip_code", "place", 2)
    assert type(feature).__module__ == "zip_codes"


def test_a_mistake_in_it_is_worded_like_one_in_ours(project):
    (project / "towers" / "item.yaml").write_text("features: [{type: zip_code, column: place, digit: 2}]\n")
    line = line_of(project)
    assert "`towers/item.yaml`, `features[0].digit`: this key is not known" in line
    assert "`type`, `column`, `known_before`, `min_count`, `digits`" in line
    assert "Did you mean `digits`?" in line


def test_without_the_extension_the_kind_is_unknown(project):
    (project / "project.yaml").write_text(DATA)
    line = line_of(project)
    assert "`features[0]`: needs `type`, one of `categories`, `category`, `number`, `text`" in line
    assert "Received: 'zip_code'" in line


def test_an_extension_that_cannot_be_imported_is_named(project):
    (project / "project.yaml").write_text(f"{DATA}extensions: [zip_coads]\n")
    line = lines_of(project)[0]
    assert line.startswith("`project.yaml`, `extensions`: must be modules that can be imported. Received: `zip_coads`")


def test_a_configuration_that_was_written_down_is_read_with_its_extensions(project):
    """A release is opened in another process than the one that built it."""
    tree = load_config(project).to_json()
    code = (
        "import json, sys\nfrom unified_ranker.config import Config\n"
        "config = Config.model_validate(json.load(sys.stdin))\nprint(config.towers.item.features[0].digits)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, input=json.dumps(tree), capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{ROOT}", "PATH": ""},
    )  # fmt: skip
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_the_schema_describes_a_kind_that_was_registered(project):
    load_config(project)
    assert "digits" in str(Config.model_json_schema()["$defs"]["ItemTower"]["properties"]["features"])


def test_a_kind_is_registered_by_the_one_name_of_its_type():
    with pytest.raises(TypeError, match='must have a field `type: Literal\\["name"\\]`'):
        Kinds("thing").declare(type("Nameless", (Declaration,), {}))
    assert tag_of(ITEM_FEATURES["number"]) == "number"
