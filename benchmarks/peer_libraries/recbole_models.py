"""RecBole (recbole.io): SASRec and LightGCN.

Settings are the library's defaults (`recbole/properties`) but for the number of epochs, which is found. SASRec: 64
dimensions, 2 layers, 2 heads, 50 events, softmax over all items. LightGCN: 64 dimensions, 2 layers, loss of BPR.

SASRec reads the history of the request; a source item follows it as the last event. LightGCN has vectors for the users
of its training only; requests with a source item that it knows get the cosines of the items' vectors.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exchange import NOTHING, Floats, Folder, Interactions, Requests
from known_items import KnownItems, cosines
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from recbole.utils import get_model, get_trainer, init_seed
from train_within import Make, run

USER, ITEM, TIME = "user_id", "item_id", "timestamp"


class _Learner:
    """A model with RecBole's own data loader and trainer; an epoch is one of the trainer."""

    name = ""
    settings: dict[str, Any]

    def __init__(self, folder: Folder, interactions: Interactions) -> None:
        about = folder.about
        torch.set_num_threads(about.threads)
        self._items = KnownItems(interactions.item, about.items)
        config = self._config(about.seed, self._write(interactions))
        init_seed(about.seed, reproducibility=True)
        dataset = create_dataset(config)
        dataset._change_feat_format()
        self._dataset, self._length = dataset, config["MAX_ITEM_LIST_LENGTH"]
        sampler = None
        if config["train_neg_sample_args"]["distribution"] != "none":
            sampler = Sampler(["train"], [dataset], "uniform").set_phase("train")
        self._batches = TrainDataLoader(config, dataset, sampler, shuffle=True)
        self._model = get_model(self.name)(config, dataset).to(config["device"])
        self._trainer = get_trainer(config["MODEL_TYPE"], self.name)(config, self._model)
        self._epoch, self.events = 0, len(dataset)
        # RecBole's number of each known item, and of each user.
        self._number = dataset.token2id(ITEM, self._items.known.astype(str))
        self._user = np.full(about.users, NOTHING)
        known = np.unique(interactions.user)
        self._user[known] = dataset.token2id(USER, known.astype(str))

    def learn(self) -> None:
        """See `Learner.learn`."""
        self._model.train()
        self._trainer._train_epoch(self._batches, self._epoch, show_progress=False)
        self._epoch += 1

    @torch.no_grad()
    def score(self, requests: Requests) -> Floats:
        """See `Learner.score`."""
        self._model.eval()
        return self._items.of_catalogue(self._score(requests))

    def _score(self, requests: Requests) -> Floats:
        """Score the known items, `[batch, known items]`."""
        raise NotImplementedError

    def _config(self, seed: int, data: Path) -> Config:
        given = {
            "data_path": str(data.parent),
            "checkpoint_dir": str(data / "saved"),
            "load_col": {"inter": [USER, ITEM, TIME]},
            "use_gpu": False,
            "show_progress": False,
            "seed": seed,
            **self.settings,
        }
        # It reads the command line, which is ours.
        return Config(model=self.name, dataset=data.name, config_dict=given)

    @staticmethod
    def _write(interactions: Interactions) -> Path:
        """Write interactions in RecBole's format; the order decides between equal times."""
        data = Path(tempfile.mkdtemp(dir=os.getcwd())) / "log"
        data.mkdir()
        with (data / "log.inter").open("w", encoding="utf-8") as file:
            file.write(f"{USER}:token\t{ITEM}:token\t{TIME}:float\n")
            for place, (user, item) in enumerate(zip(interactions.user, interactions.item, strict=True)):
                file.write(f"{user}\t{item}\t{place}\n")
        return data


class SasRec(_Learner):
    """Self-attentive sequential recommendation."""

    name = "SASRec"
    settings = {"train_neg_sample_args": None, "loss_type": "CE"}  # noqa: RUF012

    def _score(self, requests: Requests) -> Floats:
        sequences, lengths = np.zeros((len(requests), self._length), np.int64), np.zeros(len(requests), np.int64)
        for row in range(len(requests)):
            number = self._items.number(requests.events(row))
            own = self._number[number[number != NOTHING]][-self._length :]
            sequences[row, : len(own)], lengths[row] = own, len(own)
        some = np.flatnonzero(lengths)
        scores = np.full((len(requests), len(self._number)), np.nan, np.float32)
        if len(some):
            given = Interaction(
                {
                    self._model.ITEM_SEQ: torch.from_numpy(sequences[some]),
                    self._model.ITEM_SEQ_LEN: torch.from_numpy(lengths[some]),
                }
            )
            scores[some] = self._model.full_sort_predict(given).numpy()[:, self._number]
        return scores


class LightGcn(_Learner):
    """Light graph convolution over users and items."""

    name = "LightGCN"
    settings: dict[str, Any] = {}  # noqa: RUF012

    def _score(self, requests: Requests) -> Floats:
        users, items = (vectors.numpy() for vectors in self._model.forward())
        items = items[self._number]
        known = np.where(requests.user == NOTHING, NOTHING, self._user[requests.user])
        scores = users[known] @ items.T
        scores[known == NOTHING] = np.nan
        source = self._items.number(requests.source)
        scores[source != NOTHING] = cosines(items, source[source != NOTHING])
        return scores


def _of(kind: type[_Learner]) -> Callable[[Folder], Make]:
    return lambda folder: lambda interactions: kind(folder, interactions)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    run({"sasrec": _of(SasRec), "lightgcn": _of(LightGcn)}, ["recbole", "torch", "numpy"])
