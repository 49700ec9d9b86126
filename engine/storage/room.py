"""Room for a column of a whole log: in memory, or in a temporary file where it is large.

What lies in a file is read and written like any array; the system keeps in memory what it has room for.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from ..vocabulary import Array

MEMORY = 1 << 24  # bytes of a column


def room(n: int, dtype: Any = np.float64) -> Array:
    """Return an array of n zeros.

    >>> room(3).tolist()
    [0.0, 0.0, 0.0]
    """
    if n * np.dtype(dtype).itemsize <= MEMORY:
        return np.zeros(n, dtype)
    with tempfile.TemporaryFile() as file:  # the mapping keeps it until the array goes
        return np.memmap(file, dtype, "w+", shape=(n,))
