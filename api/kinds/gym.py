"""What Gymnasium asks of a kind of decision: its space, how actions are read, and which can be taken.

Only spaces load Gymnasium, where one is asked for: who serves decisions has no need of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.choices import Choice
from ...engine.errors import InvalidInput, as_seen
from ...engine.vocabulary import Array, Problem

if TYPE_CHECKING:
    from gymnasium import spaces

    Space = spaces.Space[Any]

Check = Callable[[Array, Array, Array, Array], None]  # (actions, available, times, acting), of n copies


@dataclass(frozen=True)
class GymKind:
    """What environments and the runner ask of a kind."""

    action_space: Callable[[Problem], Space]  # of one copy
    read: Callable[[Any, Space], Array]  # one action, as a row
    read_all: Callable[[Any, Space], Array]  # those of all copies, by the space of them all
    checks: Callable[[Problem], Check]  # makes what refuses actions that are not possible in a copy that is `acting`
    masked: bool = True  # whether `info` has an action_mask
    metadata: Callable[[Problem], dict[str, Any]] = lambda problem: {}  # what is known beforehand of the feedback
    decided: Callable[[Problem], Callable[[str, Array, int], None] | None] = lambda problem: None  # makes what refuses
    # what came out of a kernel: (policy, action, number)
    recommends: bool = False  # whether an episode ends with a recommendation


def read_numbered(action: Any, space: Space) -> Array:
    """Return an arm or a move as a row."""
    if not space.contains(action):
        raise InvalidInput("bad_action", f"the action is {as_seen(action)}: it must be in {space}")
    return np.array([action], np.int64)


def read_all_numbered(actions: Any, space: Space) -> Array:
    """Return arms or moves as an array of the space's shape; refuse what has none of it."""
    given = np.asarray(actions)
    if not np.issubdtype(given.dtype, np.integer) or not space.contains(given):
        raise InvalidInput("bad_action", f"the actions are {as_seen(actions)}: they must be in {space}")
    return given


def numbers(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Return what was handed in as `name`, an "action" for one, as a float64 copy of this shape; it may be anything."""
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu":
        raise InvalidInput(
            f"bad_{name}", f"the {name} is {as_seen(given)}: it must hold numbers, of the shape {list(shape)}"
        )
    if array.shape != shape:
        raise InvalidInput(f"bad_{name}", f"the {name} has the shape {list(array.shape)}: it must have {list(shape)}")
    return array.astype(np.float64)


def first_wrong(choice: Choice, actions: Array, available: Array, acting: Array) -> int | None:
    """Return the first copy that is `acting` and whose action is not available; None where all are."""
    wrong = acting & ~choice.are_actions(actions, available.shape[1])
    there = np.flatnonzero(acting & ~wrong)
    wrong[there] = ~choice.are_available(actions[there], available[there])
    return int(wrong.argmax()) if wrong.any() else None
