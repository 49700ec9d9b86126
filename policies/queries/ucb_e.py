"""UCB-E: ask the arm of the largest mean answer plus sqrt(a / number of times that it was asked).

Source: Audibert, Bubeck, Munos, "Best arm identification in multi-armed bandits", COLT 2010, fig. 1. For rewards in
[0, 1] and a = 25/36 (T - K) / H1 it errs with probability at most 2 T K exp(-2 a / 25) (theorem 1), where H1 is the sum
of 1 / gap^2 over the other arms. Answers of variance 1 are 4 times as wide: a = 25/9 (T - K) / H1 is the same there.
H1 is not known; the default suits 5 arms, a budget of 15 and H1 from 3 to 50 (tried: 1/2 to 8), without a guarantee.
Departs from the paper: ties are drawn, and the best mean is recommended. Answers may come late: what is under way
counts as asked, and an arm without an answer is taken to be as good as the best (`engine/queries/query_index.py`).
State: how often each arm was asked and answered, and sums of answers. Cost: O(K) a decision, O(1) an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, recommend_best, take_in
from ...engine.queries.query_index import begin_task, choose, hopeful_means, share, visits
from ...engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem


class UcbEParams(NamedTuple):
    """Numbers fixed at creation."""

    a: float  # of the bonus, > 0, in squares of the answers' unit


class UcbEState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_bound: Array  # float64[k]


def ucb_e(a: float = 3.0) -> Policy:
    """Ask the arm of the largest mean + sqrt(a / visits)."""
    check_param("a", a, low=0.0, high=1e100, low_open=True)
    return Policy("ucb_e", UcbEParams(float(a)), init, actions=("query",), feedbacks=("answer",))


def init(params: UcbEParams, problem: Problem) -> UcbEState:
    """Return the state before the first query; refuse tasks that are not of arms."""
    return UcbEState(begin_task(problem, "ucb_e"), np.zeros(problem.n_arms))


@kernel
def select(params: UcbEParams, state: UcbEState, instance: Instance, key: Key) -> Decision:
    """Draw one of the open arms of the largest bound; those never asked come first."""
    _bound(params, state, instance.available)
    return choose(state.scratch_bound, instance.available, key)


@kernel
def probability(params: UcbEParams, state: UcbEState, instance: Instance, action: int) -> float:
    """Return 1 over the number of open arms of the largest bound, for one of these."""
    _bound(params, state, instance.available)
    return share(state.scratch_bound, instance.available, action)


@kernel
def _bound(params: UcbEParams, state: UcbEState, available: Array) -> None:
    evidence, bound = state.evidence, state.scratch_bound
    hopeful_means(evidence, available, bound)
    for i in range(len(bound)):
        asked = visits(evidence, i)
        bound[i] = math.inf if asked == 0 else bound[i] + math.sqrt(params.a / asked)


register_policy(UcbEParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend_best)
