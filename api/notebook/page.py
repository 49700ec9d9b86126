"""Tables of results: as HTML for a notebook, where they read as the report's do, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..table import Table

_STYLE = {True: ' style="text-align:right;font-variant-numeric:tabular-nums"', False: ' style="text-align:left"'}


def as_html(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Return tables with their titles, and notes below them."""
    below = f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""
    return f'<div class="onearm">{"".join(map(_html_of, tables))}{below}</div>'


def _html_of(table: Table) -> str:
    columns = table.columns

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = zip(columns, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{_STYLE[of.is_number]}>{escape(cell)}</{tag}>" for of, cell in marked) + "</tr>"

    body = "".join(row("td", cells) for cells in zip(*(column.cells for column in columns), strict=True))
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    head = row("th", [column.name for column in columns])
    return f"<p><b>{escape(table.title)}</b></p><table><thead>{head}</thead><tbody>{body}</tbody></table>{note}"


def as_text(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Return the same as lines of text.

    >>> from onearm.api.table import Column
    >>> names, values = Column("name", ["a", "bc"], False), Column("value", ["1.5", "10.0"])
    >>> print(as_text([Table("two", [names, values], "of two")], ["a note"]))
    two
    name  value
    a       1.5
    bc     10.0
    of two
    <BLANKLINE>
    a note
    """
    return "\n\n".join([*map(_text_of, tables), *(["\n".join(notes)] if notes else [])])


def _text_of(table: Table) -> str:
    columns = table.columns
    widths = [max(map(len, (column.name, *column.cells))) for column in columns]

    def line(cells: Sequence[str]) -> str:
        placed = zip(columns, cells, widths, strict=True)
        return "  ".join(cell.rjust(w) if of.is_number else cell.ljust(w) for of, cell, w in placed).rstrip()

    lines = [line([column.name for column in columns])]
    lines += [line(cells) for cells in zip(*(column.cells for column in columns), strict=True)]
    return "\n".join([table.title, *lines, *([table.note] if table.note else [])])
