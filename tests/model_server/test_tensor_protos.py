"""Messages that say of themselves that they are large: refused before memory is taken."""

import math
import resource

import numpy as np
import pytest

from unified_ranker.model_server.messages import tensor_pb2
from unified_ranker.model_server.tensor_protos import from_proto
from unified_ranker.towers.tensorflow import tf

DTYPES = {"float32": "float_val", "int64": "int64_val", "bool": "bool_val", "int8": "int_val", "string": "string_val"}


def message(dtype, shape, values=()):
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(dtype).as_datatype_enum)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, DTYPES[dtype]).extend(values)
    return proto


def one_of(dtype):
    return [b"x"] if dtype == "string" else [1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2**31,), (2**16, 2**16), (2**40, 2**40), (2**63 - 1,)])
@pytest.mark.parametrize("given", [0, 1])
def test_a_small_message_with_a_large_shape_is_refused_and_takes_no_memory(dtype, shape, given):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="do not fill shape"):
        from_proto(message(dtype, shape, one_of(dtype)[:given]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (0,), (2**40, 0), (2**10, 2**10)])
def test_one_value_stands_for_as_many_as_a_request_has(dtype, shape):
    array = from_proto(message(dtype, shape, one_of(dtype)))
    assert array.shape == shape
    assert math.prod(shape) == 0 or np.unique(array).tolist() == one_of(dtype)
