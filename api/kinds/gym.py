"""What Gymnasium asks of a kind of decision: its space, how actions are read, and which can be taken.

It stands beside `Kind` and not in it: who serves decisions need not load Gymnasium. `api/gym/kinds.py` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ...engine.actions import places
from ...engine.errors import InvalidInput
from ...engine.vocabulary import Array, Problem

Space = spaces.Space[Any]
Check = Callable[[Array, Array, Array, Array], None]  # (actions, available, times, asked), of n copies


@dataclass(frozen=True)
class GymKind:
    """What environments and the runner ask of a kind."""

    action_space: Callable[[Problem], Space]  # of one copy
    read: Callable[[Any, Space], Array]  # one action, as a row
    read_all: Callable[[Any, Space], Array]  # those of all copies, by the space of them all
    checks: Callable[[Problem], Check]  # makes what refuses actions that are not possible in a copy that is `asked`
    masked: bool = True  # whether `info` has an action_mask
    metadata: Callable[[Problem], dict[str, Any]] = lambda problem: {}  # what is known beforehand of the feedback
    decided: Callable[[Problem], Callable[[str, Array, int], None] | None] = lambda problem: None  # makes what refuses
    # what came out of a kernel: (policy, action, number)
    recommends: bool = False  # whether an episode ends with a recommendation


def read_numbered(action: Any, space: Space) -> Array:
    """Return an arm or a move as a row."""
    if not space.contains(action):
        raise InvalidInput("bad_action", f"the action is {action!r}: it must be in {space}")
    return np.array([action], np.int64)


def read_all_numbered(actions: Any, space: Space) -> Array:
    """Return arms or moves as an array of the space's shape; refuse what has none of it."""
    given = np.asarray(actions)
    if not np.issubdtype(given.dtype, np.integer) or not space.contains(given):
        raise InvalidInput("bad_action", f"the actions are {actions!r}: they must be in {space}")
    return given


def first_wrong(actions: Array, available: Array, asked: Array) -> int | None:
    """Return the first copy that is `asked` and whose action is not available; None where all are."""
    n, k = available.shape
    place = np.where(asked, places(actions, k), 0)
    wrong = np.flatnonzero(asked & ((place < 0) | ~available[np.arange(n), place]))
    return int(wrong[0]) if len(wrong) else None
