"""The plan of LOOP in a mixture: the largest gain of all thetas that are believed.

J(theta) is the gain of the best policy at theta. Where that policy spends the share mu(s) of its time in s, the slope
of J in theta_i is the sum of mu(s) f_i(s, a), f_i the mean in part i of the plan's own values (envelope theorem). A
step goes as far along the slope as the ellipsoid allows, theta = estimate + sqrt(beta) Sigma^-1 g / |g| in the norm of
Sigma^-1, then to the nearest point of the simplex, and where that lies outside of the ellipsoid back on the line to the
estimate. The search may end in a local optimum: it begins at the estimate, and on the way from there to each corner as
far as the ellipsoid goes, and keeps the best that it saw.
Nothing is allocated; `search` stops once it has done the multiply-adds that it may, and goes on in the next call.
Cost: 1 + d starts of 2 to 10 plans (`planning.py`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import copy_numbers
from ..kernel import kernel, routine
from ..vectors.projection import to_simplex
from ..vocabulary import Array
from .mixture import Mixture, Regression, write_features, write_laws
from .planning import (
    IDLE,
    Model,
    Plan,
    TimeShares,
    begin,
    begin_shares,
    follow,
    greedy,
    no_plan,
    sweep,
    time_shares,
)
from .transitions import transitions

ROUNDS_MAX = 10
SWEEPS_MAX = 2000  # of a plan: a theta at which it does not settle makes several worlds of one
SHARES_ROUNDS = 400
WRITING, SWEEPING_ON, FOLLOWING, ENDED = range(4)  # the stages


class Search(NamedTuple):
    """A plan over thetas, and how far it is."""

    model: Model  # at the theta in hand
    plan: Plan
    shares: TimeShares
    theta: Array  # float64[d] in hand
    best: Array  # float64[d] the theta of the largest gain so far; at the end the model's and the plan's
    best_gain: Array  # float64[1]
    last_gain: Array  # float64[1]
    slope: Array  # float64[d]
    scratch_part: Array  # float64[d]
    action: Array  # int64[S]
    place: Array  # int64[1] the state in which time begins
    at: Array  # int64[1] the next state to be written
    start: Array  # int64[1] 0 the estimate, 1 + i towards corner i, 1 + d the last plan
    rounds: Array  # int64[1]
    stage: Array  # int64[1]
    eps: Array  # float64[1]
    beta: Array  # float64[1]


def no_search(mixture: Mixture) -> Search:
    """Return room for the plans in a mixture."""
    states, n_arms = mixture.reward.shape
    d = mixture.chance.shape[3]
    one = np.zeros(1, np.int64)
    return Search(
        model=Model(
            mixture.reward.copy(),
            np.ones((states, n_arms), np.bool_),
            np.zeros(states),
            transitions(states, n_arms),
        ),
        plan=no_plan(states, n_arms),
        shares=time_shares(states),
        theta=np.full(d, 1.0 / d),
        best=np.full(d, 1.0 / d),
        best_gain=np.zeros(1),
        last_gain=np.zeros(1),
        slope=np.zeros(d),
        scratch_part=np.zeros(d),
        action=np.zeros(states, np.int64),
        place=one.copy(),
        at=one.copy(),
        start=one.copy(),
        rounds=one.copy(),
        stage=np.full(1, ENDED),
        eps=np.zeros(1),
        beta=np.zeros(1),
    )


@kernel
def begin_search(found: Search, known: Regression, beta: float, eps: float) -> None:
    """Begin a search in the ellipsoid of beta around what is known, to be ended by `search`."""
    found.beta[0] = beta
    found.eps[0] = eps
    found.best_gain[0] = -math.inf
    _begin_start(found, known, 0)


@routine
def search(found: Search, mixture: Mixture, known: Regression, work: int) -> int:
    """Search for `work` multiply-adds, or to the end. Return what is left of the work, 0 if nothing.

    At the end the plan, its model and `best` are those of the best theta. `known` must be the same until then.
    """
    states = len(found.action)
    while found.stage[0] != ENDED and work > 0:
        if found.stage[0] == WRITING:
            while found.at[0] < states and work > 0:
                work -= write_laws(mixture, found.at[0], found.theta, found.model.laws)
                found.at[0] += 1
            if found.at[0] == states:
                begin(found.plan, found.eps[0], math.inf, SWEEPS_MAX)
                found.stage[0] = SWEEPING_ON
        elif found.stage[0] == SWEEPING_ON:
            work = sweep(found.plan, found.model, work)
            if found.plan.stage[0] == IDLE:
                _planned(found)
        else:
            work = follow(found.shares, found.action, found.model.begin, found.model.laws, work)
            if found.shares.rounds[0] < 0:
                work -= _judge(found, mixture, known)
    return max(work, 0)


@kernel
def _planned(found: Search) -> None:
    """Go on to the time shares of the plan's policy, or to the end."""
    if found.start[0] > len(found.theta):
        found.stage[0] = ENDED
    else:
        for s in range(len(found.action)):
            found.action[s] = greedy(found.plan.q[s], found.model.open[s])
        begin_shares(found.shares, found.place[0], SHARES_ROUNDS)
        found.stage[0] = FOLLOWING


