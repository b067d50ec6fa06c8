"""Opener of model backends by their address. Built-in ones import their libraries when they are used."""

import re

from unified_ranker.core.errors import UserError
from unified_ranker.serving.backends.base import MODEL_BACKENDS, ModelBackend, ServedModel

IN_PROCESS_ADDRESS = "in-process"
_CONNECTIONS = 2
_ADDRESS = r"([^\s/,:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
_FORMS = {"grpc": re.compile(rf"{_ADDRESS}(,{_ADDRESS})*"), "http": re.compile(rf"http://{_ADDRESS}")}


def open_backend(address: str, model: ServedModel) -> ModelBackend:
    """Open a backend: `host:port` (gRPC), `http://host:port` (REST), `in-process`, or what another package registered.

    Raises:
        UserError: the address has another form; see `require_address`.
    """
    require_address(address)
    return MODEL_BACKENDS[_scheme(address)](address, model)


def require_address(address: str) -> None:
    """Check the form of a model's address, without a call.

    Raises:
        UserError: it is neither `host:port`, one or several, nor `http://host:port`, nor of a registered scheme.
    """
    scheme = _scheme(address)
    form = _FORMS.get(scheme)
    if scheme not in MODEL_BACKENDS or (form is not None and not form.fullmatch(address)):
        raise UserError(
            "`--model-server` must be `host:port` of TF Serving's gRPC API, such as `127.0.0.1:8500` (several are "
            f"separated by commas), `http://host:port` of its REST API, `{IN_PROCESS_ADDRESS}` for TensorFlow in this "
            f"process{_registered()}. Received: `{address}`."
        )


def _registered() -> str:
    """Return the forms of address of the backends that other packages registered, for a message."""
    return "".join(f", or `{name}://…`" for name in MODEL_BACKENDS if name not in (*_FORMS, IN_PROCESS_ADDRESS))


def _scheme(address: str) -> str:
    scheme, mark, _ = address.partition("://")
    return scheme if mark or address == IN_PROCESS_ADDRESS else "grpc"


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
