"""LUCB: of the arm that leads and its strongest challenger ask the one that was asked less.

Source: LUCB1, Kalyanakrishnan, Tewari, Auer, Stone, "PAC subset selection in stochastic multi-armed bandits", ICML
2012, with a budget in place of a confidence. Each arm is asked once; then the leader is the arm of the best mean answer
m, and the challenger that of the best m + sqrt(c ln t / n) among the others, which was asked n of t times.
Departs from the paper: it stops at the budget, its width is that of UCB1, it asks one of the two arms at a time, and
ties are drawn. No guarantee is known; in our tables (5 arms, 15 queries) none of the classical policies errs less.
Answers may come late: what is under way counts as asked, and an arm without an answer is taken to be as good as the
best (`engine/queries/query_index.py`).
State: how often each arm was asked and answered, and sums of answers. Cost: O(K) a decision, and as much again for each
arm beyond the first that leads; O(1) an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import categorical
from ...engine.elementary import log
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, recommend_best, take_in
from ...engine.queries.query_index import begin_task, hopeful_means, largest, visits
from ...engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem


class LucbBudgetParams(NamedTuple):
    """Numbers fixed at creation."""

    c: float  # of the width, > 0, in squares of the answers' unit


class LucbBudgetState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_mean: Array  # float64[k]
    scratch_bound: Array  # float64[k]
    scratch_law: Array  # float64[k]


def lucb_budget(c: float = 2.0) -> Policy:
    """Ask the less asked of the arm that leads and its challenger, by mean + sqrt(c ln t / n)."""
    check_param("c", c, low=0.0, high=1e100, low_open=True)
    return Policy("lucb_budget", LucbBudgetParams(float(c)), init, actions=("query",), feedbacks=("answer",))


def init(params: LucbBudgetParams, problem: Problem) -> LucbBudgetState:
    """Return the state before the first query; refuse tasks that are not of arms."""
    k = problem.n_arms
    return LucbBudgetState(begin_task(problem, "lucb_budget"), np.zeros(k), np.zeros(k), np.zeros(k))


@kernel
def select(params: LucbBudgetParams, state: LucbBudgetState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law, which is mostly for sure."""
    _weigh(params, state, instance.available)
    arm = categorical(key, 0, state.scratch_law)
    return Decision(arm, state.scratch_law[arm])


@kernel
def probability(params: LucbBudgetParams, state: LucbBudgetState, instance: Instance, action: int) -> float:
    """Return the probability of an arm under the law."""
    _weigh(params, state, instance.available)
    return state.scratch_law[action]


@kernel
def _weigh(params: LucbBudgetParams, state: LucbBudgetState, available: Array) -> None:
    """Write the law: those never asked all alike; else over who leads and, of several, each as likely."""
    evidence, law = state.evidence, state.scratch_law
    total, fresh = 0, 0
    for a in range(len(law)):
        law[a] = 0.0
        total += visits(evidence, a)
        fresh += available[a] and visits(evidence, a) == 0
    if fresh > 0:
        for a in range(len(law)):
            law[a] = 1.0 / fresh if available[a] and visits(evidence, a) == 0 else 0.0
        return
    hopeful_means(evidence, available, state.scratch_mean)
    square = params.c * log(float(total))
    for a in range(len(law)):
        if available[a]:
            state.scratch_bound[a] = state.scratch_mean[a] + math.sqrt(square / visits(evidence, a))
    best, leaders = largest(state.scratch_mean, available)
    for a in range(len(law)):
        if available[a] and state.scratch_mean[a] == best:
            _challenge(state, available, a, 1.0 / leaders)


@kernel
def _challenge(state: LucbBudgetState, available: Array, leader: int, chance: float) -> None:
    """Add `chance` to the law: on the less asked of the leader and its challenger, half on each where they are even."""
    evidence, bound, law = state.evidence, state.scratch_bound, state.scratch_law
    best = -math.inf
    challengers = 0
    for a in range(len(law)):
        if available[a] and a != leader:
            if bound[a] > best:
                best = bound[a]
                challengers = 0
            challengers += bound[a] == best
    if challengers == 0:  # no other arm is open
        law[leader] += chance
        return
    for a in range(len(law)):
        if available[a] and a != leader and bound[a] == best:
            part = chance / challengers
            lead = visits(evidence, leader) - visits(evidence, a)
            if lead == 0:
                law[leader] += 0.5 * part
                law[a] += 0.5 * part
            else:
                law[a if lead > 0 else leader] += part


register_policy(
    LucbBudgetParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend_best
)
