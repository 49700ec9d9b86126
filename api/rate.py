"""A rate as a person reads it."""

from __future__ import annotations


def rate(value: float) -> str:
    """Return a rate with three digits.

    >>> rate(12_345_678.0)
    '12.3M'
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
