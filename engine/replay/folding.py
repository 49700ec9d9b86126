"""Running a loop over rows of a log, without waiting for compiled code where that is not worth it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import loop
from ..columns import take
from ..compiled.waiting import WAITING
from ..kernel import Entry
from ..vocabulary import Columns

INTERPRETED_S = 1.0  # then it is worth to wait
NOT_JUDGED = (None, None)  # what `loop.fold` is given where nobody asks what the policy would have done
ROWS = 16  # between two looks at the clock


def fold(params: Any, state: Any, run: np.uint64, columns: Columns) -> None:
    """Learn every feedback of `columns`, as `loop.fold`."""
    entry = loop.fold.entry(params, state, run, columns, *NOT_JUDGED)
    run_rows(entry, params, state, run, columns, *NOT_JUDGED)


def run_rows(entry: Entry, params: Any, state: Any, run: np.uint64, columns: Columns, *further: Any) -> None:
    """Run an entry over rows that it may take in parts: as Python for a second at most, then compiled.

    What is `further` has a row for each of the columns, or none.
    """
    start, row = time.perf_counter(), 0
    while row < len(columns.kind):
        if time.perf_counter() - start > INTERPRETED_S and not entry.compiled:
            WAITING.tell(entry.name)
            entry.wait()
        stop = len(columns.kind) if entry.compiled else row + ROWS
        rows = slice(row, stop)
        entry(params, state, run, take(columns, rows), *(_rows_of(one, rows) for one in further))
        row = stop


def _rows_of(further: Any, rows: slice) -> Any:
    """Return some rows of an array or of a tuple of arrays, to be read or written; None stays."""
    if isinstance(further, tuple):
        return type(further)(*(column[rows] for column in further))
    return None if further is None else further[rows]
