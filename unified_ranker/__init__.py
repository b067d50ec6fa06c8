"""One trained model for search, more-like-this and the home feed.

`import unified_ranker` loads no TensorFlow: the parts that need it import it themselves, through
`unified_ranker.towers.tensorflow`, which first chooses Keras 2 (tensorflow-recommenders refuses Keras 3).
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
