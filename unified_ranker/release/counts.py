"""Counted events of a release: what popularity as of any moment after the fit window is counted from.

The events reach back by the longest window before the end of the fit window. What was counted earlier is stored as
sums, for popularities without a window.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from unified_ranker.core.arrays import Floats, Ints, Mask
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality import TRENDING, QualityAsOf
from unified_ranker.prepare.quality_types.base import QualityFeature

EVENTS_FILE, BEFORE = "events.parquet", "before.parquet"


class CountsDescription(BaseModel):
    """Entry of the manifest.

    Attributes:
        scales: of each popularity by name, see `popularity_feature.scaled_popularity`.
        exact_from: seconds; from then on the popularities can be counted, which is the end of the fit window.
        end: time of the log's last event, seconds. Later events come from the service.
        trending: how many of its most popular items the model takes, of each popularity.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    scales: dict[str, float]
    exact_from: int
    end: int
    trending: int


@dataclass(frozen=True, eq=False)
class StoredCounts:
    """Counted events of a release.

    Attributes:
        description: entry of the manifest.
        features: the popularities by name, in order of the quality vector.
        before: counts of the events before the stored ones, `[features, items]`; 0 for a popularity with a window.
        item: of each event, `[events]`.
        time: seconds and ascending, `[events]`.
        counted: which popularity counts the event, `[features, events]`.
    """

    description: CountsDescription
    features: dict[str, QualityFeature]
    before: Ints
    item: Ints
    time: Ints
    counted: Mask

    @classmethod
    def of(cls, quality: QualityAsOf, events: EventColumns, exact_from: int) -> "StoredCounts":
        """Collect what a release needs for counts as of any moment from `exact_from` (seconds) on."""
        features = {name: feature for name, feature in quality.features.items() if feature.counted_live}
        begin = exact_from - max((f.window or 0 for f in features.values()), default=0)
        items, late = len(quality.created_at), events.timestamp >= begin
        marked = np.stack([feature.counted(events) for feature in features.values()])
        early = [
            np.bincount(events.item[own & ~late], minlength=items) if feature.window is None else np.zeros(items)
            for own, feature in zip(marked, features.values(), strict=True)
        ]
        kept = late & marked.any(0)
        end = int(events.timestamp.max(initial=exact_from))
        return cls(
            description=CountsDescription(scales=quality.scales, exact_from=exact_from, end=end, trending=TRENDING),
            features=features,
            before=np.stack(early).astype(np.int64),
            item=events.item[kept],
            time=events.timestamp[kept],
            counted=marked[:, kept],
        )

    def write(self, directory: Path) -> CountsDescription:
        """Write into a new directory; returns the entry of the manifest."""
        directory.mkdir()
        columns = {"item": self.item.astype(np.int32), "time": self.time}
        columns |= {f"counted_{name}": own for name, own in zip(self.features, self.counted, strict=True)}
        pq.write_table(pa.table(columns), directory / EVENTS_FILE)
        pq.write_table(pa.table(dict(zip(self.features, self.before, strict=True))), directory / BEFORE)
        return self.description

    @classmethod
    def read(
        cls, directory: Path, description: CountsDescription, features: dict[str, QualityFeature]
    ) -> "StoredCounts":
        """Read what `write` wrote; `features` are the popularities that the release declares."""
        events, before = pq.read_table(directory / EVENTS_FILE), pq.read_table(directory / BEFORE)
        return cls(
            description=description,
            features=features,
            before=np.stack([before[name].to_numpy() for name in features]),
            item=events["item"].to_numpy().astype(np.int64),
            time=events["time"].to_numpy(),
            counted=np.stack([events[f"counted_{name}"].to_numpy() for name in features]),
        )

    @property
    def scales(self) -> Floats:
        """Scales of the popularities, `[features]`."""
        return np.array([self.description.scales[name] for name in self.features], np.float32)

    def as_of(self, number: int) -> CountsAsOf:
        """Return the stored events that a popularity counts, as of any moment."""
        own, feature = self.counted[number], list(self.features.values())[number]
        stream = Stream(self.item[own], self.time[own], np.ones(int(own.sum()), np.float32))
        return CountsAsOf(stream, self.before.shape[1], feature.window, self.before[number])
