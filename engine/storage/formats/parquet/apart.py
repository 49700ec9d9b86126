"""The rows of an export in the joined form, taken apart: the events that they hold, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....vocabulary import CORRECTED, DECISIONS, LEARN, Array
from ...joined_form import Extent, Order, RewardCheck
from ...log import BadLines
from ..arrow_arrays import floats, integers
from .schema import LEARNED

REPEATED = ("number", "action", "propensity")  # what a reward repeats of its decision
Apart = tuple[pa.RecordBatch, Array]  # some events as rows of their own, and the seq of each, int64[n]


def events_apart(rows: Iterator[pa.RecordBatch], extent: Extent, bad_lines: BadLines) -> Iterator[Apart]:
    """Yield events as rows of the form of events; `rows` have all columns of both forms but those that nobody reads.

    Rewards wait until the rows came by whose events lie before them: no more than that is kept. Events that are
    missing, or are there twice, are counted, and so are decisions with another reward than their events have.
    """
    order, check = Order(extent, bad_lines), RewardCheck(bad_lines)
    waiting: pa.Table | None = None
    for batch in rows:
        own, learned = _own(batch, check), _learned(batch, check)
        parts = [own, learned] if waiting is None else [waiting, own, learned]
        events = pa.concat_tables(parts).combine_chunks()
        seq = integers(_one(events, "seq"), fill=0)
        last = int(integers(batch.column("seq"), fill=0).max(initial=0))
        places = np.argsort(seq, kind="stable")
        ready = int(np.searchsorted(seq[places], last, side="right"))
        waiting = events.take(pa.array(places[ready:]))
        yield from _checked(events.take(pa.array(places[:ready])), seq[places[:ready]], order, check)
    if waiting is not None:
        yield from _checked(waiting, integers(_one(waiting, "seq"), fill=0), order, check)
    order.end()
    check.end()


def _checked(events: pa.Table, seq: Array, order: Order, check: RewardCheck) -> Iterator[Apart]:
    kept = order.good(seq)
    if not kept.all():
        events, seq = events.filter(pa.array(kept)), seq[kept]
    if not len(seq):
        return
    batch = events.combine_chunks().to_batches()[0]
    kind, further = integers(batch.column("kind"), fill=-1), booleans_of(batch.column("further"))
    for row in np.flatnonzero((kind == CORRECTED) | ((kind == LEARN) & further)).tolist():
        number, reward = batch.column("number")[row].as_py(), floats(batch.column("reward"))[row]
        check.tell(-1 if number is None else number, int(kind[row]), float(reward))
    yield batch, seq


def booleans_of(column: pa.Array) -> Array:
    """Return bool[n] of a column without nulls."""
    return np.asarray(integers(column.cast(pa.int8()), fill=0) != 0)


def _own(batch: pa.RecordBatch, check: RewardCheck) -> pa.Table:
    """Return the events whose rows these are; decisions without the reward that was learned later."""
    decides = np.isin(integers(batch.column("kind"), fill=-1), DECISIONS)
    reward = pc.if_else(pa.array(decides), pa.scalar(None, pa.float64()), batch.column("reward"))
    columns = {name: batch.column(name) for name in batch.schema.names if name not in LEARNED}
    return pa.table(columns | {"reward": reward, "further": pa.repeat(True, batch.num_rows)})


def _learned(batch: pa.RecordBatch, check: RewardCheck) -> pa.Table:
    """Return what was learned of decisions, where their rows say it."""
    there = pc.and_(
        pc.is_valid(batch.column("learn_seq")), pc.is_in(batch.column("kind"), pa.array(DECISIONS, pa.int8()))
    )
    part = pa.table(batch).filter(there)
    said = dict(zip(part.column_names, part.columns, strict=True))
    corrected = part.filter(pc.is_valid(said["learn_reward"])).select(["number", "seq", "reward", "learn_reward"])
    for row in corrected.to_pylist():
        known = float("nan") if row["reward"] is None else row["reward"]
        check.say(row["number"], row["seq"], known, row["learn_reward"])
    columns = {of: said[name] for name, (of, *_) in LEARNED.items() if name in said}
    columns |= {name: said[name] for name in REPEATED}
    columns["reward"] = pc.coalesce(said["learn_reward"], said["reward"])
    nothing = {
        field.name: pa.nulls(part.num_rows, field.type)
        for field in batch.schema
        if field.name not in columns and field.name not in LEARNED
    }
    kind = pa.array(np.full(part.num_rows, LEARN, np.int8)).cast(batch.schema.field("kind").type)
    made = nothing | columns | {"kind": kind, "further": pa.repeat(False, part.num_rows)}
    return pa.table({name: made[name] for name in [*(n for n in batch.schema.names if n not in LEARNED), "further"]})


def _one(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array."""
    return table[name].combine_chunks()
