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
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onearm.engine.actions import empty_actions, unpack_actions, unpack_details
from onearm.engine.columns import SCHEMA, every_mask
from onearm.engine.contexts import (
    Contexts,
    actions_in,
    checked_features,
    context_at,
    first_actions,
    n_actions,
    pack_context,
    take_contexts,
    unpack_contexts,
)
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.storage.log import (
    ADVICE,
    BadLines,
    Log,
    gathered,
    header_of,
    log_of_events,
    log_of_table,
    read_header,
    reading,
)
from onearm.engine.vocabulary import DECIDE, GIVEN, LEARN, Array, Columns, Problem

if TYPE_CHECKING:
    from onearm.engine.storage.sql import Event

PAGE = 1 << 17  # rows
FEATURES = pa.struct({"start": pa.list_(pa.int32()), "index": pa.list_(pa.uint32()), "value": pa.list_(pa.float64())})
OURS = ("detail", "sent", "decision_id", "reward_id", "time")  # columns as they are in the database


class Writer:
    """An export under way; used in a `with` statement. `experiment` is as for `jsonl.Writer`."""

    def __init__(self, path: Path, problem: Problem, experiment: dict[str, Any]) -> None:
        self._problem = problem
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
        rows = list(events)
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
    bad_lines = BadLines()
    with reading(path, "a Parquet file", pa.ArrowException), pq.ParquetFile(path) as file:
        names = set(file.schema_arrow.names)
        header = (file.schema_arrow.metadata or {}).get(b"onearm")
        if header is not None:
            problem, spec = read_header(path, header)
            wanted = [name for name in SCHEMA if name not in ("detail", "context", "available")]
            wanted += ["detail"] if problem.detail_length else []
            wanted += ["context"] if problem.context_shape != (0,) else []
            wanted += ["available"] if _holds(file, "available") else []
            pages = [_events(*page, problem, bad_lines) for page in _pages(path, file, names, wanted)]
            return log_of_events(problem, spec, pages, bad_lines)
        wanted = [name for name in ("propensity", "context") if name in names]
        pages = list(_rows(_pages(path, file, names, ["action", "reward", *wanted]), bad_lines))
        return log_of_table(path, pages, bad_lines)


