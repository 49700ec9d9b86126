"""What `evaluate` and `replay` found, as a small object that shows itself."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import InvalidInput
from ..offline.tables import notes_of, tables_of, title_of
from .frames import columns_of, frame_of
from .page import as_html, as_text
from .pictures import pictures

TABLES = ("estimates", "ranking", "differences", "segments")  # of the data
LEFT_OUT = ("policy", "params")  # of a DataFrame: what the label says already


@dataclass(frozen=True, repr=False)
class Estimates:
    """What targets would have earned on a log. It holds no part of the log.

    In a notebook it shows itself as the tables of the command; `repr` is the same as text.
    """

    data: dict[str, Any]  # the JSON of the command
    library: str | None = field(
        default=None, compare=False
    )  # of which DataFrames are: "polars", "pandas", None for any

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was found, as `onearm evaluate --json` prints it; what is no finite number is None."""
        return copy.deepcopy(self.data)

    def to_frame(self, table: str = "estimates") -> Any:
        """Return a table as a DataFrame, of polars or pandas: of the library of the data, or else of one that is there.

        `table` is estimates, ranking, differences or segments.
        """
        if table not in TABLES or not (rows := self.data.get(table)):
            there = [name for name in TABLES if self.data.get(name)]
            raise InvalidInput("no_such_table", f"there is no table {table!r}: there are {', '.join(there)}")
        return frame_of(columns_of(rows, LEFT_OUT), self.library)

    def plot(self, ax: Any = None) -> Any:
        """Draw each estimate with its interval, and what the log earned as a line; return the axes of matplotlib."""
        return pictures().draw_estimates(self.data["estimates"], self.data["logged_mean"], ax)

    @property
    def notes(self) -> list[str]:
        """What to know of these estimates: warnings of the log, of a method, of how columns were read, of bad lines."""
        return notes_of(self.data)

    def __repr__(self) -> str:
        """Return the tables as text: estimates, and where there are some the ranking, differences and segments."""
        return as_text(tables_of(self.data, title_of(self.data)), self.notes)

    def _repr_html_(self) -> str:
        return as_html(tables_of(self.data, title_of(self.data)), self.notes)
