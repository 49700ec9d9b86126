"""IMED-RL: plan anew at every step, and take the action against which the least speaks.

Source: Pesquerel, Maillard, "IMED-RL: regret optimal learning of ergodic Markov decision processes", NeurIPS 2022, and
the code that was released with it. Each pair of a state and an action counts one visit more than it had, which earned
1/2 and led to any state alike. In each state the actions that were learned at least (ln N)^2 times, N that of the one
learned most, are its skeleton; the best policy of the skeletons is planned after each feedback, to 1e-3. Where it has
the bias h, let q be what an action is worth, r + P h, m the largest q in a state, and B = 1 + max h. Then

    index of an action = n K + ln n,   K = 0 where q = m

is how much speaks against it, with n how often it was learned there, and K of `engine/states/divergence.py`. The action
of the least index is taken; one that was never tried comes first. Regret is asymptotically the least that there can be
where every policy comes to every state. Rewards in [0, 1], or as parts of the range that is declared.
`with_bound` adds ln B to each K that is not 0, as the released code does and the theory does not. With it less is
tried: in worlds of small values that is better, and over 3000 decisions in most. But where B is large the other actions
are given up after a few tries, for good, so that regret grows with time; without it all are tried for ever.
Departs from the paper: sweeps have the aperiodic transform, rewards are counted in 33 places, and ties go to the lowest
arm.
State: counts (`engine/states/counts.py`), the plan at hand and the next one (`engine/states/planning.py`), the model,
rewards. Propensities: 1, as nothing is drawn.
Cost: a decision O(A S R), R the places of rewards that came. A feedback some 1 to 10 sweeps of a multiply-add for each
transition that was seen, at most 1e6 of them in one update: the rest follows with the next ones, and what is learned
meanwhile is planned with thereafter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ...engine.elementary import log
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import padded
from ...engine.kernel import kernel, routine
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, clipped_part
from ...engine.states.counts import Experience, experience, learn
from ...engine.states.divergence import divergence, no_rewards, note_reward
from ...engine.states.learned import learned_by_plan
from ...engine.states.of_states import of_states
from ...engine.states.optimum import TIE
from ...engine.states.planning import IDLE, WORK, Model, Plan, begin, no_plan, sweep
from ...engine.states.replanning import Epoch, appraise_planned, no_epoch, no_model, write_begin
from ...engine.states.smoothed import smoothed, write_smoothed
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem, RewardRange

EPS = 1e-3
SWEEPS_MAX = 3000  # of one plan, as in the released code
STALE = -1  # a count that makes a state be described anew


class ImedRlParams(NamedTuple):
    """Numbers fixed at creation."""

    with_bound: bool  # whether ln B is added to K
    rewards: RewardRange = UNIT  # what is learned are parts of it


class ImedRlState(NamedTuple):
    """Arrays that `update` writes."""

    seen: Experience
    plan: Plan
    model: Model  # what is open are the skeletons
    epoch: Epoch
    rewards: Array  # float64[S, A, 33] how often rewards came in each place


def imed_rl(with_bound: bool = True) -> Policy:
    """Take the action against which the least speaks, by what was counted and planned up to now."""
    if not isinstance(with_bound, bool):
        raise InvalidInput("bad_param", f"with_bound is {as_seen(with_bound)}: it must be true or false")
    return of_states("imed_rl", ImedRlParams(with_bound), init, grow=grow, learned=learned_by_plan)


def init(params: ImedRlParams, problem: Problem) -> ImedRlState:
    """Return the state before any feedback."""
    seen = experience(problem)
    states, n_arms = seen.visits.shape
    model = no_model(problem, smoothed(states, n_arms))
    model.reward[:] = 0.5
    return ImedRlState(seen, no_plan(states, n_arms), model, no_epoch(problem), no_rewards(states, n_arms))


def grow(params: ImedRlParams, state: ImedRlState, problem: Problem) -> ImedRlState:
    """Return the state with further arms, which join the skeletons when these are found anew, at the next feedback."""
    larger = padded(state, init(params, problem))
    larger.model.open[:, state.seen.visits.shape[1] :] = False
    larger.epoch.visits[:] = STALE
    return larger


@kernel
def select(params: ImedRlParams, state: ImedRlState, instance: Instance, key: Key) -> Decision:
    """Take the available action of the least index, of equal ones the lowest."""
    return Decision(_least(params, state, instance.context, instance.available), 1.0)


@kernel
def probability(params: ImedRlParams, state: ImedRlState, instance: Instance, action: int) -> float:
    """Return 1 for the action that `select` takes and 0 for the others."""
    return 1.0 if action == _least(params, state, instance.context, instance.available) else 0.0


@routine
def _least(params: ImedRlParams, state: ImedRlState, context: Array, available: Array) -> int:
    seen, s = state.seen, int(context[0])
    mean = -math.inf
    for a in range(len(available)):
        if available[a]:
            if seen.visits[s, a] == 0:
                return a
            mean = max(mean, _worth(state, s, a))
    most = 1.0 + _largest(state.plan.bias)
    extra = log(most) if params.with_bound else 0.0
    taken, least = -1, math.inf
    for a in range(len(available)):
        if available[a]:
            n = float(seen.visits[s, a])
            index = log(n)
            if index < least - TIE and _worth(state, s, a) < mean - TIE:
                index += n * (divergence(seen, state.rewards, state.plan.bias, s, a, mean, most) + extra)
            if index < least - TIE:
                taken, least = a, index
    return taken


@kernel
def _worth(state: ImedRlState, s: int, a: int) -> float:
    """Return r + P h of a pair by all that was learned, and the visit that is imagined."""
    seen, bias = state.seen, state.plan.bias
    total = seen.total[s, a] + 0.5
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        total += seen.following[s, a, after] * bias[after]
    mean = 0.0
    for k in range(len(bias) - 1):
        mean += bias[k]
    return (total + mean / (len(bias) - 1)) / (seen.visits[s, a] + 1.0)


@kernel
def _largest(bias: Array) -> float:
    most = 0.0
    for k in range(len(bias)):
        most = max(most, bias[k])
    return most


@kernel
def update(
    params: ImedRlParams, state: ImedRlState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Count the transition, and plan anew with all that was learned; or go on with a plan that is not finished."""
    seen, plan, epoch = state.seen, state.plan, state.epoch
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0:
        note_reward(state.rewards, s, a, clipped_part(params.rewards, feedback.reward))
    if plan.stage[0] == IDLE and epoch.learned[0] < seen.learned[0]:
        _describe(state)
        begin(plan, EPS, math.inf, SWEEPS_MAX)
    sweep(plan, state.model, WORK)


