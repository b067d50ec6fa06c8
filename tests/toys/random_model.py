"""A whole project in a moment: any toy log with a model of random weights, served, and released without being saved."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from release_toy import make_release

from unified_ranker.config import Config
from unified_ranker.core.request import Arrays
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.signature_graph import SignatureGraph
from unified_ranker.export.signatures import signatures_of
from unified_ranker.log.schema import normalise
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.prepared import Prepared, fit_end_of, prepare
from unified_ranker.prepare.quality import QualityAsOf, most_popular
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import build_model, make_batches, make_weights

_SCRATCH = tempfile.TemporaryDirectory(prefix="random-model-")


@dataclasses.dataclass(frozen=True)
class Project:
    """A log with its declarations, a model over it, and a release of that model."""

    prepared: Prepared
    config: Config
    model: UnifiedRanker
    quality: "AsReleased"
    release: Path
    signatures: Mapping[str, Callable[..., Any]]

    def predict(self, signature: str, inputs: Arrays, timeout: float | None = None) -> Arrays:
        """Run a signature of the served model."""
        out = self.signatures[signature](**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: value.numpy() for name, value in out.items()}


class AsReleased:
    """Quality as a release has it: counts as of the end of the fit window, freshness as of the request."""

    def __init__(self, quality: QualityAsOf, fit_end: int) -> None:
        self.features, self._quality, self._end = quality.features, quality, fit_end
        self._fresh = [feature.decay > 0 for feature in quality.features.values()]

    def matrix(self, times: np.ndarray) -> np.ndarray:
        counts = np.repeat(self._quality.matrix(np.array([self._end])), len(times), 0)
        counts[..., self._fresh] = self._quality.matrix(times)[..., self._fresh]
        return counts

    def weighted_sum(self, times: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.einsum("nq,niq->ni", weights, self.matrix(times))

    def trending(self, times: np.ndarray, most: int) -> np.ndarray:
        counted = [feature.counted_live for feature in self.features.values()]
        found = most_popular(self._quality.matrix(np.array([self._end]))[..., counted], most)
        return np.repeat(found, len(times), 0)

    def gather(self, item: np.ndarray, time: np.ndarray, age: int = 0) -> np.ndarray:
        moments, row = np.unique(time, return_inverse=True)
        return self.matrix(moments)[row, item]


def project_of(name: str, tables: Mapping[str, pd.DataFrame], config: Config) -> Project:
    """Build a project under a name that no other has."""
    prepared = prepare(normalise(tables["events"], tables["items"], tables["users"]), config)
    fit_end = fit_end_of(prepared, config)
    model, _, quality = build_model(prepared, config, fit_end)
    make_weights(model, make_batches(prepared, prepared.between(None, fit_end), model))
    rng = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape).astype(np.float32))
    signatures = signatures_of(SignatureGraph(model, model.item_vectors().numpy()), config)
    vectors = embed_catalogue(signatures, prepared, config)
    release = make_release(Path(_SCRATCH.name, name), prepared, config, vectors=vectors)
    return Project(prepared, config, model, AsReleased(quality, fit_end), release, signatures)
