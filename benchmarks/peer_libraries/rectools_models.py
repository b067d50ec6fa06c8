"""RecTools (github.com/MobileTeleSystems/RecTools): eSASRec, the variant of SASRec that its authors recommend.

LiGR layers and a sampled softmax (arXiv 2508.06450), with 64 factors as in the README's example, 256 negatives, and 50
events as in RecBole's SASRec; all else is the library's default. The number of epochs is found.

It reads the history of the request; a source item follows it as the last event. It recommends `LIST` items; others have
no score.
"""

import logging
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from exchange import Floats, Folder, Interactions, Requests
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.ligr import LiGRLayers
from train_within import Make, run

LIST = 1000
"""Items of a list; Recall@100 needs a hundred that are candidates."""
EVENTS = 50


class ESasRec:
    """eSASRec; an epoch is one of `fit_partial`."""

    def __init__(self, folder: Folder, interactions: Interactions) -> None:
        about = folder.about
        torch.set_num_threads(about.threads)
        seed_everything(about.seed)
        self._catalogue = about.items
        # Of each user it learns from the last events only.
        self.events = int(np.clip(np.bincount(interactions.user) - 1, 0, EVENTS).sum())
        self._interactions = _dataset(interactions.user, interactions.item)
        self._known = np.unique(interactions.item)
        self._model = SASRecModel(
            n_factors=64,
            session_max_len=EVENTS,
            transformer_layers_type=LiGRLayers,
            loss="sampled_softmax",
            n_negatives=256,
            recommend_torch_device="cpu",
        )

    def learn(self) -> None:
        """See `Learner.learn`."""
        self._model.fit_partial(self._interactions, min_epochs=1, max_epochs=1)

    def score(self, requests: Requests) -> Floats:
        """See `Learner.score`."""
        events = [requests.events(row)[-EVENTS:] for row in range(len(requests))]
        rows = np.repeat(np.arange(len(requests)), [len(own) for own in events])
        scores = np.full((len(requests), self._catalogue), -np.inf, np.float32)
        items = np.concatenate([*events, np.zeros(0, np.int64)]).astype(np.int64)
        some = np.unique(rows[np.isin(items, self._known)])
        scores[np.setdiff1d(np.arange(len(requests)), some)] = np.nan
        if len(some):
            count = min(LIST, len(self._known))
            found = self._model.recommend(some, _dataset(rows, items), k=count, filter_viewed=False)
            scores[found[Columns.User].to_numpy(), found[Columns.Item].to_numpy()] = found[Columns.Score]
        return scores


def _dataset(users: np.ndarray, items: np.ndarray) -> Dataset:
    """Return a dataset of events in their order, a second apart."""
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(users)), unit="s")
    rows = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: time}
    return Dataset.construct(pd.DataFrame(rows))


def _of(folder: Folder) -> Make:
    return lambda interactions: ESasRec(folder, interactions)


if __name__ == "__main__":
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    MODELS: dict[str, Callable[[Folder], Make]] = {"esasrec": _of}
    run(MODELS, ["rectools", "torch", "pytorch-lightning", "numpy"])
