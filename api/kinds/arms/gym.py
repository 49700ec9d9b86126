"""Arms in Gymnasium: a Discrete space, with a mask of those that are available."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....engine.errors import InvalidInput
from ....engine.vocabulary import Array, Problem
from ..gym import Check, GymKind, first_wrong, read_all_numbered, read_numbered

if TYPE_CHECKING:
    from gymnasium import spaces


def action_space(problem: Problem) -> spaces.Discrete:
    """Return the space of an arm, or of a query."""
    from gymnasium import spaces

    return spaces.Discrete(problem.n_arms)


def checks(problem: Problem) -> Check:
    """Return what refuses arms that are not available."""

    def check(actions: Array, available: Array, times: Array, acting: Array) -> None:
        if (i := first_wrong(problem.choice, actions, available, acting)) is None:
            return
        there = ", ".join(map(str, np.flatnonzero(available[i])))
        raise InvalidInput(
            "unavailable_action",
            f"arm {actions[i]} is not available at decision {times[i]}: available arms are {there} (see action_mask)",
        )

    return check


GYM = GymKind(action_space, read_numbered, read_all_numbered, checks)
