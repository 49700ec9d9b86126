"""The log as arrays: its schema, and how parts of it are made, joined and cut.

What is no kernel copies or views whole arrays; nothing loops over events.

>>> from onearm.engine.vocabulary import DECIDE
>>> events = empty(2, Problem(n_arms=3))
>>> events.kind[:] = DECIDE, LEARN
>>> events.action[:], events.reward[1] = 2, 1.5
>>> rewarded(events).reward
array([1.5])
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .actions import empty_actions, put_action
from .arrays import copy_numbers
from .contexts import concat_contexts, empty_contexts, instance_at, put_context, take_contexts
from .kernel import kernel, routine
from .vocabulary import DECIDE, LEARN, Array, Columns, Decision, Feedback, Instance, Problem

SCHEMA = {  # column: (dtype of its elements, unit, meaning); files carry this in their metadata
    "kind": ("int8", "1", "0 decide, 1 learn, 2 change, 3 given: decided by someone else"),
    "number": ("int64", "decisions", "number of the decision, from 0"),
    "action": ("int64", "1", "the arm, from 0; of streams the move: what (0 pull, 1 read), slot, pulls; or the vector"),
    "propensity": (
        "float64",
        "probability",
        "with which the policy took this action; null or NaN if unknown",
    ),
    "reward": ("float64", "reward", "up is better; null or NaN on decide rows"),
    "detail": ("float64", "1", "what else was revealed: of moves the pulls done, and the arm that was read or -1"),
    "context": ("float64", "1", "features of the instance"),
    "available": ("bool", "1", "whether each arm could be chosen; null if all could"),
}
assert (*SCHEMA, "unit", "time") == Columns._fields  # which files say as `unit_id` and `time` of an event
_PLAIN = 6  # columns that are arrays of n rows always: those before the context


def empty(n: int, problem: Problem, *, masked: bool = False) -> Columns:
    """Return n rows to be filled: decide rows of arm 0, propensity and feedback unknown, all arms available.

    `available` is bool[1, k], one mask for all rows, or bool[n, k] where it is `masked`.
    """
    return Columns(
        kind=np.zeros(n, np.int8),
        number=np.zeros(n, np.int64),
        action=empty_actions(n, problem),
        propensity=np.full(n, np.nan),
        reward=np.full(n, np.nan),
        detail=np.full((n, problem.detail_length), np.nan),
        context=empty_contexts(n, problem),
        available=np.ones((n if masked else 1, problem.n_choices), np.bool_),
    )


def concat(parts: Sequence[Columns]) -> Columns:
    """Return one or more parts of a log as one, in their order."""
    if len(parts) == 1:
        return parts[0]
    fields = [np.concatenate(arrays) for arrays in zip(*(part[:_PLAIN] for part in parts), strict=True)]
    fields.append(concat_contexts([part.context for part in parts]))
    k = max(part.available.shape[1] for part in parts)
    one = all(part.available.shape == (1, k) for part in parts)  # of other widths they are other masks
    masks = [part.available if one else np.pad(every_mask(part), _to_width(part.available, k)) for part in parts]
    lengths = [len(part.kind) for part in parts]
    shared = masks, [part.unit for part in parts], [part.time for part in parts]
    return Columns._make([*fields, *(_concat_shared(column, lengths) for column in shared)])


def _concat_shared(parts: Sequence[Array], lengths: Sequence[int]) -> Array:
    """Return columns of parts of some lengths as one, of which each may hold one row for all; so may what comes out."""
    if all(len(part) == 1 and np.array_equal(part, parts[0]) for part in parts):
        return parts[0]
    pairs = zip(parts, lengths, strict=True)
    return np.concatenate([np.broadcast_to(part, (n, *part.shape[1:])) for part, n in pairs])


def _to_width(mask: Array, k: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (0, 0), (0, k - mask.shape[1])


def take(columns: Columns, rows: Array | slice) -> Columns:
    """Return some rows: a slice of them as views, an index or a mask as copies."""
    shared = columns.available, columns.unit, columns.time
    return Columns._make(
        [
            *(column[rows] for column in columns[:_PLAIN]),
            take_contexts(columns.context, rows),
            *(column if len(column) == 1 else column[rows] for column in shared),
        ]
    )


def every_mask(columns: Columns) -> Array:
    """Return the mask of each row, bool[n, k], as a view where one mask holds for all."""
    return np.broadcast_to(columns.available, (len(columns.kind), columns.available.shape[1]))


def decided_at(columns: Columns) -> Array:
    """Return int64[n]: the first row that decides the same number, -1 where none does up to this row."""
    decided = np.flatnonzero(columns.kind != LEARN)
    if len(decided) == 0:
        return np.full(len(columns.kind), -1)
    known = columns.number[decided]
    if (np.diff(known) == 1).all():  # as our own logs are: no search
        place = columns.number - known[0]
        outside = (place < 0) | (place >= len(known))
    else:
        order = np.argsort(known, kind="stable")
        decided, known = decided[order], known[order]
        place = np.searchsorted(known, columns.number)
        outside = place == len(known)
        outside |= known[np.where(outside, 0, place)] != columns.number
    row = decided[np.where(outside, 0, place)]
    row[outside | (row > np.arange(len(row)))] = -1
    return row


def joined(columns: Columns) -> Columns:
    """Return the log with its LEARN rows repeating the columns of their decision, which must all be there."""
    source = decided_at(columns)
    assert (source >= 0).all(), "a reward without its decision"
    full = take(columns, source)
    return full._replace(kind=columns.kind, number=columns.number, reward=columns.reward, detail=columns.detail)


def rewarded(columns: Columns) -> Columns:
    """Return one row per rewarded decision, in their order: the row of the decision with its reward filled in.

    Several rewards of one decision are added up; beside them stands what the last one revealed.
    """
    learned = columns.kind == LEARN
    source = decided_at(columns)[learned]
    known = source >= 0
    detail = columns.detail.copy()
    detail[source[known]] = columns.detail[learned][known]
    total = np.bincount(source[known], weights=columns.reward[learned][known], minlength=len(columns.kind))
    rows = np.flatnonzero(np.bincount(source[known], minlength=len(columns.kind)))
    return take(columns, rows)._replace(reward=total[rows], detail=detail[rows])


@kernel
def row_instance(t: int, columns: Columns, row: int) -> Instance:
    """Return what arrived in row `row` of a log, at the policy's time t."""
    available = columns.available[min(row, len(columns.available) - 1)]
    unit = columns.unit[min(row, len(columns.unit) - 1)]
    return instance_at(t, columns.context, row, available, unit, columns.time[min(row, len(columns.time) - 1)])


@routine
def put_decision(columns: Columns, row: int, number: int, instance: Instance, decision: Decision) -> None:
    """Write a decision into row `row` of a log of nobody's decisions, as those of simulations are."""
    columns.kind[row] = DECIDE
    columns.number[row] = number
    columns.propensity[row] = decision.propensity
    put_action(columns.action, row, decision.action)
    put_context(columns.context, row, instance.context)
    if len(columns.available) > 1:
        copy_numbers(instance.available, columns.available[row])


@routine
def put_feedback(
    columns: Columns, row: int, number: int, instance: Instance, decision: Decision, feedback: Feedback
) -> None:
    """Write a feedback into row `row` of a log, with what it repeats of its decision."""
    put_decision(columns, row, number, instance, decision)
    columns.kind[row] = LEARN
    columns.reward[row] = feedback.reward
    copy_numbers(feedback.detail, columns.detail[row])
