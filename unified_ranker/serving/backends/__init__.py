"""Model backends, which run the model of a release: over gRPC, over REST, or in the service's own process."""

from unified_ranker.serving.backends import open_backend

__all__ = ["open_backend"]
