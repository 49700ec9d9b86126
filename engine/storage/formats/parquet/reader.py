"""Reads an export, or a plain table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ....actions import empty_actions, pack_action, unpack_details
from ....columns import SCHEMA
from ....contexts import Contexts, actions_in, checked_features, pack_context, unpack_contexts
from ....errors import Damaged, InvalidInput
from ....vocabulary import (
    ACTIVATION,
    BESIDE,
    CHANGE,
    CORRECTED,
    DECIDE,
    EXTERNAL,
    LEARN,
    Array,
    Columns,
    Features,
    Problem,
)
from ...arm_labels import arm_labels
from ...bad_lines import BadLines
from ...corrections import Corrected
from ...events import Events
from ...joined_form import extent_of
from ...log import Log, begins_of, gathered, log_of_events, read_header, say_what_came_next
from ...records import Event
from ...reward_join import EventPage, RewardJoin, Rewards, in_order, join_of, rows_of_events
from ...rows import PLAIN, Naming, Rows, Wanted
from ...source import STDIN, Source
from ...windows import closing_in, why_closed
from ..arrow_arrays import booleans, floats, integers, numbers, units, valid, values_of
from ..arrow_batches import read_batches
from ..table_rows import events_of_table
from .apart import Apart, events_apart
from .file import PAGE, batches, header_in, holds, opened
from .schema import FEATURES, LEARNED, OURS
from .table import FileTable, table_lines

DETAILS = ["kind", "detail"]  # what tells the changes of an experiment; a file need not have the latter


def read(path: Path) -> Log:
    """Read an export, or a plain table of decisions. Bad rows are counted and named; the others are read."""
    bad_lines, source = BadLines(), Source(path)
    with opened(source) as file:
        header = header_in(file)
        if header is None:
            with read_batches(FileTable(source, file), Wanted(), bad_lines) as rows:
                return Log(rows.problem, rows=rows.columns(), bad_lines=bad_lines)
        problem, spec = read_header(path, header)
        pages, corrected = [], []
        changes: list[tuple[int, str]] = []
        wanted = _wanted(file, problem)
        wanted += [name for name in ("detail",) if name in file.schema_arrow.names and name not in wanted]
        for batch, lines in _events(source, file, header, wanted, bad_lines):
            page = _page(batch, lines, problem, bad_lines)
            pages.append(in_order(page, problem))
            corrected.append(page.corrected)
            changes += _changes(batch, lines)
        begins = begins_of(header)
        return log_of_events(problem, spec, pages, changes, corrected, bad_lines, header_lines=0, begins=begins)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions of an export, or of a plain table; contexts that are not wanted are not checked.

    A segment is a feature of a dense context, "context[3]", or a column of a plain table.
    """
    bad_lines = BadLines()
    with opened(source) as file:
        header = header_in(file)
        if header is None:
            rows = read_batches(FileTable(source, file), wanted, bad_lines)
            rows.longest = PAGE
            return rows
        problem, spec = read_header(source.path, header)
        if problem.layout == "dense" and not wanted.contexts and wanted.segment is None:
            problem = replace(problem, context_shape=(0,))
        wanted_columns = _wanted(file, problem)
        pages = (_page(batch, lines, problem, bad_lines) for batch, lines in _rows(source, file, wanted_columns))
        join = join_of(header, problem, bad_lines)
        rows = rows_of_events(source.path, problem, pages, join, bad_lines, wanted)
        changes = (text for batch, lines in _rows(source, file, DETAILS) for _, text in _changes(batch, lines))
        rows.labels = arm_labels(spec, changes, problem)
        return rows


def read_events(source: Source, naming: Naming = PLAIN) -> Events:
    """Read all that an export says, or the rows of a plain table as decisions of others, each with its reward."""
    bad_lines = BadLines()
    held = ExitStack()
    with held:
        file = held.enter_context(opened(source))
        header = header_in(file)
        if header is None:
            if source.path != STDIN:
                rows = partial(read_rows, wanted=Wanted(naming=naming, times=naming.reads_times))
                return events_of_table("parquet", source, rows, table_lines, unit=naming.unit)
            raise InvalidInput("piped_table", "a plain table of Parquet is read twice: name its file, and not -")
        problem, spec = read_header(source.path, header)
        events = _good_events(source, file, header, problem, bad_lines, held.pop_all())
        return Events(problem, events, spec, bad_lines, begins_of(header))
    raise AssertionError("unreachable")


def _rows(source: Source, file: pq.ParquetFile, wanted: list[str]) -> Iterator[Apart]:
    """Yield the rows of a file as they stand there, and their numbers from 1; of columns `wanted` those that it has."""
    there = set(file.schema_arrow.names)
    for batch, before in batches(source, file, [name for name in wanted if name in there or name != "detail"]):
        yield batch, np.arange(before + 1, before + batch.num_rows + 1)


