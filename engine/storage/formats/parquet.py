"""Parquet: our own export in columns, with schema and units in the metadata, and plain tables of decisions.

An export has a row for each event, in the order of the log, and the header of a JSON lines export in its
metadata. On learn rows action and propensity are repeated from the decision; context and mask are null there. A context
with a row for each action is a list of those rows; one of named features the lists `start`, `index` and `value` of
`Features`, with `start` from 0. Masks are then as long as the set of actions.
A plain table has the columns action and reward, and propensity and context (a list of numbers) if they are
known.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...actions import empty_actions, pack_action, unpack_actions, unpack_details
from ...columns import SCHEMA, empty, every_mask
from ...contexts import (
    Contexts,
    actions_in,
    checked_features,
    context_at,
    first_actions,
    n_actions,
    pack_context,
    unpack_contexts,
)
from ...errors import Damaged, InvalidInput
from ...vocabulary import CHANGE, DECIDE, GIVEN, LEARN, Array, Columns, Features, Problem
from ..events import Events
from ..log import (
    ADVICE,
    BadLines,
    Log,
    gathered,
    header_of,
    log_of_events,
    read_header,
    reading,
)
from ..reward_join import EventPage, RewardJoin, Rewards, in_order, rows_of_events
from ..rows import Rows, Wanted
from ..source import STDIN, Source
from ..tables import Event
from .packing import packing_of
from .segments import is_feature, reads_contexts
from .table_rows import TablePage, events_of_table, rows_of_table

FORM = "a Parquet file"
REMEMBERED = 1 << 20  # decisions, so that their rewards repeat action and propensity
PAGE = 1 << 16  # rows
FEATURES = pa.struct({"start": pa.list_(pa.int32()), "index": pa.list_(pa.uint32()), "value": pa.list_(pa.float64())})
OURS = ("detail", "sent", "decision_id", "reward_id", "actions", "time")  # columns as they are in the database


class Writer:
    """An export under way; used in a `with` statement. `experiment` is as for `jsonl.Writer`."""

    def __init__(self, path: Path, problem: Problem, experiment: dict[str, Any]) -> None:
        if packing_of(path) is not None:
            raise InvalidInput("packed_parquet", f"{path} would be packed twice: name a file that ends in .parquet")
        self._problem = problem
        self._decided: dict[int, tuple[int | None, float | None]] = {}
        self._schema = schema(problem, experiment)
        self._writer = pq.ParquetWriter(path, self._schema)
        self._seq = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, columns: Columns) -> None:
        """Write events that have no ids and no time, as a simulation's, behind those written before."""
        n = len(columns.kind)
        learned = columns.kind == LEARN
        masks = every_mask(columns)
        self._write(
            {
                "seq": pa.array(np.arange(self._seq + 1, self._seq + n + 1)),
                "kind": pa.array(columns.kind),
                "number": pa.array(columns.number),
                "action": _actions(columns.action),
                "propensity": pa.array(columns.propensity, mask=np.isnan(columns.propensity)),
                "reward": pa.array(columns.reward, mask=~learned),
                **self._lists(columns.context, np.arange(n), learned, masks, learned | masks.all(axis=1), None),
                **{name: pa.nulls(n, self._schema.field(name).type) for name in OURS},
                "detail": pa.array(_texts(columns.detail, learned), pa.string()),
            }
        )
        self._seq += n

    def write_events(self, events: Iterable[Event]) -> None:
        """Write rows of the database."""
        rows = [self._completed(event) for event in events]
        decided = [row for row, event in enumerate(rows) if event.kind in (DECIDE, GIVEN)]
        contexts, mask = gathered(
            [unpack_contexts([rows[row].context], self._problem) for row in decided],
            [self._mask(rows[row]) for row in decided],
            self._problem,
        )
        source = np.zeros(len(rows), np.int64)
        source[decided] = np.arange(len(decided))
        plain = ("seq", "kind", "number", "propensity", "reward", *OURS)
        undecided = np.array([event.kind not in (DECIDE, GIVEN) for event in rows], np.bool_)
        unmasked = np.array([event.available is None for event in rows], np.bool_)
        mask = np.broadcast_to(mask, (max(len(decided), 1), mask.shape[1]))[source]
        sizes = n_actions([event.context for event in rows], self._problem)
        self._write(
            {name: pa.array([getattr(e, name) for e in rows], self._schema.field(name).type) for name in plain}
            | {"action": self._actions(rows)}
            | self._lists(contexts, source, undecided, mask, unmasked, sizes)
        )

    def _completed(self, event: Event) -> Event:
        """Return an event with null where nothing was said; a reward with what is known of its decision."""
        if event.kind in (DECIDE, GIVEN):
            assert event.number is not None
            self._decided[event.number] = event.action, event.propensity
            if len(self._decided) > REMEMBERED:
                del self._decided[next(iter(self._decided))]
        elif event.kind == LEARN and event.action is None:
            action, propensity = self._decided.get(event.number or 0, (None, None))
            event = event._replace(action=action, propensity=propensity)
        return event._replace(reward_id=event.reward_id or None, time=event.time or None)  # type: ignore[arg-type]

    def _actions(self, rows: list[Event]) -> pa.Array:
        if self._problem.is_numbered:
            return pa.array([event.action for event in rows], pa.int64())
        return _actions(unpack_actions([event.vector for event in rows], (), self._problem))

    def _mask(self, event: Event) -> Array | None:
        if event.available is None:
            return None
        k = int(n_actions([event.context], self._problem)[0])
        return np.unpackbits(np.frombuffer(event.available, np.uint8), count=k).view(np.bool_)

    def _lists(
        self, contexts: Contexts, source: Array, undecided: Array, mask: Array, unmasked: Array, sizes: Array | None
    ) -> dict[str, pa.Array]:
        """Return contexts and masks as columns, null where `undecided` and `unmasked`, bool[n], say so.

        The context of row i is the one at source[i]; of an action set its first sizes[i] rows, all without `sizes`.
        """
        if self._problem.context_kind == "dense":
            lists = {"available": _fixed(mask, unmasked)}
            if self._problem.context_shape != (0,):
                lists["context"] = _fixed(contexts[source], undecided)
            return lists
        if sizes is None:
            sizes = np.full(len(mask), mask.shape[1])
        there = np.arange(mask.shape[1]) < sizes[:, np.newaxis]
        lists = {"available": _varying(pa.array(mask[there]), sizes, unmasked)}
        rows = [
            first_actions(context_at(contexts, place), size)
            for place, size in zip(source.tolist(), sizes.tolist(), strict=True)
        ]
        if self._problem.context_kind == "actions":
            flat = pa.array(np.concatenate([np.zeros(0), *(row.reshape(-1) for row in rows)]))
            sets = pa.FixedSizeListArray.from_arrays(flat, self._problem.context_shape[1])
            lists["context"] = _varying(sets, np.array([len(row) for row in rows], np.int64), undecided)
            return lists
        starts = [row.start - row.start[0] for row in rows]
        kept = [slice(row.start[0], row.start[-1]) for row in rows]
        sizes = np.array([start[-1] for start in starts], np.int64)
        none = np.zeros(len(rows), np.bool_)
        parts = [
            _varying(_joined(np.int32, starts), np.array([len(start) for start in starts], np.int64), none),
            _varying(_joined(np.uint32, [row.index[part] for row, part in zip(rows, kept, strict=True)]), sizes, none),
            _varying(_joined(np.float64, [row.value[part] for row, part in zip(rows, kept, strict=True)]), sizes, none),
        ]
        lists["context"] = pa.StructArray.from_arrays(parts, FEATURES.names, mask=pa.array(undecided))
        return lists

    def _write(self, arrays: dict[str, pa.Array]) -> None:
        self._writer.write_table(pa.table([arrays[name] for name in self._schema.names], self._schema))


