"""Rounding: what it may take from sums that something is proven by.

Source: Higham, "Accuracy and stability of numerical algorithms", section 4.2: terms added one after another miss their
sum by at most (n - 1) epsilon times the sum of their sizes, to first order.
"""

from __future__ import annotations

from ..kernel import kernel

_EPSILON = 2.0**-52


@kernel
def rounding_bound(count: float, dimension: int, size: float) -> float:
    """Return how far off the sum of `count` inner products may be, each of `dimension` terms and at most `size` large.

    Four times the bound for one such sum: what is compared is two of them, of differences that were rounded too.
    """
    return 4.0 * _EPSILON * (count + dimension) * count * size
