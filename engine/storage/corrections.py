"""Corrections: what was learned of a decision is said to be another reward, or none (CORRECTED events).

What was learned stays as it is: whoever needs the reward of a decision takes that of the last correction of it.

>>> said = [Correction(7, 0, 3, 1, 0.5, 1.0), Correction(8, 0, 3, 1, 1.0, None)]
>>> Corrected.of(said).last().reward
array([nan])
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..columns import take
from ..vocabulary import LEARN, Array, Columns


class Correction(NamedTuple):
    """A correction, and what it is of."""

    seq: int
    number: int  # of the decision
    learned: int  # the seq of what was learned of it
    action: int | None
    was: float | None  # the reward before; None where it was retracted
    reward: float | None  # and now


class Corrected(NamedTuple):
    """Some CORRECTED events, in their order."""

    number: Array  # int64[n]
    reward: Array  # float64[n], NaN where it is retracted
    line: Array  # int64[n]

    def last(self) -> Corrected:
        """Return the last correction of each decision, by ascending numbers."""
        numbers, places = np.unique(self.number[::-1], return_index=True)
        places = len(self.number) - 1 - places
        return Corrected(numbers, self.reward[places], self.line[places])

    @classmethod
    def of(cls, corrections: Iterable[Correction]) -> Corrected:
        """Return corrections of a database; lines are seqs."""
        rows = [(one.number, math.nan if one.reward is None else one.reward, one.seq) for one in corrections]
        number, reward, line = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(number, np.int64), np.array(reward, np.float64), np.array(line, np.int64))


NONE = Corrected.of(())


def amended(columns: Columns, corrected: Corrected) -> Columns:
    """Return events with the rewards that are known in the end, without those that are retracted."""
    last = corrected.last()
    if not len(last.number):
        return columns
    place = np.minimum(np.searchsorted(last.number, columns.number), len(last.number) - 1)
    other = (columns.kind == LEARN) & (last.number[place] == columns.number)
    if not other.any():
        return columns
    columns = columns._replace(reward=np.where(other, last.reward[place], columns.reward))
    gone = other & np.isnan(columns.reward)
    return take(columns, ~gone) if gone.any() else columns
