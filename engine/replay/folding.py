"""Letting a state learn a part of a log, without waiting for compiled code where that is not worth it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import loop
from ..columns import take
from ..vocabulary import Columns

INTERPRETED_S = 1.0  # then it is worth to wait
ROWS = 16  # between two looks at the clock


def fold(params: Any, state: Any, run: np.uint64, columns: Columns) -> None:
    """Learn every feedback of `columns`, as `loop.fold`: as Python for a second at most, then compiled."""
    entry = loop.fold.entry(params, state, run, columns)
    start, row = time.perf_counter(), 0
    while row < len(columns.kind):
        if entry.compiled:
            entry(params, state, run, take(columns, slice(row, None)))
            return
        entry(params, state, run, take(columns, slice(row, row + ROWS)))
        row += ROWS
        if time.perf_counter() - start > INTERPRETED_S:
            loop.fold.compiled(params, state, run, columns)