def schema(problem: Problem, experiment: dict[str, Any]) -> pa.Schema:
    """Return the schema of an export: types, and units and meanings in the fields' metadata."""
    lists = _list_types(problem)
    fields = [_field("seq", pa.int64(), "events", "position in the log, from 1")]
    for name, (dtype, unit, meaning) in SCHEMA.items():
        if name == "detail":
            continue  # below, as text
        if name != "context" or problem.context_shape != (0,):  # there is no list of size 0
            fields.append(_field(name, lists.get(name) or pa.from_numpy_dtype(np.dtype(dtype)), unit, meaning))
    fields += [_field(name, pa.string(), "text", "as in the database") for name in OURS[:-1]]
    fields.append(_field("time", pa.int64(), "microseconds since 1970 UTC", "when the event was accepted"))
    return pa.schema(fields, {"onearm": json.dumps(header_of(problem, experiment))})


def _list_types(problem: Problem) -> dict[str, pa.DataType]:
    kind, shape = problem.context_kind, problem.context_shape
    if kind == "dense":
        types = {"context": pa.list_(pa.float64(), shape[0]), "available": pa.list_(pa.bool_(), problem.n_choices)}
        if not problem.is_numbered:
            actions = empty_actions(0, problem)
            types["action"] = pa.list_(pa.from_numpy_dtype(actions.dtype), actions.shape[1])
        return types
    rows = FEATURES if kind == "named" else pa.list_(pa.list_(pa.float64(), shape[1]))
    return {"context": rows, "available": pa.list_(pa.bool_())}


