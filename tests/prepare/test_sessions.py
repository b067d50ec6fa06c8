"""Anonymous sessions: what one did is a history, as that of a user is."""

import numpy as np
import tiny_world

from unified_ranker.core.arrays import MISSING
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare


def test_sessions_have_the_histories_that_users_with_their_events_have():
    tables, config = tiny_world.tables(), tiny_world.config()
    events = tables["events"]
    visits = events.assign(session_id=events["user_id"], user_id=None)
    of_sessions, of_users, of_nobody = (
        prepare(normalise(log, tables["items"], tables["users"]), config).examples
        for log in (visits, events, visits.drop(columns="session_id"))
    )
    np.testing.assert_array_equal(of_sessions.item, of_users.item)
    np.testing.assert_array_equal(of_sessions.history_length, of_users.history_length)
    assert of_sessions.history_length.max() > 0
    np.testing.assert_array_equal(of_sessions.user == MISSING, of_users.user == MISSING)
    assert not of_nobody.history_length.any()
