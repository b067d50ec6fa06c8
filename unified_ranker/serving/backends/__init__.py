"""Model backends: what runs the model of a release for the service, over gRPC, over REST or in its own process."""

from unified_ranker.serving.backends import open_backend

__all__ = ["open_backend"]
