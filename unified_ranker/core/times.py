"""Times as the package counts them: whole seconds since 1970 UTC."""

import numpy as np

DAY = 86_400
"""Seconds of a day."""
NEVER = int(np.iinfo(np.int64).min)
"""Creation time of an item that has none: it has always existed."""
