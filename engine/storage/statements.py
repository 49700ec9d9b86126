"""Statements over several rows or keys, of few lengths: a driver keeps what it compiled of each text.

SQLite's keeps the last 128 texts. One that writes n events takes 2 KB for each of them, with the values that it had
last: one text for each number up to 128 took 30 MB, and came one by one, as batches of a new length did.

>>> [list(run) for run in in_runs([1, 2, 3, 4, 5, 6, 7])], list(in_lists(["a", "b", "c"])), marks(3)
([[1, 2, 3, 4], [5, 6], [7]], [['a', 'b', 'c', 'c']], '?,?,?')
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Key = TypeVar("Key")

ROWS_MAX = 64  # of one statement that writes
KEYS_MAX = 1024  # of one that reads


def in_runs(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows in their order, in runs whose lengths are powers of two: the longest first, at most `ROWS_MAX`."""
    start = 0
    while left := len(rows) - start:
        length = min(ROWS_MAX, _power(left))
        yield rows[start : start + length]
        start += length


def in_lists(keys: Sequence[Key], most: int = KEYS_MAX) -> Iterator[list[Key]]:
    """Yield `most` keys at a time, in lists whose lengths are powers of two: the last key stands there again until so.

    It is for statements that do the same where a key is there twice.
    """
    for start in range(0, len(keys), most):
        some = list(keys[start : start + most])
        length = _power(2 * len(some) - 1)
        yield some + some[-1:] * (length - len(some))


def marks(n: int) -> str:
    """Return so many places for values."""
    return ",".join("?" * n)


def _power(n: int) -> int:
    """Return the greatest power of two that is at most n."""
    return 1 << (n.bit_length() - 1)
