"""One trained model for search, more-like-this and the home feed.

`Project` runs the stages of a project, `Recommender` answers from a release, `open_store` opens a store of vectors.
`import unified_ranker` loads none of them, and no TensorFlow: a name is imported when it is first used, and the parts
that need TensorFlow import it themselves, through `unified_ranker.towers.tensorflow`, which first chooses Keras 2
(tensorflow-recommenders refuses Keras 3).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unified_ranker.core.version import __version__

if TYPE_CHECKING:
    from unified_ranker.project.project import Project
    from unified_ranker.serving.answering.recommender import Recommender
    from unified_ranker.store import open_store

__all__ = ["Project", "Recommender", "__version__", "open_store"]

_MODULES = {
    "Project": "unified_ranker.project.project",
    "Recommender": "unified_ranker.serving.answering.recommender",
    "open_store": "unified_ranker.store",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    globals()[name] = found = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
