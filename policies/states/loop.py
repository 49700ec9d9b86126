"""LOOP: believe the best of all that squared errors leave possible, and plan anew only when they speak against it.

Source: He, Zhong, Yang, "Sample-efficient learning of infinite-horizon average-reward MDPs with general function
approximation", ICLR 2024, for tables. A hypothesis says a gain and what each pair of a state and an action is worth; of
those whose squared errors, less the least that any table could have, sum up to beta at most, the one of the largest
gain is followed until its own sum Y is above `factor` times beta. For tables this is a model whose rewards have bonuses
b that share one budget, sum of W b^2 <= beta with W = N / v (`engine/states/ascent.py`), and Y is the sum of W e^2, e
what the hypothesis foresees of a pair less what came.
beta = scale (sum over pairs of ln(1 + N) + 2 ln(1 / delta)), our own: the paper's constants could not be had. With
`variance` false v = (span + 1)^2 / 4. With W = N^2 / ((N + 1) v), scale 1 and a true bound on the span of the world's
bias the truth is then believed at all times, with probability 1 - delta. With `variance` v is what rewards and values
of next states were seen to vary, and one sample of (span + 1)^2 / 4: not proved, and far better.
`span` is a bound that somebody knows. "estimate" takes the span of the plan that was last made without any bonus, with
no guarantee, and twice that as what no bias may exceed.
With `cap` each pair's own W b^2 is at most scale (ln(1 + N) + 2 ln(2 S A / delta)) too, and a pair at `factor` times
that makes a new plan: without it the budget of all pairs is spent on one after the other. So does the first try of a
pair; a pair that was never tried is heaven, it pays 1 and stays. Ties go to the lowest arm. Rewards in [0, 1], or as
parts of the range that is declared.
State: counts, the plan that is held, the one that is made. Propensities: 1, as nothing is drawn.
Cost: O(A) per decision, O(1) per feedback, and some 30 plans (`engine/states/ascent.py`) where one is due, of which no
update does more than 1e6 multiply-adds: the rest follows with the next ones.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...engine.arrays import copy_numbers
from ...engine.elementary import log
from ...engine.errors import InvalidInput, as_seen
from ...engine.growth import padded
from ...engine.kernel import kernel, routine
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import UNIT, reward_at, width_at
from ...engine.states.ascent import ENDED, Ascent, ascend, begin_ascent, no_ascent
from ...engine.states.counts import (
    Experience,
    experience,
    learn,
    mean_following,
    mean_reward_of,
    reward_variance,
    variance_following,
    write_shares,
)
from ...engine.states.learned import told
from ...engine.states.noise import known_noise, note_rewards, seen_noise, variance_of
from ...engine.states.of_states import of_states
from ...engine.states.planning import WORK, greedy
from ...engine.states.replanning import write_begin
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Learned, Policy, Problem, RewardRange

HOLDING, DESCRIBING, ASCENDING, TAKING = range(4)  # what is done beside learning: nothing, or the stage of a plan
SPAN_MIN = 1.0  # of an estimate


class LoopParams(NamedTuple):
    """Numbers fixed at creation."""

    scale: float  # of the budget, > 0
    factor: float  # budgets that the hypothesis may miss by until there is another, > 1
    span: float  # of the world's bias at most, > 0; NaN where it is estimated
    delta: float  # how likely the proved set may miss the truth, from (0, 1)
    variance: bool  # whether errors are weighed by what was seen to vary
    cap: bool  # whether each pair has a budget of its own too
    rewards: RewardRange = UNIT  # what is learned are parts of it


class Held(NamedTuple):
    """The hypothesis that is followed, and how far it was wrong."""

    q: Array  # float64[S, A] what each action is worth, less the gain
    value: Array  # float64[S + 1] h, by which outcomes are measured: reward + h of what came next
    foreseen: Array  # float64[S, A] the outcome of each pair, reward + bonus + P h as they were
    following: Array  # float64[S, A] mean of h over what came next
    scatter: Array  # float64[S, A] sum of its squared distances from that mean
    cost: Array  # float64[S, A] W e^2
    gain: Array  # float64[1]
    off: Array  # float64[1] Y, the sum of the costs
    budget: Array  # float64[1] the sum of ln(1 + N)
    plans: Array  # int64[1] how many were made


class LoopState(NamedTuple):
    """Arrays that `update` writes."""

    seen: Experience
    held: Held
    ascent: Ascent  # the plan that is made
    noise: Any  # how much outcomes vary, by what is held
    stage: Array  # int64[1]
    at: Array  # int64[1] the next state to be described or taken


def loop(
    scale: float = 1.0,
    factor: float = 3.0,
    span: float | str = "estimate",
    delta: float = 0.05,
    variance: bool = True,
    cap: bool = True,
) -> Policy:
    """Follow the most hopeful hypothesis of those that are possible, until it was wrong by `factor` budgets.

    `span` is what somebody knows of the world: how much more it is worth at most to begin in its best state than in its
    worst; "estimate" takes that of the plan. `scale` 1 is what is proved where `variance` is false; .1 learns faster.
    """
    if not isinstance(span, int | float | str) or (isinstance(span, str) and span != "estimate"):
        raise InvalidInput("bad_param", f"span is {as_seen(span)}: it must be a number above 0, or 'estimate'")
    for name, value in (("variance", variance), ("cap", cap)):
        if not isinstance(value, bool):
            raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be true or false")
    params = LoopParams(
        check_param("scale", scale, low=0.0, low_open=True, high=1e6),
        check_param("factor", factor, low=1.0, low_open=True, high=1e6),
        math.nan if isinstance(span, str) else check_param("span", span, low=0.0, low_open=True, high=1e6),
        check_param("delta", delta, low=1e-300, high=1.0, high_open=True),
        variance,
        cap,
    )
    return of_states("loop", params, init, grow=grow, learned=learned)


def learned(params: LoopParams, state: LoopState) -> Learned:
    """Return the hypothesis that is held, for people; transitions are counted from when the last plan was begun."""
    held = state.held
    planned = float(held.gain[0]), held.value[:-1], held.q, int(held.plans[0])
    found = told(params.rewards, state.seen, *planned, int(state.ascent.believed.visits.sum()))
    beta = params.scale * (float(held.budget[0]) - 2.0 * math.log(params.delta))
    return found._replace(error=float(held.off[0]), error_max=params.factor * beta)


def init(params: LoopParams, problem: Problem) -> LoopState:
    """Return the state before any feedback."""
    seen = experience(problem)
    states, n_arms = seen.visits.shape
    make: Any = seen_noise if params.variance else known_noise
    held = Held(
        q=np.zeros((states, n_arms)),
        value=np.zeros(states + 1),
        foreseen=np.zeros((states, n_arms)),
        following=np.zeros((states, n_arms)),
        scatter=np.zeros((states, n_arms)),
        cost=np.zeros((states, n_arms)),
        gain=np.zeros(1),
        off=np.zeros(1),
        budget=np.zeros(1),
        plans=np.zeros(1, np.int64),
    )
    ascent = no_ascent(states, n_arms, make(states, n_arms))
    return LoopState(seen, held, ascent, make(states, n_arms), np.zeros(1, np.int64), np.zeros(1, np.int64))


def grow(params: LoopParams, state: LoopState, problem: Problem) -> LoopState:
    """Return the state with further arms: pairs that were never tried, of which the next feedback makes a new plan."""
    larger = padded(state, init(params, problem))
    if state.seen.learned[0] > 0:
        larger.stage[0] = DESCRIBING
        larger.at[0] = 0
    return larger


@kernel
def select(params: LoopParams, state: LoopState, instance: Instance, key: Key) -> Decision:
    """Take the available action that is worth the most by the hypothesis."""
    return Decision(greedy(state.held.q[int(instance.context[0])], instance.available), 1.0)


@kernel
def update(
    params: LoopParams, state: LoopState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    """Learn a transition, and go on with a plan where one is due or not finished."""
    seen = state.seen
    s, a = learn(seen, instance, decision, feedback, params.rewards)
    if s >= 0:
        is_due = _is_refuted(params, state, s, a, int(feedback.detail[0]))
        if state.stage[0] == HOLDING and is_due:
            state.stage[0] = DESCRIBING
            state.at[0] = 0
            after = int(feedback.detail[0])
            state.ascent.place[0] = after if after < len(seen.met) else s
    if state.stage[0] != HOLDING:
        _plan_on(params, state)


@kernel
def _is_refuted(params: LoopParams, state: LoopState, s: int, a: int, after: int) -> bool:
    """Count what was just learned of a pair against the hypothesis. Return whether another is due."""
    held, n = state.held, state.seen.visits[s, a]
    off = held.value[after] - held.following[s, a]
    held.following[s, a] += off / n
    held.scatter[s, a] += off * (held.value[after] - held.following[s, a])
    note_rewards(state.noise, s, a, reward_variance(state.seen, s, a))
    cost = _cost(state, s, a)
    held.off[0] += cost - held.cost[s, a]
    held.cost[s, a] = cost
    held.budget[0] += log((n + 1.0) / n)
    if n == 1 or (params.cap and cost > params.factor * _pair_budget(params, state, n)):
        return True
    return held.off[0] > params.factor * _budget(params, state)


@kernel
def _cost(state: LoopState, s: int, a: int) -> float:
    """Return W e^2 of a pair that was learned."""
    held, n = state.held, float(state.seen.visits[s, a])
    error = held.foreseen[s, a] - (mean_reward_of(state.seen, s, a) + held.following[s, a])
    return n / variance_of(state.noise, s, a, n, held.scatter[s, a] / n) * error * error


@kernel
def _budget(params: LoopParams, state: LoopState) -> float:
    """Return beta."""
    return params.scale * (state.held.budget[0] - 2.0 * log(params.delta))


@kernel
def _pair_budget(params: LoopParams, state: LoopState, visits: int) -> float:
    """Return what a pair may take where there are caps."""
    pairs = float(state.seen.visits.size)
    return params.scale * (log(1.0 + visits) + 2.0 * log(2.0 * pairs / params.delta))


@kernel
def _span(params: LoopParams, state: LoopState) -> float:
    """Return the span that is given, or that of the last plan before its bonuses, at least 1.

    With its bonuses a plan's span is larger, and makes larger bonuses: in some worlds it doubled with every plan.
    """
    return max(SPAN_MIN, state.ascent.bare_span[0]) if math.isnan(params.span) else params.span


@routine
def _plan_on(params: LoopParams, state: LoopState) -> None:
    """Go on with a plan, by so much work as an update may do."""
    states = len(state.seen.met)
    work = WORK
    while state.stage[0] == DESCRIBING and work > 0:
        work -= _describe(params, state, state.at[0])
        state.at[0] += 1
        if state.at[0] == states:
            _begin(params, state)
    if state.stage[0] == ASCENDING:
        work = ascend(state.ascent, work)
        if state.ascent.stage[0] == ENDED:
            state.stage[0] = TAKING
            state.at[0] = 0
            copy_numbers(state.ascent.plan.bias, state.held.value)
            state.held.gain[0] = state.ascent.plan.gain[0]
    while state.stage[0] == TAKING and work > 0:
        work -= _take(state, state.at[0])
        state.at[0] += 1
        if state.at[0] == states:
            _hold(params, state)


@kernel
def _describe(params: LoopParams, state: LoopState, s: int) -> int:
    """Write what is believed of a state's pairs. Return the work."""
    seen, up = state.seen, state.ascent
    up.met[s] = seen.met[s]
    work = 0
    for a in range(seen.visits.shape[1]):
        n = seen.visits[s, a]
        work += write_shares(up.model.laws, seen, s, a) + 4
        up.model.open[s, a] = seen.open[s, a]
        up.believed.visits[s, a] = n
        up.believed.reward[s, a] = mean_reward_of(seen, s, a) if n > 0 else 1.0
        up.believed.cap[s, a] = _pair_budget(params, state, n) if params.cap else math.inf
        if n > 0:
            note_rewards(up.believed.noise, s, a, reward_variance(seen, s, a))
    return work


