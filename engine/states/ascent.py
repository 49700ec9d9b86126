"""The plan of LOOP: the largest gain of a policy whose rewards have bonuses that share one budget.

What is held of a world is a mean reward and a law for each pair of a state and an action. A hypothesis gives each pair
a bonus b on its reward, and those within the budget,

    sum over pairs of W b^2 <= beta,   W = N / v,

are believed, and no W b^2 above a cap where pairs have caps; N is how often the pair was learned, v the variance of
what it earns (`noise.py`). For a policy that spends the share mu(s) of its time in the state s, the best bonuses and
its gain are

    b(s, a) = lambda mu(s) / W(s, a),   J = mean reward + sqrt(beta sum of mu^2 / W),   lambda = sqrt(beta / that sum),

where a is what it decides in s, and 0 elsewhere. The best policy of all is found by ascent: plan with some bonuses, see
where the plan's policy spends its time, move the bonuses there, and plan again. With W as they are the gain never
falls, since the gain of each policy is convex in b; it settles in a few rounds, in what optimum depends on where it
starts. So there are several starts, and the best end is kept: no bonus; every pair at its full width sqrt(beta / W);
the budget shared evenly, b in proportion to 1 / W; and pairs that have the whole budget. Of these the 16 of the largest
widths are planned with once, coarsely, and the 4 of the largest gains ascend. Of 90 small worlds and budgets whose
policies were all tried it finds the best in 88; 89 with 64 and 8, which take three times as long.

A cut at the span takes nothing from what the plan's policy gains: there the cut values fall short of what the policy
earns, so that it gains at least what the plan says, up to eps.
Where v is what was seen, it depends on the values of the plan itself: each round weighs anew by the values of the last.
A pair that was never tried is heaven: it pays 1 and stays, without a bonus. Where the best policy without bonuses comes
to heaven nothing is better, and no bonus is looked at.
Nothing is allocated; `ascend` stops once it has done the multiply-adds that it may, and goes on in the next call.
A policy is followed once: where the next round has the same one its time shares are known, and an ascent that comes to
a policy at which another start's ended ends too. Between sweeps over all actions are some over the policy alone
(`policy_sweeps.py`), and time shares go on from those of the policy before.
Cost: some 30 plans of 3 to 20 sweeps each and 6 times as many over one action a state, and 10 time shares.
Source: He, Zhong, Yang, "Sample-efficient learning of infinite-horizon average-reward MDPs with general function
approximation", ICLR 2024: the set. That it is a budget of bonuses, and the ascent, are our own.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array
from .noise import variance_of
from .planning import (
    IDLE,
    SWEEPS_MAX,
    Model,
    Plan,
    TimeShares,
    begin,
    begin_shares,
    follow,
    go_on_with_shares,
    greedy,
    mean_reward,
    no_plan,
    time_shares,
)
from .policy_sweeps import PolicySweeps, policy_sweeps, sweep_with_policy
from .transitions import append, clear, mean_after, transitions

ROUNDS_MAX = 10  # of one ascent
SHARES_ROUNDS = 400
PROBES_MAX, CLIMBS_MAX = 16, 4  # pairs with the whole budget that are planned with, and that ascend
COARSE = 10.0  # by how much earlier their sweeps end
REACHED = 1e-3  # the share of time on pairs that were never tried which says that a policy comes to one
ZERO, FULL, EVEN, PAIR = range(4)  # the starts
PROBING, CLIMBING, FOLLOWING, ENDING, ENDED = range(5)  # the stages


class Believed(NamedTuple):
    """What the plan is made of: to be written before it begins."""

    visits: Array  # float64[S, A] N
    reward: Array  # float64[S, A] mean rewards; 1 of pairs that were never tried
    noise: Any  # how much outcomes vary
    value: Array  # float64[S + 1] by which outcomes are weighed at first
    cap: Array  # float64[S, A] W b^2 of a pair at most; inf for any
    beta: Array  # float64[1] the budget


class Ascent(NamedTuple):
    """A plan with bonuses, and how far it is."""

    believed: Believed
    model: Model  # its rewards are those that are believed, with the bonuses in hand; its laws and what is open as seen
    plan: Plan
    policy_sweeps: PolicySweeps  # of its sweeps
    shares: TimeShares
    met: Array  # bool[S] states in which something was learned
    place: Array  # int64[1] the state in which time begins
    weight: Array  # float64[S, A] W by the values of the last round
    first_weight: Array  # float64[S, A] W by the values with which the plan begins
    action: Array  # int64[S] of the plan's policy
    probe: Array  # float64[S, A] gain of a pair that has the whole budget; inf before, -inf after its ascent
    best_bonus: Array  # float64[S, A] of the best end so far
    best_gain: Array  # float64[1]
    last_gain: Array  # float64[1] of the round before
    start: Array  # int64[1] ZERO, FULL, EVEN, or PAIR + number of the pair
    ends: Array  # int64[7, S] policies at which ascents of this plan ended
    counts: Array  # int64[4] rounds of this ascent; probes, ascents from pairs, and ends, of this plan
    stage: Array  # int64[1]
    eps: Array  # float64[1]
    span: Array  # float64[1]
    bare_span: Array  # float64[1] how far the values of states that were met lie apart where no pair has a bonus


def no_ascent(states: int, n_arms: int, noise: Any) -> Ascent:
    """Return room for the plans of a world of S states and A actions, and such a noise."""
    pairs, one = (states, n_arms), np.zeros(1, np.int64)
    model = Model(np.zeros(pairs), np.ones(pairs, np.bool_), np.zeros(states), transitions(states, n_arms))
    return Ascent(
        believed=Believed(
            np.zeros(pairs), np.ones(pairs), noise, np.zeros(states + 1), np.full(pairs, np.inf), np.zeros(1)
        ),
        model=model,
        plan=no_plan(states, n_arms),
        policy_sweeps=policy_sweeps(states),
        shares=time_shares(states),
        met=np.zeros(states, np.bool_),
        place=one.copy(),
        weight=np.zeros(pairs),
        first_weight=np.zeros(pairs),
        action=np.zeros(states, np.int64),
        probe=np.zeros(pairs),
        best_bonus=np.zeros(pairs),
        best_gain=np.zeros(1),
        last_gain=np.zeros(1),
        start=one.copy(),
        ends=np.zeros((PAIR + CLIMBS_MAX, states), np.int64),
        counts=np.zeros(4, np.int64),
        stage=np.full(1, ENDED),
        eps=np.zeros(1),
        span=np.full(1, np.inf),
        bare_span=np.zeros(1),
    )


@kernel
def begin_ascent(up: Ascent, eps: float, span: float) -> None:
    """Begin a plan in what was written of the world, to be ended by `ascend`.

    Pairs that were never tried become heaven: a state that was never met stays and pays the most; one to which nothing
    leads goes to the place at once, so that it changes nothing.
    """
    states, n_arms = up.weight.shape
    up.eps[0] = eps
    up.span[0] = span
    up.best_gain[0] = -math.inf
    up.counts[1] = 0
    up.counts[2] = 0
    up.counts[3] = 0
    _weigh(up, up.believed.value)
    for s in range(states):
        for a in range(n_arms):
            up.first_weight[s, a] = up.weight[s, a]
            up.best_bonus[s, a] = 0.0
            up.probe[s, a] = math.inf if up.met[s] and up.model.open[s, a] and up.weight[s, a] > 0.0 else -math.inf
            if up.weight[s, a] == 0.0:
                clear(up.model.laws, s, a)
                append(up.model.laws, s, a, s, 1.0)
    up.shares.share[:] = 0.0
    for s in range(states):
        for a in range(n_arms):
            for i in range(up.model.laws.successors[s, a]):
                after = up.model.laws.successor[s, a, i]
                if after < states and (after != s or up.met[s]):
                    up.shares.share[after] = 1.0
    for s in range(states):
        if up.shares.share[s] == 0.0 and not up.met[s]:
            for a in range(n_arms):
                clear(up.model.laws, s, a)
                append(up.model.laws, s, a, up.place[0], 1.0)
    _begin_start(up, ZERO, CLIMBING)


@routine
def ascend(up: Ascent, work: int) -> int:
    """Ascend for `work` multiply-adds, or to the end. Return what is left of the work, 0 if nothing.

    At the end the plan is that of the best bonuses. What is begun is not left half done, so somewhat more may be done.
    """
    while up.stage[0] != ENDED and work > 0:
        if up.stage[0] == FOLLOWING:
            work = follow(up.shares, up.action, up.model.begin, up.model.laws, work)
            if up.shares.rounds[0] < 0:
                work -= _judge(up, False)
        else:
            work = sweep_with_policy(up.plan, up.model, up.policy_sweeps, work)
            if up.plan.stage[0] == IDLE:
                work -= _go_on(up)
    return max(work, 0)


@kernel
def _go_on(up: Ascent) -> int:
    """Go on from a plan that was made. Return the work."""
    states, n_arms = up.weight.shape
    if up.stage[0] == ENDING:
        _weigh(up, up.plan.bias)
        up.stage[0] = ENDED
    elif up.stage[0] == PROBING:
        number = up.start[0] - PAIR
        up.probe[number // n_arms, number % n_arms] = up.plan.gain[0]
        _next_start(up)
    else:
        return 4 * states * n_arms + _take_policy(up)
    return 4 * states * n_arms


@kernel
def _take_policy(up: Ascent) -> int:
    """Follow the plan's policy, but where it is that of the round before, or the end of another start. Return the work.

    Where time is spent by the policy before is where following the next one begins.
    """
    is_first = up.start[0] == ZERO and up.counts[0] == 0
    if is_first:
        up.bare_span[0] = _span_met(up)
    is_same = up.counts[0] > 0
    for s in range(len(up.action)):
        a = greedy(up.plan.q[s], up.model.open[s])
        is_same = is_same and a == up.action[s]
        up.action[s] = a
    if is_same:
        return _judge(up, True)
    if _is_end(up):
        _next_start(up)
        return up.ends.size
    if is_first:
        begin_shares(up.shares, up.place[0], SHARES_ROUNDS)
    else:
        go_on_with_shares(up.shares)
    up.stage[0] = FOLLOWING
    return up.ends.size


@kernel
def _span_met(up: Ascent) -> float:
    """Return how far the plan's values of states that were met lie apart."""
    low, high = math.inf, -math.inf
    for s in range(len(up.met)):
        if up.met[s]:
            low = min(low, up.plan.bias[s])
            high = max(high, up.plan.bias[s])
    return max(high - low, 0.0)


