"""Errors between a client and a model server."""

import grpc

from unified_ranker.serving.backends.base import ModelBackendError


class ModelServerError(ModelBackendError):
    """A call to the model server failed.

    Attributes:
        code: the gRPC status code; over REST, the one that TF Serving gives that HTTP status for.
        details: message of the server or of gRPC.
        address: `host:port` that was called.
        model: the model's name, with its version or label if one was asked for.
        signature: the signature that was called; None for status and metadata.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, address: str, model: str, signature: str | None = None
    ) -> None:
        of = f"signature `{signature}` of " if signature is not None else ""
        super().__init__(f"model server at `{address}`, {of}model `{model}`: {code.name}: {details}", code.name)
        self.code = code
        self.details = details
        self.address = address
        self.model = model
        self.signature = signature
