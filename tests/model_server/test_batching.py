"""Batches of requests that come together: each gets its own answer, and a full queue refuses."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.batching import Batcher, BatchingParameters
from unified_ranker.model_server.status_codes import ServingError


class Recorded:
    """Adds one, and notes the batches; waits for `go` first."""

    def __init__(self):
        self.sizes, self.go = [], threading.Event()

    def __call__(self, inputs):
        self.go.wait(20)
        self.sizes.append({name: array.shape for name, array in inputs.items()})
        return {"y": inputs["x"] + 1}


def batcher(run, **parameters):
    return Batcher(run, BatchingParameters(batch_timeout_micros=200_000, num_batch_threads=1, **parameters))


def ask(gathering, values):
    return gathering({"x": np.array(values, np.float32)})["y"].tolist()


def test_requests_that_come_together_run_as_one_and_get_their_own_rows():
    run = Recorded()
    gathering = batcher(run, max_batch_size=4, allowed_batch_sizes=(2, 4))
    run.go.set()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda values: ask(gathering, values), [[1], [5, 6], [9]]))
    assert answers == [[2], [6, 7], [10]]
    assert run.sizes == [{"x": (4,)}], "it was full, so it did not wait"
    assert ask(gathering, [1]) == [2]
    assert run.sizes[-1] == {"x": (2,)}, "padded up to an allowed size"
    gathering.close()


def test_a_full_queue_refuses_as_tensorflow_serving_does():
    run = Recorded()
    gathering = batcher(run, max_batch_size=1, max_enqueued_batches=2)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, gathering, [n]) for n in range(8)]
        refused = []
        while len(refused) < 5:  # one runs, two wait
            refused = [a for a in asked if a.done()]
        run.go.set()
        assert all(a.exception().code is grpc.StatusCode.UNAVAILABLE for a in refused)
        # Two wait, and one more runs if the thread took it before the rest had come.
        assert sum(a.exception() is None for a in asked) in (2, 3)
    gathering.close()


def test_inputs_of_different_lengths_share_a_batch_only_where_they_are_padded():
    for pad, batches in ((True, 1), (False, 2)):
        run = Recorded()
        run.go.set()
        gathering = batcher(run, max_batch_size=2, pad_variable_length_inputs=pad)
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, [gathering] * 2, [[[1]], [[1, 2, 3]]]))
        assert answers[1] == [[2, 3, 4]]
        assert answers[0][0][0] == 2
        assert len(run.sizes) == batches
        gathering.close()


def test_an_error_of_the_graph_reaches_everyone_who_waits_and_the_next_goes_on():
    fails = [True]

    def run(inputs):
        if fails.pop() if fails else False:
            raise ServingError(grpc.StatusCode.INTERNAL, "broken")
        return {"y": inputs["x"]}

    gathering = batcher(run, max_batch_size=1)
    with pytest.raises(ServingError, match="broken"):
        ask(gathering, [1])
    assert ask(gathering, [2]) == [2]
    gathering.close()


@pytest.mark.parametrize("inputs", [{"x": np.zeros(9)}, {"x": np.zeros(2), "z": np.zeros(3)}, {"x": np.zeros(())}])
def test_what_is_no_batch_or_too_large_is_an_invalid_argument(inputs):
    gathering = batcher(Recorded(), max_batch_size=8)
    with pytest.raises(ServingError) as caught:
        gathering(inputs)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    gathering.close()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("max_batch_size { value: 32 }\nmax_bach { value: 1 }", "max_bach"),
        ("max_batch_size { value: 8 }\nallowed_batch_sizes: 4", "end with `max_batch_size`"),
        ("max_batch_size { value: 4 }\nallowed_batch_sizes: 4\nallowed_batch_sizes: 2", "must ascend"),
    ],
)
def test_file_of_parameters_is_strictly_read(tmp_path, text, part):
    (tmp_path / "batching.txt").write_text(text)
    with pytest.raises(UserError, match=part):
        BatchingParameters.read(tmp_path / "batching.txt")


def test_server_with_batching_answers_the_same(base_path, tmp_path):
    from model_server_toy import MODEL

    from unified_ranker.model_server.embedded_server import EmbeddedModelServer
    from unified_ranker.serving.client.grpc_client import ModelClient

    file = tmp_path / "batching.txt"
    file.write_text("max_batch_size { value: 8 }\nbatch_timeout_micros { value: 500 }\nallowed_batch_sizes: 8\n")
    with (
        EmbeddedModelServer(base_path, MODEL, batching=file) as server,
        ModelClient(server.grpc_address, MODEL) as client,
    ):
        for values in ([1.0], [1.0, 2.0, 3.0]):
            answer = client.predict("double", {"x": np.float32(values)})
            assert answer["y"].tolist() == [2 * value for value in values]
