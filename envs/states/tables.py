"""Tables: a world of states that is given as it is, by its probabilities and rewards.

`transitions[s][a][k]` is the probability that arm a leads from state s to state k, `rewards[s][a]` what that pays, or
`rewards[s][a][k]` where it depends on the next state: from 0 to 1, or how likely a 1 is where they are `drawn`. An arm
whose row is null cannot be chosen in that state.
Source: Puterman, "Markov decision processes", 1994, chapter 8.
State: where it is (`engine/states/world.py`). Cost: one draw a decision, two where rewards are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.states.world import state_world, whole
from ...engine.vocabulary import Array, Environment

Rows = Sequence[Sequence[Any]]
EXAMPLE = [[[0.9, 0.1], [0.5, 0.5]], [[1.0, 0.0], [0.2, 0.8]]]


def tables(
    transitions: Rows = EXAMPLE,
    rewards: Rows = ((0.1, 0.0), (0.2, 1.0)),
    drawn: bool = False,
    start: int = 0,
) -> Environment:
    """Meet a world of your own: `transitions[s][a][k]` and `rewards[s][a]`, or `rewards[s][a][k]`, from 0 to 1."""
    if not isinstance(drawn, bool):
        raise InvalidInput("bad_param", f"drawn is {as_seen(drawn)}: it must be true or false")
    law, is_open = _laws(transitions)
    states, n_arms = is_open.shape
    paid = _numbers("rewards", rewards)
    if paid.shape not in ((states, n_arms), law.shape):
        raise InvalidInput(
            "bad_param",
            f"rewards has the shape {list(paid.shape)}: it must be {[states, n_arms]}, or {list(law.shape)} where what "
            "is paid depends on the next state",
        )
    if paid.ndim == 2:
        paid = np.repeat(paid[:, :, np.newaxis], states, axis=2)
    first = whole("start", start, 0, states - 1)
    return state_world("tables", law, paid, drawn=drawn, start=first, is_open=is_open)


def _laws(rows: Rows) -> tuple[Array, Array]:
    """Return the probabilities, and which arms can be chosen, of rows of which some are None."""
    try:
        is_open = np.array([[row is not None for row in state] for state in rows])
        states, n_arms = is_open.shape
        stay = np.eye(states)
        filled = [[stay[s] if row is None else row for row in state] for s, state in enumerate(rows)]
    except (TypeError, ValueError):
        raise InvalidInput(
            "bad_param", "transitions is not a table: it must hold a list for each state, with a row for each arm"
        ) from None
    law = _numbers("transitions", filled)
    if law.shape != (states, n_arms, states):
        raise InvalidInput(
            "bad_param",
            f"transitions has the shape {list(law.shape)}: it must be {[states, n_arms, states]}, for each state and "
            "arm as many probabilities as there are states",
        )
    return law, is_open


def _numbers(name: str, rows: Any) -> Array:
    try:
        return np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("bad_param", f"{name} is not a table of numbers: all rows must be of one length") from None
