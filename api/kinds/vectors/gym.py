"""Vectors in Gymnasium: a space of points, or of two, and no mask; beside the reward a detail is revealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ....engine.domain import BOX
from ....engine.errors import InvalidInput
from ....engine.limits import limits_of
from ....engine.vocabulary import Array, Problem
from ..gym import Check, GymKind, numbers
from .problem import domain_of

if TYPE_CHECKING:
    from gymnasium import spaces

    from ..gym import Space


def action_space(problem: Problem) -> spaces.Box:
    """Return the space of a point, or of two."""
    from .points import space_of

    return space_of(domain_of(problem), (2,) if problem.feedback == "two_rewards" else ())


def read(action: Any, space: Space) -> Array:
    """Return a point as a row."""
    return numbers("action", action, space.shape or ()).reshape(1, -1)


def read_all(actions: Any, space: Space) -> Array:
    """Return the points of all copies."""
    return numbers("action", actions, space.shape or ())


def checks(problem: Problem) -> Check:
    """Return what refuses points outside the domain."""
    limits = limits_of(problem)

    def check(actions: Array, available: Array, times: Array, acting: Array) -> None:
        points = actions.reshape(len(times), limits.points, limits.dimension)
        within = limits.within(points.reshape(-1, limits.dimension)).reshape(points.shape[:2])
        for i, j in np.argwhere(acting[:, np.newaxis] & ~within)[:1]:
            remedy = "clip it (np.clip, or the wrapper ClipAction)"
            if (limits.region.kind != BOX).any():
                remedy = "move it to the nearest point (action_space.project)"
            raise InvalidInput(
                "point_outside",
                f"the point of decision {times[i]} is outside the domain: {limits.why_outside(points[i, j])}; "
                f"{remedy if np.isfinite(points[i, j]).all() else 'mend what decides'}",
            )

    return check


def decided(problem: Problem) -> Callable[[str, Array, int], None]:
    """Return what refuses points of a policy outside the domain."""
    return limits_of(problem).check_decided


GYM = GymKind(
    action_space,
    read,
    read_all,
    checks,
    masked=False,
    metadata=lambda problem: {"feedback": problem.feedback},
    decided=decided,
)
