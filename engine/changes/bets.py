"""Bets against "nothing has changed": each multiplies its wealth, on average by at most 1 while that is so.

Several bets run side by side in each row. A wealth that falls below 1 begins anew, so it always tells how much speaks
for a change since then, and the decision at which it began is where the change may have happened. While nothing
changes a bet reaches the wealth h once in h rewards at the most, on average.

Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
Journal of Statistics in Data Science, 2024; the factors are bets on a mean as in Waudby-Smith, Ramdas, "Estimating
means of bounded random variables by betting", JRSS B, 2024. Departs from these: the mean that nothing exceeds is
learned.

>>> book = bets(rows=1, n=2)
>>> for number in range(3):
...     stake(book, 0, 0, factor=4.0, number=number)
...     stake(book, 0, 1, factor=0.5, number=number)
>>> (book.wealth.tolist(), int(place_of(book, 0)))
([[64.0, 0.5]], 0)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array


class Bets(NamedTuple):
    """Bets that run side by side."""

    wealth: Array  # float64[rows, n]
    start: Array  # int64[rows, n] number of the decision with which it began


def bets(rows: int, n: int) -> Bets:
    """Return bets that have not begun."""
    return Bets(np.ones((rows, n)), np.zeros((rows, n), np.int64))


@kernel
def stake(book: Bets, row: int, i: int, factor: float, number: int) -> None:
    """Multiply one wealth, with the feedback on the decision of that number."""
    wealth = book.wealth[row, i]
    book.start[row, i] = number if wealth <= 1.0 else book.start[row, i]
    book.wealth[row, i] = max(wealth, 1.0) * factor


@kernel
def largest(book: Bets, row: int) -> float:
    """Return the largest wealth of a row."""
    most = book.wealth[row, 0]
    for i in range(1, book.wealth.shape[1]):
        most = max(most, book.wealth[row, i])
    return most


@kernel
def place_of(book: Bets, row: int) -> int:
    """Return the number of the decision with which the largest wealth of a row began."""
    place = book.start[row, 0]
    most = book.wealth[row, 0]
    for i in range(1, book.wealth.shape[1]):
        if book.wealth[row, i] > most:
            most = book.wealth[row, i]
            place = book.start[row, i]
    return place


@kernel
def tame(book: Bets, row: int, most: float) -> None:
    """Let no bet of a row have more than so much."""
    for i in range(book.wealth.shape[1]):
        book.wealth[row, i] = min(book.wealth[row, i], most)


@kernel
def call_off(book: Bets, row: int) -> None:
    """Begin the bets of a row anew."""
    for i in range(book.wealth.shape[1]):
        book.wealth[row, i] = 1.0


@kernel
def call_off_all(book: Bets) -> None:
    """Begin all bets anew."""
    for row in range(book.wealth.shape[0]):
        call_off(book, row)
