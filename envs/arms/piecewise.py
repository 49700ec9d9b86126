"""Piecewise: Bernoulli arms whose probabilities change at fixed times and stand still in between.

Each mean changes on its own. Where arms only change places, or the environment is another one, take `switching`.
Source: Garivier, Moulines, "On upper-confidence bound policies for switching bandit problems", ALT 2011. State: none.
Cost: one draw per reward. The last piece lasts for ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_table
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class PiecewiseParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[pieces, k] probability of reward 1, in [0, 1]
    best: Array  # float64[pieces] the largest of each piece
    length: int  # decisions per piece


class PiecewiseState(NamedTuple):
    """Nothing is kept: the piece follows from t."""


def piecewise(means: list[list[float]], length: int) -> Environment:
    """Pay 1 with probability `means[piece][arm]`, else 0; a piece lasts `length` decisions."""
    table = check_table("means", means, low=0.0, high=1.0)
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InvalidInput(
            "bad_param", f"length is {as_seen(length)}: it must be a whole number of decisions, 1 or more"
        )
    pieces, n_arms = table.shape
    return Environment(
        "piecewise",
        PiecewiseParams(table, table.max(axis=1), length),
        init,
        Problem(n_arms, horizon=pieces * length, reward_range=(0.0, 1.0)),
        regret_kind="best arm's mean in the current piece",
    )


def init(params: PiecewiseParams, problem: Problem, run: np.uint64) -> PiecewiseState:
    """Return the empty state."""
    return PiecewiseState()


@kernel
def respond(
    params: PiecewiseParams, state: PiecewiseState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Draw the reward of the arm, at once."""
    return (1.0 if uniform(key, 0) < params.mean[_piece(params, instance.t), action] else 0.0), 0


@kernel
def regret(params: PiecewiseParams, state: PiecewiseState, instance: Instance, action: int) -> float:
    """Return the gap of the arm in the current piece."""
    piece = _piece(params, instance.t)
    return params.best[piece] - params.mean[piece, action]


@kernel
def _piece(params: PiecewiseParams, t: int) -> int:
    return min(t // params.length, len(params.best) - 1)


register_env(PiecewiseParams, respond=respond, regret=regret)
