"""Signal `source_pairs`: items that were chosen from the request's source item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.pair_signal import PairSignal
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from unified_ranker.signals.pair_counts import PairsAsOf


@SIGNALS.declare
class SourcePairs(SignalKind):
    """Counts of how often a candidate was chosen from the source item, and the source item from the candidate."""

    type: Literal["source_pairs"]
    neighbours: int = Field(100, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        return need_source_items(config, log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return SourceSignal(inputs.once(chosen_pairs), inputs.end, self.neighbours, self.candidates)


def need_source_items(config: Config, log: InteractionLog) -> Need:
    """Return the requirement that some requests have a source item, given or imputed."""
    filled = any(task.imputation.source_item != "none" for task in config.tasks.values())
    there = filled or bool(log.events["source_item_id"].notna().any())
    return Need("events have a source item", there, "no event has a `source_item_id`, and no task imputes one")


def chosen_pairs(inputs: SignalInputs) -> PairsAsOf:
    """Return the pairs of source and chosen item, which `SignalInputs.once` shares between signals."""
    from unified_ranker.signals.pair_counts import pairs_from_sources

    return pairs_from_sources(inputs.prepared.examples, len(inputs.prepared.items))


class SourceSignal(PairSignal):
    """Pairs that begin with the request's source item."""

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the source item, `[batch, 1]`."""
        return request.source_item[:, None]
