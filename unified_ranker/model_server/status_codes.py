"""Status codes of the TF Serving API: one error type, and the HTTP status of each code."""

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
    """Error with which the model server answers a request.

    Args:
        code: the gRPC status code; over HTTP it becomes `http_status(code)`.
        message: text that the client receives.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """Build the error for an invalid request."""
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
