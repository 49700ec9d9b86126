"""Which actions a slot may get so that the slots below it can still be filled.

A slot with at least as many actions as its list has slots can always be filled, whatever others get. The others are
tight: what they need is told by a matching of these with their actions, found along augmenting paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....engine.vocabulary import Array


def tight(masks: Sequence[Array]) -> list[int]:
    """Return the places of the slots that others could leave without any action.

    >>> tight([np.array([True, True, False]), np.array([True, False, False])])
    [1]
    """
    counts: dict[int, int] = {id(mask): int(np.count_nonzero(mask)) for mask in masks}
    return [place for place, mask in enumerate(masks) if counts[id(mask)] < len(masks)]


def matching(masks: Sequence[Array], taken: Array) -> dict[int, int] | None:
    """Return the place that gets each of some actions so that all slots get one that is not `taken`, bool[k].

    None where they cannot all be filled.

    >>> matching([np.array([True, True]), np.array([True, False])], np.zeros(2, np.bool_))
    {0: 1, 1: 0}
    """
    found: dict[int, int] = {}
    wanted = [np.flatnonzero(mask & ~taken).tolist() for mask in masks]

    def fill(place: int, seen: set[int]) -> bool:
        for action in wanted[place]:
            if action not in seen:
                seen.add(action)
                if action not in found or fill(found[action], seen):
                    found[action] = place
                    return True
        return False

    return found if all(fill(place, set()) for place in range(len(masks))) else None


def left(masks: Sequence[Array], place: int, taken: Array, among: Sequence[int]) -> Array:
    """Return which actions a slot may get, bool[k], so that those below can be filled; `among` are the tight ones.

    >>> masks = [np.array([True, True]), np.array([True, False])]
    >>> left(masks, 0, np.zeros(2, np.bool_), tight(masks))
    array([False,  True])
    """
    free: Array = masks[place] & ~taken
    below = [masks[other] for other in among if other > place]
    if not below:
        return free
    found = matching(below, taken)
    assert found is not None, "a list that cannot be filled is refused before"
    for action in found:
        if free[action]:
            taken[action] = True
            free[action] = matching(below, taken) is not None
            taken[action] = False
    return free
