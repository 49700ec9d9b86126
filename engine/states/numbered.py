"""States as numbers: which there are, and how many may be counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidInput, as_seen

Array = np.ndarray[Any, Any]
CELLS_MAX = 4_000_000  # transitions that are counted: states x arms x states


def are_states(numbers: Array, count: int) -> Array:
    """Return which numbers are whole ones from 0 to count - 1."""
    return np.asarray((numbers >= 0) & (numbers < count) & (numbers == np.floor(numbers)))


def check_states(states: int, n_arms: int, context_shape: tuple[int, ...], nonzeros: int | None) -> None:
    """Refuse no states, more cells (states x arms x states) than are counted, and contexts beside the state."""
    if isinstance(states, bool) or not isinstance(states, int) or not 1 <= states <= CELLS_MAX:
        raise InvalidInput("bad_states", f"there are {states!r} states: it must be a whole number, 1 or more")
    if (cells := states * states * n_arms) > CELLS_MAX:
        raise InvalidInput(
            "bad_states",
            f"{states} states and {n_arms} arms have {cells} transitions to count, states x arms x states: there may "
            f"be {CELLS_MAX}; make the states coarser",
        )
    if context_shape != (2,) or nonzeros is not None:
        raise InvalidInput(
            "bad_context",
            f"the contexts have the shape {list(context_shape)}: where there are states it is [2], the state and "
            "whether a unit begins in it; features beside the state are not built",
        )


def check_states_said(states: int | None, feedback: str, given: list[str]) -> None:
    """Refuse states beside what else is `given` of a problem, and without the feedback that tells the next one."""
    if given:
        raise InvalidInput("bad_problem", f"the problem has states and {' and '.join(given)}: leave either out")
    if states is None or feedback != "transition":
        raise InvalidInput(
            "bad_feedback",
            f"there are {'no' if states is None else states} states, and the feedback is {as_seen(feedback)}: where "
            "there are states it is 'transition', and nowhere else",
        )
