"""Label shift: follow the shares of classes in a stream, of which a classifier with known errors sees a few each time.

Source: Bai, Zhang, Zhao, Sugiyama, Zhou, "Adapting to online label shift with provable guarantees", 2022; the inverse
of the confusion matrix as in Lipton, Wang, Smola, ICML 2018. Of `batch` unlabelled examples the classifier's answers
are counted; their shares h have the mean C q, where q_t are the true shares, so C^-1 h is an unbiased estimate of q_t.
The loss of weights w on the simplex is f_t(w) = |w - C^-1 h|^2 / 2: its gradient is an unbiased one of |w - q_t|^2 / 2.
The weights over the training shares are what a classifier's probabilities are multiplied by.
The shares move between two points, on a cosine or at once, in `period` decisions there and back.
State: the comparator, working space. Cost: O(k^2 + batch k) per decision, O(k) for each round at the start.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ...engine.choices import Vectors
from ...engine.domain import simplex
from ...engine.draws import categorical
from ...engine.elementary import cos_turns
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table
from ...engine.protocol import register_env
from ...engine.vectors.hindsight import best_for_bowl
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

HORIZON = 10_000  # of one pass
CLASSES_MAX = 1000
BATCH_MAX = 1_000_000
CONDITION_MAX = 1e6  # beyond it the inverse is noise


class LabelShiftParams(NamedTuple):
    """Numbers fixed at creation."""

    confusion: Array  # float64[k, k] entry i, j: the probability that an example of class j is taken for i
    inverse: Array  # float64[k, k]
    first: Array  # float64[k] shares at the start
    second: Array  # float64[k] shares half a period later
    batch: int
    period: int
    sudden: bool


class LabelShiftState(NamedTuple):
    """Written once, but for working space."""

    comparator: Array  # float64[k]
    scratch_shares: Array  # float64[k] q_t
    scratch_law: Array  # float64[k] C q_t, of an answer
    scratch_seen: Array  # float64[k] h


def label_shift(
    classes: int = 4,
    accuracy: float = 0.8,
    batch: int = 10,
    period: int = 2000,
    course: Literal["cosine", "sudden"] = "cosine",
    confusion: list[list[float]] | None = None,
) -> Environment:
    """Lose |w - estimate|^2 / 2, the estimate from the answers to `batch` examples; the gradient is revealed.

    `accuracy` is how often the classifier is right, with all errors as likely; or `confusion` float64[k, k] says it:
    entry i, j is the probability that an example of class j is taken for class i. Regret is counted on expected losses,
    against the best fixed weights.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= CLASSES_MAX:
        raise InvalidInput(
            "bad_param", f"classes is {as_seen(classes)}: it must be a whole number from 2 to {CLASSES_MAX}"
        )
    for name, value, most in (("batch", batch, BATCH_MAX), ("period", period, 2**40)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {most}")
    if course not in ("cosine", "sudden"):
        raise InvalidInput("bad_param", f"course is {as_seen(course)}: it must be one of cosine, sudden")
    check_param("accuracy", accuracy, low=0.0, high=1.0)
    matrix = _even(classes, accuracy) if confusion is None else check_table("confusion", confusion, low=0.0, high=1.0)
    _check_confusion(matrix)
    k = len(matrix)
    falling = np.arange(k, 0.0, -1.0) / np.arange(1.0, k + 1.0).sum()  # k : ... : 2 : 1
    params = LabelShiftParams(
        matrix, np.linalg.inv(matrix), falling, falling[::-1].copy(), batch, period, course == "sudden"
    )
    problem = Problem.of(Vectors(simplex(k), "gradient"), horizon=HORIZON)
    return Environment("label_shift", params, init, problem, regret_kind="best fixed weights, by expected losses")


def init(params: LabelShiftParams, problem: Problem, run: np.uint64) -> LabelShiftState:
    """Find the best fixed weights: the mean of the shares."""
    assert problem.domain is not None
    k, horizon = problem.dimension, problem.horizon or HORIZON
    state = LabelShiftState(np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k))
    total = np.zeros(k)
    _add_shares(params, state.scratch_shares, horizon, total)
    state.comparator[:] = best_for_bowl(problem.domain, -total, float(horizon))
    return state


@kernel
def respond(
    params: LabelShiftParams, state: LabelShiftState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    """Count the answers to a batch, and reveal the gradient of the loss that follows from them, at once."""
    k = len(action)
    _answers(params, instance.t, state.scratch_shares, state.scratch_law)
    for i in range(k):
        state.scratch_seen[i] = 0.0
    for n in range(params.batch):
        state.scratch_seen[categorical(key, n, state.scratch_law)] += 1.0 / params.batch
    loss = 0.0
    for i in range(k):
        estimate = 0.0
        for j in range(k):
            estimate += params.inverse[i, j] * state.scratch_seen[j]
        detail[i] = estimate - action[i]
        loss += 0.5 * detail[i] * detail[i]
    return -loss, 0


@kernel
def regret(params: LabelShiftParams, state: LabelShiftState, instance: Instance, action: Array) -> float:
    """Return how much more the weights lose than the best fixed ones, in expectation: less than 0 is possible."""
    _shares(params, instance.t, state.scratch_shares)
    total = 0.0
    for j in range(len(action)):
        best = state.comparator[j]
        total += (0.5 * (action[j] + best) - state.scratch_shares[j]) * (action[j] - best)
    return total


@kernel
def _shares(params: LabelShiftParams, t: int, shares: Array) -> None:
    """Write q_t."""
    phase = (t % params.period) / params.period
    part = (1.0 if phase >= 0.5 else 0.0) if params.sudden else 0.5 - 0.5 * cos_turns(phase)
    for j in range(len(shares)):
        shares[j] = (1.0 - part) * params.first[j] + part * params.second[j]


@kernel
def _answers(params: LabelShiftParams, t: int, shares: Array, law: Array) -> None:
    """Write q_t, and the law C q_t of an answer."""
    _shares(params, t, shares)
    for i in range(len(law)):
        law[i] = 0.0
        for j in range(len(law)):
            law[i] += params.confusion[i, j] * shares[j]


@loop
def _add_shares(params: LabelShiftParams, shares: Array, horizon: int, total: Array) -> None:
    for t in range(horizon):
        _shares(params, t, shares)
        for j in range(len(total)):
            total[j] += shares[j]


def _even(classes: int, accuracy: float) -> Array:
    """Return the confusion matrix whose errors are all as likely."""
    matrix = np.full((classes, classes), (1.0 - accuracy) / (classes - 1))
    np.fill_diagonal(matrix, accuracy)
    return matrix


def _check_confusion(matrix: Array) -> None:
    k = len(matrix)
    if matrix.shape != (k, k) or not 2 <= k <= CLASSES_MAX:
        raise InvalidInput("bad_param", f"confusion has the shape {matrix.shape}: it must be square, of 2 to 1000 rows")
    if (wrong := np.flatnonzero(np.abs(matrix.sum(axis=0) - 1.0) > 1e-9)).size:
        raise InvalidInput(
            "bad_param", f"column {wrong[0]} of confusion adds up to {matrix[:, wrong[0]].sum():g}: each must to 1"
        )
    if not np.linalg.cond(matrix) <= CONDITION_MAX:
        raise InvalidInput(
            "bad_param",
            "the confusion matrix has no inverse to speak of: answers that say nothing of the class tell nothing of "
            "the shares; take another accuracy, or join the classes that are taken for each other",
        )


register_env(LabelShiftParams, respond=respond, regret=regret)
