"""The release of the small project, answered by a model that is loaded once."""

import pytest
from small_project import built_project, predict_of

from unified_ranker.serving.answering import recommender


@pytest.fixture(scope="module")
def release():
    return built_project().release


@pytest.fixture(scope="module")
def model_in_memory():
    """To load it takes longer than all the rest; `test_stages` has a test that loads it as the command does.

    The one release, or a copy of it, is all that the tests ask.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommender, "load_predict", lambda _: predict_of(built_project().release))
        yield
