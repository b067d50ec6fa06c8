"""A model and the vectors of its release are a pair, whatever has become popular since."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_world
from random_model import Project, project_of

from unified_ranker.core.errors import UserError
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.service.pairing import require_pair

pytestmark = pytest.mark.xdist_group("tiny_model")


class RisenPopularity:
    """Every item has become more popular than it was in the release."""

    def trending(self, times):
        return np.full((len(times), 2, TRENDING), -1)

    def of(self, numbers, times):
        del times
        return np.full((len(numbers), 2), 9, np.float32)


@pytest.fixture(scope="module")
def project() -> Project:
    """Its first task, which is compared, retrieves by popularity."""
    search = {"quality_weights": {"popularity": 0.1, "trend": 0.1}}
    return project_of("pairing", tiny_world.tables(), tiny_world.config(search=search))


@pytest.fixture(scope="module")
def opened(project) -> OpenedRelease:
    return OpenedRelease.open(project.release).with_popularity(RisenPopularity())


@pytest.fixture(scope="module")
def model(project):
    return SimpleNamespace(predict=project.predict, description="the model")


def test_popularity_since_the_release_makes_no_other_model(project, opened, model):
    require_pair(opened, model, project.release)


def test_other_vectors_are_refused(project, opened, model):
    other = replace(opened, vectors=opened.vectors + 0.1)
    with pytest.raises(UserError, match="differently from the stored vectors"):
        require_pair(other, model, project.release)