@kernel
def _describe(state: ImedRlState) -> None:
    """Write the model of all states of which something was learned since the last plan."""
    seen, epoch = state.seen, state.epoch
    states, n_arms = seen.visits.shape
    for s in range(states):
        is_stale = False
        for a in range(n_arms):
            is_stale = is_stale or epoch.visits[s, a] != seen.visits[s, a]
        if is_stale:
            _describe_state(state, s)
    epoch.learned[0] = seen.learned[0]
    write_begin(seen, state.model.begin)


@kernel
def _describe_state(state: ImedRlState, s: int) -> None:
    """Write what is believed of a state's actions, and which of them are its skeleton."""
    seen, model, epoch = state.seen, state.model, state.epoch
    n_arms = seen.visits.shape[1]
    largest = 0
    for a in range(n_arms):
        if seen.open[s, a]:
            largest = max(largest, seen.visits[s, a])
    enough = log(float(largest)) ** 2 if largest > 0 else 0.0
    for a in range(n_arms):
        n = seen.visits[s, a]
        epoch.visits[s, a] = n
        model.reward[s, a] = (seen.total[s, a] + 0.5) / (n + 1.0)
        model.open[s, a] = seen.open[s, a] and n >= enough
        write_smoothed(model.laws, seen, s, a)


register_policy(ImedRlParams, select=select, update=update, probability=probability, appraise=appraise_planned)
