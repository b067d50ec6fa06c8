"""Recorded requests as inputs of the served model."""

import numpy as np
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.request import NO_HISTORY, Request, to_arrays
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.request_arrays import request_arrays


@pytest.mark.parametrize("length", [1, 3, 100])
def test_recorded_examples_are_the_requests_that_they_were(toy_prepared, length):
    """The same through the log's history, request by request."""
    prepared = toy_prepared
    examples, log = prepared.examples, LogHistory(prepared)
    arrays = request_arrays(examples, prepared, length)

    def name(names, index):
        return "" if index == MISSING else names[index]

    requests = []
    for n in range(len(examples)):
        user, time = name(prepared.user_ids, examples.user[n]), int(examples.timestamp[n])
        requests.append(
            Request(
                user,
                examples.task[n],
                examples.query[n],
                name(prepared.item_ids, examples.source_item[n]),
                name(prepared.item_ids, examples.query_item[n]),
                examples.country[n],
                time,
                history=log.before(user, time) if user else NO_HISTORY,
            )
        )
    expected = to_arrays(requests, length)
    assert arrays.keys() == expected.keys()
    for field, column in expected.items():
        np.testing.assert_array_equal(arrays[field], column, err_msg=field)


def test_examples_without_users(make_log, make_config):
    log = make_log(events=40)
    events = log.events.assign(user_id=None)
    prepared = prepare(type(log)(events, log.items, log.users), make_config())
    arrays = request_arrays(prepared.examples, prepared, 5)
    assert set(arrays["user_id"]) == {""}
    assert arrays["history_item_id"].shape == (len(prepared.examples), 0)


def test_the_log_knows_nothing_of_a_stranger(toy_prepared):
    log = LogHistory(toy_prepared)
    assert len(log.before("stranger", 0)) == 0
    everything = log.before("u1", 0)
    assert len(everything) == np.diff(toy_prepared.histories.offsets)[toy_prepared.user_ids.tolist().index("u1")]
    cut = int(everything.timestamp[len(everything) // 2])
    np.testing.assert_array_equal(log.before("u1", cut).timestamp, everything.timestamp[everything.timestamp < cut])
