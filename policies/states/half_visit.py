"""Half a visit: plan as if every pair had been tried a little more, and that had been the best that can happen.

Source: our own; there is no proof. A pair of a state and an action that was learned n times counts n + 1/4 visits: the
imagined part of one earned 1, and led to the best state of which every action was tried. (The name is from its first
form, in which it was half of one.) To the mean reward of these visits a bonus is added,

    sqrt(.8 L v / (n + 1/4)) + .06 L / (n + 1/4),   L = max(ln(N / (A n)), 0)

with N the visits of the state, A how many actions are open in it, and v the variance of what a visit earns there,
rewards and bias together: that of the sample and of one visit more, as no variance after a visit or two is not
certainty. That one has the variance that is typical of all pairs, 1.5 times their mean and at most 1/4. So what is
tried more often than its share gets no bonus, and the logarithm is that of the visits of a state, not of all time:
states that are hardly ever met cost little.
The best policy of this model is followed until some pair was learned 1.25 times as often as when it was planned.
No span, no horizon and no confidence need be known. Rewards in [0, 1], or as parts of the range that is declared.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the model.
Propensities: 1, as nothing is drawn.
Cost: O(A) per decision. A feedback O(1), or where a plan is due some 5 to 60 sweeps of a multiply-add for each
transition that was seen, at most 1e6 of them in one update: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.elementary import log
from ...engine.growth import by_padding
from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT
from ...engine.states.counts import (
    Experience,
    experience,
    is_tried,
    learn,
    n_open,
    reward_variance,
    variance_following,
    visits_of,
)
from ...engine.states.learned import learned_by_plan
from ...engine.states.of_states import of_states
from ...engine.states.planning import DESCRIBING, WORK, Model, Plan, no_plan, sweep
from ...engine.states.replanning import (
    Epoch,
    appraise_planned,
    begin_epoch,
    described,
    is_due,
    no_epoch,
    no_model,
    planned_probability,
    take_planned,
)
from ...engine.states.transitions import append, clear
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

VISIT = 0.25  # how much of a visit is imagined
WIDTH = 0.8  # of the bonus by variance, squared
LENGTH = 0.06  # of the other, which is in units of the range of rewards
VARIANCE_MAX = 0.25  # of rewards
TYPICAL = 1.5  # how many mean variances one visit more has
FACTOR = 1.25  # by which a count grows until the next plan


class HalfVisitParams(NamedTuple):
    """Numbers fixed at creation."""

    rewards: RewardRange = UNIT  # what is learned are parts of it


class HalfVisitState(NamedTuple):
    """Arrays that `update` writes."""

    seen: Experience
    plan: Plan
    model: Model
    epoch: Epoch
    best: Array  # int64[1] the state to which imagined visits lead
    typical: Array  # float64[1] the variance of one visit more
    variances: Array  # float64[2] the sum of the variances of pairs in the model, and how many that are


def half_visit() -> Policy:
    """Follow the best policy of a model in which each pair was tried a little more, with the best outcome."""
    return of_states("half_visit", HalfVisitParams(), init, grow=by_padding(init), learned=learned_by_plan)


def init(params: HalfVisitParams, problem: Problem) -> HalfVisitState:
    """Return the state before any feedback."""
    seen = experience(problem)
    plan = no_plan(*seen.visits.shape)
    model, epoch = no_model(problem), no_epoch(problem)
    return HalfVisitState(seen, plan, model, epoch, np.zeros(1, np.int64), np.full(1, VARIANCE_MAX), np.zeros(2))


@kernel
def update(
    params: HalfVisitParams,
    state: HalfVisitState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Count the transition, and go on with a plan where one is due or not finished."""
    seen, plan, model = state.seen, state.plan, state.model
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0 and is_due(state.epoch, seen, plan, s, a, FACTOR):
        begin_epoch(state.epoch, seen, plan, model, max(1e-4, 0.1 / math.sqrt(seen.learned[0])), math.inf)
        _begin_model(state)
    work = WORK
    while plan.stage[0] == DESCRIBING and work > 0:
        work -= _describe(state, plan.at[0])
        described(seen, plan, model)
    sweep(plan, model, work)


@kernel
def _begin_model(state: HalfVisitState) -> None:
    """Find the best state of which every action was tried, and the typical variance in the model before."""
    seen = state.seen
    largest = -math.inf
    state.best[0] = 0
    for s in range(len(seen.met)):
        if state.plan.bias[s] > largest and is_tried(seen, s):
            largest = state.plan.bias[s]
            state.best[0] = s
    if state.variances[1] > 0.0:
        state.typical[0] = min(TYPICAL * state.variances[0] / state.variances[1], VARIANCE_MAX)
    state.variances[0] = 0.0
    state.variances[1] = 0.0


@kernel
def _describe(state: HalfVisitState, s: int) -> int:
    """Write the laws and the rewards of a state's actions, each with part of a visit more. Return the work."""
    seen, reward = state.seen, state.model.reward
    share = visits_of(seen, s) / float(max(n_open(seen, s), 1))
    work = 0
    for a in range(seen.visits.shape[1]):
        n = seen.visits[s, a]
        visits = n + VISIT
        variance = state.typical[0]
        if n > 0:
            spread = reward_variance(seen, s, a) + variance_following(seen, s, a, state.plan.bias)
            variance = (n * spread + state.typical[0]) / (n + 1.0)
            state.variances[0] += (n * min(spread, VARIANCE_MAX) + VARIANCE_MAX) / (n + 1.0)
            state.variances[1] += 1.0
        over = log(max(share / max(n, 1), 1.0))
        bonus = math.sqrt(WIDTH * over * variance / visits) + LENGTH * over / visits
        reward[s, a] = (seen.total[s, a] + VISIT) / visits + bonus
        _write_law(state, s, a, visits)
        work += 4 * seen.successors[s, a] + 8
    return work


@kernel
def _write_law(state: HalfVisitState, s: int, a: int, visits: float) -> None:
    """Write the law of the next state of a pair; the imagined part of a visit led to the best state."""
    seen, laws, best = state.seen, state.model.laws, state.best[0]
    clear(laws, s, a)
    given = False
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        times = float(seen.following[s, a, after])
        if not given and after >= best:
            given = True
            if after == best:
                times += VISIT
            else:
                append(laws, s, a, best, VISIT / visits)
        append(laws, s, a, after, times / visits)
    if not given:
        append(laws, s, a, best, VISIT / visits)


register_policy(
    HalfVisitParams,
    select=take_planned,
    update=update,
    probability=planned_probability,
    appraise=appraise_planned,
)
