"""Many lines of a dsjson log at once, as arrays, where all of them are as usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ....problem import REWARD_MAX
from ....vocabulary import Array
from ...bad_lines import BadLines
from ...source import newlines
from .labels import Line

PIECE = 1 << 18  # bytes


class _Outcome(msgspec.Struct, gc=False):
    v: Any = None


class _Action(msgspec.Struct, gc=False):
    """An action, which counts, and of which nothing is read: to keep it as it stands takes a tenth more of a line."""


class _Context(msgspec.Struct, gc=False):
    actions: list[_Action] = msgspec.field(name="_multi")


class _Usual(msgspec.Struct, gc=False):
    """A line as it usually is: what is not is read by `decision_of`, which knows all of them."""

    cost: float = msgspec.field(name="_label_cost")
    probability: float = msgspec.field(name="_label_probability")
    index: int = msgspec.field(name="_labelIndex")
    c: _Context
    o: list[_Outcome] | None = None
    observed_cost: float | None = msgspec.field(name="_original_label_cost", default=None)
    pdrop: float = 0.0
    skip: bool = msgspec.field(name="_skipLearn", default=False)
    slots: None = msgspec.field(name="_outcomes", default=None)  # what a line of another kind has
    continuous: None = msgspec.field(name="_label_ca", default=None)
    dangling: None = msgspec.field(name="RewardValue", default=None)


USUAL = msgspec.json.Decoder(_Usual)


class Labels(NamedTuple):
    """Lines as arrays of n."""

    action: Array
    propensity: Array
    kept: Array
    reward: Array
    size: Array
    unobserved: Array
    relabelled: Array
    number: Array  # int64[n], of the line, from 1


def pieces(block: bytes) -> Iterator[bytes]:
    """Yield whole lines, so few that what is made of them stays in the processor's cache."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + PIECE) + 1 or len(block)
        yield block[start:end]
        start = end


def usual(block: bytes, n: int, first: int, bad_lines: BadLines) -> Labels | None:
    """Return the decisions of n lines that are all as usual, without those that were not activated; or None."""
    if not _has_usual_keys(block):
        return None
    try:
        lines = USUAL.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not lines or len(lines) != n:  # empty lines are not decoded, but have numbers
        return None
    action = np.array([line.index for line in lines])
    size = np.array([len(line.c.actions) for line in lines])
    propensity = np.array([line.probability for line in lines])
    rare = any(line.pdrop or line.skip for line in lines)
    kept = 1.0 - np.array([line.pdrop for line in lines]) if rare else np.ones(len(lines))
    label = np.array([line.cost for line in lines])
    cost = np.array([line.cost if line.observed_cost is None else line.observed_cost for line in lines])
    good = (action >= 0) & (action < size) & (propensity > 0.0) & (propensity <= 1.0) & (kept > 0.0) & (kept <= 1.0)
    if action.dtype != np.int64 or not (good & (np.abs(label) <= REWARD_MAX) & (np.abs(cost) <= REWARD_MAX)).all():
        return None
    unobserved = np.array([not line.o or line.o[0].v is None for line in lines])
    for row in np.flatnonzero(unobserved):
        unobserved[row] = _lacks_outcome(lines[row].o)
    number = np.arange(first, first + len(lines))
    labels = Labels(action, propensity, kept, 0.0 - cost, size, unobserved, label != cost, number)
    if not rare:
        return labels
    skipped = np.array([line.skip for line in lines])
    bad_lines.add("skip_learn", *number[skipped].tolist())
    return Labels._make(column[~skipped] for column in labels)


def _lacks_outcome(outcomes: list[_Outcome] | None) -> bool:
    return outcomes is not None and all(each.v is None for each in outcomes)


def _has_usual_keys(block: bytes) -> bool:
    """Whether no key may be that of slots (`_slots`, `_slot_id`), or `_skipLearn` in other letters."""
    letters = np.frombuffer(block, np.uint8)
    found = (letters[1:-2] == ord("_")) & (letters[2:-1] | 32 == ord("s"))
    if not found.any():
        return True
    at = np.flatnonzero(found) + 1
    at = at[letters[at - 1] == ord('"')]
    then = letters[at + 2] | 32
    skips = np.count_nonzero(then == ord("k"))
    return not (then == ord("l")).any() and (not skips or skips == block.count(b'"_skipLearn"'))


def n_lines(block: bytes) -> int:
    """Return the number of lines."""
    return newlines(block) + (not block.endswith(b"\n"))


def joined(parts: list[Labels]) -> Labels:
    """Return the lines of all parts, in their order."""
    return Labels._make(map(np.concatenate, zip(*parts, strict=True)))


def labels_of(lines: list[Line], numbers: list[int]) -> Labels:
    """Return lines that were read one by one, with their numbers, as arrays."""
    kinds = (np.int64, np.float64, np.float64, np.float64, np.int64, np.bool_, np.bool_)
    columns = zip(*lines, strict=True) if lines else ((),) * len(kinds)
    arrays: list[Array] = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return Labels._make([*arrays, np.array(numbers, np.int64)])