@kernel
def _judge(found: Search, mixture: Mixture, known: Regression) -> int:
    """Keep the theta in hand if it is the best; step up its slope, or begin anew. Return the work."""
    d, gain = len(found.theta), found.plan.gain[0]
    if gain > found.best_gain[0]:
        found.best_gain[0] = gain
        copy_numbers(found.theta, found.best)
    settled = found.rounds[0] > 0 and gain <= found.last_gain[0] + 0.5 * found.eps[0]
    if settled or found.rounds[0] >= ROUNDS_MAX:
        _begin_start(found, known, found.start[0] + 1)
        return d
    found.last_gain[0] = gain
    found.rounds[0] += 1
    for i in range(d):
        found.slope[i] = 0.0
    work = 0
    for s in range(len(found.action)):
        work += write_features(mixture, s, found.action[s], found.plan.bias, found.scratch_part)
        for i in range(d):
            found.slope[i] += found.shares.share[s] * found.scratch_part[i]
    _step(found, known)
    _begin_writing(found)
    return work + 4 * d * d


@kernel
def _step(found: Search, known: Regression) -> None:
    """Go from the estimate along the slope, less its mean, as far as is believed."""
    d, up = len(found.theta), found.scratch_part
    mean = 0.0
    for i in range(d):
        mean += found.slope[i] / d
    length = 0.0
    for i in range(d):
        up[i] = 0.0
        for j in range(d):
            up[i] += known.inverse[i, j] * (found.slope[j] - mean)
        length += up[i] * (found.slope[i] - mean)
    far = math.sqrt(found.beta[0] / length) if length > 0.0 else 0.0
    for i in range(d):
        found.theta[i] = known.theta[i] + far * up[i]
    to_simplex(1.0, found.theta)
    _pull_back(found, known)


@kernel
def _pull_back(found: Search, known: Regression) -> None:
    """Move the theta in hand on the line to the estimate into the ellipsoid, where it is outside."""
    d = len(found.theta)
    square = 0.0
    for i in range(d):
        for j in range(d):
            off = (found.theta[i] - known.theta[i]) * (found.theta[j] - known.theta[j])
            square += known.sigma[i, j] * off
    if square > found.beta[0]:
        part = math.sqrt(found.beta[0] / square)
        for i in range(d):
            found.theta[i] = known.theta[i] + part * (found.theta[i] - known.theta[i])


@kernel
def _begin_start(found: Search, known: Regression, start: int) -> None:
    """Begin at the estimate, towards a corner, or at last with the best theta."""
    d = len(found.theta)
    found.start[0] = start
    found.rounds[0] = 0
    found.last_gain[0] = -math.inf
    for i in range(d):
        if start > d:
            found.theta[i] = found.best[i]
        elif start > 0:
            found.theta[i] = 1.0 if i == start - 1 else 0.0
        else:
            found.theta[i] = known.theta[i]
    if 0 < start <= d:
        _pull_back(found, known)
    _begin_writing(found)


@kernel
def _begin_writing(found: Search) -> None:
    found.at[0] = 0
    found.stage[0] = WRITING