@kernel
def _is_end(up: Ascent) -> bool:
    """Tell whether the ascent from another start ended at the policy in hand."""
    for i in range(up.counts[3]):
        is_same = True
        for s in range(len(up.action)):
            is_same = is_same and up.ends[i, s] == up.action[s]
        if is_same:
            return True
    return False


@routine
def _judge(up: Ascent, is_same: bool) -> int:
    """Keep the bonuses in hand if they are the best; move them to where time is spent, or start anew. Return the work.

    Weighed by the plan's own values they may take more than the budget, or less: so many times as much is believed.
    Where the policy is that of the round before, `is_same`, values alone move on, which is worth it for the best only.
    """
    states, n_arms = up.weight.shape
    if up.start[0] == ZERO and up.counts[0] == 0 and _comes_to_heaven(up):
        _begin_plan(up, ENDING)
        return states
    _weigh(up, up.plan.bias)
    scale = _affordable(up)
    bare = mean_reward(up.shares, up.action, up.believed.reward)
    gain = bare + scale * (up.plan.gain[0] - bare)
    if up.start[0] == FULL and up.counts[0] == 0:
        gain = -math.inf  # no bonuses within the budget
    is_best = gain > up.best_gain[0]
    if is_best:
        _keep(up, gain, scale)
    settled = up.counts[0] > 0 and (gain <= up.last_gain[0] + 0.5 * up.eps[0] or (is_same and not is_best))
    if settled or up.counts[0] >= ROUNDS_MAX:
        for s in range(states):
            up.ends[up.counts[3], s] = up.action[s]
        up.counts[3] += 1
        _next_start(up)
    else:
        up.last_gain[0] = gain
        up.counts[0] += 1
        _move_bonuses(up)
        _begin_plan(up, CLIMBING)
    return 8 * states * n_arms + up.model.laws.successors.size