def read(path: Path) -> Log:
    """Read an export, or a plain table of decisions. Bad rows are counted and named; the others are read."""
    bad_lines, source = BadLines(), Source(path)
    with _opened(source) as file:
        header = _header(file)
        if header is None:
            with _table(source, file, Wanted(), bad_lines) as rows:
                return Log(rows.problem, rows=rows.columns(), bad_lines=bad_lines)
        problem, spec = read_header(path, header)
        pages = _pages(source, file, problem, bad_lines)
        return log_of_events(problem, spec, [in_order(page, problem) for page in pages], bad_lines)


def read_rows(source: Source, wanted: Wanted) -> Rows:
    """Read the rewarded decisions of an export, or of a plain table; contexts that are not wanted are not checked.

    A segment is a feature of a dense context, "context[3]", or a column of a plain table.
    """
    bad_lines = BadLines()
    with _opened(source) as file:
        header = _header(file)
        if header is None:
            return _table(source, file, wanted, bad_lines)
        problem, _ = read_header(source.path, header)
        if problem.context_kind == "dense" and not wanted.contexts and wanted.segment is None:
            problem = replace(problem, context_shape=(0,))
        return rows_of_events(source.path, problem, _pages(source, file, problem, bad_lines), bad_lines, wanted)


def read_events(source: Source) -> Events:
    """Read all that an export says, or the rows of a plain table as decisions of others, each with its reward."""
    bad_lines = BadLines()
    opened = ExitStack()
    with opened:
        file = opened.enter_context(_opened(source))
        header = _header(file)
        if header is None:
            if source.path != STDIN:
                return events_of_table("parquet", source, lambda again: read_rows(again, Wanted()), _table_lines)
            raise InvalidInput("piped_table", "a plain table of Parquet is read twice: name its file, and not -")
        problem, spec = read_header(source.path, header)
        return Events(problem, _good_events(source, file, problem, bad_lines, opened.pop_all()), spec, bad_lines)
    raise AssertionError("unreachable")


def _good_events(
    source: Source, file: pq.ParquetFile, problem: Problem, bad_lines: BadLines, opened: ExitStack
) -> Iterator[Event]:
    join = RewardJoin(problem, bad_lines)
    names = set(file.schema_arrow.names)
    with opened:
        wanted = [*_wanted(file, problem), "seq", *(name for name in OURS if name in names)]
        for batch, before in _batches(source, file, list(dict.fromkeys(wanted))):
            page = _page(batch, before, problem, bad_lines)
            decided, _, learned = join.add(page)
            good = {*page.line[decided].tolist(), *page.rewards.line[learned].tolist()}
            for line, row in enumerate(batch.to_pylist(), before + 1):
                if line in good or row["kind"] == CHANGE:
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
        return event._replace(reward=row["reward"], reward_id=event.reward_id or "")
    if not problem.is_numbered:
        packed = pack_action(np.array(action, empty_actions(0, problem).dtype))
        event = event._replace(action=None, vector=packed)
    if problem.context_shape != (0,):
        event = event._replace(context=_packed(row["context"], problem))
    mask = row.get("available")
    return event._replace(available=None if mask is None else np.packbits(mask).tobytes())


