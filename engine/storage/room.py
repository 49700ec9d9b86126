"""Room for a column of a whole log: in memory, or in a temporary file where it is large.

What lies in a file is read and written like any array; the system keeps in memory what it has room for.
"""

from __future__ import annotations

import tempfile
from typing import IO, Any

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


class Growing:
    """A column of zeros that grows: in memory, or in a temporary file where it is large.

    >>> column = Growing(np.int8)
    >>> column.reach(3000)
    >>> len(column.values) >= 3000, column.values.max()
    (True, np.int8(0))
    """

    def __init__(self, dtype: Any = np.float64) -> None:
        self.values: Array = np.zeros(1024, dtype)
        self._file: IO[bytes] | None = None

    def reach(self, n: int) -> None:
        """Make it n long at least; what was written stays. `values` is another array then."""
        if n <= len(self.values):
            return
        dtype, size = self.values.dtype, 2 * n
        if size * dtype.itemsize <= MEMORY:
            self.values = np.concatenate([self.values, np.zeros(size - len(self.values), dtype)])
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the column
            self._file.write(self.values.data.cast("B"))
            self._file.flush()
        self._file.truncate(size * dtype.itemsize)
        self.values = np.asarray(np.memmap(self._file, dtype, "r+", shape=(size,)))
