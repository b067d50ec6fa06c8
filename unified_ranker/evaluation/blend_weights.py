"""Weights of the fitted blend as plain values, for report and manifest: what decides the order of a task's answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ChannelWeight:
    """One channel of the blend.

    Attributes:
        channel: its name, such as `ease: score`.
        weight: its factor, of the values standardised among the candidates of a request.
        ndcg: NDCG@10 of the channel alone on the requests of the fit; None where it was not measured.
    """

    channel: str
    weight: float
    ndcg: float | None = None


@dataclass(frozen=True)
class TaskBlend:
    """The blend of one task.

    Attributes:
        task: its name.
        requests: how many it was fitted on; 0 where it was kept from the release that training went on from.
        found: share of them whose target was among the candidates.
        ndcg: NDCG@10 of the blend on them; None where it was not measured.
        channels: all channels, by falling weight, then by falling NDCG@10.
    """

    task: str
    requests: int
    found: float
    ndcg: float | None
    channels: tuple[ChannelWeight, ...]

    @property
    def deciding(self) -> tuple[ChannelWeight, ...]:
        """The channels that count."""
        return tuple(one for one in self.channels if one.weight > 0)

    @property
    def silent(self) -> tuple[ChannelWeight, ...]:
        """The channels without weight."""
        return tuple(one for one in self.channels if not one.weight > 0)