@kernel
def _comes_to_heaven(up: Ascent) -> bool:
    share = 0.0
    for s in range(len(up.action)):
        if up.weight[s, up.action[s]] == 0.0:
            share += up.shares.share[s]
    return share > REACHED


@kernel
def _weigh(up: Ascent, value: Array) -> None:
    """Write W by the variances of these values, float64[S + 1]."""
    states, n_arms = up.weight.shape
    laws = up.model.laws
    for s in range(states):
        for a in range(n_arms):
            visits = up.believed.visits[s, a]
            up.weight[s, a] = 0.0
            if visits > 0.0:
                mean = mean_after(laws, s, a, value)
                spread = 0.0
                for i in range(laws.successors[s, a]):
                    off = value[laws.successor[s, a, i]] - mean
                    spread += laws.chance[s, a, i] * off * off
                up.weight[s, a] = visits / variance_of(up.believed.noise, s, a, visits, spread)


@kernel
def _affordable(up: Ascent) -> float:
    """Return how many times the bonuses in hand the budget and the caps allow."""
    taken, most = 0.0, math.inf
    for s in range(up.weight.shape[0]):
        for a in range(up.weight.shape[1]):
            bonus = up.model.reward[s, a] - up.believed.reward[s, a]
            cost = up.weight[s, a] * bonus * bonus
            if cost > 0.0:
                taken += cost
                most = min(most, up.believed.cap[s, a] / cost)
    return math.sqrt(min(most, up.believed.beta[0] / taken)) if taken > 0.0 else 1.0


