"""Writes an export, in the form of events and in the joined one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ....actions import pack_detail, unpack_actions
from ....columns import every_mask
from ....contexts import Contexts, context_at, first_actions, n_actions, unpack_contexts
from ....errors import InvalidInput
from ....vocabulary import DECIDE, EXTERNAL, LEARN, Array, Columns, Problem
from ...joined_form import Extent, JoinedRow
from ...log import gathered
from ...records import Event
from ..arrow_arrays import fixed, joined, varying
from ..packing import packing_of
from .schema import FEATURES, LEARNED, OURS, joined_schema, leaves, schema

ASCENDING = ("seq", "number", "learn_seq", "time", "learn_time")  # stored as differences: a third of a file less
GROUP = 1 << 17  # rows of a row group in the joined form: many small ones are slow to read
GROUP_BYTES = 1 << 24  # of it in memory, at most about
REMEMBERED = 1 << 20  # decisions, so that their rewards repeat action and propensity


class _Export:
    """An export under way: what both forms have in common."""

    def __init__(self, file: Path | IO[bytes], problem: Problem, columns: pa.Schema, **storing: Any) -> None:
        if isinstance(file, Path) and packing_of(file) is not None:
            raise InvalidInput("packed_parquet", f"{file} would be packed twice: name a file that ends in .parquet")
        self._problem = problem
        self._decided: dict[int, tuple[int | None, float | None]] = {}
        self._schema = columns
        self._writer = pq.ParquetWriter(file, columns, **storing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def _of_events(self, events: Iterable[Event]) -> dict[str, pa.Array]:
        """Return rows of the database as columns of the form of events."""
        rows = [self._completed(event) for event in events]
        decided = [row for row, event in enumerate(rows) if event.kind in (DECIDE, EXTERNAL)]
        contexts, mask = gathered(
            [unpack_contexts([rows[row].context], self._problem) for row in decided],
            [self._mask(rows[row]) for row in decided],
            self._problem,
        )
        source = np.zeros(len(rows), np.int64)
        source[decided] = np.arange(len(decided))
        plain = ("seq", "kind", "number", "propensity", "reward", *OURS)
        undecided = np.array([event.kind not in (DECIDE, EXTERNAL) for event in rows], np.bool_)
        unmasked = np.array([event.available is None for event in rows], np.bool_)
        mask = np.broadcast_to(mask, (max(len(decided), 1), mask.shape[1]))[source]
        sizes = n_actions([event.context for event in rows], self._problem)
        return (
            {name: pa.array([getattr(e, name) for e in rows], self._schema.field(name).type) for name in plain}
            | {"action": self._actions(rows)}
            | self._lists(contexts, source, undecided, mask, unmasked, sizes)
        )

    def _completed(self, event: Event) -> Event:
        """Return an event with null where nothing was said; a reward with what is known of its decision."""
        if event.kind in (DECIDE, EXTERNAL):
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
        if self._problem.layout == "dense":
            lists = {"available": fixed(mask, unmasked)}
            if self._problem.context_shape != (0,):
                lists["context"] = fixed(contexts[source], undecided)
            return lists
        if sizes is None:
            sizes = np.full(len(mask), mask.shape[1])
        there = np.arange(mask.shape[1]) < sizes[:, np.newaxis]
        lists = {"available": varying(pa.array(mask[there]), sizes, unmasked)}
        rows = [
            first_actions(context_at(contexts, place), size)
            for place, size in zip(source.tolist(), sizes.tolist(), strict=True)
        ]
        if self._problem.layout == "actions":
            flat = pa.array(np.concatenate([np.zeros(0), *(row.reshape(-1) for row in rows)]))
            sets = pa.FixedSizeListArray.from_arrays(flat, self._problem.context_shape[1])
            lists["context"] = varying(sets, np.array([len(row) for row in rows], np.int64), undecided)
            return lists
        starts = [row.start - row.start[0] for row in rows]
        kept = [slice(row.start[0], row.start[-1]) for row in rows]
        sizes = np.array([start[-1] for start in starts], np.int64)
        none = np.zeros(len(rows), np.bool_)
        parts = [
            varying(joined(np.int32, starts), np.array([len(start) for start in starts], np.int64), none),
            varying(joined(np.uint32, [row.index[part] for row, part in zip(rows, kept, strict=True)]), sizes, none),
            varying(joined(np.float64, [row.value[part] for row, part in zip(rows, kept, strict=True)]), sizes, none),
        ]
        lists["context"] = pa.StructArray.from_arrays(parts, FEATURES.names, mask=pa.array(undecided))
        return lists

    def _write(self, arrays: dict[str, pa.Array]) -> None:
        self._writer.write_table(self._table(arrays))

    def _table(self, arrays: dict[str, pa.Array]) -> pa.Table:
        return pa.table([arrays[name] for name in self._schema.names], self._schema)


class Writer(_Export):
    """An export under way; used in a `with` statement. `experiment` is as for `jsonl.Writer`.

    A file that is open already has `write`, `tell`, `flush`, `close` and `closed`.
    """

    def __init__(self, file: Path | IO[bytes], problem: Problem, experiment: dict[str, Any], begins: int = 0) -> None:
        super().__init__(file, problem, schema(problem, experiment, begins))
        self._seq = 0

    def write(self, columns: Columns) -> None:
        """Write events that have no ids and no time, as a simulation's, behind those written before."""
        n = len(columns.kind)
        self._write(self._of_columns(columns, np.arange(self._seq + 1, self._seq + n + 1)))
        self._seq += n

    def write_events(self, events: Iterable[Event]) -> None:
        """Write rows of the database."""
        self._write(self._of_events(events))

    def _of_columns(self, columns: Columns, seq: Array) -> dict[str, pa.Array]:
        """Return events that have no ids and no time as columns of the form of events."""
        n = len(columns.kind)
        learned = columns.kind == LEARN
        masks = every_mask(columns)
        return {
            "seq": pa.array(seq),
            "kind": pa.array(columns.kind),
            "number": pa.array(columns.number),
            "action": _actions(columns.action),
            "propensity": pa.array(columns.propensity, mask=np.isnan(columns.propensity)),
            "reward": pa.array(columns.reward, mask=~learned),
            **self._lists(columns.context, np.arange(n), learned, masks, learned | masks.all(axis=1), None),
            **{name: pa.nulls(n, self._schema.field(name).type) for name in OURS},
            "detail": pa.array(_texts(columns.detail, learned), pa.string()),
        }


