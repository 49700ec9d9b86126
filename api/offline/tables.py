"""What was found on a log, as tables and notes: the same in a terminal and in Python, in the words of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.errors import counted
from ..table import Column, Table
from .report.words import HEADS, MATCHED, SAMPLE_SIZE, number, rounded

NARROW = {MATCHED: "decisions\nthat tell", SAMPLE_SIZE: "effective\nsample size"}
Rows = Sequence[Mapping[str, Any]]


def title_of(data: Mapping[str, Any]) -> str:
    """Return how many decisions were judged, and what they earned."""
    return f"{counted(data['events'], 'decision')}, logged mean reward {data['logged_mean']:.6g}"


def tables_of(data: Mapping[str, Any], title: str) -> list[Table]:
    """Return the tables of what was found, which `data` holds as JSON: estimates, and what else there is of it."""
    above = f"{verdict}\n" if (verdict := data.get("verdict")) else ""
    found = [estimates_table(data["estimates"], data["level"], f"{above}{title}")]
    level = _percent(data["level"])
    if len(ranking := data.get("ranking", ())) > 1:
        note = (
            f"by {ranking[0]['method']}; {level} intervals that hold for all at once\n"
            "places compare two targets row by row: they may differ where intervals overlap"
        )
        place = Column("place", [_places(row) for row in ranking], is_number=False)
        found.append(Table("ranking", [_texts("target", ranking), *_use(ranking), *_numbers(ranking), place], note))
    if gaps := data.get("differences", ()):
        texts = [_texts(name, gaps) for name in ("target", "method", "interval")]
        numbers = [each if i else each._replace(head="difference") for i, each in enumerate(_numbers(gaps))]
        found.append(Table(f"worth more than {gaps[0]['baseline']} by", [*texts, *numbers]))
    if parts := data.get("segments", ()):
        texts = [_texts(name, parts) for name in ("segment", "target", "method")]
        events = Column("decisions", [f"{row['events']:,}" for row in parts])
        found.append(Table("by segment", [*texts, events, *_numbers(parts)], f"{level} normal intervals"))
    return found


def estimates_table(rows: Rows, level: float, title: str) -> Table:
    """Return estimates: where all intervals are of one kind, a note says which."""
    kinds = list(dict.fromkeys(row["interval"] for row in rows))
    one = len(kinds) == 1
    texts = [_texts(name, rows) for name in ("target", "method", *([] if one else ["interval"]))]
    matched = Column(NARROW[MATCHED], [f"{row['matched']:,}" for row in rows])
    sizes = (row["effective_sample_size"] for row in rows)
    size = Column(NARROW[SAMPLE_SIZE], ["n/a" if each is None else rounded(each) for each in sizes])
    note = f"{_percent(level)} {f'{kinds[0]} ' if one else ''}intervals"
    return Table(
        title,
        [*texts, *_use(rows), *_numbers(rows), matched, size],
        note,
        (matched.head, *([] if one else [size.head])),
    )


def notes_of(data: Mapping[str, Any]) -> list[str]:
    """Return what to know: warnings of the log, of a method, of how columns were read, of bad lines; each once."""
    warnings = [f"{label}: {text}" for label, of in data["diagnostics"].items() if of for text in of["warnings"]]
    own = [f"{row['method']}, {row['interval']}: {row['note']}" for row in data["estimates"] if row["note"]]
    return list(dict.fromkeys([*warnings, *own, *data["notes"], *bad_lines_told(data)]))


def bad_lines_told(data: Mapping[str, Any]) -> list[str]:
    """Return of each kind of bad lines how many there are, and the numbers of the first."""
    told = []
    for kind, count in data["bad_lines"].items():
        lines = data["bad_line_numbers"][kind]
        why = f"; {reason}" if (reason := data.get("bad_line_reasons", {}).get(kind)) else ""
        which, more = "line" if count == 1 else "lines", ", ..." if count > len(lines) else ""
        told.append(f"bad lines, {kind}: {count:,} ({which} {', '.join(map(str, lines))}{more}){why}")
    return told


def _use(rows: Rows) -> list[Column]:
    """Return a column that says which values not to use, where there is one; notes say why."""
    if all(row.get("usable", True) for row in rows):
        return []
    return [Column("use", ["yes" if row["usable"] else "NO" for row in rows], is_number=False)]


def _numbers(rows: Rows) -> list[Column]:
    """Return value and interval, with as many digits as the interval makes worth reading."""
    return [Column(head, [_number(row[head], row) for row in rows]) for head in HEADS]


def _number(value: float | None, row: Mapping[str, Any]) -> str:
    if value is None:
        return "n/a"
    known = row["low"] is not None and row["high"] is not None
    return number(value, row["high"] - row["low"] if known else 0.0)


def _texts(name: str, rows: Rows) -> Column:
    return Column(name, [row[name] for row in rows], is_number=False)


def _places(row: Mapping[str, Any]) -> str:
    first, last = row["rank_first"], row["rank_last"]
    return str(first) if first == last else f"{first} to {last}"


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
