"""Streams of arms in Gymnasium: a space of moves, with a mask of the places that hold an arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....engine.errors import InvalidInput
from ....engine.vocabulary import Array, Problem
from ..gym import Check, GymKind, first_wrong, read_all_numbered, read_numbered

if TYPE_CHECKING:
    from .move_space import Moves


def action_space(problem: Problem) -> Moves:
    """Return the space of a move."""
    from .move_space import Moves

    return Moves(problem)


def checks(problem: Problem) -> Check:
    """Return what refuses moves that cannot be made."""

    def check(actions: Array, available: Array, times: Array, acting: Array) -> None:
        if (i := first_wrong(problem.choice, actions, available, acting)) is not None:
            raise InvalidInput(
                "impossible_move",
                f"the move {actions[i].tolist()} cannot be made at decision {times[i]}: pull a place that holds "
                "an arm at least once, or read while there is an arm to come (see action_mask)",
            )

    return check


GYM = GymKind(action_space, read_numbered, read_all_numbered, checks)
