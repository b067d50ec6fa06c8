"""Protocol of the comparison with other libraries: what they are given, and how their scores are ranked.

A library has the positives of the fit window, of all tasks, and the test requests with what their users had engaged
with before. Its scores are ranked by `evaluation.protocol`, as those of our own scorers are: the same requests,
candidates and metrics.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from peer_libraries.exchange import NOTHING, About, Folder, Interactions, Part, Requests

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.evaluation.baselines.counting import positives_per_item
from unified_ranker.evaluation.baselines.selection import facts_of_task
from unified_ranker.evaluation.engagements import Engagements
from unified_ranker.evaluation.protocol import fit_end, sample, window
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

VALIDATION_REQUESTS = 1000
"""Most requests of a task by which a library finds its number of epochs."""


def tasks_of(prepared: Prepared, config: Config) -> list[str]:
    """Return the tasks that a library of users and items can do: those whose requests have no query."""
    end = fit_end(prepared, config, "test")
    return [task for task in config.tasks if not facts_of_task(prepared, task, end).queries]


def write_folder(folder: Folder, prepared: Prepared, config: Config, minutes: float, threads: int) -> None:
    """Write what a library is given: about, interactions, and requests of the validation and the test slice."""
    tasks = tasks_of(prepared, config)
    engaged = engagements(prepared.examples)
    past = engaged.take(engaged.timestamp < fit_end(prepared, config, "test"))
    about = About(
        items=len(prepared.items),
        users=len(prepared.users),
        validation_start=prepared.split.train_end,
        seconds=60 * minutes,
        threads=threads,
        seed=config.project.seed,
        exclude_engaged={task: config.tasks[task].exclude_engaged for task in tasks},
    )
    folder.write(about, Interactions(past.user, past.item, past.timestamp))
    earlier = Engagements(engaged, len(prepared.users), len(prepared.items))
    for task in tasks:
        for part, most in (("validation", VALIDATION_REQUESTS), ("test", None)):
            asked = requests_of(prepared, config, task, part, most)
            with_targets = part == "validation"
            requests_as_given(asked, earlier, with_targets).save(folder.requests_file(part, task))


def engagements(examples: Examples) -> Examples:
    """Return the positives of known users, one for each user, item and second, in order of time.

    An act that is a positive of several tasks counts once.
    """
    known = examples.take((examples.user != MISSING) & (examples.item != MISSING))
    acts = pd.DataFrame({"user": known.user, "item": known.item, "time": known.timestamp})
    return known.take(~acts.duplicated().to_numpy())


def requests_of(prepared: Prepared, config: Config, task: str, part: Part, most: int | None = None) -> Examples:
    """Return the requests of a task that the evaluation of a part samples."""
    examples = prepared.between(*window(prepared, part))
    return sample(examples.take(examples.task == task), task, config, most)


def requests_as_given(asked: Examples, earlier: Engagements, with_targets: bool) -> Requests:
    """Return requests as a library gets them: with histories strictly before, and perhaps with their targets."""
    pasts = [earlier.before(u, t)[0] for u, t in zip(asked.user.tolist(), asked.timestamp.tolist(), strict=True)]
    return Requests(
        user=asked.user,
        source=asked.source_item,
        target=asked.item if with_targets else np.full(len(asked), NOTHING),
        history=np.concatenate([*pasts, np.zeros(0, np.int64)]).astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(past) for past in pasts])]).astype(np.int64),
    )


@dataclass
class PeerScorer:
    """Scores that a library has written, in the order in which the evaluation asks for them.

    Where a library has no score for a request, since it does not know the user, popularity answers, as it would in a
    product.

    Attributes:
        name: in the table.
        folder: what was given and written.
        popular: positives of each item in the fit window, by task.
        without: number of requests that popularity has answered, by task.
    """

    name: str
    folder: Folder
    popular: dict[str, Ints]
    without: dict[str, int] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the library has scores for."""
        return tuple(self.popular)

    def score(self, requests: Examples) -> Floats:
        """Return the library's scores of the next requests of their task, `[batch, items]`.

        Raises:
            ValueError: they are not those that the library was given.
        """
        task = str(requests.task[0])
        start = self._done.get(task, 0)
        end = self._done[task] = start + len(requests)
        given = Requests.load(self.folder.requests_file("test", task)).take(start, end)
        if not np.array_equal(given.user, requests.user) or not np.array_equal(given.source, requests.source_item):
            raise ValueError(f"`{task}`: the library was given other requests than those that are ranked.")
        scores = np.array(np.load(self.folder.scores_file(task), mmap_mode="r")[start:end])
        nobody = np.isnan(scores).any(axis=1)
        scores[nobody] = self.popular[task]
        self.without[task] = self.without.get(task, 0) + int(nobody.sum())
        return scores


def peer_scorer(name: str, folder: Folder, prepared: Prepared, config: Config) -> PeerScorer:
    """Return the scorer of what a library has written."""
    past = prepared.between(None, fit_end(prepared, config, "test"))
    popular = {task: positives_per_item(past, task, len(prepared.items)) for task in tasks_of(prepared, config)}
    return PeerScorer(name, folder, popular)
