"""Generalised binary search, soft: ask what the hypotheses, weighted by their agreement with the answers, disagree on.

Source: Nowak, "Noisy generalized binary search", NIPS 2009, and "The geometry of generalized binary search", 2011
(arXiv 0910.4397). A hypothesis z answers query i with its sign s_i(z) = 2 z_i - 1, and its weight is proportional to
((1 - e) / e)^(<s(z), sums of answers> / 2): each answer that contradicts it costs it the factor e / (1 - e), e being
the `noise`. The query whose weighted sum of signs is the least in size is asked.
It trusts that one hypothesis is right and errors are independent: where the answers contradict all of them it is
fooled at once, and is then worse than asking at random (in our tables for thresholds 3 to 6 times the loss).
Departs from the paper: a query may be asked again; ties are drawn; the hypothesis that agrees best is recommended,
which is that of the largest weight. Where answers are under way, the queries with the fewest of these come first, so
that a batch that is asked at once is not one query again and again.
For thresholds, and for hypotheses of zeros and ones; answers are signs or bits.
State: how often each query was asked and answered, and sums of answers. Cost: O(n m) a decision for m hypotheses, O(1)
an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.answers import BITS
from ...engine.elementary import exp, log
from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, recommend_best, take_in
from ...engine.queries.query_index import begin_task, choose, share
from ...engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem

NOISE_MIN = 1e-12  # weights of a budget of 10^9 answers are still ordered


class GeneralisedBinarySearchParams(NamedTuple):
    """Numbers fixed at creation."""

    noise: float  # probability of a wrong answer that it reckons with, in (0, 1/2)


class GeneralisedBinarySearchState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_weight: Array  # float64[m] of hypotheses, the largest is 1
    scratch_index: Array  # float64[n]


def generalised_binary_search(noise: float = 0.25) -> Policy:
    """Ask what divides the hypotheses best, where an answer is wrong with the probability `noise`."""
    check_param("noise", noise, low=NOISE_MIN, high=0.5, high_open=True)
    params = GeneralisedBinarySearchParams(float(noise))
    return Policy("generalised_binary_search", params, init, actions=("query",), feedbacks=("answer",))


def init(params: GeneralisedBinarySearchParams, problem: Problem) -> GeneralisedBinarySearchState:
    """Return the state before the first query; refuse tasks whose hypotheses or answers are not yes or no."""
    evidence = begin_task(problem, "generalised_binary_search", ("thresholds", "hypotheses"))
    table = evidence.scratch_table
    if not np.isin(table, (0.0, 1.0)).all():
        z, i = np.argwhere(~np.isin(table, (0.0, 1.0)))[0].tolist()
        raise InvalidInput(
            "policy_does_not_fit",
            "policy 'generalised_binary_search' is for hypotheses of zeros and ones, and hypothesis "
            f"{z} has {table[z, i]:g} for query {i}: take another policy (see `onearm policies`)",
        )
    if problem.task is not None and problem.task.answers == "normal":
        raise InvalidInput(
            "policy_does_not_fit",
            "policy 'generalised_binary_search' is for answers that are signs or bits, and those of this task are "
            "normal: take another policy (see `onearm policies`)",
        )
    return GeneralisedBinarySearchState(evidence, np.zeros(len(table)), np.zeros(problem.n_arms))


@kernel
def select(
    params: GeneralisedBinarySearchParams, state: GeneralisedBinarySearchState, instance: Instance, key: Key
) -> Decision:
    """Draw one of the queries that divide best."""
    _rank_queries(params, state, instance.available)
    return choose(state.scratch_index, instance.available, key)


@kernel
def probability(
    params: GeneralisedBinarySearchParams, state: GeneralisedBinarySearchState, instance: Instance, action: int
) -> float:
    """Return 1 over the number of queries that divide best, for one of these."""
    _rank_queries(params, state, instance.available)
    return share(state.scratch_index, instance.available, action)


@kernel
def _rank_queries(params: GeneralisedBinarySearchParams, state: GeneralisedBinarySearchState, available: Array) -> None:
    """Write minus the size of the weighted sum of signs; -inf where another query has fewer answers under way."""
    evidence, weight, index = state.evidence, state.scratch_weight, state.scratch_index
    table = evidence.scratch_table
    _weigh(params, state)
    fewest = -1
    for i in range(len(index)):
        if available[i] and (fewest < 0 or _pending(evidence, i) < fewest):
            fewest = _pending(evidence, i)
    for i in range(len(index)):
        index[i] = -math.inf
        if available[i] and _pending(evidence, i) == fewest:
            total = 0.0
            for z in range(len(weight)):
                total += weight[z] * (2.0 * table[z, i] - 1.0)
            index[i] = -abs(total)


@kernel
def _pending(evidence: Evidence, query: int) -> int:
    return max(evidence.asked[query] - evidence.count[query], 0)


@kernel
def _weigh(params: GeneralisedBinarySearchParams, state: GeneralisedBinarySearchState) -> None:
    """Write the weights of the hypotheses; their scale says nothing."""
    evidence, weight = state.evidence, state.scratch_weight
    table = evidence.scratch_table
    best = -math.inf
    for z in range(len(weight)):
        agreement = 0.0
        for i in range(table.shape[1]):
            total = evidence.total[i]
            if evidence.scratch_rule[1] == BITS:
                total = 2.0 * total - evidence.count[i]
            agreement += total * (2.0 * table[z, i] - 1.0)
        weight[z] = agreement
        best = max(best, agreement)
    gain = 0.5 * log((1.0 - params.noise) / params.noise)
    for z in range(len(weight)):
        weight[z] = exp(gain * (weight[z] - best))


register_policy(
    GeneralisedBinarySearchParams,
    select=select,
    update=take_in,
    mark=ask,
    probability=probability,
    recommend=recommend_best,
)
