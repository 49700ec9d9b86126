"""What `evaluate` and `replay` found, as a small object that shows itself."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from ...engine.errors import InvalidInput
from ..offline.report.words import number, rounded
from .frames import columns_of, frame_of
from .page import Column, as_html, as_text
from .pictures import pictures

TABLES = ("estimates", "ranking", "differences", "segments")  # of the data
LEFT_OUT = ("policy", "params")  # of a DataFrame: what the label says already


@dataclass(frozen=True, repr=False)
class Estimates:
    """What candidates would have earned on a log. It holds no part of the log.

    In a notebook it shows itself as a table; `repr` is the same as text.
    """

    data: dict[str, Any]  # the JSON of the command
    logged_mean: float  # what the log earned per decision
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
        return pictures().draw_estimates(self.data["estimates"], self.logged_mean, ax)

    @property
    def notes(self) -> list[str]:
        """What to know of these estimates: warnings of the log, of a method, of how columns were read, of bad lines."""
        warnings = [
            f"{label}: {text}" for label, of in self.data["diagnostics"].items() if of for text in of["warnings"]
        ]
        own = [
            f"{each['method']}, {each['interval']}: {each['note']}" for each in self.data["estimates"] if each["note"]
        ]
        bad = [f"bad lines, {word}: {count}" for word, count in self.data["bad_lines"].items()]
        return list(dict.fromkeys([*warnings, *own, *self.data["notes"], *bad]))

    def __repr__(self) -> str:
        """Return a table as text."""
        return as_text(self._title, self._columns(), self.notes)

    def _repr_html_(self) -> str:
        return as_html(self._title, self._columns(), self.notes)

    @property
    def _title(self) -> str:
        level = f"{100 * self.data['level']:g} % intervals"
        return f"{self.data['events']:,} decisions, which earned {self.logged_mean:.6g} each; {level}"

    def _columns(self) -> list[Column]:
        rows = self.data["estimates"]

        def numbers(name: str) -> list[str]:
            return ["n/a" if row[name] is None else number(row[name], _width(row)) for row in rows]

        sizes = [row["effective_sample_size"] for row in rows]
        return [
            Column("target", [row["target"] for row in rows], is_number=False),
            Column("method", [row["method"] for row in rows], is_number=False),
            Column("interval", [row["interval"] for row in rows], is_number=False),
            Column("estimate", numbers("value")),
            Column("from", numbers("low")),
            Column("to", numbers("high")),
            Column("decisions that tell", [f"{row['matched']:,}" for row in rows]),
            Column("counts like", ["n/a" if size is None else rounded(size) for size in sizes]),
        ]


def _width(row: dict[str, Any]) -> float:
    """Return how wide the interval of an estimate is, 0 where there is none."""
    return 0.0 if row["low"] is None or row["high"] is None else row["high"] - row["low"]
