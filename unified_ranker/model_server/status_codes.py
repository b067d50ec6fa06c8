"""The status codes of the TF Serving API: one error type, and what each code is over HTTP."""

import grpc

_HTTP_STATUS = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A request that the model server answers with an error.

    Args:
        code: the gRPC status code; over HTTP it becomes `http_status(code)`.
        message: what the client is told.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """Build the error for a request that is wrong in itself."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """Build the error for a model or version that is not served."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def http_status(code: grpc.StatusCode) -> int:
    """Return the HTTP status that TF Serving's REST API gives for a gRPC status code."""
    return _HTTP_STATUS[code]


def status_code(number: int) -> grpc.StatusCode:
    """Return the gRPC status code of a number; TensorFlow's error codes use the same numbers."""
    return _BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)
