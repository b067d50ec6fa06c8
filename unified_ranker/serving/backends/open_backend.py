"""Opener of model backends by their address. Built-in ones import their libraries when they are used."""

import re

from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import is_installed
from unified_ranker.serving.backends.base import MODEL_BACKENDS, ModelBackend, ServedModel

IN_PROCESS_ADDRESS, EMBEDDED_ADDRESS = "in-process", "embedded"
LOCAL_ADDRESSES = (IN_PROCESS_ADDRESS, EMBEDDED_ADDRESS)
"""Addresses by which the model runs on the service's own machine, and TensorFlow must be installed there."""
_CONNECTIONS = 2
_ADDRESS = r"([^\s/,:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
_FORMS = {"grpc": re.compile(rf"{_ADDRESS}(,{_ADDRESS})*"), "http": re.compile(rf"http://{_ADDRESS}")}


def open_backend(address: str, model: ServedModel) -> ModelBackend:
    """Open a backend: `host:port` (gRPC), `http://host:port` (REST), `in-process`, `embedded`, or another package's.

    Raises:
        UserError: see `require_address`.
    """
    require_address(address)
    return MODEL_BACKENDS[_scheme(address)](address, model)


def require_address(address: str) -> None:
    """Check the form of a model's address, without a call.

    Raises:
        UserError: it is neither `host:port`, one or several, nor `http://host:port`, nor of a registered scheme; or
            TensorFlow would run the model on this machine, and is not installed.
    """
    scheme = _scheme(address)
    form = _FORMS.get(scheme)
    if scheme not in MODEL_BACKENDS or (form is not None and not form.fullmatch(address)):
        raise UserError(
            "`--model-server` must be `host:port` of TF Serving's gRPC API, such as `127.0.0.1:8500` (several are "
            f"separated by commas), `http://host:port` of its REST API, `{IN_PROCESS_ADDRESS}` for TensorFlow in this "
            f"process, `{EMBEDDED_ADDRESS}` for the embedded model server in a process beside "
            f"it{_registered()}. Received: `{address}`."
        )
    if address in LOCAL_ADDRESSES and not is_installed("tensorflow"):
        raise UserError(
            "`--model-server` must be the address of TensorFlow Serving where TensorFlow is not installed: otherwise "
            f"the service runs the model itself. Received: `{address}`. Name an address, or install everything "
            "(docs/guide/install.md)."
        )


def _registered() -> str:
    """Return the forms of address of the backends that other packages registered, for a message."""
    return "".join(f", or `{name}://…`" for name in MODEL_BACKENDS if name not in (*_FORMS, *LOCAL_ADDRESSES))


def _scheme(address: str) -> str:
    scheme, mark, _ = address.partition("://")
    return scheme if mark or address in LOCAL_ADDRESSES else "grpc"


@MODEL_BACKENDS.register("grpc")
def _over_grpc(address: str, model: ServedModel) -> ModelBackend:
    """TF Serving's gRPC API at `host:port`."""
    from unified_ranker.serving.client.grpc_client import ModelClient

    return ModelClient(address, model.name, model.version, connections=_CONNECTIONS)


@MODEL_BACKENDS.register("http")
def _over_rest(address: str, model: ServedModel) -> ModelBackend:
    """TF Serving's REST API at `http://host:port`."""
    from unified_ranker.serving.client.rest_client import RestModelClient

    return RestModelClient(address, model.name, model.version)


@MODEL_BACKENDS.register(IN_PROCESS_ADDRESS)
def _in_this_process(address: str, model: ServedModel) -> ModelBackend:
    """TensorFlow in this process."""
    from unified_ranker.serving.backends.in_process_model import InProcessModel

    return InProcessModel.of_release(model.release)


@MODEL_BACKENDS.register(EMBEDDED_ADDRESS)
def _beside_this_process(address: str, model: ServedModel) -> ModelBackend:
    """The embedded model server, in a process of its own."""
    from unified_ranker.serving.backends.embedded_model import EmbeddedModel

    return EmbeddedModel(model)
