"""The tiny world and what its served model says of some requests."""

import dataclasses

import numpy as np
import pytest
import tiny_world
from tiny_world import everything

from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.prepare.request_arrays import request_arrays


@pytest.fixture(scope="module")
def world():
    return tiny_world.prepared()


@pytest.fixture(scope="module")
def config():
    return tiny_world.config()


@pytest.fixture(scope="module")
def vectors(world, config):
    return embed_catalogue(tiny_world.served().signatures, world, config)


@pytest.fixture(scope="module")
def examples(world):
    """Examples of all tasks, some from the fit window; among them are anonymous ones and some without a history."""
    late = tiny_world.late_examples()
    early = world.examples.take(np.arange(40))
    columns = {f.name: np.concatenate([getattr(e, f.name) for e in (early, late)]) for f in dataclasses.fields(early)}
    examples = type(early)(**columns)
    assert {len(set(column)) > 1 for column in (examples.task, examples.user == -1, examples.history_length)} == {True}
    assert examples.history_length.min() == 0
    return examples


@pytest.fixture(scope="module")
def arrays(world, examples):
    return request_arrays(examples, world, 1000)


@pytest.fixture(scope="module")
def encoded(arrays):
    return tiny_world.call("encode", **arrays)


@pytest.fixture(scope="module")
def ranked(world, arrays):
    rows = len(arrays["task"])
    return tiny_world.call("rank", **arrays, candidate_ids=everything(world, rows))
