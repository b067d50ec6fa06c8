"""Catalogue of a model: its items and users, with their data as of the fit window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints, Strings
from unified_ranker.core.candidate_rule import existed_before
from unified_ranker.core.offers import Offers, offers_of
from unified_ranker.core.times import usual_span
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.towers.served_columns import read_features
from unified_ranker.towers.user import user_fields


@dataclass(frozen=True)
class Catalogue:
    """Items and users by index.

    Attributes:
        item_ids: `[items]`.
        titles: `[items]`, "" where absent.
        created_at: seconds, `[items]`; `NEVER` where absent.
        offers: availability and countries of the items.
        item_fields: raw item features by column, `[items]` or `[items, width]`.
        trained_ids: whether a model learns from the item in the fit window, `[items]`.
        chosen: count of each item's positives on each trained task in the fit window, `[tasks, items]`.
        times: times of the fit window's positives, seconds `[positives]`.
        quality: quality features as of `as_of`, `[items, features]`.
        quality_unseen: quality features of an item unknown to the log, `[features]`.
        as_of: end of the fit window, seconds.
        log_end: time of the last event of the log that is no outlier, seconds.
        user_ids: `[users]`.
        user_fields: raw profile features by column, `[users + 1]`; the last row stands for unknown users.
        user_countries: `[users]`, "" where unknown.
    """

    item_ids: Strings
    titles: Strings
    created_at: Ints
    offers: Offers
    item_fields: dict[str, np.ndarray]
    trained_ids: np.ndarray
    chosen: np.ndarray
    times: Ints
    quality: np.ndarray
    quality_unseen: np.ndarray
    as_of: int
    log_end: int
    user_ids: Strings
    user_fields: dict[str, np.ndarray]
    user_countries: Strings

    @property
    def known(self) -> np.ndarray:
        """The items that existed before the end of the fit window, `[known]`."""
        return np.flatnonzero(existed_before(self.created_at, self.as_of))

    @property
    def known_titles(self) -> Strings:
        """Titles of the `known` items, `[known]`."""
        return self.titles[self.known]


def quality_of(prepared: Prepared, config: Config, fit_end: int) -> QualityAsOf:
    """Index the log for the declared quality features, scaled by the events before `fit_end` (seconds)."""
    return QualityAsOf(config.towers.item.quality, prepared.events, prepared.created_at, fit_end)


def build_catalogue(
    prepared: Prepared, config: Config, fit_end: int, quality: QualityAsOf, tasks: Sequence[str] = ()
) -> Catalogue:
    """Build the catalogue as of `fit_end` (seconds), for a model of `tasks`; of all tasks if there are none."""
    events, items = prepared.events, len(prepared.items)
    fit = prepared.between(None, fit_end)
    there = fit.item != MISSING
    counted = [there & (fit.task == name) & (not tasks or name in tasks) for name in config.tasks]
    return Catalogue(
        item_ids=prepared.item_ids,
        titles=prepared.items["title"].fillna("").to_numpy(object),
        created_at=prepared.created_at,
        offers=offers_of(prepared.items),
        item_fields=read_features(prepared.items, config.towers.item.features),
        trained_ids=prepared.items_learnt(fit_end),
        chosen=np.stack([np.bincount(fit.item[rows], minlength=items) for rows in counted]),
        times=fit.timestamp,
        quality=quality.matrix(np.array([fit_end]))[0],
        quality_unseen=quality.unseen(),
        as_of=fit_end,
        log_end=max(usual_span(events.timestamp)[1], fit_end),
        user_ids=prepared.user_ids,
        user_fields=user_fields(prepared.users, config.towers.user),
        user_countries=prepared.users["country"].fillna("").to_numpy(object),
    )
