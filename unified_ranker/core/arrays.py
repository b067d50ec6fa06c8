"""Array types that packages share, and the index that stands for an absent item or user."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Strings = npt.NDArray[np.object_]
Mask = npt.NDArray[np.bool_]
Arrays = dict[str, np.ndarray]
"""Inputs or outputs of a signature of the served model, by name."""
MISSING = -1
"""Index of an item or user that is absent, such as the source item of a home feed request."""
NOT_A_CANDIDATE = -1e9
"""Logit of an item that takes no part in a softmax."""
