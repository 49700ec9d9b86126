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
    return _matching(_wanted(masks, taken))


def short(masks: Sequence[Array]) -> tuple[list[int], list[int]]:
    """Return the places of slots that have fewer actions than they are, and these actions; nothing where all is well.

    >>> short([np.array([True, False, True]), np.array([True, False, False]), np.array([True, False, False])])
    ([1, 2], [0])
    """
    wanted = _wanted(masks, np.zeros(len(masks[0]), np.bool_) if len(masks) else np.zeros(0, np.bool_))
    for place in range(len(masks)):
        found = _matching(wanted[:place])
        if found is None or _matching(wanted[: place + 1]) is not None:
            continue
        places, actions = {place}, set(wanted[place])
        while more := {found[action] for action in actions if action in found} - places:
            places |= more
            actions |= {action for one in more for action in wanted[one]}
        return sorted(places), sorted(actions)
    return [], []


def left(free: Array, below: Sequence[Array], taken: Array) -> Array:
    """Return which actions a slot may get, bool[k], so that those `below` can be filled: the masks of the tight ones.

    `free` are those that it may get for itself, and `taken` those that are in the list above.

    >>> left(np.array([True, True]), [np.array([True, False])], np.zeros(2, np.bool_))
    array([False,  True])
    """
    wanted = _wanted(below, taken)
    found = _matching(wanted)
    assert found is not None, "a list that cannot be filled is refused before"
    moving = _moving(wanted, found)
    kept = free.copy()
    kept[[action for action, place in found.items() if place not in moving]] = False
    return kept


def _wanted(masks: Sequence[Array], taken: Array) -> list[list[int]]:
    return [np.flatnonzero(mask & ~taken).tolist() for mask in masks]


def _matching(wanted: list[list[int]]) -> dict[int, int] | None:
    found: dict[int, int] = {}

    def fill(place: int, seen: set[int]) -> bool:
        for action in wanted[place]:
            if action not in found:
                found[action] = place
                return True
        for action in wanted[place]:
            if action not in seen:
                seen.add(action)
                if fill(found[action], seen):
                    found[action] = place
                    return True
        return False

    return found if all(fill(place, set()) for place in range(len(wanted))) else None


def _moving(wanted: list[list[int]], found: dict[int, int]) -> set[int]:
    """Return the places that can do without what they got: another action is free, or one that its place can spare."""
    has = {place: action for action, place in found.items()}
    moving = {place for place, actions in enumerate(wanted) if any(action not in found for action in actions)}
    new = set(moving)
    while new:
        spared = {has[place] for place in new}
        new = {place for place, actions in enumerate(wanted) if place not in moving and not spared.isdisjoint(actions)}
        moving |= new
    return moving
