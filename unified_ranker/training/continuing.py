"""Continued training from a release: the state that a release keeps, and its loading into a larger model.

Ids keep their indices (`prepare --since`), so every table of the new model begins with the rows of the old one. The
rows after them are new and are initialised as in any training.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.trained import TrainedModel

_FOLDER, _WEIGHTS_FILE, _STATE_FILE, _USERS_FILE = "training", "weights.npz", "training.json", "users.parquet"
ITEM_VECTORS_FILE = Path("items") / "vectors.parquet"
"""The ids of a release's items in order of their indices, beside their vectors."""
CONTINUED_RATE = 0.3
"""Share of the declared learning rate that continued training uses."""


@dataclass(frozen=True)
class Start:
    """Start of a continued training: a release's weights, vocabulary, end of the fit window (seconds) and items."""

    release: Path
    weights: list[np.ndarray]
    vocabulary: Vocabulary
    fit_end: int
    item_ids: np.ndarray


def write_start(release: Path, trained: TrainedModel, prepared: Prepared) -> None:
    """Write the start of a later training into the draft of a release."""
    folder = release / _FOLDER
    folder.mkdir()
    with (folder / _WEIGHTS_FILE).open("wb") as file:
        np.savez(file, *[variable.numpy() for variable in _kept(trained.model)])
    state = {"fit_end": trained.fit_end, "vocabulary": trained.vocabulary.to_json()}
    (folder / _STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
    pq.write_table(pa.table({"user_id": pa.array(prepared.user_ids, pa.string())}), folder / _USERS_FILE)


def read_start(release: Path) -> Start:
    """Read what `write_start` wrote."""
    state = json.loads((release / _FOLDER / _STATE_FILE).read_text(encoding="utf-8"))
    with np.load(release / _FOLDER / _WEIGHTS_FILE) as stored:
        weights = [stored[name] for name in stored.files]
    ids = pq.read_table(release / ITEM_VECTORS_FILE, columns=["item_id"])["item_id"].to_numpy()
    return Start(release, weights, Vocabulary.from_json(state["vocabulary"]), state["fit_end"], ids.astype(object))


def extended_vocabulary(old: Vocabulary, new: Vocabulary) -> Vocabulary:
    """Return `old` with the further names of `new` appended; scales of `old` stay, so that its inputs do not change."""
    return replace(
        old,
        tasks=_joined(old.tasks, new.tasks),
        event_types=_joined(old.event_types, new.event_types),
        categories=_joined(old.categories, new.categories),
        item_numbers={**new.item_numbers, **old.item_numbers},
        user_numbers={**new.user_numbers, **old.user_numbers},
        event_values={**new.event_values, **old.event_values},
    )


def require_same_indices(start: Start, prepared: Prepared) -> None:
    """Check that the prepared items begin with the release's.

    Raises:
        UserError: an item of the release has another index.
    """
    count = len(start.item_ids)
    if prepared.item_ids[:count].tolist() != start.item_ids.tolist():
        raise UserError(
            f"`--from {start.release}` needs data in which the release's items keep their indices. "
            f"Run `unified-ranker prepare --since {start.release}` first."
        )


def load_weights(model: UnifiedRanker, start: Start) -> int:
    """Load the release's weights into the model, and return the number of rows that only the model has.

    Raises:
        UserError: shapes differ by more than additional rows, because the declarations have changed.
    """
    kept = _kept(model)
    if len(kept) != len(start.weights):
        raise UserError(_changed(start, f"{len(kept)} weights, where it has {len(start.weights)}"))
    new = 0
    for variable, weight in zip(kept, start.weights, strict=True):
        shape = tuple(variable.shape)
        if shape == weight.shape:
            variable.assign(weight)
        elif len(shape) == weight.ndim > 0 and shape[1:] == weight.shape[1:] and shape[0] > weight.shape[0]:
            own = variable.numpy()
            own[: len(weight)] = weight
            variable.assign(own)
            new += shape[0] - len(weight)
        else:
            raise UserError(_changed(start, f"`{variable.name}` of shape {shape}, where it has {weight.shape}"))
    return new


def new_examples(examples: Examples, start: Start, config: Config) -> Examples:
    """Return the examples after the release's fit window, and as many random older ones against forgetting.

    Raises:
        UserError: no example is after the release's fit window.
    """
    later = examples.timestamp >= start.fit_end
    if not later.any():
        raise UserError(
            f"`--from {start.release}`: the fit window has no positive after the release's ({start.fit_end}). "
            "Bring newer events, or train without `--from`."
        )
    older = np.flatnonzero(~later)
    count = min(int(later.sum()), len(older))
    again = np.random.default_rng([config.project.seed, 3]).choice(older, count, replace=False)
    return examples.take(np.sort(np.concatenate([np.flatnonzero(later), again])))


def _kept(model: UnifiedRanker) -> list[tf.Variable]:
    """Return a model's variables without the tables of its signals, which are computed from the new log."""
    tables = {id(variable) for variable in model.signals.variables}
    return [variable for variable in model.variables if id(variable) not in tables]


def _joined(old: list[str], new: list[str]) -> list[str]:
    return [*old, *(name for name in new if name not in set(old))]


def _changed(start: Start, found: str) -> str:
    return (
        f"`--from {start.release}` needs the declarations of that release. Received: {found}. "
        "Take back what has changed in towers/ and tasks/, or train without `--from`."
    )
