"""Labels, versions that come while the server runs, and graphs that stock TensorFlow Serving would refuse."""

import shutil

import grpc
import numpy as np
import pytest
from model_server_toy import MODEL, NEWEST, predict_request

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.base_path import versions as found_versions
from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.model_server.labels import ModelConfig, read_models_config
from unified_ranker.model_server.messages import saved_model_pb2
from unified_ranker.model_server.stock_ops import foreign_ops, ops_of
from unified_ranker.model_server.versions import LOAD_RETRIES, ModelVersions
from unified_ranker.serving.client.grpc_client import ModelClient, VersionStatus
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.client.splitting import LabelSplit

CONFIG = """
model_config_list {{ config {{
  name: "toy" base_path: "/models/toy" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
  version_labels {{ key: "stable" value: {stable} }}
  version_labels {{ key: "canary" value: 2 }}
}} }}
"""


@pytest.fixture
def two(base_path, tmp_path):
    """Versions 1 and 2 of the toy, which are the same model."""
    for version in "12":
        shutil.copytree(base_path / str(NEWEST), tmp_path / "two" / version)
    return tmp_path / "two"


def labelled(two, tmp_path, stable=1):
    file = tmp_path / "models.config"
    file.write_text(CONFIG.format(stable=stable))
    return EmbeddedModelServer(two, models_config=file)


def test_labels_choose_versions_over_grpc_and_rest(two, tmp_path):
    import httpx

    with labelled(two, tmp_path) as server:
        for label, version in (("stable", 1), ("canary", 2)):
            with ModelClient(server.grpc_address, MODEL, label=label) as client:
                assert client.predict("double", {"x": np.float32([2])})["y"].tolist() == [4.0]
                assert client.status() == [VersionStatus(version, "AVAILABLE", "")]
                assert client.metadata().version == version
            with httpx.Client(base_url=f"http://{server.rest_address}", trust_env=False) as http:
                path = f"/v1/models/{MODEL}/labels/{label}"
                answer = http.post(f"{path}:predict", json={"signature_name": "double", "instances": [1.5]})
                assert answer.json() == {"predictions": [3.0]}
                assert [v["version"] for v in http.get(path).json()["model_version_status"]] == [str(version)]
        with (
            ModelClient(server.grpc_address, MODEL, label="nightly") as client,
            pytest.raises(ModelServerError) as caught,
        ):
            client.predict("double", {"x": np.float32([2])})
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "Unrecognized servable version label: nightly" in caught.value.details


def test_label_of_a_version_that_is_not_served_is_refused(two, tmp_path):
    with pytest.raises(UserError, match="labels must name versions that are served"):
        labelled(two, tmp_path, stable=7).start()


def test_file_that_is_no_models_config_is_refused(tmp_path):
    for text in ("nonsense", "model_config_list {}"):
        (tmp_path / "models.config").write_text(text)
        with pytest.raises(UserError, match=r"models\.config"):
            read_models_config(tmp_path / "models.config")


def test_version_that_appears_takes_over_and_one_that_is_broken_does_not(two):
    later = two.parent / "later"
    (two / "2").rename(later)
    versions = ModelVersions(two, MODEL)
    assert versions.load_wanted() == 1
    versions.look()
    assert states(versions) == {1: "AVAILABLE"}

    (two / "5").mkdir()
    (two / "5" / "saved_model.pb").write_bytes(b"no graph")
    versions.look()
    assert states(versions) == {5: "END", 1: "AVAILABLE"}, "the one before goes on"
    assert versions.find(spec()).version == 1

    later.rename(two / "6")
    versions.look()
    assert states(versions) == {6: "AVAILABLE", 5: "END", 1: "END"}
    assert versions.find(spec()).version == 6


def test_a_version_that_ended_or_failed_answers_when_it_is_there_again(two):
    away = two.parent / "away"
    versions = ModelVersions(two, MODEL)
    assert versions.load_wanted() == 2
    (two / "2").rename(away)
    versions.look()
    assert states(versions) == {2: "END", 1: "AVAILABLE"}
    away.rename(two / "2")
    versions.look()
    assert states(versions) == {2: "AVAILABLE", 1: "END"}

    (two / "3").mkdir()
    versions.look()
    assert states(versions) == {3: "END", 2: "AVAILABLE", 1: "END"}
    shutil.rmtree(two / "3")
    versions.look()
    shutil.copytree(two / "2", two / "3")
    versions.look()
    assert states(versions) == {3: "AVAILABLE", 2: "END", 1: "END"}


