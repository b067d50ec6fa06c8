"""Vectors in a real Feast; runs where Feast is installed, in an environment of its own (docs/guide/vectors.md)."""

import numpy as np
import pandas as pd
import pytest
from store_toy import export, unit

from unified_ranker.store import open_store
from unified_ranker.store.feast_push import push

pytest.importorskip("feast", reason="Feast needs pandas 2, and therefore an environment of its own")


def test_vectors_come_back_from_feasts_online_store(tmp_path):
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, Int64

    (tmp_path / "feature_store.yaml").write_text(
        "project: toy\nregistry: registry.db\nprovider: local\nonline_store: {type: sqlite, path: online.db}\n"
        "entity_key_serialization_version: 3\n"
    )
    source = FileSource(path=str(tmp_path / "none.parquet"), timestamp_field="event_timestamp")
    entity = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    fields = [("vector", Array(Float32)), ("release", Int64), ("version", Int64)]
    view = FeatureView(
        name="items", entities=[entity], source=source, schema=[Field(name=name, dtype=kind) for name, kind in fields]
    )
    none = {"item_id": "x", "vector": [0.0], "release": 0, "version": 0, "event_timestamp": pd.Timestamp.now("UTC")}
    pd.DataFrame([none]).to_parquet(tmp_path / "none.parquet")
    features = FeatureStore(repo_path=str(tmp_path))
    features.apply([entity, view])
    with open_store(tmp_path / "store") as store:
        export(store, unit(20))
        assert push(store, "item", features, "items", entity="item_id") == 20
    asked = ["items:vector", "items:release", "items:version"]
    rows = features.get_online_features(asked, [{"item_id": "item-3"}, {"item_id": "nobody"}]).to_dict()
    np.testing.assert_array_equal(np.array(rows["vector"][0], np.float32), unit(20)[3])
    assert (rows["release"], rows["version"], rows["vector"][1]) == ([7, None], [1, None], None)