def _packed(context: Any, problem: Problem) -> bytes:
    """Return a context as it stands in a row as bytes."""
    if problem.context_kind != "named":
        return pack_context(np.array(context, np.float64), problem)
    start = np.array(context["start"], np.int64)
    return pack_context(Features(start, np.array(context["index"], np.uint32), np.array(context["value"])), problem)


@contextmanager
def _opened(source: Source) -> Iterator[pq.ParquetFile]:
    """Open a file; standard input and what is packed are written to a temporary file before."""
    with ExitStack() as opened:
        opened.enter_context(reading(source.path, FORM, pa.ArrowException, UnicodeDecodeError))
        if source.path == STDIN or source.packing is not None:
            whole = opened.enter_context(tempfile.TemporaryFile())
            for block in source.blocks():
                whole.write(block)
            whole.seek(0)
            yield opened.enter_context(pq.ParquetFile(whole))
        else:
            yield opened.enter_context(pq.ParquetFile(source.path, memory_map=True))


def _header(file: pq.ParquetFile) -> bytes | None:
    header: bytes | None = (file.schema_arrow.metadata or {}).get(b"onearm")
    return header


def _wanted(file: pq.ParquetFile, problem: Problem) -> list[str]:
    """Return the columns that an event needs."""
    names = [name for name in SCHEMA if name not in ("detail", "context", "available")]
    names += ["detail"] if problem.detail_length else []
    names += ["context"] if problem.context_shape != (0,) else []
    return names + (["available"] if _holds(file, "available") else [])


def _pages(source: Source, file: pq.ParquetFile, problem: Problem, bad_lines: BadLines) -> Iterator[EventPage]:
    """Yield the events of an export page by page."""
    for batch, before in _batches(source, file, _wanted(file, problem)):
        yield _page(batch, before, problem, bad_lines)


