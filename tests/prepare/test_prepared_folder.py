"""Prepared data read in parts: the histories, ids and queries that the whole has, whatever the parts are."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared_folder import PreparedFolder


@pytest.fixture
def folder(toy_prepared, tmp_path):
    toy_prepared.save(tmp_path)
    return PreparedFolder(tmp_path)


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_histories_of_a_range_are_those_of_each_user(toy_prepared, folder, size):
    log, users, files = LogHistory(toy_prepared), toy_prepared.user_ids, folder.history_files()
    moment = int(np.median(toy_prepared.histories.timestamp))
    met = 0
    for start in range(0, len(users), size):
        end = min(start + size, len(users))
        found = folder.histories(files, start, end, moment)
        events = found.events(slice(None), folder.ids_of)
        assert len(found.offsets) == end - start + 1
        for place, user in enumerate(users[start:end]):
            own, expected = events.take(slice(*found.offsets[place : place + 2])), log.before(user, moment)
            met += len(own)
            for name in ("item_id", "event_type", "task", "timestamp", "value"):
                np.testing.assert_array_equal(getattr(own, name), getattr(expected, name), err_msg=name)
    assert met == (toy_prepared.histories.timestamp < moment).sum()


def test_ids_are_those_of_the_catalogue_and_blank_for_none(toy_prepared, folder):
    items = np.array([3, MISSING, 0, 3])
    expected = [toy_prepared.item_ids[3], "", toy_prepared.item_ids[0], toy_prepared.item_ids[3]]
    assert folder.ids_of(items).tolist() == toy_prepared.ids_of(items).tolist() == expected


def test_a_history_has_no_id_for_an_item_that_is_not_in_the_catalogue(toy_prepared):
    """And not that of the catalogue's last item, whose index is -1 as well."""
    histories = toy_prepared.histories
    unknown = replace(toy_prepared, histories=replace(histories, item=np.full_like(histories.item, MISSING)))
    user = toy_prepared.user_ids[int(histories.user[0])]
    assert set(LogHistory(unknown).before(user, 0).item_id) == {""}


def test_queries_are_counted_by_task(toy_prepared, folder):
    examples = toy_prepared.examples
    for task in set(examples.task):
        own = examples.query[(examples.task == task) & (examples.query != "")]
        assert folder.queries(task) == Counter(own.tolist())
    assert folder.queries("no such task") == Counter()