def test_a_version_that_was_being_copied_is_tried_again_a_few_times(two, monkeypatch):
    whole = two.parent / "whole"
    (two / "2").rename(whole)
    versions = ModelVersions(two, MODEL, retry_seconds=0.0)
    assert versions.load_wanted() == 1
    (two / "2").mkdir()
    for _ in range(3):
        versions.look()
        assert states(versions) == {2: "END", 1: "AVAILABLE"}
    shutil.copytree(whole, two / "2", dirs_exist_ok=True)
    versions.look()
    assert states(versions) == {2: "AVAILABLE", 1: "END"}

    (two / "3").mkdir()
    tried = []
    load = versions._load
    monkeypatch.setattr(versions, "_load", lambda version, at: (tried.append(version), load(version, at)))
    for _ in range(LOAD_RETRIES + 4):
        versions.look()
    assert tried == [3] * (LOAD_RETRIES + 1)


def test_names_of_versions_are_read_as_tf_serving_reads_them(tmp_path):
    for name in ("²", "٣", "x1", "1.0", "99999999999999999999", "007", "3", "12", "012"):
        (tmp_path / name).mkdir()
    (tmp_path / "13").touch()
    found = found_versions(tmp_path)
    assert {number: path.name for number, path in found.items()} == {3: "3", 7: "007", 12: "12"}


def test_a_running_server_finds_a_new_version_by_itself(two):
    later = two.parent / "later"
    (two / "2").rename(later)
    with (
        EmbeddedModelServer(two, MODEL, poll_seconds=0.02) as server,
        ModelClient(server.grpc_address, MODEL, version=2) as client,
    ):
        later.rename(two / "2")
        assert client.wait_until_available(30) == 2


def test_graph_with_ops_of_another_library_is_refused_with_their_names(two):
    file = two / "2" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph = saved.meta_graphs[0].graph_def
    graph.node.add(name="mine", op="MyOp")
    graph.library.function[0].node_def.add(name="search", op="ScannScannSearch")
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(UserError, match="MyOp, ScannScannSearch"):
        ModelVersions(two, MODEL).load_wanted()


def test_ops_of_functions_count_and_tokenizers_are_stock(base_path):
    found = ops_of(base_path / str(NEWEST))
    assert {"StringLength", "PartitionedCall"} & found
    assert foreign_ops(found) == []
    assert foreign_ops({"FastWordpieceTokenizeWithOffsets", "Einsum"}) == []
    assert foreign_ops({"ScannScannSearch"}) == ["ScannScannSearch"], "though this process has registered it"


def states(versions):
    names = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
    return {served.version: names[served.state] for served in versions.statuses(spec())}


def spec():
    return predict_request("double", {}).model_spec


@pytest.mark.parametrize("policy", ["latest", "all"])
def test_policy_of_versions(tmp_path, policy):
    text = {"latest": "latest { num_versions: 2 }", "all": "all {}"}[policy]
    file = tmp_path / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "m" model_version_policy {{ {text} }} }} }}')
    config = read_models_config(file)
    found = {version: tmp_path for version in (1, 2, 9)}
    assert list(config.wanted(found)) == ([2, 9] if policy == "latest" else [1, 2, 9])
    assert list(ModelConfig("m", "").wanted(found)) == [9]


def test_users_keep_their_label_and_the_shares_are_met():
    split = LabelSplit({"canary": 0.2, "stable": 0.8}, salt="experiment 1")
    labels = [split.label_of(f"user {n}") for n in range(20_000)]
    assert labels.count("canary") / len(labels) == pytest.approx(0.2, abs=0.01)
    assert labels[:100] == [split.label_of(f"user {n}") for n in range(100)]
    other = LabelSplit({"canary": 0.2, "stable": 0.8}, salt="experiment 2")
    both = sum(split.label_of(f"user {n}") == other.label_of(f"user {n}") == "canary" for n in range(20_000))
    assert both / 20_000 == pytest.approx(0.04, abs=0.01), "another salt deals anew"
    assert LabelSplit({"canary": 0.0, "stable": 1.0}).label_of("x") == "stable"
    with pytest.raises(UserError, match="sum to 1"):
        LabelSplit({"canary": 0.2, "stable": 0.9})
