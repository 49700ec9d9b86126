"""Columns that are read of a table beside its decisions (`Wanted.beside`), for whoever reads the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ...vocabulary import Array
from ..rows import Beside, Page
from .cells import kept_cells


class BesideColumns:
    """What is read beside the decisions of one table."""

    def __init__(self, wanted: Sequence[Beside], columns: list[str], action: str, path: object) -> None:
        self._wanted = wanted
        self.found = [each.names(columns, action, path) for each in wanted]
        self.names = [name for names in self.found for name in names]

    def on(self, page: Page, columns: Sequence[pa.Array], kept: Array) -> Page:
        """Return a page of the rows that are kept, bool[n], with their cells of columns of n."""
        if not self.names:
            return page
        rest = iter([kept_cells(column, kept) for column in columns])
        cells = [
            each.cells([next(rest) for _ in names], page.line)
            for each, names in zip(self._wanted, self.found, strict=True)
        ]
        return page._replace(beside=np.concatenate(cells, axis=1))
