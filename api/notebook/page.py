"""Tables of results: as HTML for a notebook, where they read as the report's do, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_STYLE = {True: ' style="text-align:right;font-variant-numeric:tabular-nums"', False: ' style="text-align:left"'}


class Column(NamedTuple):
    """A column of a table."""

    head: str
    cells: list[str]
    is_number: bool = True


def as_html(title: str, columns: Sequence[Column], notes: Sequence[str]) -> str:
    """Return a table with a title, and notes below it."""

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = zip(columns, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{_STYLE[of.is_number]}>{escape(cell)}</{tag}>" for of, cell in marked) + "</tr>"

    body = "".join(row("td", cells) for cells in zip(*(column.cells for column in columns), strict=True))
    below = f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""
    return (
        f'<div class="onearm"><p><b>{escape(title)}</b></p><table><thead>'
        f"{row('th', [column.head for column in columns])}</thead><tbody>{body}</tbody></table>{below}</div>"
    )


def as_text(title: str, columns: Sequence[Column], notes: Sequence[str]) -> str:
    """Return the same as lines of text.

    >>> print(as_text("two", [Column("name", ["a", "bc"], False), Column("value", ["1.5", "10.0"])], ["a note"]))
    two
    name  value
    a       1.5
    bc     10.0
    a note
    """
    widths = [max(map(len, (column.head, *column.cells))) for column in columns]

    def line(cells: Sequence[str]) -> str:
        placed = zip(columns, cells, widths, strict=True)
        return "  ".join(cell.rjust(w) if of.is_number else cell.ljust(w) for of, cell, w in placed).rstrip()

    lines = [line([column.head for column in columns])]
    lines += [line(cells) for cells in zip(*(column.cells for column in columns), strict=True)]
    return "\n".join([title, *lines, *notes])
