"""The worlds that were seen, one after another: where each begins, and which model has learned it.

A world begins at a decision, which is estimated, and lasts until the next one begins. The newest 64 are kept.
Feedback that comes late belongs to the world that it was decided in.

>>> seen = worlds()
>>> enter(seen, place=100, noticed=120, model=1, evidence=1e9, fresh=2)
>>> [model_at(seen, t) for t in (99, 100, 500)]
[0, 1, 1]
>>> [(world.place, world.noticed, world.model, world.fresh) for world in seen_by(seen)]
[(100, 120, 1, 2)]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array

KEPT = 64
GONE = -1  # in place of the model of a world whose model has learned another one since


class Worlds(NamedTuple):
    """The newest worlds, in a ring."""

    total: Array  # int64[1] how many there were, the first one included
    place: Array  # int64[64] number of the decision with which it begins
    noticed: Array  # int64[64] that of the decision whose feedback told
    model: Array  # int64[64] which of the models has learned it, or GONE
    evidence: Array  # float64[64] the wealth of the bet that was won
    fresh: Array  # int64[64] how many arms are learned anew; 0 where a world comes again


class Change(NamedTuple):
    """One change that was found."""

    place: int  # number of the decision from which on the world is another one, as estimated
    noticed: int  # number of the decision whose feedback told
    model: int  # which of the models learns since then
    evidence: float  # the wealth of the bet that was won: how many times less likely this is without a change
    fresh: int  # how many arms are learned anew; 0 where a world that is known has come again


def worlds() -> Worlds:
    """Return the first world, in which model 0 learns."""
    numbers = [np.zeros(KEPT, np.int64) for _ in range(4)]
    return Worlds(np.ones(1, np.int64), numbers[0], numbers[1], numbers[2], np.zeros(KEPT), numbers[3])


def seen_by(seen: Worlds) -> list[Change]:
    """Return the changes that were found, the oldest of the newest 63 first."""
    n = int(seen.total[0])
    places = [world % KEPT for world in range(max(1, n - KEPT + 1), n)]
    columns = (seen.place, seen.noticed, seen.model, seen.evidence, seen.fresh)
    return [Change(*(column[i].item() for column in columns)) for i in places]


@kernel
def enter(seen: Worlds, place: int, noticed: int, model: int, evidence: float, fresh: int) -> None:
    """Begin another world."""
    i = seen.total[0] % KEPT
    seen.place[i] = place
    seen.noticed[i] = noticed
    seen.model[i] = model
    seen.evidence[i] = evidence
    seen.fresh[i] = fresh
    seen.total[0] += 1


@kernel
def is_over(seen: Worlds, number: int) -> bool:
    """Tell whether a decision was made before the world of now began."""
    return bool(number < seen.place[(seen.total[0] - 1) % KEPT])


@kernel
def model_at(seen: Worlds, number: int) -> int:
    """Return the model of the world that a decision was made in; GONE where it is not known any more."""
    newest = seen.total[0] - 1
    oldest = max(0, newest - KEPT + 1)
    world = newest
    while world > oldest and number < seen.place[world % KEPT]:
        world -= 1
    return seen.model[world % KEPT] if number >= seen.place[world % KEPT] else GONE


@kernel
def give_up(seen: Worlds, model: int) -> None:
    """Forget which worlds a model has learned: it begins anew."""
    for i in range(KEPT):
        if seen.model[i] == model:
            seen.model[i] = GONE


@kernel
def last_of(seen: Worlds, model: int) -> int:
    """Return the number of the newest world that a model has learned; 0 where that is none of the newest."""
    newest = seen.total[0] - 1
    for world in range(newest, max(0, newest - KEPT + 1), -1):
        if seen.model[world % KEPT] == model:
            return world
    return 0