def _events(
    source: Source, file: pq.ParquetFile, header: bytes, wanted: list[str], bad_lines: BadLines
) -> Iterator[Apart]:
    """Yield the events of an export of either form, a row each, and where each stands: its row, or its seq."""
    extent = extent_of(header)
    if extent is None:
        yield from _rows(source, file, wanted)
        return
    bad_lines.place = "event"
    columns = list(dict.fromkeys([*wanted, "seq"]))
    columns += [name for name, (of, *_) in LEARNED.items() if of in columns]
    yield from events_apart((batch for batch, _ in batches(source, file, columns)), extent, bad_lines)


def _changes(batch: pa.RecordBatch, lines: Array) -> Iterator[tuple[int, str]]:
    """Yield the rows that are neither decisions nor rewards, each with where it stands."""
    if "detail" in batch.schema.names:
        for row in np.flatnonzero(integers(batch.column("kind"), fill=-1) == CHANGE).tolist():
            yield int(lines[row]), batch.column("detail")[row].as_py() or ""


def _good_events(
    source: Source, file: pq.ParquetFile, header: bytes, problem: Problem, bad_lines: BadLines, held: ExitStack
) -> Iterator[Event]:
    join = RewardJoin(problem, bad_lines)
    names = set(file.schema_arrow.names)
    with held:
        wanted = [*_wanted(file, problem), "seq", *(name for name in OURS if name in names)]
        for batch, lines in _events(source, file, header, list(dict.fromkeys(wanted)), bad_lines):
            page = _page(batch, lines, problem, bad_lines)
            good = join.add(page).lines(page)
            for line, row in zip(lines.tolist(), batch.to_pylist(), strict=True):
                if line in good or (row["kind"] in BESIDE and row["kind"] != CORRECTED):
                    yield _event(row, line, problem)


def _event(row: dict[str, Any], line: int, problem: Problem) -> Event:
    """Return what a row says as a row of the database."""
    said = {name: row[name] for name in OURS if row.get(name) is not None}
    event = Event(0, line if row["seq"] is None else row["seq"], row["kind"], **said)
    if event.kind == CHANGE:
        return event
    action = row["action"]
    event = event._replace(number=row["number"], action=None if action is None else action)
    if row["propensity"] is not None and not math.isnan(row["propensity"]):
        event = event._replace(propensity=row["propensity"])
    if event.kind == LEARN:
        if not problem.is_numbered:
            event = event._replace(action=None)
        reward_id = event.reward_id or "" if why_closed(event) is None else None
        return event._replace(reward=row["reward"], reward_id=reward_id)
    if event.kind == CORRECTED:
        return event._replace(action=None, reward=row["reward"])
    if event.kind in BESIDE:
        reward_id = event.reward_id if event.kind == ACTIVATION else event.reward_id or ""
        return event._replace(action=None, reward=row["reward"], reward_id=reward_id)
    if not problem.is_numbered:
        packed = pack_action(np.array(action, empty_actions(0, problem).dtype))
        event = event._replace(action=None, vector=packed)
    if problem.context_shape != (0,):
        event = event._replace(context=_packed(row["context"], problem))
    mask = row.get("available")
    return event._replace(available=None if mask is None else np.packbits(mask).tobytes())


def _packed(context: Any, problem: Problem) -> bytes:
    """Return a context as it stands in a row as bytes."""
    if problem.layout != "named":
        return pack_context(np.array(context, np.float64), problem)
    start = np.array(context["start"], np.int64)
    return pack_context(Features(start, np.array(context["index"], np.uint32), np.array(context["value"])), problem)


def _wanted(file: pq.ParquetFile, problem: Problem) -> list[str]:
    """Return the columns that an event needs."""
    names = [name for name in SCHEMA if name not in ("detail", "context", "available")]
    names += ["detail"] if problem.detail_length else []
    names += ["context"] if problem.context_shape != (0,) else []
    return names + [name for name in ("available", "unit_id", "time") if holds(file, name)]


def _page(batch: pa.RecordBatch, lines: Array, problem: Problem, bad_lines: BadLines) -> EventPage:
    """Return the DECIDE, EXTERNAL, LEARN and CORRECTED rows of a batch, with where they stand."""
    kind = _kinds(batch, lines, bad_lines)
    learns = kind == LEARN
    decides = (kind == DECIDE) | (kind == EXTERNAL)
    number, reward = integers(batch.column("number"), fill=-1), floats(batch.column("reward"))
    if problem.states is not None:
        learns = _with_next_state(batch, learns, lines, problem, bad_lines)
    rows = np.flatnonzero(learns)  # as indices: masks that alternate take a third longer to read a page
    rewards = Rewards(number[rows], reward[rows], _details(batch, learns, problem), lines[rows])
    told = kind == CORRECTED
    corrected = Corrected(number[told], reward[told], lines[told])
    if problem.layout == "dense":
        good, context, mask = _dense(batch, decides, problem)
    else:
        good, context, mask = _sets(batch, decides, problem)
    if not good.all():
        bad_lines.add("bad_context", *lines[decides & ~good].tolist())
        decides &= good
    of_decisions = slice(None) if decides.all() else np.flatnonzero(decides)
    n = len(lines[of_decisions])
    columns = Columns(
        kind[of_decisions],
        number[of_decisions],
        _actions(batch.column("action"), problem)[of_decisions],
        floats(batch.column("propensity"))[of_decisions],
        reward[of_decisions],  # in the form of events there is none
        np.full((n, problem.detail_length), np.nan),
        context,
        mask,
        *_whose(batch, of_decisions),
    )
    return EventPage(columns, lines[of_decisions], rewards, corrected)


