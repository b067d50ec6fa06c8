"""Checks of the item features against the log: none may know what no request of its time could know."""

from collections.abc import Iterator

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.offers import AVAILABLE
from unified_ranker.core.times import seconds
from unified_ranker.log.check import Check
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.examples import dated_positives
from unified_ranker.prepare.split_times import split_times
from unified_ranker.prepare.undated_columns import known_before_checks, undated_of_log


def item_checks(config: Config, log: InteractionLog, sampled: bool) -> Iterator[Check]:
    """Yield the checks; a `sampled` log is compared with its counts by the last stage of `prepare`."""
    features = config.towers.item.features
    for number, feature in enumerate(features):
        if feature.column == AVAILABLE:
            yield Check(
                f"`towers/item.yaml`, `features[{number}].column`: `{AVAILABLE}` is a filter, and no feature",
                passed=False,
                found="its values are those of today, which no earlier request knew",
                what_to_do="remove the feature; items that are not available are no candidates anyway",
            )
    if sampled:
        return
    chosen = dated_positives(log, config.tasks)
    if not chosen.empty:
        fit_end = split_times([np.sort(seconds(chosen["timestamp"]))], config).fit_end(config)
        yield from known_before_checks(features, undated_of_log(log, fit_end))
