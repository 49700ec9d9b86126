"""Plans for decisions that move a state: the best gain, by relative value iteration, a part at a time.

A plan is made in a model: rewards, what is open in each state, laws of the next state (`transitions.py`), or sets of
them of which the best is believed (`balls.py`: that is extended value iteration), and the law of the states in which
units begin. Sweeps go over all states:

    w(s) = max_a [ r(s, a) + tau P(. | s, a) v ] + (1 - tau) v(s),   tau = .9,   v <- w - min w

which also converges where every policy is periodic (Schweitzer's aperiodic transform), until max(w - v) - min(w - v) is
less than eps. The gain is in the middle of these two, the bias h is tau v (not v!), and `q` is r + P h - gain, so that
its maximum over the actions is h. With `span` given, w is cut at min w + span / tau (SCAL: Fruit, Pirotta, Lazaric,
Ortner 2018), so that no bias has a larger span; sweeps then also end where a model falls into several parts. What the
greedy policy of such a plan gains may be less than the plan's gain: `time_shares` tells.

Nothing is allocated, and nobody waits for long: `sweep` stops once it has done as many multiply-adds as it may, and
goes on from there in the next call. Meanwhile `gain`, `bias` and `q` are those of the last plan that was finished. A
plan begins from the values of the one before, from which it takes 5 to 60 sweeps.
Cost: a sweep is a multiply-add for each successor of each pair, S^2 A at most; see `balls.py` for sets.
Source: Puterman, "Markov decision processes", 1994, sections 8.5.4 and 8.5.5; Jaksch, Ortner, Auer 2010.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .optimum import TAU, TIE
from .transitions import arrange, effort, outlook

WORK = 1_000_000  # multiply-adds of one update at most, some 2 to 3 ms: each waits for the one before it
SWEEPS_MAX = 100_000  # of one plan: what converges more slowly ends there
IDLE, DESCRIBING, SWEEPING = range(3)  # the stages of a plan


class Model(NamedTuple):
    """What is believed of a world of S states and A actions."""

    reward: Array  # float64[S, A] of each pair
    open: Array  # bool[S, A] what can be decided in each state, at least one action
    begin: Array  # float64[S] how likely units begin in each state; all 0 where none ends
    laws: Any  # of the next state: Transitions, L1Balls, Boxes or KlBalls


class Plan(NamedTuple):
    """What the last plan found, and how far the next one is."""

    gain: Array  # float64[1] reward a step in the long run
    bias: Array  # float64[S + 1] h, how much more is earned from a state on; of units that ended in S
    q: Array  # float64[S, A] r + P h - gain, also of what is closed
    made: Array  # int64[1] plans that were finished
    sweeps: Array  # int64[1] of all plans together
    stage: Array  # int64[1] IDLE, DESCRIBING (its model is written) or SWEEPING
    at: Array  # int64[1] the next state to be described or swept
    swept: Array  # int64[1] sweeps of the plan that is being made
    value: Array  # float64[S + 1] v
    later: Array  # float64[S + 1] w
    found: Array  # float64[S, A] q + gain by v
    eps: Array  # float64[1] at which sweeps end
    span: Array  # float64[1] of the bias at most; inf for any
    sweeps_max: Array  # int64[1]


def no_plan(states: int, n_arms: int) -> Plan:
    """Return the plan of somebody who knows nothing: all actions are as good."""
    one, values, pairs = np.zeros(1, np.int64), np.zeros(states + 1), np.zeros((states, n_arms))
    return Plan(
        gain=np.zeros(1),
        bias=values.copy(),
        q=pairs.copy(),
        made=one.copy(),
        sweeps=one.copy(),
        stage=one.copy(),
        at=one.copy(),
        swept=one.copy(),
        value=values.copy(),
        later=values.copy(),
        found=pairs.copy(),
        eps=np.zeros(1),
        span=np.full(1, np.inf),
        sweeps_max=np.full(1, SWEEPS_MAX),
    )


@kernel
def begin(plan: Plan, eps: float, span: float, sweeps_max: int) -> None:
    """Begin a plan from the values of the one before, to be finished by `sweep`."""
    plan.eps[0] = eps
    plan.span[0] = span
    plan.sweeps_max[0] = sweeps_max
    plan.swept[0] = 0
    plan.at[0] = 0
    plan.stage[0] = SWEEPING


@kernel
def greedy(q: Array, available: Array) -> int:
    """Return the available action of the largest q, float64[A]; of those within 1e-12 the lowest."""
    best = -math.inf
    action = -1
    for a in range(len(available)):
        if available[a] and (action < 0 or q[a] > best + TIE):
            best = q[a]
            action = a
    return action


@routine
def sweep(plan: Plan, model: Model, work: int) -> int:
    """Sweep on for `work` multiply-adds, or until the plan is finished. Return what is left of the work, 0 if nothing.

    A state is never left half done, so somewhat more may be done. The model must be the same until the plan is idle.
    """
    states = len(model.reward)
    while plan.stage[0] == SWEEPING and work > 0:
        if plan.at[0] == 0:
            work -= begin_sweep(plan, model)
        work -= sweep_state(plan, model, plan.at[0])
        plan.at[0] += 1
        if plan.at[0] == states:
            end_sweep(plan, model)
    return max(work, 0)


@kernel
def begin_sweep(plan: Plan, model: Model) -> int:
    """Find what the end of a unit is worth, and let the laws get ready. Return the work."""
    states = len(model.begin)
    mean = 0.0
    for s in range(states):
        mean += model.begin[s] * plan.value[s]
    plan.value[states] = mean
    return states + arrange(model.laws, plan.value)


@kernel
def sweep_state(plan: Plan, model: Model, s: int) -> int:
    """Sweep over the actions of a state. Return the work."""
    work = 0
    best = -math.inf
    for a in range(model.open.shape[1]):
        found = model.reward[s, a] + TAU * outlook(model.laws, s, a, plan.value)
        plan.found[s, a] = found
        if model.open[s, a]:
            best = max(best, found)
        work += effort(model.laws, s, a) + 2
    plan.later[s] = best + (1.0 - TAU) * plan.value[s]
    return work


@kernel
def end_sweep(plan: Plan, model: Model) -> None:
    """Cut what is above the span, see whether the sweeps are at their end, and shift the values to a minimum of 0."""
    states = len(model.reward)
    low = math.inf
    for s in range(states):
        low = min(low, plan.later[s])
    cut = low + plan.span[0] / TAU
    least, most = math.inf, -math.inf
    for s in range(states):
        plan.later[s] = min(plan.later[s], cut)
        change = plan.later[s] - plan.value[s]
        least = min(least, change)
        most = max(most, change)
        plan.value[s] = plan.later[s] - low
    plan.at[0] = 0
    plan.swept[0] += 1
    if most - least < plan.eps[0] or plan.swept[0] >= plan.sweeps_max[0]:
        _finish(plan, model, 0.5 * (least + most))


@kernel
def _finish(plan: Plan, model: Model, gain: float) -> None:
    states = len(model.reward)
    ended = 0.0
    for s in range(states):
        plan.bias[s] = TAU * plan.value[s]
        ended += model.begin[s] * plan.bias[s]
        for a in range(model.reward.shape[1]):
            plan.q[s, a] = plan.found[s, a] - gain
    plan.bias[states] = ended
    plan.gain[0] = gain
    plan.made[0] += 1
    plan.sweeps[0] += plan.swept[0]
    plan.stage[0] = IDLE


class TimeShares(NamedTuple):
    """In which states a policy spends its time, as far as that is found."""

    share: Array  # float64[S] of each state
    later: Array  # float64[S + 1]
    rounds: Array  # int64[1] that were done; -1 once the shares are found
    rounds_max: Array  # int64[1]


def time_shares(states: int) -> TimeShares:
    """Return room for the time shares of policies in a world of S states."""
    return TimeShares(np.zeros(states), np.zeros(states + 1), np.full(1, -1), np.full(1, 400))


@kernel
def begin_shares(shares: TimeShares, start: int, rounds_max: int) -> None:
    """Begin in the state `start`; 400 rounds do where a state is forgotten within a hundred steps."""
    shares.share[:] = 0.0
    shares.share[start] = 1.0
    shares.rounds[0] = 0
    shares.rounds_max[0] = rounds_max


@kernel
def go_on_with_shares(shares: TimeShares) -> None:
    """Begin where the last policy spent its time: that of a policy like it is soon found from there."""
    shares.rounds[0] = 0


@routine
def follow(shares: TimeShares, action: Array, begin: Array, laws: Any, work: int) -> int:
    """Follow the policy `action`, int64[S], for `work` multiply-adds, or until its time shares are found.

    Power iteration of (I + P) / 2, until no share moves by 1e-9 or the rounds are over. `begin` float64[S] is the law
    of the states in which units begin, `laws` are Transitions. Return what is left of the work, 0 if nothing.
    """
    while shares.rounds[0] >= 0 and work > 0:
        states = len(shares.share)
        for s in range(states + 1):
            shares.later[s] = 0.0
        for s in range(states):
            if shares.share[s] > 0.0:
                work -= _spread(shares, s, action[s], laws)
        moved = 0.0
        for s in range(states):
            now = 0.5 * (shares.share[s] + shares.later[s] + begin[s] * shares.later[states])
            moved = max(moved, abs(now - shares.share[s]))
            shares.share[s] = now
        work -= 3 * states
        shares.rounds[0] += 1
        if moved < 1e-9 or shares.rounds[0] >= shares.rounds_max[0]:
            shares.rounds[0] = -1
    return max(work, 0)


@kernel
def _spread(shares: TimeShares, s: int, a: int, laws: Any) -> int:
    """Send the share of a state to those that come next."""
    for i in range(laws.successors[s, a]):
        shares.later[laws.successor[s, a, i]] += shares.share[s] * laws.chance[s, a, i]
    return laws.successors[s, a]


@kernel
def mean_reward(shares: TimeShares, action: Array, reward: Array) -> float:
    """Return what a policy earns a step by its time shares."""
    total = 0.0
    for s in range(len(shares.share)):
        total += shares.share[s] * reward[s, action[s]]
    return total
