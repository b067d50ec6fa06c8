"""Files between the benchmark and a library that is trained in an environment of its own. NumPy only.

A directory holds `about.json`, `interactions.npz` and, for each part and task, `requests_<part>_<task>.npz`. A library
writes `scores_<task>.npy` for the test requests, and `trained.json`.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NOTHING = -1
Part = Literal["validation", "test"]


class _Columns:
    """Arrays that are saved in one file, by the names of the fields."""

    def save(self, file: Path) -> None:
        """Write the columns."""
        np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})  # type: ignore[arg-type]

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the columns."""
        with np.load(file) as columns:
            return cls(**dict(columns))


@dataclass(frozen=True)
class Interactions(_Columns):
    """Engagements of known users in order of time, `[n]`: indices of users and items, and seconds."""

    user: Ints
    item: Ints
    time: Ints

    def before(self, end: int) -> "Interactions":
        """Return those strictly before `end` (seconds)."""
        keep = self.time < end
        return Interactions(self.user[keep], self.item[keep], self.time[keep])


@dataclass(frozen=True)
class Requests(_Columns):
    """Requests with what their users had engaged with strictly before.

    Attributes:
        user: index, `NOTHING` where anonymous, `[n]`.
        source: item that the request starts from, or `NOTHING`, `[n]`.
        target: item that the user took, `[n]`; `NOTHING` in the test part, which no library may see.
        history: items of all requests, the oldest of each first, flat.
        offsets: where the history of each request begins in `history`, and the end, `[n + 1]`.
    """

    user: Ints
    source: Ints
    target: Ints
    history: Ints
    offsets: Ints

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.user)

    def past(self, row: int) -> Ints:
        """Return the history of a request."""
        return self.history[self.offsets[row] : self.offsets[row + 1]]

    def events(self, row: int) -> Ints:
        """Return the history of a request with its source as the last event, which it mostly is already."""
        past, source = self.past(row), self.source[row]
        if source == NOTHING or (len(past) and past[-1] == source):
            return past
        return np.append(past, source)

    def take(self, start: int, end: int) -> "Requests":
        """Return the requests of some rows."""
        low, high = self.offsets[start], self.offsets[end]
        offsets = self.offsets[start : end + 1] - low
        rows = slice(start, end)
        return Requests(self.user[rows], self.source[rows], self.target[rows], self.history[low:high], offsets)


@dataclass(frozen=True)
class About:
    """Facts of a log and of the training.

    Attributes:
        items: size of the catalogue.
        users: number of known users.
        validation_start: seconds; from here on interactions are held out while settings are chosen.
        seconds: most that training may take.
        threads: of the processor.
        seed: of everything that is drawn.
        exclude_engaged: whether items of the history are no candidates, by task.
    """

    items: int
    users: int
    validation_start: int
    seconds: float
    threads: int
    seed: int
    exclude_engaged: dict[str, bool]


@dataclass(frozen=True)
class Folder:
    """Directory of one log."""

    path: Path

    def write(self, about: About, interactions: Interactions) -> None:
        """Write all but the requests."""
        (self.path / "about.json").write_text(json.dumps(asdict(about)), encoding="utf-8")
        interactions.save(self.path / "interactions.npz")

    @property
    def about(self) -> About:
        """Facts of the log and of the training."""
        return About(**json.loads((self.path / "about.json").read_text(encoding="utf-8")))

    @property
    def interactions(self) -> Interactions:
        """Interactions of the whole fit window."""
        return Interactions.load(self.path / "interactions.npz")

    def requests_file(self, part: Part, task: str) -> Path:
        """Return the file of the requests of a part and task."""
        return self.path / f"requests_{part}_{task}.npz"

    def requests(self, part: Part) -> dict[str, Requests]:
        """Return the requests of a part by task."""
        return {task: Requests.load(self.requests_file(part, task)) for task in self.about.exclude_engaged}

    def scores_file(self, task: str) -> Path:
        """Return the file of a library's scores `[requests, items]`.

        A row of NaN has no score, for example since the library does not know the user; an item at -inf neither.
        """
        return self.path / f"scores_{task}.npy"

    @property
    def trained(self) -> dict[str, Any]:
        """What a library says of its training."""
        return json.loads((self.path / "trained.json").read_text(encoding="utf-8"))

    def write_trained(self, found: dict[str, Any]) -> None:
        """Write what a library says of its training."""
        (self.path / "trained.json").write_text(json.dumps(found), encoding="utf-8")