@kernel
def _begin(params: LoopParams, state: LoopState) -> None:
    """Begin the ascent, in what was described."""
    up, span = state.ascent, _span(params, state)
    write_begin(state.seen, up.model.begin)
    up.believed.beta[0] = _budget(params, state)
    copy_numbers(state.held.value, up.believed.value)
    up.believed.noise.most[0] = 0.25 * (span + 1.0) * (span + 1.0)
    begin_ascent(up, max(1e-4, 0.1 / math.sqrt(state.seen.learned[0])), 2.0 * span if math.isnan(params.span) else span)
    state.stage[0] = ASCENDING


@kernel
def _take(state: LoopState, s: int) -> int:
    """Take over what was planned for a state, and measure what came by it. Return the work."""
    seen, held, plan = state.seen, state.held, state.ascent.plan
    work = 0
    for a in range(seen.visits.shape[1]):
        held.q[s, a] = plan.q[s, a]
        held.foreseen[s, a] = plan.q[s, a] + plan.gain[0]
        if seen.visits[s, a] > 0:
            held.following[s, a] = mean_following(seen, s, a, held.value)
            held.scatter[s, a] = seen.visits[s, a] * variance_following(seen, s, a, held.value)
        work += 5 * seen.successors[s, a] + 4
    return work


@kernel
def _hold(params: LoopParams, state: LoopState) -> None:
    """Hold the hypothesis that was planned, with what it is off by now."""
    seen, held = state.seen, state.held
    state.noise.most[0] = state.ascent.believed.noise.most[0]
    held.off[0] = 0.0
    for s in range(seen.visits.shape[0]):
        for a in range(seen.visits.shape[1]):
            if seen.visits[s, a] > 0:
                held.cost[s, a] = _cost(state, s, a)
                held.off[0] += held.cost[s, a]
    held.plans[0] += 1
    state.stage[0] = HOLDING


@kernel
def probability(params: LoopParams, state: LoopState, instance: Instance, action: int) -> float:
    """Return 1 for the arm that `select` takes and 0 for the others."""
    return 1.0 if action == greedy(state.held.q[int(instance.context[0])], instance.available) else 0.0


@kernel
def appraise(params: LoopParams, state: LoopState, instance: Instance, scores: Array, widths: Array) -> None:
    """Write what each action is worth by what was seen, and how much more is believed; NaN where it was never tried.

    The first is r + P h - h(s), with the h of the hypothesis: the gain, less what is lost by choosing the action once.
    """
    s = int(instance.context[0])
    seen, held = state.seen, state.held
    for a in range(len(instance.available)):
        scores[a] = math.nan
        widths[a] = math.nan
        if instance.available[a] and seen.visits[s, a] > 0:
            outcome = mean_reward_of(seen, s, a) + held.following[s, a]
            scores[a] = reward_at(params.rewards, outcome - held.value[s])
            widths[a] = width_at(params.rewards, max(held.foreseen[s, a] - outcome, 0.0))


register_policy(LoopParams, select=select, update=update, probability=probability, appraise=appraise)