def _batches(source: Source, file: pq.ParquetFile, wanted: list[str]) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield the columns `wanted` in batches of rows, each with the number of rows before it."""
    _check_columns(source.path, file.schema_arrow, wanted)
    before, total, size = 0, file.metadata.num_rows, source.size if source.packing is None else None
    for batch in file.iter_batches(PAGE, columns=wanted, use_threads=False):
        yield batch, before
        if size is not None:  # what is packed, and standard input, told it when it was unpacked
            source.progress(size * (before + batch.num_rows) // total - size * before // total)
        before += batch.num_rows


def _check_columns(path: Path, found: pa.Schema, wanted: list[str]) -> None:
    """Check that columns are there, and that those of an export are of its types as far as these are nested."""
    if missing := [name for name in wanted if name not in found.names]:
        raise InvalidInput("wrong_format", f"{path} has no column {missing[0]!r}: {ADVICE}")
    header = (found.metadata or {}).get(b"onearm")
    if header is None:
        return
    for field in schema(*read_header(path, header)):
        if field.name in wanted and pa.types.is_nested(field.type):
            kind = found.field(field.name).type
            if not kind.equals(field.type):
                raise InvalidInput(
                    "wrong_format",
                    f"{path} has the column {field.name!r} of the type {kind}: in an export it is {field.type}",
                )


def _page(batch: pa.RecordBatch, before: int, problem: Problem, bad_lines: BadLines) -> EventPage:
    """Return the DECIDE, GIVEN and LEARN rows of a batch, with their numbers from 1."""
    kind = _integers(batch.column("kind"), fill=-1)
    lines = np.arange(before + 1, before + len(kind) + 1)
    known = (kind >= DECIDE) & (kind <= GIVEN)
    if not known.all():
        bad_lines.add("unknown_kind", *lines[~known].tolist())
    learns = kind == LEARN
    decides = known & ~learns & (kind != CHANGE)
    number, reward = _integers(batch.column("number"), fill=-1), _floats(batch.column("reward"))
    rows = np.flatnonzero(learns)  # as indices: masks that alternate take a third longer to read a page
    rewards = Rewards(number[rows], reward[rows], _details(batch, learns, problem), lines[rows])
    if problem.context_kind == "dense":
        good, context, mask = _dense(batch, decides, problem)
    else:
        good, context, mask = _sets(batch, decides, problem)
    if not good.all():
        bad_lines.add("bad_context", *lines[decides & ~good].tolist())
        decides &= good
    rows = np.flatnonzero(decides)
    n = len(rows)
    columns = Columns(
        kind[rows].astype(np.int8),
        number[rows],
        _read_actions(batch.column("action"), problem)[rows],
        _floats(batch.column("propensity"))[rows],
        np.full(n, np.nan),
        np.full((n, problem.detail_length), np.nan),
        context,
        mask,
    )
    return EventPage(columns, lines[rows], rewards)


def _dense(batch: pa.RecordBatch, decides: Array, problem: Problem) -> tuple[Array, Array, Array]:
    """Return which rows have contexts, bool[n], and of those that decide the contexts and masks, of one size."""
    n = len(decides)
    good, context = np.ones(n, np.bool_), np.zeros((int(decides.sum()), 0))
    if problem.context_shape != (0,):
        column = batch.column("context")
        if column.null_count:
            good = _valid(column)
        context = _floats(_values(column)).reshape(n, *problem.context_shape)[decides & good]
    mask = np.ones((1, problem.n_choices), np.bool_)
    if "available" in batch.schema.names:
        values = _booleans(_values(batch.column("available")), True)
        mask = values.reshape(n, problem.n_choices)[decides & good]
    return good, context, mask


def _actions(actions: Array) -> pa.Array:
    return pa.array(actions) if actions.ndim == 1 else _fixed(actions, np.zeros(len(actions), np.bool_))


def _read_actions(column: pa.Array, problem: Problem) -> Array:
    if problem.is_numbered:
        return _integers(column, fill=-1)
    numbers = _floats(_values(column)) if problem.action_kind == "vector" else _integers(_values(column), fill=-1)
    return numbers.reshape(empty_actions(len(column), problem).shape)


def _texts(details: Array, learned: Array) -> list[str | None]:
    """Return the details of LEARN rows as JSON, None where there is none."""
    if details.shape[1] == 0:
        return [None] * len(details)
    return [json.dumps(row) if is_learn else None for row, is_learn in zip(details.tolist(), learned, strict=True)]


def _details(batch: pa.RecordBatch, learns: Array, problem: Problem) -> Array:
    """Return the details of LEARN rows, float64[n, m]; NaN where a row has none of this length."""
    if problem.detail_length == 0:
        return np.zeros((int(learns.sum()), 0))
    return unpack_details(batch.column("detail").filter(pa.array(learns)).to_pylist(), problem)


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
    if problem.context_kind == "actions":
        rows = np.array(context.as_py(), np.float64)
        return unpack_contexts([pack_context(rows, problem)], problem)
    start, index, value = (context[name].values for name in FEATURES.names)
    kept = (_integers(start, fill=-1), _numbers(index, np.uint32, 0), _floats(value))
    return checked_features(*kept, problem)


def _table(source: Source, file: pq.ParquetFile, wanted: Wanted, bad_lines: BadLines) -> Rows:
    """Return the rows of a plain table."""
    names = ["action", "reward", "propensity", *(["context"] if reads_contexts(wanted) else [])]
    columns = [name for name in names if name in ("action", "reward") or name in file.schema_arrow.names]
    segment = None if wanted.segment is None or is_feature(wanted.segment) else wanted.segment
    columns += [] if segment is None or segment in columns else [segment]
    pages = _table_pages(_batches(source, file, columns), bad_lines, segment)
    return rows_of_table(source.path, pages, bad_lines, wanted)


def _table_pages(
    batches: Iterable[tuple[pa.RecordBatch, int]], bad_lines: BadLines, segment: str | None
) -> Iterator[TablePage]:
    """Yield the rows of a plain table; the first context fixes the length of all."""
    length: int | None = None
    for batch, before in batches:
        lines = np.arange(before + 1, before + batch.num_rows + 1)
        context = np.zeros((len(lines), 0))
        if "context" in batch.schema.names and batch.num_rows:
            lengths = _integers(pc.list_value_length(batch.column("context")), fill=0)
            length = int(lengths[0]) if length is None else length
            if not (same := lengths == length).all():
                bad_lines.add("bad_context", *lines[~same].tolist())
                lines, batch = lines[same], batch.filter(pa.array(same))
            context = _floats(batch.column("context").flatten()).reshape(len(lines), length)
        columns = empty(len(lines), Problem(1))._replace(context=np.array(context))
        columns.action[:] = _integers(batch.column("action"), fill=-1)
        columns.reward[:] = _floats(batch.column("reward"))
        if "propensity" in batch.schema.names:
            columns.propensity[:] = _floats(batch.column("propensity"))
        yield TablePage(columns, lines, None if segment is None else batch.column(segment).to_pylist())


def _table_lines(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a plain table, each with its number."""
    with _opened(source) as file:
        for batch, before in _batches(source, file, file.schema_arrow.names):
            yield from enumerate(batch.to_pylist(), before + 1)


