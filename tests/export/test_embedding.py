"""The catalogue through the exported model."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.release.items import read_catalogue, read_items, write_catalogue, write_items
from unified_ranker.towers.tensorflow import tf

WIDTH = 12


@pytest.fixture
def embedded():
    """Stands in for the model: embeds an item as its number and its creation time, and keeps what it was sent."""
    sent = []

    def embed(**fields):
        sent.append({name: value.numpy() for name, value in fields.items()})
        number = tf.cast(tf.strings.to_number(tf.strings.substr(fields["item_id"], 1, 9)), tf.float32)
        created = tf.cast(fields["created_at"], tf.float32)
        return {"item_vector": tf.stack([number + 1, created] + [number * 0] * (WIDTH - 2), 1)}

    return sent, {"embed_items": embed}


def in_batches(config, size):
    embeddings = config.export.embeddings.model_copy(update={"batch_size": size})
    return config.model_copy(update={"export": config.export.model_copy(update={"embeddings": embeddings})})


def test_items_are_embedded_batch_by_batch_in_their_order(embedded, toy_prepared, toy_config):
    vectors = embed_catalogue(embedded[1], toy_prepared, in_batches(toy_config, 4))
    assert [len(batch["item_id"]) for batch in embedded[0]] == [4, 4, 4, 3]
    assert vectors.shape == (15, WIDTH)
    assert [f"i{int(n) - 1}" for n in vectors[:, 0]] == toy_prepared.item_ids.tolist()
    assert {"title", "categories", "maker", "price"} <= set(embedded[0][0])


def test_an_absent_creation_time_is_sent_as_0_and_0_stands_for_absent(embedded, toy_prepared, toy_config):
    items = toy_prepared.items.copy()
    items["created_at"] = pd.to_datetime([pd.NaT, 0, -86_400, *range(5, 17)], unit="s", utc=True)
    embed_catalogue(embedded[1], dataclasses.replace(toy_prepared, items=items), toy_config)
    assert embedded[0][0]["created_at"][:4].tolist() == [0, 0, -86_400, 5]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_broken_vector_is_refused(embedded, toy_prepared, toy_config, bad):
    real = embedded[1]["embed_items"]

    def broken(**fields):
        vectors = real(**fields)["item_vector"].numpy()
        vectors[2] = bad
        return {"item_vector": tf.constant(vectors)}

    with pytest.raises(
        UserError, match=rf"finite and not zero. Received: 1 that are not, e.g. {toy_prepared.item_ids[2]}"
    ):
        embed_catalogue({"embed_items": broken}, toy_prepared, toy_config)


def test_vectors_and_catalogue_come_back(tmp_path, toy_prepared):
    vectors = np.random.default_rng(0).normal(size=(15, 5)).astype(np.float32)
    write_items(tmp_path, toy_prepared.item_ids, vectors)
    ids, back = read_items(tmp_path)
    np.testing.assert_array_equal(back, vectors)
    assert ids.tolist() == toy_prepared.item_ids.tolist()
    write_catalogue(tmp_path, toy_prepared)
    catalogue = read_catalogue(tmp_path)
    assert catalogue["item_id"].tolist() == ids.tolist()
    pd.testing.assert_series_equal(catalogue["created_at"], toy_prepared.items["created_at"])
    assert catalogue["title"].isna().tolist() == toy_prepared.items["title"].isna().tolist()