def _kinds(batch: pa.RecordBatch, lines: Array, bad_lines: BadLines) -> Array:
    """Return the kind of each row, int8[n], -1 where there is no such kind: that is a bad line."""
    kind = integers(batch.column("kind"), fill=-1)
    if len(kind) and not (kind.min() >= 0 and kind.max() <= max(BESIDE)):  # the numbers of kinds have no gaps
        unknown = (kind < 0) | (kind > max(BESIDE))
        bad_lines.add("unknown_kind", *lines[unknown].tolist())
        kind = np.where(unknown, -1, kind)
    return kind.astype(np.int8)


def _whose(batch: pa.RecordBatch, rows: Array | slice) -> tuple[Array, Array]:
    """Return whom the decisions of some rows are for, and when they were made, as `Columns` has it."""
    unit, time = np.zeros(1, np.uint64), np.zeros(1, np.int64)
    if "unit_id" in batch.schema.names:
        unit = units(batch.column("unit_id"))[rows]
    if "time" in batch.schema.names:
        time = integers(batch.column("time"), fill=0)[rows]
    return unit, time


def _dense(batch: pa.RecordBatch, decides: Array, problem: Problem) -> tuple[Array, Array, Array]:
    """Return which rows have contexts, bool[n], and of those that decide the contexts and masks, of one size."""
    n = len(decides)
    good, context = np.ones(n, np.bool_), np.zeros((int(decides.sum()), 0))
    if problem.context_shape != (0,):
        column = batch.column("context")
        if column.null_count:
            good = valid(column)
        context = floats(values_of(column)).reshape(n, *problem.context_shape)[decides & good]
    mask = np.ones((1, problem.n_choices), np.bool_)
    if "available" in batch.schema.names:
        values = booleans(values_of(batch.column("available")), True)
        mask = values.reshape(n, problem.n_choices)[decides & good]
    return good, context, mask


def _actions(column: pa.Array, problem: Problem) -> Array:
    if problem.is_numbered:
        return integers(column, fill=-1)
    fractions = problem.choice.dtype.kind == "f"
    numbers = floats(values_of(column)) if fractions else integers(values_of(column), fill=-1)
    return numbers.reshape(empty_actions(len(column), problem).shape)


def _details(batch: pa.RecordBatch, learns: Array, problem: Problem) -> Array:
    """Return the details of LEARN rows, float64[n, m]; NaN where a row has none of this length."""
    if problem.detail_length == 0:
        return np.zeros((int(learns.sum()), 0))
    return unpack_details(batch.column("detail").filter(pa.array(learns)).to_pylist(), problem)


def _with_next_state(
    batch: pa.RecordBatch, learns: Array, lines: Array, problem: Problem, bad_lines: BadLines
) -> Array:
    """Return which LEARN rows of states say which state came next, or that a window closed, bool[n]."""
    texts = batch.column("detail").filter(pa.array(learns)).to_pylist()
    closed = np.array([closing_in(text) is not None for text in texts], np.bool_)
    told = ~np.isnan(unpack_details(texts, problem)[:, 0])
    whole = learns.copy()
    whole[learns] = say_what_came_next(told, closed, lines[learns], bad_lines)
    return whole


def _sets(batch: pa.RecordBatch, decides: Array, problem: Problem) -> tuple[Array, Contexts, Array]:
    """Return which rows have contexts, bool[n], and of those that decide the contexts and masks of action sets."""
    contexts: list[Contexts] = []
    masks: list[Array | None] = []
    good = np.ones(len(decides), np.bool_)
    allowed = batch.column("available") if "available" in batch.schema.names else pa.nulls(len(decides))
    column = batch.column("context")
    for row in np.flatnonzero(decides).tolist():
        context, mask = column[row], allowed[row]
        try:
            found = _set(context, problem)
            available = np.array(mask.as_py(), np.bool_) if mask.is_valid else None
            good[row] = available is None or len(available) == actions_in(found, problem)
        except (Damaged, TypeError, ValueError):
            good[row] = False
        if good[row]:
            contexts.append(found)
            masks.append(available)
    return good, *gathered(contexts, masks, problem)


def _set(context: pa.Scalar, problem: Problem) -> Contexts:
    """Return the context of one action set as one row of contexts."""
    if not context.is_valid:
        raise ValueError("there is none")
    if problem.layout == "actions":
        rows = np.array(context.as_py(), np.float64)
        return unpack_contexts([pack_context(rows, problem)], problem)
    start, index, value = (context[name].values for name in FEATURES.names)
    kept = (integers(start, fill=-1), numbers(index, np.uint32, 0), floats(value))
    return checked_features(*kept, problem)
