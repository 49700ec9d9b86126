"""Events as arrays: rows of table event, as the database gives them, become Columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..actions import unpack_actions, unpack_details
from ..contexts import n_actions, take_contexts, unpack_contexts
from ..errors import Damaged
from ..features import units_of
from ..vocabulary import LEARN, Array, Columns, Problem
from .records import Event


class Seen(NamedTuple):
    """What decisions saw, as the database keeps it: a field of each, in the order of their numbers."""

    contexts: Sequence[bytes | None] = ()
    masks: Sequence[bytes | None] = ()
    vectors: Sequence[bytes | None] = ()
    units: Sequence[str | None] = ()
    times: Sequence[int] = ()


def columns_of(
    rows: list[Any],
    older: Callable[[Array], Seen],
    problem: Problem,
    learned_only: bool,
    sizes: Callable[[Array], Array] | None,
) -> Columns:
    """Turn rows of an event's numbers, (seq, kind ... available, detail, vector, unit_id, time), into Columns.

    `older` reads what decisions saw that are not among the rows, by their ascending numbers.
    """
    columns = zip(*rows, strict=True)
    _, kinds, numbers, actions, propensities, rewards, contexts, masks, details, vectors, units, times = columns
    kind = np.array(kinds, np.int8)
    number = np.array(numbers, np.int64)
    decided, learned = np.flatnonzero(kind != LEARN), np.flatnonzero(kind == LEARN)
    # A LEARN row finds its decision among this page's, whose numbers ascend, or behind them, in `missing`.
    made, known, sought = decided.tolist(), number[decided], number[learned]
    place = np.searchsorted(known, sought)
    missed = known[np.minimum(place, len(known) - 1)] != sought if len(known) else np.ones(len(sought), bool)
    missing = np.unique(sought[missed])
    place[missed] = len(known) + np.searchsorted(missing, sought[missed])
    before = older(missing) if len(missing) else Seen()
    packed = [*(contexts[i] for i in made), *before.contexts]
    context = unpack_contexts(packed, problem)
    numbers_decided = np.concatenate([known, missing])
    there = sizes(numbers_decided) if sizes and problem.layout == "dense" else n_actions(packed, problem)
    mask = _masks([*(masks[i] for i in made), *before.masks], there, problem)
    source = np.empty(len(rows), np.int64)
    source[decided] = np.arange(len(decided))
    source[learned] = place
    if problem.is_numbered:
        action = unpack_actions(vectors, actions, problem)
    else:
        action = unpack_actions([*(vectors[i] for i in made), *before.vectors], (), problem)[source]
    unit = units_of([*(units[i] for i in made), *before.units])
    time = np.concatenate([np.array(times, np.int64)[decided], np.array(before.times, np.int64)])
    keep = learned if learned_only else slice(None)
    return Columns(
        kind[keep],
        number[keep],
        action[keep],
        np.array(propensities, np.float64)[keep],
        np.array(rewards, np.float64)[keep],
        _details(details, learned, problem)[keep],
        take_contexts(context, source[keep]),
        mask if len(mask) == 1 else mask[source[keep]],
        unit if len(unit) == 1 else unit[source[keep]],
        time[source[keep]],
    )


def learned_columns(
    decided: Sequence[Event],
    rewards: Sequence[tuple[float, str | None]],
    problem: Problem,
    sizes: Callable[[Array], Array] | None,
) -> Columns:
    """Return LEARN rows of decisions, in the order given, each with its reward and its detail as the log keeps it."""
    number = np.array([event.number for event in decided], np.int64)
    packed = [event.context for event in decided]
    there = sizes(number) if sizes and problem.layout == "dense" else n_actions(packed, problem)
    vectors, actions = [event.vector for event in decided], [event.action for event in decided]
    return Columns(
        np.full(len(decided), LEARN, np.int8),
        number,
        unpack_actions(vectors, actions, problem),
        np.array([event.propensity for event in decided], np.float64),
        np.array([reward for reward, _ in rewards], np.float64),
        _details([detail for _, detail in rewards], np.arange(len(decided)), problem),
        unpack_contexts(packed, problem),
        _masks([event.available for event in decided], there, problem),
        units_of([event.unit_id for event in decided]),
        np.array([event.time for event in decided], np.int64),
    )


def row_of(e: Event) -> tuple[Any, ...]:
    """Return an event's numbers, as `columns_of` reads them."""
    seen = e.context, e.available, e.detail, e.vector, e.unit_id, e.time
    return e.seq, e.kind, e.number, e.action, e.propensity, e.reward, *seen


def _details(texts: Sequence[str | None], learned: Array, problem: Problem) -> Array:
    """Return float64[n, m] of the details of LEARN rows, int64[l], as JSON; NaN in all others."""
    detail = np.full((len(texts), problem.detail_length), np.nan)
    detail[learned] = unpack_details([texts[row] for row in learned], problem)
    if not problem.choice.are_details(detail[learned]).all():
        raise Damaged("bad_detail", f"the log holds a feedback whose detail is not that of a {problem.action_kind}")
    return detail


def _masks(blobs: list[bytes | None], there: Array, problem: Problem) -> Array:
    """Return bool[n, k] of n packed masks over `there`, int64[n], actions; bool[1, k] where all are in all of them."""
    k = problem.n_choices if problem.layout == "dense" else int(there.max(initial=1))
    if not any(blobs) and (there == k).all():
        return np.ones((1, k), np.bool_)
    mask = np.arange(k) < there[:, np.newaxis]
    for length in {len(blob) for blob in blobs if blob is not None}:
        rows = [row for row, blob in enumerate(blobs) if blob is not None and len(blob) == length]
        if ((there[rows] + 7) // 8 != length).any():
            raise Damaged("bad_mask", f"the log holds masks that are not of the problem's {k} arms")
        packed = np.frombuffer(b"".join(blobs[row] or b"" for row in rows), np.uint8).reshape(len(rows), length)
        bits = np.unpackbits(packed, axis=1).view(np.bool_)[:, :k]
        mask[rows] &= np.pad(bits, ((0, 0), (0, k - bits.shape[1])))
    return mask
