"""The warm-up records of a SavedModel."""

import shutil
from collections import Counter

import numpy as np
import pytest
import tiny_world
from tensorflow_serving.apis import prediction_log_pb2

from unified_ranker.core.signature_names import WARMUP_REQUESTS
from unified_ranker.export.savedmodel import known_requests, warmed, write_warmup
from unified_ranker.towers.tensorflow import tf

pytestmark = pytest.mark.xdist_group("tiny_model")
SIZES, COUNT = (1, 4), 13


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    directory = tmp_path_factory.mktemp("warm") / "1"
    shutil.copytree(tiny_world.saved_model().name, directory)
    config = tiny_world.config()
    serving = config.export.serving.model_copy(update={"warmup_requests": COUNT, "warmup_batch_sizes": SIZES})
    config = config.model_copy(update={"export": config.export.model_copy(update={"serving": serving})})
    world = tiny_world.prepared()
    assert (
        write_warmup(
            directory, tiny_world.served().signatures, world, known_requests(world.examples), config, "the_model"
        )
        == COUNT
    )
    assert WARMUP_REQUESTS == "assets.extra/tf_serving_warmup_requests"
    logs = map(
        prediction_log_pb2.PredictionLog.FromString,
        tf.data.TFRecordDataset(str(directory / WARMUP_REQUESTS)).as_numpy_iterator(),
    )
    return [log.predict_log.request for log in logs]


def arrays(request):
    return {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}


def test_every_signature_is_called_with_every_batch_size(records):
    assert len(records) == COUNT
    assert {request.model_spec.name for request in records} == {"the_model"}
    seen = Counter(
        (request.model_spec.signature_name, tf.make_ndarray(next(iter(request.inputs.values()))).shape[0])
        for request in records
    )
    assert set(seen) == {(name, size) for name in warmed(tiny_world.served().signatures) for size in SIZES}
    assert max(seen.values()) - min(seen.values()) <= 1


def test_every_task_is_in_a_batch_that_can_hold_them(records):
    tasks = [set(arrays(r)["task"].astype(str)) for r in records if "task" in r.inputs and len(arrays(r)["task"]) > 1]
    assert len(tasks) > 2
    assert all(found == set(tiny_world.TASKS) for found in tasks)


def test_the_records_are_requests_that_the_model_answers(records):
    for request in records:
        out = tiny_world.call(request.model_spec.signature_name, **arrays(request))
        for values in out.values():
            assert values.dtype.kind != "f" or np.isfinite(values).all()
        if "item_ids" in out:
            assert (out["item_ids"][:, 0] != b"").all()


def test_most_requests_have_a_history(records):
    lengths = [(arrays(r)["history_item_id"] != b"").any() for r in records if "history_item_id" in r.inputs]
    assert np.mean(lengths) > 0.5


def test_requests_of_known_users_come_first():
    examples = tiny_world.prepared().examples
    assert (known_requests(examples).user >= 0).all()
    anonymous = examples.take(examples.user < 0)
    assert len(known_requests(anonymous)) == len(anonymous) > 0
