"""A table of what was found, as texts: for a terminal, for a notebook, and as text."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """A column of a table."""

    head: str  # where it has lines, a terminal shows them as such
    cells: list[str]
    is_number: bool = True

    @property
    def name(self) -> str:
        """Return the head in one line."""
        return self.head.replace("\n", " ")


class Table(NamedTuple):
    """A title, columns of one length, and what is to be said of all of them."""

    title: str
    columns: list[Column]
    note: str | None = None
    spare: tuple[str, ...] = ()  # heads of columns that a narrow terminal leaves out, from the first on