class JoinedWriter(_Export):
    """An export in the joined form under way; used in a `with` statement."""

    def __init__(self, file: Path | IO[bytes], problem: Problem, experiment: dict[str, Any], extent: Extent) -> None:
        columns = joined_schema(problem, experiment, extent)
        others = [leaf for field in columns if field.name not in ASCENDING for leaf in leaves(field.name, field.type)]
        encoding = dict.fromkeys(ASCENDING, "DELTA_BINARY_PACKED")
        super().__init__(file, problem, columns, use_dictionary=others, column_encoding=encoding)
        self._held: list[pa.Table] = []  # pages that wait to be written as one row group

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write_held()
        super().__exit__(kind, error, trace)

    def write_rows(self, rows: Sequence[JoinedRow]) -> None:
        """Write rows of the log of a database."""
        arrays = self._of_events(row.event._replace(reward=row.reward) for row in rows)
        learned = [row.learned for row in rows]
        for name, (of, kind, *_) in LEARNED.items():
            said = [None if each is None else getattr(each, of) for each in learned]
            arrays[name] = pa.array([None if value in ("", 0) and of in OURS else value for value in said], kind)
        final = pa.array([row.is_final for row in rows])
        arrays["learn_reward"] = pc.if_else(final, pa.scalar(None, pa.float64()), arrays["learn_reward"])
        self._held.append(self._table(arrays))
        if sum(page.num_rows for page in self._held) >= GROUP or sum(page.nbytes for page in self._held) >= GROUP_BYTES:
            self._write_held()

    def _write_held(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held.clear()


def _actions(actions: Array) -> pa.Array:
    return pa.array(actions) if actions.ndim == 1 else fixed(actions, np.zeros(len(actions), np.bool_))


def _texts(details: Array, learned: Array) -> list[str | None]:
    """Return the details of LEARN rows as JSON, None where there is none."""
    if details.shape[1] == 0:
        return [None] * len(details)
    return [pack_detail(row) if is_learn else None for row, is_learn in zip(details.tolist(), learned, strict=True)]
