"""Proposals come first, each once and at most N: the same items for scores, for tensors and for a list of an index."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.array_module import NUMPY
from unified_ranker.core.proposal_rule import proposals_first, proposed_mask, raised
from unified_ranker.towers.array_functions import TENSORFLOW

ITEMS = 12


@given(st.permutations(range(ITEMS)), st.sets(st.integers(0, ITEMS - 1)), st.sets(st.integers(0, ITEMS - 1)), st.data())
def test_every_form_of_the_rule_chooses_the_same_items(order, refused, proposed, data):
    scores = np.empty((1, ITEMS), np.float32)
    scores[0, order] = np.linspace(900, -900, ITEMS)
    scores[0, list(refused)] = -np.inf
    may = [item for item in order if item not in refused]
    wanted = data.draw(st.integers(len(proposed - refused), ITEMS))
    proposals = np.array([[-1, *proposed, -1]], np.int64)
    expected = {
        *(proposed - refused),
        *[item for item in may if item not in proposed][: wanted - len(proposed - refused)],
    }
    mask = proposed_mask(proposals, ITEMS)
    for made in (raised(scores, mask, NUMPY), raised(scores, mask, TENSORFLOW).numpy()):
        best = np.argsort(-made[0], kind="stable")[:wanted]
        assert {int(item) for item in best if np.isfinite(made[0, item])} == expected
    listed = proposals_first(np.array(may, np.int64), np.array(sorted(proposed - refused), np.int64), wanted)
    assert set(listed.tolist()) == expected
    assert len(listed) == len(expected), "each once"
    assert listed[: len(proposed - refused)].tolist() == sorted(proposed - refused), "proposals first"