def _holds(file: pq.ParquetFile, name: str) -> bool:
    """Tell by its statistics whether a list column holds anything: reading null lists is slow."""
    leaves = [i for i in range(len(file.schema)) if file.schema.column(i).path.split(".")[0] == name]
    for group in range(file.num_row_groups if leaves else 0):
        # Reading a row first raises where the metadata is damaged; asking for statistics ends the process.
        next(file.iter_batches(1, row_groups=[group], columns=[name], use_threads=False), None)
        for leaf in map(file.metadata.row_group(group).column, leaves):
            known = leaf.statistics
            if known is None or not known.has_null_count or known.null_count < leaf.num_values:
                return True
    return False


def _integers(column: pa.Array, fill: int) -> Array:
    """Return int64[n]; null becomes `fill`, and so does what is not whole."""
    if not pa.types.is_integer(column.type):
        values = _floats(column)
        return np.where(values == np.floor(values), values, fill).astype(np.int64)
    return _numbers(column.cast(pa.int64()), np.int64, fill)


def _floats(column: pa.Array) -> Array:
    """Return float64[n]; null becomes NaN."""
    return _numbers(column.cast(pa.float64()), np.float64, math.nan)


def _numbers(column: pa.Array, dtype: type[np.generic], fill: float) -> Array:
    """Return numbers as they lie in Arrow's memory; null becomes `fill`.

    Arrow's own ways into NumPy import pandas where it is installed, which takes a second.
    """
    data = column.buffers()[1]
    if data is None:
        return np.full(len(column), fill, dtype)
    found = np.frombuffer(data, dtype, len(column), column.offset * np.dtype(dtype).itemsize)
    return np.where(_valid(column), found, np.array(fill, dtype)) if column.null_count else found


def _booleans(column: pa.Array, fill: bool) -> Array:
    """Return bool[n]; null becomes `fill`."""
    data = column.buffers()[1]
    if data is None:
        return np.full(len(column), fill)
    found = _bits(data, column)
    return np.where(_valid(column), found, fill) if column.null_count else found


def _valid(column: pa.Array) -> Array:
    """Return which elements are not null, bool[n]."""
    present = column.buffers()[0] if column.null_count else None
    return np.ones(len(column), np.bool_) if present is None else _bits(present, column)


def _bits(data: pa.Buffer, column: pa.Array) -> Array:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].view(np.bool_)


def _values(lists: pa.FixedSizeListArray) -> pa.Array:
    """Return all values one behind the other, those of null lists included."""
    size = lists.type.list_size
    return lists.values.slice(lists.offset * size, len(lists) * size)


def _fixed(rows: Array, null: Array) -> pa.Array:
    """Return the rows, [n, ...], as lists of one size, null where `null`, bool[n], says so."""
    flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, math.prod(rows.shape[1:]), mask=pa.array(null))


def _varying(values: pa.Array, lengths: Array, null: Array) -> pa.Array:
    """Return the values as lists of these lengths, int64[n], null where `null`, bool[n], says so."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(null))


def _joined(dtype: type[np.generic], arrays: list[Array]) -> pa.Array:
    return pa.array(np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype))


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "meaning": meaning})