@kernel
def _keep(up: Ascent, gain: float, scale: float) -> None:
    up.best_gain[0] = gain
    for s in range(up.weight.shape[0]):
        for a in range(up.weight.shape[1]):
            if up.weight[s, a] > 0.0:
                up.best_bonus[s, a] = scale * (up.model.reward[s, a] - up.believed.reward[s, a])


@routine
def _next_start(up: Ascent) -> None:
    """Begin with the next start: further pairs, then the most hopeful of these. At last plan with the best end."""
    states, n_arms = up.weight.shape
    if up.start[0] < EVEN:
        _begin_start(up, up.start[0] + 1, CLIMBING)
        return
    number = -1
    if up.counts[1] < PROBES_MAX:
        number = _widest(up)
        if number >= 0:
            up.counts[1] += 1
            _begin_start(up, PAIR + number, PROBING)
            return
    if up.counts[2] < CLIMBS_MAX:
        number = _most_hopeful(up)
        if number >= 0:
            up.counts[2] += 1
            up.probe[number // n_arms, number % n_arms] = -math.inf
            _begin_start(up, PAIR + number, CLIMBING)
            return
    for s in range(states):
        for a in range(n_arms):
            up.model.reward[s, a] = up.believed.reward[s, a] + up.best_bonus[s, a]
    _begin_plan(up, ENDING)


@kernel
def _widest(up: Ascent) -> int:
    """Return the pair of the least weight that was not planned with yet; -1 where there is none."""
    found, least = -1, math.inf
    for s in range(up.weight.shape[0]):
        for a in range(up.weight.shape[1]):
            if up.probe[s, a] == math.inf and up.first_weight[s, a] < least:
                found, least = s * up.weight.shape[1] + a, up.first_weight[s, a]
    return found


@kernel
def _most_hopeful(up: Ascent) -> int:
    """Return the pair of the largest gain that was planned with and did not ascend; -1 where there is none."""
    found, most = -1, -math.inf
    for s in range(up.weight.shape[0]):
        for a in range(up.weight.shape[1]):
            if most < up.probe[s, a] < math.inf:
                found, most = s * up.weight.shape[1] + a, up.probe[s, a]
    return found


@routine
def _begin_start(up: Ascent, start: int, stage: int) -> None:
    """Write the bonuses of a start, and plan."""
    states, n_arms = up.weight.shape
    up.start[0] = start
    up.counts[0] = 0
    beta = up.believed.beta[0]
    widths = 0.0
    for s in range(states):
        for a in range(n_arms):
            up.weight[s, a] = up.first_weight[s, a]
            if up.weight[s, a] > 0.0:
                widths += 1.0 / up.weight[s, a]
    for s in range(states):
        for a in range(n_arms):
            if start == FULL or start == PAIR + s * n_arms + a:
                _give(up, s, a, math.inf)
            elif start == EVEN and up.weight[s, a] > 0.0:
                _give(up, s, a, math.sqrt(beta / widths) / up.weight[s, a])
            else:
                _give(up, s, a, 0.0)
    _begin_plan(up, stage)


@kernel
def _give(up: Ascent, s: int, a: int, bonus: float) -> None:
    """Write a bonus, but no more than the pair's cap, or the whole budget, allows."""
    up.model.reward[s, a] = up.believed.reward[s, a]
    if up.weight[s, a] > 0.0:
        most = min(up.believed.cap[s, a], up.believed.beta[0])
        up.model.reward[s, a] += min(bonus, math.sqrt(most / up.weight[s, a]))


@kernel
def _begin_plan(up: Ascent, stage: int) -> None:
    """Plan with the bonuses in hand. In states that were never met nothing is less than what is paid elsewhere."""
    states, n_arms = up.weight.shape
    most = 1.0
    for s in range(states):
        if up.met[s]:
            for a in range(n_arms):
                most = max(most, up.model.reward[s, a])
    for s in range(states):
        if not up.met[s]:
            for a in range(n_arms):
                up.model.reward[s, a] = most
    up.stage[0] = stage
    coarse = COARSE if stage == PROBING else 1.0
    up.policy_sweeps.left[0] = 0
    begin(up.plan, coarse * up.eps[0], up.span[0], SWEEPS_MAX)


@kernel
def _move_bonuses(up: Ascent) -> None:
    """Give the policy's pairs the best bonuses that it can have, and none to others."""
    states, n_arms = up.weight.shape
    price = _price(up)
    for s in range(states):
        for a in range(n_arms):
            _give(up, s, a, 0.0)
        a = up.action[s]
        if up.weight[s, a] > 0.0:
            _give(up, s, a, price * up.shares.share[s] / up.weight[s, a])


@kernel
def _price(up: Ascent) -> float:
    """Return the lambda at which the bonuses of the policy take the whole budget, or are all at their caps."""
    total = 0.0
    capped = False
    for s in range(len(up.action)):
        weight, share = up.weight[s, up.action[s]], up.shares.share[s]
        if weight > 0.0:
            total += share * share / weight
            capped = capped or up.believed.cap[s, up.action[s]] < up.believed.beta[0]
    if total <= 0.0:
        return 0.0
    low = math.sqrt(up.believed.beta[0] / total)
    if not capped or _spent(up, low) >= up.believed.beta[0] * (1.0 - 1e-12):
        return low
    high = low
    for _ in range(100):  # at most: then the caps bind, and all is given that can be
        high *= 4.0
        if _spent(up, high) >= up.believed.beta[0]:
            break
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _spent(up, middle) < up.believed.beta[0]:
            low = middle
        else:
            high = middle
    return high


@kernel
def _spent(up: Ascent, price: float) -> float:
    """Return what the bonuses of the policy take of the budget at a lambda."""
    total = 0.0
    for s in range(len(up.action)):
        weight, share = up.weight[s, up.action[s]], up.shares.share[s]
        if weight > 0.0:
            total += min(price * price * share * share / weight, up.believed.cap[s, up.action[s]])
    return total
