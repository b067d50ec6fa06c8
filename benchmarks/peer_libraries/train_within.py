"""Training within a budget of time: epochs are found on the validation slice, then the whole fit window is trained on.

It is what `unified-ranker build` does with the time that it has: a model of the earlier part says how many epochs are
enough, and the model that answers learns from all of it. Every library is trained this way.

Time is that of the processor, divided by the threads that a library may use: other work on the machine takes nothing
from a library, and one that leaves a core idle has the more of the clock.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from exchange import NOTHING, Floats, Folder, Interactions, Requests

from unified_ranker.evaluation.metrics import decisive, rank_of_target

PATIENCE = 5
"""Measurements without a gain after which the search for the number of epochs ends."""
LEAST_SHARE = 0.2
"""Share of its time before which the search does not end: a fast model may measure five times before it has learnt."""
BATCH = 256
"""Requests that are scored at once."""


class Learner(Protocol):
    """Model of a library while it is trained.

    Attributes:
        events: labelled events that an epoch learns from.
    """

    events: int

    def learn(self) -> None:
        """Make one epoch over the interactions."""
        ...

    def score(self, requests: Requests) -> Floats:
        """Score all items `[requests, items]`; see `Folder.scores_file`."""
        ...


Make = Callable[[Interactions], Learner]


@dataclass
class Epochs:
    """Epochs of a learner, with the time that they took.

    Attributes:
        now: clock, in seconds.
        number: how many.
        seconds: of all of them, without measurements.
    """

    now: Callable[[], float]
    number: int = 0
    seconds: float = 0.0

    def make(self, learner: Learner) -> None:
        """Make one epoch, and time it."""
        began = self.now()
        learner.learn()
        self.seconds += self.now() - began
        self.number += 1

    def fits(self, seconds: float) -> bool:
        """Tell whether another epoch fits in so many seconds, by the mean of those before; the first one does."""
        return not self.number or self.seconds / self.number < seconds


def train_within(make: Make, folder: Folder) -> tuple[Learner, dict[str, Any]]:
    """Train a model within `About.seconds`; returns it and what the training took.

    The model of the earlier part has the share of the time that makes room for as many epochs over the whole window.
    """
    about, everything = folder.about, folder.interactions
    now, wall, earlier = processor_clock(about.threads), time.perf_counter(), everything.before(about.validation_start)
    began = now()
    share = len(earlier.item) / (len(earlier.item) + len(everything.item))
    best, score, ended = epochs_found(
        make(earlier), folder.requests("validation"), about.exclude_engaged, share * about.seconds - 1e-9, now
    )
    learner, done = make(everything), Epochs(now)
    while done.number < best and done.fits(about.seconds - (now() - began)):
        done.make(learner)
    return learner, {
        "seconds": round(now() - began, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "epochs": done.number,
        "epochs_found": best,
        "ended": ended,
        "validation_ndcg@10": round(score, 4),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "events_per_second": round(done.number * learner.events / done.seconds),
    }


def processor_clock(threads: int) -> Callable[[], float]:
    """Return a clock: seconds of the process's processor time, divided by the threads that it may use."""
    return lambda: time.process_time() / threads


def epochs_found(
    learner: Learner,
    requests: dict[str, Requests],
    exclude: dict[str, bool],
    seconds: float,
    now: Callable[[], float],
) -> tuple[int, float, str]:
    """Return after how many epochs the mean NDCG@10 over the tasks was best, its value, and what ended the search.

    A measurement follows where the epochs since the last one took twice as long as a measurement does.
    """
    began, epochs, since, measuring = now(), Epochs(now), 0.0, 0.0
    best, highest, without = 0, -1.0, 0
    while True:
        left = seconds - (now() - began)
        if without >= PATIENCE and left < (1 - LEAST_SHARE) * seconds:
            return best, highest, "no gain"
        last = not epochs.fits(left - measuring)
        if not last:
            before = epochs.seconds
            epochs.make(learner)
            since += epochs.seconds - before
        if since and (last or since >= 2 * measuring):
            started = now()
            score = float(np.mean([ndcg(learner, found, exclude[task]) for task, found in requests.items()]))
            measuring, since = now() - started, 0.0
            print(f"{epochs.number} epochs: NDCG@10 {score:.4f} on the validation slice", flush=True)
            without = 0 if score > highest else without + 1
            if score > highest:
                best, highest = epochs.number, score
        if last:
            return best, highest, "minutes"


def ndcg(learner: Learner, requests: Requests, exclude: bool) -> float:
    """Return the mean NDCG@10 over requests whose target is known."""
    values = []
    for part in in_parts(requests):
        scores = learner.score(part)
        # Without a score all items are equal.
        scores = np.where(np.isnan(scores), 0, scores)
        values.append(decisive(rank_of_target(scores, part.target, candidates(part, scores.shape[1], exclude))))
    return float(np.concatenate(values).mean())


def candidates(requests: Requests, items: int, exclude: bool) -> npt.NDArray[np.bool_]:
    """Return which items may answer, `[requests, items]`: not the source, nor the history where a task excludes it."""
    allowed = np.ones((len(requests), items), bool)
    if exclude:
        rows = np.repeat(np.arange(len(requests)), np.diff(requests.offsets))
        allowed[rows, requests.history] = False
    from_source = np.flatnonzero(requests.source != NOTHING)
    allowed[from_source, requests.source[from_source]] = False
    return allowed


def in_parts(requests: Requests) -> list[Requests]:
    """Return requests in parts whose scores fit in memory."""
    return [requests.take(i, min(i + BATCH, len(requests))) for i in range(0, len(requests), BATCH)]


def write_scores(learner: Learner, folder: Folder) -> None:
    """Score the test requests of every task."""
    for task, requests in folder.requests("test").items():
        shape = (len(requests), folder.about.items)
        scores = np.lib.format.open_memmap(folder.scores_file(task), "w+", np.float32, shape)
        for number, part in enumerate(in_parts(requests)):
            scores[number * BATCH : number * BATCH + len(part)] = learner.score(part)
        scores.flush()


def run(makers: dict[str, Callable[[Folder], Make]], packages: Sequence[str]) -> None:
    """Train the model that the command names, in the directory that it names; write scores and what training took."""
    name, folder = sys.argv[1], Folder(Path(sys.argv[2]))
    learner, found = train_within(makers[name](folder), folder)
    write_scores(learner, folder)
    versions = {package: metadata.version(package) for package in packages}
    folder.write_trained({**found, "versions": versions})
    print(json.dumps(found))