def _pages(
    path: Path, file: pq.ParquetFile, names: set[str], wanted: list[str]
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield the columns `wanted` in batches of rows, each with the number of rows before it."""
    if missing := [name for name in wanted if name not in names]:
        raise InvalidInput("wrong_format", f"{path} has no column {missing[0]!r}: {ADVICE}")
    before = 0
    for batch in file.iter_batches(PAGE, columns=wanted):
        yield batch, before
        before += batch.num_rows


def _events(batch: pa.RecordBatch, before: int, problem: Problem, bad_lines: BadLines) -> tuple[Columns, Array]:
    """Return the DECIDE, GIVEN and LEARN rows of a batch, with their numbers from 1."""
    kind = _integers(batch.column("kind"), fill=-1).astype(np.int8)
    lines = np.arange(before + 1, before + len(kind) + 1)
    bad_lines.add("unknown_kind", *lines[(kind < DECIDE) | (kind > GIVEN)].tolist())
    some = (kind == DECIDE) | (kind == LEARN) | (kind == GIVEN)
    if not some.all():
        kind, lines, batch = kind[some], lines[some], batch.filter(pa.array(some))
    if problem.context_kind == "dense":
        context, mask = _dense(batch, kind, problem)
    else:
        some, context, mask = _sets(batch, kind, problem)
        bad_lines.add("bad_context", *lines[~some].tolist())
        kind, lines, batch = kind[some], lines[some], batch.filter(pa.array(some))
    columns = Columns(
        kind,
        _integers(batch.column("number"), fill=-1),
        _read_actions(batch.column("action"), problem),
        _floats(batch.column("propensity")),
        _floats(batch.column("reward")),
        _details(batch, problem),
        context,
        mask,
    )
    return columns, lines


def _dense(batch: pa.RecordBatch, kind: Array, problem: Problem) -> tuple[Array, Array]:
    """Return contexts and masks of one size."""
    n = len(kind)
    context = np.zeros((n, *problem.context_shape))
    if problem.context_shape != (0,):
        context = _floats(_values(batch.column("context"))).reshape(context.shape)
        context[kind == LEARN] = 0.0
    mask = np.ones((1, problem.n_choices), np.bool_)
    if "available" in batch.schema.names:
        values = pc.fill_null(_values(batch.column("available")), True)
        mask = values.to_numpy(zero_copy_only=False).reshape(n, problem.n_choices)
    return context, mask


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


def _details(batch: pa.RecordBatch, problem: Problem) -> Array:
    """Return float64[n, m] of the details of LEARN rows; NaN where a row has none of this length."""
    if problem.detail_length == 0:
        return np.zeros((batch.num_rows, 0))
    learned = pc.equal(batch.column("kind"), LEARN)
    return unpack_details(pc.if_else(learned, batch.column("detail"), None).to_pylist(), problem)


def _sets(batch: pa.RecordBatch, kind: Array, problem: Problem) -> tuple[Array, Contexts, Array]:
    """Return which rows are good, bool[n], and of these the contexts and masks of action sets."""
    contexts: list[Contexts] = []
    masks: list[Array | None] = []
    good = np.ones(len(kind), np.bool_)
    places: list[int] = []
    allowed = batch.column("available") if "available" in batch.schema.names else pa.nulls(len(kind))
    for row, (context, mask) in enumerate(zip(batch.column("context"), allowed, strict=True)):
        if kind[row] == LEARN:
            places.append(0)  # any will do: the decision's is filled in
            continue
        try:
            found = _set(context, problem)
            available = np.array(mask.as_py(), np.bool_) if mask.is_valid else None
            good[row] = available is None or len(available) == actions_in(found, problem)
        except (Damaged, TypeError, ValueError):
            good[row] = False
        if good[row]:
            places.append(len(contexts))
            contexts.append(found)
            masks.append(available)
    whole, available = gathered(contexts, masks, problem)
    source = np.array(places, np.int64)
    return good, take_contexts(whole, source), available if len(available) == 1 else available[source]


def _set(context: pa.Scalar, problem: Problem) -> Contexts:
    """Return the context of one action set as one row of contexts."""
    if problem.context_kind == "actions":
        rows = np.array(context.as_py(), np.float64)
        return unpack_contexts([pack_context(rows, problem)], problem)
    start, index, value = (context[name].values for name in FEATURES.names)
    kept = (start.to_numpy().astype(np.int64), index.to_numpy(), value.to_numpy(zero_copy_only=False))
    return checked_features(*kept, problem)


def _rows(pages: Iterable[tuple[pa.RecordBatch, int]], bad_lines: BadLines) -> Iterator[tuple[Columns, Array]]:
    """Yield the rows of a plain table; the first context fixes the length of all."""
    length: int | None = None
    for batch, before in pages:
        lines = np.arange(before + 1, before + batch.num_rows + 1)
        if "context" in batch.schema.names:
            lengths = pc.list_value_length(batch.column("context")).fill_null(-1).to_numpy()
            length = int(lengths[0]) if length is None else length
            if not (same := lengths == length).all():
                bad_lines.add("bad_context", *lines[~same].tolist())
                lines, batch = lines[same], batch.filter(pa.array(same))
            context = _floats(batch.column("context").flatten()).reshape(len(lines), max(length, 0))
        else:
            context = np.zeros((len(lines), 0))
        unknown = np.full(len(lines), np.nan)
        columns = Columns(
            np.zeros(len(lines), np.int8),
            lines,
            _integers(batch.column("action"), fill=-1),
            _floats(batch.column("propensity")) if "propensity" in batch.schema.names else unknown,
            _floats(batch.column("reward")),
            np.zeros((len(lines), 0)),
            context,
            np.ones((1, 1), np.bool_),
        )
        yield columns, lines


def _holds(file: pq.ParquetFile, name: str) -> bool:
    """Tell by its statistics whether a list column holds anything: reading null lists is slow."""
    for group in range(file.num_row_groups):
        row_group = file.metadata.row_group(group)
        for leaf in map(row_group.column, range(row_group.num_columns)):
            known = leaf.statistics
            if leaf.path_in_schema.split(".")[0] == name and (
                known is None or not known.has_null_count or known.null_count < leaf.num_values
            ):
                return True
    return False


def _integers(column: pa.Array, fill: int) -> Array:
    """Return int64[n]; null becomes `fill`, and so does what is not whole."""
    if not pa.types.is_integer(column.type):
        values = _floats(column)
        return np.where(values == np.floor(values), values, fill).astype(np.int64)
    column = column.cast(pa.int64())
    return np.asarray(column.fill_null(fill) if column.null_count else column)


def _floats(column: pa.Array) -> Array:
    """Return float64[n]; null becomes NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


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
