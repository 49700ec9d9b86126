"""The rows of an export in the joined form, taken apart: the events that they hold, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....vocabulary import CORRECTED, DECISIONS, LEARN, Array
from ...bad_lines import BadLines
from ...joined_form import Extent, Order, RewardCheck
from ..arrow_arrays import floats, integers
from .schema import LEARNED

REPEATED = ("number", "action", "propensity")  # what a reward repeats of its decision
Apart = tuple[pa.RecordBatch, Array]  # some events as rows of their own, and the seq of each, int64[n]


def events_apart(rows: Iterator[pa.RecordBatch], extent: Extent, bad_lines: BadLines) -> Iterator[Apart]:
    """Yield events as rows of the form of events; `rows` have all columns of both forms but those that nobody reads.

    Rewards wait until the rows came by whose events lie before them: no more than that is kept. Events that are
    missing, or are there twice, are counted, and so are decisions with another reward than their events have.
    """
    order, check = Order(extent, bad_lines), RewardCheck(extent, bad_lines)
    waiting: pa.Table | None = None
    for batch in rows:
        _say(batch, check)
        own, learned = _own(batch), _learned(batch)
        parts = [own, learned] if waiting is None else [waiting, own, learned]
        events = pa.concat_tables(parts).combine_chunks()
        seq = integers(_one(events, "seq"), fill=0)
        of_rows = integers(batch.column("seq"), fill=0)
        last = int(of_rows[of_rows <= extent.until].max(initial=0))
        places = np.argsort(seq, kind="stable")
        ready = int(np.searchsorted(seq[places], last, side="right"))
        waiting = events.take(pa.array(places[ready:]))
        yield from _checked(events.take(pa.array(places[:ready])), seq[places[:ready]], order, check)
    if waiting is not None:
        yield from _checked(waiting, integers(_one(waiting, "seq"), fill=0), order, check)
    order.end()
    check.end()


def _checked(events: pa.Table, seq: Array, order: Order, check: RewardCheck) -> Iterator[Apart]:
    """Yield the events that come once, and tell `check` what was learned of decisions, but not what is `final`."""
    kept = order.good(seq)
    if not kept.all():
        events, seq = events.filter(pa.array(kept)), seq[kept]
    if not len(seq):
        return
    batch = _whole(events)
    kind, number = integers(batch.column("kind"), fill=-1), integers(batch.column("number"), fill=-1)
    reward, final = floats(batch.column("reward")), booleans_of(batch.column("final"))
    for row in np.flatnonzero(((kind == CORRECTED) | (kind == LEARN)) & ~final).tolist():
        check.tell(int(number[row]), int(seq[row]), int(kind[row]), float(reward[row]))
    yield batch, seq


def _whole(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch."""
    return pa.RecordBatch.from_arrays([_one(table, name) for name in table.column_names], table.column_names)


def booleans_of(column: pa.Array) -> Array:
    """Return bool[n] of a column without nulls."""
    return np.asarray(integers(column.cast(pa.int8()), fill=0) != 0)


def _say(batch: pa.RecordBatch, check: RewardCheck) -> None:
    """Tell `check` what the rows of decisions say, where that is not the reward that was learned."""
    nothing = pc.and_(pc.is_null(batch.column("learn_seq")), pc.is_valid(batch.column("reward")))
    other = pc.or_(nothing, pc.and_(pc.is_valid(batch.column("learn_seq")), pc.is_valid(batch.column("learn_reward"))))
    part = batch.select(["number", "seq", "reward"]).filter(pc.and_(_decides(batch), other))
    rows = (
        integers(part.column("number"), fill=-1),
        integers(part.column("seq"), fill=0),
        floats(part.column("reward")),
    )
    for number, seq, reward in zip(*(column.tolist() for column in rows), strict=True):
        check.say(number, seq, reward)


def _decides(batch: pa.RecordBatch) -> pa.Array:
    return pa.array(np.isin(integers(batch.column("kind"), fill=-1), DECISIONS))


def _own(batch: pa.RecordBatch) -> pa.Table:
    """Return the events whose rows these are; decisions without the reward that was learned later."""
    reward = pc.if_else(_decides(batch), pa.scalar(None, pa.float64()), batch.column("reward"))
    columns = {name: batch.column(name) for name in batch.schema.names if name not in LEARNED}
    return pa.table(columns | {"reward": reward, "final": pa.repeat(False, batch.num_rows)})


def _learned(batch: pa.RecordBatch) -> pa.Table:
    """Return what was learned of decisions, where their rows say it; `final` is what is all that a row says."""
    part = pa.table(batch).filter(pc.and_(pc.is_valid(batch.column("learn_seq")), _decides(batch)))
    said = dict(zip(part.column_names, part.columns, strict=True))
    columns = {of: said[name] for name, (of, *_) in LEARNED.items() if name in said}
    columns |= {name: said[name] for name in REPEATED}
    columns["reward"] = pc.coalesce(said["learn_reward"], said["reward"])
    nothing = {
        field.name: pa.nulls(part.num_rows, field.type)
        for field in batch.schema
        if field.name not in columns and field.name not in LEARNED
    }
    kind = pa.array(np.full(part.num_rows, LEARN, np.int8)).cast(batch.schema.field("kind").type)
    made = nothing | columns | {"kind": kind, "final": pc.is_null(said["learn_reward"])}
    return pa.table({name: made[name] for name in [*(n for n in batch.schema.names if n not in LEARNED), "final"]})


def _one(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array."""
    return table[name].combine_chunks()
