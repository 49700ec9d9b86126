"""The worlds that were seen, one after another: where each begins, and which model has learned it.

A world begins at a decision, which is estimated, and lasts until the next one begins. The newest 64 are kept.
Feedback that comes late belongs to the world that it was decided in. Where a person says that a change was none, one
more world is entered, with its place and with the model that led before: what was decided since then belongs there.

>>> seen = worlds()
>>> enter(seen, place=100, noticed=120, model=1, evidence=1e9, fresh=2, cause=FOUND)
>>> [int(model_at(seen, t)) for t in (99, 100, 500)]
[0, 1, 1]
>>> [(change.number, change.place, change.noticed, change.model, change.cause) for change in seen_by(seen)]
[(1, 100, 120, 1, 'found')]
>>> enter(seen, place=100, noticed=130, model=0, evidence=0.0, fresh=0, cause=TAKEN_BACK)
>>> [int(model_at(seen, t)) for t in (99, 100, 500)], standing(seen_by(seen))
([0, 0, 0], [])
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array, Change, Policy

KEPT = 64
GONE = -1  # in place of the model of a world whose model has learned another one since
ALL = -1  # in place of how many arms are learned anew
FOUND, SAID, TAKEN_BACK = 0, 1, 2
_CAUSES: tuple[Literal["found", "said", "taken_back"], ...] = ("found", "said", "taken_back")


class Worlds(NamedTuple):
    """The newest worlds, in a ring."""

    total: Array  # int64[1] how many there were, the first one included
    place: Array  # int64[64] number of the decision with which it begins
    noticed: Array  # int64[64] that of the decision whose feedback told
    model: Array  # int64[64] which of the models has learned it, or GONE
    evidence: Array  # float64[64] the wealth of the bet that was won
    fresh: Array  # int64[64] how many arms are learned anew, or ALL; 0 where a world comes again
    cause: Array  # int64[64] FOUND, SAID or TAKEN_BACK


def worlds() -> Worlds:
    """Return the first world, in which model 0 learns."""
    numbers = [np.zeros(KEPT, np.int64) for _ in range(5)]
    return Worlds._make([np.ones(1, np.int64), *numbers[:3], np.zeros(KEPT), *numbers[3:]])


def changes_of(policy: Policy, state: Any) -> list[Change]:
    """Return the changes that a policy found, and those that a person told it of, the oldest first. Only reads.

    Of more than 63 the newest are kept; none where the policy does not look for changes.
    """
    return [] if policy.found is None else policy.found(policy.params, state)


def leader_of(policy: Policy, state: Any) -> int | None:
    """Return which of a policy's models decides and learns now; None where the policy does not look for changes."""
    if policy.found is None:
        return None
    return next((change.model for change in reversed(changes_of(policy, state))), 0)


def seen_by(seen: Worlds) -> list[Change]:
    """Return the changes that were found, the oldest of the newest 63 first."""
    n = int(seen.total[0])
    columns = (seen.place, seen.noticed, seen.model, seen.evidence, seen.fresh)
    return [
        Change._make((number, *(column[i].item() for column in columns), _CAUSES[seen.cause[i]]))
        for number in range(max(1, n - KEPT + 1), n)
        for i in [number % KEPT]
    ]


def standing(changes: list[Change]) -> list[Change]:
    """Return the changes but for those that were taken back."""
    stand: list[Change] = []
    for change in changes:
        if change.cause != "taken_back":
            stand.append(change)
        elif stand:
            stand.pop()
    return stand


@kernel
def enter(seen: Worlds, place: int, noticed: int, model: int, evidence: float, fresh: int, cause: int) -> None:
    """Begin another world."""
    i = seen.total[0] % KEPT
    seen.place[i] = place
    seen.noticed[i] = noticed
    seen.model[i] = model
    seen.evidence[i] = evidence
    seen.fresh[i] = fresh
    seen.cause[i] = cause
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
