"""The toy model and a model server over it, shared with the client's tests."""

from model_server_toy import (  # noqa: F401
    base_path,
    channel,
    http,
    model_service,
    prediction,
    server,
    slow_steps,
)
