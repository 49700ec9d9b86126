"""Thresholds: points on a line are positive up to one of them, or nearly so; where is the cut?

Source: the one-dimensional thresholds of Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv
2010.15382; Castro and Nowak, "Minimax bounds for active learning", 2008.
An answer is -1 or 1 with the mean theta_i of its point. The first `change` points have the mean `amplitude` and the
others minus that; or `means` says what they have, which may contradict any cut.
State: what each cut costs. Cost: one draw an answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.answers import SIGNS, draw_answer
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param, check_vector, query_problem
from ...engine.protocol import register_env
from ...engine.task import LossKind
from ...engine.task import thresholds as thresholds_task
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem


class ThresholdsParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[n] of the answers, from -1 to 1


class ThresholdsState(NamedTuple):
    """What each recommendation costs."""

    loss: Array  # float64[n + 1]


def thresholds(
    points: int | None = None,
    change: int | None = None,
    amplitude: float = 0.5,
    means: list[float] | None = None,
    loss: LossKind = "simple_regret",
) -> Environment:
    """Ask about `points` points (10) of which the first `change` (half) are positive, with means of +-`amplitude`.

    Or `means` are given, one for each point. `loss` is "simple_regret", the excess number of points on the wrong side,
    or "identification", 1 for another cut than the best.
    """
    if means is None:
        points = 10 if points is None else points
        task = thresholds_task(points, loss=loss)
        cut = points // 2 if change is None else change
        if isinstance(cut, bool) or not isinstance(cut, int) or not 0 <= cut <= points:
            raise InvalidInput(
                "bad_param", f"change is {as_seen(change)}: it must be a whole number from 0 to {points}"
            )
        size = check_param("amplitude", amplitude, low=0.0, high=1.0)
        mean = np.where(np.arange(points) < cut, size, -size)
    else:
        mean = check_vector("means", means, low=-1.0, high=1.0)
        if change is not None or points not in (None, len(mean)):
            raise InvalidInput("bad_param", "means are given: leave points and change out")
        task = thresholds_task(len(mean), loss=loss)
    return Environment("thresholds", ThresholdsParams(mean), init, query_problem(task, None))


def init(params: ThresholdsParams, problem: Problem, run: np.uint64) -> ThresholdsState:
    """Return what each cut costs."""
    assert problem.task is not None
    return ThresholdsState(problem.task.losses(params.mean))


@kernel
def respond(
    params: ThresholdsParams, state: ThresholdsState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Answer with the sign of a point."""
    detail[0] = draw_answer(SIGNS, params.mean[action], key)
    return 0.0, 0


@kernel
def recommendation_loss(params: ThresholdsParams, state: ThresholdsState, recommendation: int) -> float:
    """Return what a cut costs."""
    return state.loss[recommendation]


register_env(ThresholdsParams, respond=respond, recommendation_loss=recommendation_loss)
