"""Best arm: which of a few arms has the largest mean, after a fixed number of pulls that cost nothing?

Source: fixed-budget best arm identification; Audibert, Bubeck, Munos, "Best arm identification in multi-armed bandits",
COLT 2010. The exploration is free, and the recommendation is judged: its loss is 1 where another arm is better
("identification"), or the difference of the means ("simple_regret").
State: what each recommendation costs. Cost: one draw an answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.answers import ANSWERS, draw_answer
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_vector, query_problem
from ...engine.protocol import register_env
from ...engine.task import AnswerKind, LossKind
from ...engine.task import best_arm as best_arm_task
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

RANGES = {"normal": (-1e100, 1e100), "signs": (-1.0, 1.0), "bits": (0.0, 1.0)}  # of means


class BestArmParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[k] of the answers
    answers: int  # of `engine/queries/evidence.py`


class BestArmState(NamedTuple):
    """What each recommendation costs."""

    loss: Array  # float64[k]


def best_arm(
    means: list[float] | None = None, answers: AnswerKind = "normal", loss: LossKind = "identification"
) -> Environment:
    """Find the best of arms with these `means` ([1, 0, 0, 0, 0]); an answer is the mean plus standard normal noise.

    `answers` may be "signs" (-1 or 1) or "bits" (0 or 1) instead of "normal".
    """
    given = [1.0, 0.0, 0.0, 0.0, 0.0] if means is None else means
    if answers not in RANGES:
        raise InvalidInput("bad_param", f"answers is {as_seen(answers)}: it must be one of {', '.join(RANGES)}")
    low, high = RANGES[answers]
    mean = check_vector("means", given, low=low, high=high)
    params = BestArmParams(mean, ANSWERS[answers])
    return Environment("best_arm", params, init, query_problem(best_arm_task(len(mean), answers, loss), None))


def init(params: BestArmParams, problem: Problem, run: np.uint64) -> BestArmState:
    """Return what each recommendation costs."""
    assert problem.task is not None
    return BestArmState(problem.task.losses(params.mean))


@kernel
def respond(
    params: BestArmParams, state: BestArmState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Answer with a draw of an arm."""
    detail[0] = draw_answer(params.answers, params.mean[action], key)
    return 0.0, 0


@kernel
def recommendation_loss(params: BestArmParams, state: BestArmState, recommendation: int) -> float:
    """Return what recommending an arm costs."""
    return state.loss[recommendation]


register_env(BestArmParams, respond=respond, recommendation_loss=recommendation_loss)
