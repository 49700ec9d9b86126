"""A state as it is now, to go back to where a change of it fails.

Tables of named features are large and mostly empty: a copy of one of 2^24 slots takes 740 MB. So of large arrays only
the pages are kept that hold something. To look for them takes a tenth of a second for such a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...engine.vocabulary import Array

LARGE = 1 << 20  # bytes, from which on an array is kept by pages
_PAGE = 64  # numbers of 64 bits


class Undo:
    """The arrays of a state, which are written in place, and what they held when this was made."""

    def __init__(self, state: Any) -> None:
        arrays = list(_arrays(state))
        self._pages = [_Pages(array) for array in arrays if array.nbytes >= LARGE]
        whole = [array for array in arrays if array.nbytes < LARGE] + [pages.rest for pages in self._pages]
        self._whole = [(array, array.copy()) for array in whole]

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return sum(held.nbytes for _, held in self._whole) + sum(pages.held.nbytes for pages in self._pages)

    def undo(self) -> None:
        """Write into the arrays what they held."""
        for array, held in self._whole:
            array[...] = held
        for pages in self._pages:
            pages.write()


class _Pages:
    """What the pages of an array held, and the rest behind the last whole one."""

    def __init__(self, array: Array) -> None:
        assert array.flags.c_contiguous, "a copy would be written in place of the state"
        letters = array.reshape(-1).view(np.uint8)
        whole = letters.size // (8 * _PAGE) * (8 * _PAGE)
        self._pages, self.rest = letters[:whole].view(np.uint64).reshape(-1, _PAGE), letters[whole:]
        self._used = self._used_now()
        self.held = self._pages[self._used]

    def write(self) -> None:
        self._pages[self._used_now()] = 0
        self._pages[self._used] = self.held

    def _used_now(self) -> Array:
        return np.flatnonzero(self._pages.any(axis=1))


def _arrays(state: Any) -> Iterator[Array]:
    for value in state:
        if isinstance(value, tuple):
            yield from _arrays(value)
        else:
            yield value
