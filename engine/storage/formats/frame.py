"""Tables in memory, of whatever library: what has the Arrow PyCapsule interface, `__arrow_c_stream__`.

pandas, polars, pyarrow and DuckDB have it. Nothing is copied that lies in Arrow's layout already: all of polars, and
numbers of pandas. A table is read as a Parquet file of the same columns would be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...errors import InvalidInput
from ..bad_lines import BadLines
from ..rows import PAGE, Rows, Wanted
from .arrow_batches import Batch, read_batches

NAME = Path("the table")  # what messages call it
_INDEX = re.compile(r"__index_level_\d+__")  # an index of pandas that has no name
_EXPORT = {"seq", "kind", "number"}  # columns that every export of onearm has


def arrow_of(frame: Any) -> pa.Table:
    """Return a table of any library as Arrow's.

    Raises `InvalidInput` ("bad_table") where a column cannot be had as Arrow, as objects of many types in pandas.
    """
    try:
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(
            "bad_table",
            f"the table cannot be read as Arrow ({' '.join(str(error).split())[:200]}): hand over the columns that are "
            "needed, each with numbers, texts or times alone",
        ) from None


def read_rows(table: pa.Table, wanted: Wanted, progress: Callable[[int], None] = lambda rows: None) -> Rows:
    """Return the rows that have a reward; `progress` is told how many rows were read since."""
    return read_batches(_Frame(table, progress), wanted, BadLines())


class _Frame:
    """A table of Arrow's in batches: see arrow_batches.py."""

    path = NAME
    form = "a table of decisions"

    def __init__(self, table: pa.Table, progress: Callable[[int], None]) -> None:
        self.names = [name for name in table.column_names if not _INDEX.fullmatch(name)]
        self._table, self._progress = table, progress
        if repeated := [name for name in self.names if self.names.count(name) > 1]:
            raise InvalidInput("bad_table", f"the table has two columns {repeated[0]!r}: rename one of them")
        if set(self.names) >= _EXPORT:
            raise InvalidInput(
                "export_in_memory",
                "the table has the columns seq, kind and number of an export of onearm, in which rewards and their "
                "corrections can be rows too: hand over the path of its file, or only the columns that are needed",
            )

    def batches(self, wanted: list[str]) -> Iterator[Batch]:
        """Yield some columns, in their order."""
        before = 0
        for batch in self._table.select(wanted).to_batches(PAGE):
            yield batch, before
            before += batch.num_rows
            self._progress(batch.num_rows)
