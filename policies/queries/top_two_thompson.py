"""Top-two Thompson sampling: ask an arm that is believed the best, or, as often, another that could be it.

Source: Russo, "Simple Bayesian algorithms for best arm identification", COLT 2016 (top-two Thompson sampling). The mean
of an arm with the mean answer m of n is believed N(m, 1 / n): a flat prior, and answers of variance 1. Means are drawn,
and the arm of the largest is asked with the probability `beta`; else means are drawn again until another arm leads.
Each arm is asked once before.
Propensities: with p the law of the arm that leads (by quadrature, `engine/laws/largest.py`) arm j is asked with the
probability p_j (beta + (1 - beta) sum over i != j of p_i / (1 - p_i)), and the arm is drawn from that: no redraws.
With `propensities=False` it is played as the paper says, up to 256 redraws, after which the runner-up of the last is
asked: faster, and the propensity is NaN. Both are the same but where another arm leads less than once in 256 (there the
law goes on to once in 10^12; beyond, the best of the others is asked).
Departs from the paper: the mean is recommended that is best, and not the posterior's. Answers may come late: what is
under way counts as asked (the belief narrows, its mean stays), and an arm without an answer is taken to be as good as
the best (`engine/queries/query_index.py`).
State: how often each arm was asked and answered, and sums of answers. Cost: about 2 us an arm and decision with
propensities, and 0.02 us a redraw and arm without; O(1) an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import categorical, normal, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.laws.largest import MaximumWorkspace, check_arms, normal_law, workspace
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, recommend_best, take_in
from ...engine.queries.query_index import begin_task, hopeful_means, visits
from ...engine.vocabulary import Array, Decision, Instance, Key, Policy, Problem

REDRAWS = 256
RARE = 1e-12  # the quadrature knows probabilities down to here


class TopTwoThompsonParams(NamedTuple):
    """Numbers fixed at creation."""

    beta: float  # how often the arm that leads is asked, in (0, 1]


class TopTwoThompsonSampledParams(NamedTuple):
    """The same, for the kernels without propensities."""

    beta: float


class TopTwoThompsonState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_mean: Array  # float64[k]
    scratch_sd: Array  # float64[k]
    scratch_others: Array  # bool[k]
    scratch_law: Array  # float64[k]
    scratch_maximum: MaximumWorkspace


class TopTwoThompsonSampledState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_mean: Array  # float64[k]
    scratch_sd: Array  # float64[k]


def top_two_thompson(beta: float = 0.5, propensities: bool = True) -> Policy:
    """Ask an arm as often as it is believed the best, with the probability `beta`, and else another that may be."""
    share = check_param("beta", beta, low=0.0, high=1.0, low_open=True)
    if not isinstance(propensities, bool):
        raise InvalidInput("bad_param", f"propensities is {as_seen(propensities)}: it must be true or false")
    params = TopTwoThompsonParams(share) if propensities else TopTwoThompsonSampledParams(share)
    begin = init if propensities else init_sampled
    return Policy("top_two_thompson", params, begin, actions=("query",), feedbacks=("answer",))


def init(params: TopTwoThompsonParams, problem: Problem) -> TopTwoThompsonState:
    """Return the state before the first query; up to 2000 arms. Refuses tasks that are not of arms."""
    evidence, k = begin_task(problem, "top_two_thompson"), problem.n_arms
    check_arms(k)
    return TopTwoThompsonState(evidence, np.zeros(k), np.zeros(k), np.zeros(k, np.bool_), np.zeros(k), workspace(k))


def init_sampled(params: TopTwoThompsonSampledParams, problem: Problem) -> TopTwoThompsonSampledState:
    """Return the state before the first query; refuses tasks that are not of arms."""
    k = problem.n_arms
    return TopTwoThompsonSampledState(begin_task(problem, "top_two_thompson"), np.zeros(k), np.zeros(k))


@kernel
def select(params: TopTwoThompsonParams, state: TopTwoThompsonState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    _weigh(params, state, instance.available)
    arm = categorical(key, 0, state.scratch_law)
    return Decision(arm, state.scratch_law[arm])


@kernel
def probability(params: TopTwoThompsonParams, state: TopTwoThompsonState, instance: Instance, action: int) -> float:
    """Return the probability of an arm under the law."""
    _weigh(params, state, instance.available)
    return state.scratch_law[action]


@kernel
def select_sampled(
    params: TopTwoThompsonSampledParams, state: TopTwoThompsonSampledState, instance: Instance, key: Key
) -> Decision:
    """Draw means until two arms have led, or take the first."""
    evidence, available, k = state.evidence, instance.available, len(instance.available)
    fresh = _count_fresh(evidence, available)
    if fresh > 0:
        return Decision(_nth_fresh(evidence, available, int(uniform(key, 0) * fresh)), np.nan)
    _believe(evidence, available, state.scratch_mean, state.scratch_sd)
    leader, second = _draw_two(state.scratch_mean, state.scratch_sd, available, key, 1)
    if second < 0 or uniform(key, 0) < params.beta:
        return Decision(leader, np.nan)
    for redraw in range(1, REDRAWS + 1):
        other, second = _draw_two(state.scratch_mean, state.scratch_sd, available, key, 1 + redraw * k)
        if other != leader:
            return Decision(other, np.nan)
    return Decision(second, np.nan)


@kernel
def _weigh(params: TopTwoThompsonParams, state: TopTwoThompsonState, available: Array) -> None:
    """Write the law of what is asked; those never asked come first, all alike."""
    evidence, law = state.evidence, state.scratch_law
    fresh = _count_fresh(evidence, available)
    if fresh > 0:
        for a in range(len(law)):
            law[a] = 1.0 / fresh if available[a] and visits(evidence, a) == 0 else 0.0
        return
    _believe(evidence, available, state.scratch_mean, state.scratch_sd)
    best = state.scratch_maximum.law
    normal_law(state.scratch_maximum, state.scratch_mean, state.scratch_sd, available)
    leader = 0
    for a in range(len(law)):
        law[a] = params.beta * best[a]
        if best[a] > best[leader]:
            leader = a
    _add_second(params, state, available, leader)


@kernel
def _add_second(params: TopTwoThompsonParams, state: TopTwoThompsonState, available: Array, leader: int) -> None:
    """Add to the law that of the arm that leads after another: of the leader apart, as 1 - p may round to nothing."""
    best, law = state.scratch_maximum.law, state.scratch_law
    rest, odds, others = 0.0, 0.0, 0
    for a in range(len(law)):
        state.scratch_others[a] = available[a] and a != leader
        if state.scratch_others[a]:
            others += 1
            rest += best[a]
            odds += best[a] / (1.0 - best[a])
    if others == 0:
        law[leader] = 1.0
        return
    second = 1.0 - params.beta
    if rest > RARE:
        for a in range(len(law)):
            if state.scratch_others[a]:
                law[a] += second * best[a] * (best[leader] / rest + (odds - best[a] / (1.0 - best[a])))
        law[leader] += second * best[leader] * odds
        return
    normal_law(state.scratch_maximum, state.scratch_mean, state.scratch_sd, state.scratch_others)
    for a in range(len(law)):
        if state.scratch_others[a]:
            law[a] += second * best[a]


@kernel
def _believe(evidence: Evidence, available: Array, mean: Array, sd: Array) -> None:
    """Write the belief about each arm that was asked."""
    hopeful_means(evidence, available, mean)
    for a in range(len(mean)):
        if available[a]:
            sd[a] = 1.0 / math.sqrt(float(visits(evidence, a)))


@kernel
def _count_fresh(evidence: Evidence, available: Array) -> int:
    """Return how many open arms were never asked."""
    fresh = 0
    for a in range(len(available)):
        fresh += available[a] and visits(evidence, a) == 0
    return fresh


@kernel
def _nth_fresh(evidence: Evidence, available: Array, nth: int) -> int:
    """Return the open arm that was never asked and has `nth` such arms below it."""
    last = 0
    for a in range(len(available)):
        if available[a] and visits(evidence, a) == 0:
            last = a
            if nth == 0:
                return a
            nth -= 1
    return last


@kernel
def _draw_two(mean: Array, sd: Array, available: Array, key: Key, first: int) -> tuple[int, int]:
    """Draw a mean for every open arm, from the draw `first` on; return the arms of the two largest, -1 for none."""
    leader, second = -1, -1
    best, next_best = -math.inf, -math.inf
    for a in range(len(mean)):
        if available[a]:
            drawn = mean[a] + sd[a] * normal(key, first + a)
            if drawn > best:
                second, next_best = leader, best
                leader, best = a, drawn
            elif drawn > next_best:
                second, next_best = a, drawn
    return leader, second


register_policy(
    TopTwoThompsonParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend_best
)
register_policy(TopTwoThompsonSampledParams, select=select_sampled, update=take_in, mark=ask, recommend=recommend_best)
