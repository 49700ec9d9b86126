"""Plain tables, one rewarded decision a line, read a page at a time."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ...columns import take
from ...contexts import context_at, pack_context
from ...problem import ARMS_MAX
from ...vocabulary import EXTERNAL, LEARN, Array, Columns, Problem
from ..bad_lines import BadLines
from ..events import Events
from ..log import good_decisions, no_good_line
from ..records import Event
from ..rows import Page, Rows, Wanted
from ..source import STDIN, Source
from .plain_columns import UNIT
from .segments import Segments, feature_of


class TablePage(NamedTuple):
    """Some lines of a table that were decoded."""

    columns: Columns  # whose masks are of no account
    line: Array  # int64[n]
    segment: list[Any] | None = None  # what names the segment of each line


def rows_of_table(
    path: Path, pages: Iterable[TablePage], bad_lines: BadLines, wanted: Wanted, unused: Sequence[str] = ()
) -> Rows:
    """Return the good lines of a table; there is at least one.

    There are as many arms as `wanted` says, or as the largest action shows; as many as rows in a context that has rows.
    Columns that are `unused` are told.
    """
    rows = Rows(bad_lines)
    segments = Segments(rows.segments)
    smallest, largest, shape = ARMS_MAX, 0, (0,)
    for page in pages:
        shape = page.columns.context.shape[1:]
        k = shape[0] if len(shape) == 2 else wanted.n_arms or ARMS_MAX
        every = np.broadcast_to(np.True_, (1, k))
        kept = good_decisions(page.columns._replace(available=every), page.line, Problem(k), bad_lines)
        bad_lines.drop("bad_reward", ~np.isfinite(page.columns.reward), page.line, kept)
        columns, lines = page.columns._replace(available=np.ones((1, 1), np.bool_)), page.line
        names = page.segment
        if not kept.all():
            columns, lines = take(columns, kept), lines[kept]
            names = None if names is None else [name for name, good in zip(names, kept.tolist(), strict=True) if good]
        if len(lines):
            smallest = min(smallest, int(columns.action.min()))
            largest = max(largest, int(columns.action.max()))
            if names is not None:
                segment = segments.places(names)
            elif wanted.segment is not None:
                feature = feature_of(wanted.segment, Problem(k, shape))
                segment = segments.places_of_numbers(columns.context[:, feature])
            else:
                segment = np.zeros(len(lines), np.int64)
            if not wanted.contexts:
                columns = columns._replace(context=np.zeros((len(lines), 0)))
            rows.append(Page(columns, lines, segment))
            rows.decisions += len(lines)
    if not rows.decisions:
        raise no_good_line(path, bad_lines)
    n_arms = shape[0] if len(shape) == 2 else wanted.n_arms or largest + 1
    mask = np.ones((1, n_arms), np.bool_)
    rows.problem = Problem(n_arms, shape if wanted.contexts else (0,))
    rows.finish = lambda page: page._replace(columns=page.columns._replace(available=mask))
    if len(shape) < 2:
        rows.tell_lowest(smallest, wanted)
    rows.tell_unused(unused)
    return rows


def events_of_table(
    form: str,
    source: Source,
    read_rows: Callable[[Source], Rows],
    lines: Callable[[Source], Iterator[tuple[int, Any]]],
    blocks: Iterator[bytes] | None = None,
    unit: str | None = None,
) -> Events:
    """Return the good lines of a table as events: decisions of others, each followed by its reward.

    The table is read twice, by `read_rows` and by `lines`, which yields each line's number and what is kept of it:
    msgspec turns it into JSON. So standard input is written to a temporary file before: its `blocks`, where some of it
    was read already. `unit` is the column of whom a decision is for.
    """
    path, spooled = source.path, None
    if path == STDIN:
        spooled = tempfile.NamedTemporaryFile()  # noqa: SIM115 - it lives until the last event
        for block in source.parts() if blocks is None else blocks:
            spooled.write(block)
        spooled.flush()
        path = Path(spooled.name)
    rows = read_rows(Source(path))

    def events() -> Iterator[Event]:
        with rows:
            again = lines(Source(path, source.progress))
            count = 0
            for page in rows.pages():
                for row, number in enumerate(page.line.tolist()):
                    line = next(line for at, line in again if at == number)
                    sent = msgspec.json.encode({"from": form, "line": line}).decode()
                    decision, told = _pair(page.columns, row, count, sent, rows.problem)
                    yield decision if len(page.columns.unit) < 2 else decision._replace(unit_id=_cell(line, unit))
                    yield told
                    count += 1
        if spooled is not None:
            spooled.close()

    labels = {"labels": rows.labels} if rows.labels else {}
    return Events(rows.problem, events(), {"from": form, **labels}, rows.bad_lines, example=rows.example)


def _cell(line: Any, column: str | None) -> str | None:
    """Return a cell of a line, a JSON object or a dictionary, as text; None for an empty one."""
    cells = msgspec.json.decode(line) if isinstance(line, msgspec.Raw) else line
    cell = cells.get(column or UNIT) if isinstance(cells, dict) else None
    return None if cell is None or cell == "" else str(cell)


def _pair(columns: Columns, row: int, number: int, sent: str, problem: Problem) -> tuple[Event, Event]:
    """Return the decision of a row, which someone else made, and its reward."""
    action, propensity = int(columns.action[row]), float(columns.propensity[row])
    decision = Event(
        0,
        2 * number + 1,
        EXTERNAL,
        number,
        action,
        None if math.isnan(propensity) else propensity,
        context=None if problem.context_shape == (0,) else pack_context(context_at(columns.context, row), problem),
        sent=sent,
        time=int(columns.time[row if len(columns.time) > 1 else 0]),
    )
    reward = float(columns.reward[row])
    told = Event(0, 2 * number + 2, LEARN, number, action, decision.propensity, reward, reward_id="")
    return decision, told._replace(time=decision.time)
