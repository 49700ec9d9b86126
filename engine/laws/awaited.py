"""Decisions whose feedback has not come yet, so that a policy can count them.

A policy that takes the highest index repeats itself until something is learned. One that counts what is awaited as if
it had been learned takes its turn with another action. A decision counts until its feedback is learned, or `wait`
further decisions are made: some feedback never comes.

A state has `Awaited` where a policy counts, and `Unawaited`, which holds nothing and costs nothing, where it does not.

>>> ring = awaited(wait=2, n_arms=3)
>>> note(ring, 0, 1), note(ring, 1, 1), note(ring, 2, 0)  # the third decision, after which the first no longer counts
(None, None, None)
>>> ring.by_action.tolist(), settle(ring, 1), settle(ring, 1), settle(ring, 0)
([1, 1, 0], True, False, False)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput, as_seen
from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array

WAIT_MAX = 100_000


class Awaited(NamedTuple):
    """The newest decisions, in a ring by number modulo `wait`."""

    number: Array  # int64[wait] number of a decision that counts; -1 for none
    action: Array  # int64[wait] what it took
    by_action: Array  # int64[k] decisions that count
    oldest: Array  # int64[1] no decision before this number counts
    newest: Array  # int64[1] the newest decision's number; -1 before any


class Unawaited(NamedTuple):
    """Nothing: what is awaited does not count."""


def awaited(wait: int, n_arms: int) -> Awaited | Unawaited:
    """Return the ring of a policy that counts a decision for `wait` others, before any; 0 for never."""
    return ring_of(wait, n_arms) if wait > 0 else Unawaited()


def ring_of(wait: int, n_arms: int) -> Awaited:
    """Return the ring of a policy that counts a decision for `wait` > 0 others, before any."""
    empty = np.full(wait, -1)
    return Awaited(empty, empty.copy(), np.zeros(n_arms, np.int64), np.zeros(1, np.int64), np.full(1, -1))


def check_wait(wait: int) -> int:
    """Return for how many further decisions one counts whose feedback has not come."""
    if isinstance(wait, bool) or not isinstance(wait, int) or not 0 <= wait <= WAIT_MAX:
        raise InvalidInput(
            "bad_param",
            f"wait is {as_seen(wait)}: it must be a whole number from 0 (what is awaited does not count) to {WAIT_MAX}",
        )
    return wait


@generic
def note(ring: Any, number: int, action: int) -> None:
    """Count a decision, the newest, and no longer those that are too old."""
    KERNELS[type(ring)]["note"](ring, number, action)


@generic
def settle(ring: Any, number: int) -> bool:
    """Count a decision no longer, as its feedback is learned; return whether it counted."""
    counted: bool = KERNELS[type(ring)]["settle"](ring, number)
    return counted


@generic
def count_of(ring: Any, action: int) -> int:
    """Return how many decisions for an action count."""
    count: int = KERNELS[type(ring)]["count_of"](ring, action)
    return count


@kernel
def overdue(ring: Awaited, number: int) -> int:
    """Return the place of a decision that is too old to count beside the newest, of this number; -1 where none is."""
    last = min(number - len(ring.number), ring.newest[0])
    while ring.oldest[0] <= last:
        place = ring.oldest[0] % len(ring.number)
        if ring.number[place] == ring.oldest[0]:
            return place
        ring.oldest[0] += 1
    return -1


@kernel
def clear(ring: Awaited, place: int) -> None:
    """Count the decision at a place no longer."""
    ring.number[place] = -1
    ring.by_action[ring.action[place]] -= 1


@kernel
def enter(ring: Awaited, number: int, action: int) -> int:
    """Count a decision, where no place is overdue; return its place."""
    place = number % len(ring.number)
    ring.number[place] = number
    ring.action[place] = action
    ring.by_action[action] += 1
    ring.newest[0] = number
    return place


@kernel
def _note(ring: Awaited, number: int, action: int) -> None:
    place = overdue(ring, number)
    while place >= 0:
        clear(ring, place)
        place = overdue(ring, number)
    enter(ring, number, action)


@kernel
def _settle(ring: Awaited, number: int) -> bool:
    place = number % len(ring.number)
    counted = bool(ring.number[place] == number)
    if counted:
        clear(ring, place)
    return counted


@kernel
def _count_of(ring: Awaited, action: int) -> int:
    return ring.by_action[action]


@kernel
def _note_nothing(ring: Unawaited, number: int, action: int) -> None:
    pass


@kernel
def _settle_nothing(ring: Unawaited, number: int) -> bool:
    return False


@kernel
def _count_nothing(ring: Unawaited, action: int) -> int:
    return 0


register(Awaited, note=_note, settle=_settle, count_of=_count_of)
register(Unawaited, note=_note_nothing, settle=_settle_nothing, count_of=_count_nothing)
