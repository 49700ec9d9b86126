"""Log-barrier mirror descent with hints: arms whose losses can be foreseen in part cost what was not foreseen.

Source: Wei, Luo, "More adaptive algorithms for adversarial bandits", COLT 2018; the common hint is that of Bubeck, Li,
Luo, Wei, "Improved path-length regret bounds for bandits", COLT 2019. The loss is reward_max - reward, in [0, 1], or
what the reward lacks to the highest as a part of the range that is declared (what lies outside is clipped).
With weights w', the hint m of every arm's loss and D the distance of the barrier
sum ln(1 / w) / eta: w = argmin <w, m> + D(w, w'). The arm is drawn from w; its loss l makes the estimate
m + (l - m) / propensity (for the others m), and w' moves to argmin <w, estimate + a> + D(w, w'), where a is
correction eta (l - m)^2 / propensity for the arm played.
For a = 0 and a fixed eta: regret <= K ln T / eta + 3 eta Q + O(1) in expectation, Q the sum of (l - m)^2 of what was
played. eta_t = min(1 / 2, sqrt(K ln(K t) / (1 + Q))) needs no horizon and follows Q: large where the hints are good.
Departs from the papers: their proofs want eta <= 1 / 162, at which little is learned for thousands of decisions, and a
correction of 6 for bounds by the losses of the best arm; 1 / 2 and 0 are measured, not proven, and so is eta_t.
With the common hint no play is added to the arm just drawn. A hint that is the same for all arms leaves w = w'.
State: w', a hint per arm, a count and Q. Cost: O(K) per decision and per feedback (a few passes of Newton's method).
An arm that is not available has probability 0, and the others share its part in proportion to w; its estimate is its
hint. The bounds hold where all arms are available. Late feedback keeps the estimates unbiased: they use the propensity
that was drawn with, and hints of the state that learns, which has not seen that draw.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.draws import UniformBlock, pick, uniform_block, uniform_from
from ...engine.elementary import log
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.rewards import lack_of, range_up_to
from ...engine.vectors.constants import as_given, given_or
from ...engine.vocabulary import (
    NO_CONTEXT,
    Array,
    Constant,
    Decision,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
    RewardRange,
)

ARM, COMMON, ZERO, CONTEXT = 0, 1, 2, 3
HINTS = ("arm", "common", "zero", "context")
_ETA_MAX = (
    0.5  # measured: of .1 to .5 the best under a level that moves, and where losses are noise Q lowers eta in time
)
_PASSES_MAX = 100  # of Newton's method, which takes 2 to 8
_PROPENSITY_MIN = 1e-12  # a smaller one, as a foreign log may hold, counts as this: one reward must not spoil a state


class LogBarrierOmdParams(NamedTuple):
    """Numbers fixed at creation."""

    eta: float  # > 0; 0 where it follows what was not foreseen
    hint: int
    correction: float  # >= 0
    rewards: RewardRange  # losses are parts of it


class LogBarrierOmdState(NamedTuple):
    """Arrays that `update` writes, and working space."""

    weight: Array  # float64[k] w', which add up to 1
    last: Array  # float64[k] the last loss seen on each arm, or on any where the hint is common; 0 before the first
    count: Array  # int64[1] feedbacks learned
    wrong: Array  # float64[1] Q
    scratch_loss: Array  # float64[k] what a step is taken along
    scratch_law: Array  # float64[k]
    scratch_uniform: UniformBlock


def log_barrier_omd(
    eta: float | None = None, hint: str = "arm", correction: float = 0.0, reward_max: float = 1.0
) -> Policy:
    """Draw an arm from weights that a barrier keeps off 0, and that lean towards what is foreseen.

    `eta` is the step; without it, it follows from how far the hints were off. `hint` of an arm's loss: "arm", the last
    one seen on it; "common", the last one seen on any; "zero"; or "context", a context that forecasts the reward of
    each arm (float64[k]) or of all (float64[1]). `reward_max` is the largest reward, the least is 1 below it; where a
    range of rewards is declared it is left out.
    """
    if hint not in HINTS:
        raise InvalidInput("bad_param", f"hint is {as_seen(hint)}: it must be one of {', '.join(HINTS)}")
    params = LogBarrierOmdParams(
        0.0 if eta is None else check_param("eta", eta, low=1e-100, high=1.0),
        HINTS.index(hint),
        check_param("correction", correction, low=0.0, high=1e6),
        range_up_to(reward_max),
    )
    return Policy("log_barrier_omd", params, init, contexts=NO_CONTEXT, constants=constants, divides=True)


def init(params: LogBarrierOmdParams, problem: Problem) -> LogBarrierOmdState:
    """Return the state before any feedback: uniform. Raises `InvalidInput` where a context cannot be a forecast."""
    k = problem.n_arms
    if params.hint == CONTEXT and problem.context_shape not in ((k,), (1,)):
        raise InvalidInput(
            "policy_does_not_fit",
            f"the hint is the context, and contexts have the shape {list(problem.context_shape)}: a forecast has "
            f"[{k}], a number for each arm, or [1]; give such contexts, or take another hint",
        )
    count, wrong = np.zeros(1, np.int64), np.zeros(1)
    return LogBarrierOmdState(np.full(k, 1.0 / k), np.zeros(k), count, wrong, np.zeros(k), np.zeros(k), uniform_block())


def constants(params: LogBarrierOmdParams, state: LogBarrierOmdState) -> dict[str, Constant]:
    """Return eta of the next decision and the largest reward, and where they are from."""
    k, t, q = len(state.weight), int(state.count[0]), float(state.wrong[0])
    eta = min(_ETA_MAX, math.sqrt(k * math.log(k * (t + 2.0)) / (1.0 + q)))
    return {"eta": given_or(params.eta, eta), "reward_max": as_given(params.rewards.high)}


@kernel
def select(params: LogBarrierOmdParams, state: LogBarrierOmdState, instance: Instance, key: Key) -> Decision:
    """Draw an arm from the law."""
    total = _weigh(params, state, instance)
    action = pick(state.scratch_law, uniform_from(state.scratch_uniform, key) * total)
    return Decision(action, state.scratch_law[action] / total)


@kernel
def update(
    params: LogBarrierOmdParams,
    state: LogBarrierOmdState,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Step along the estimated losses, and remember the loss as a hint."""
    arm, propensity = decision.action, max(decision.propensity, _PROPENSITY_MIN)
    loss = _loss(params, feedback.reward)
    eta = _step(params, state)
    _expect(params, state, instance)
    wrong = loss - state.scratch_loss[arm]
    state.scratch_loss[arm] += (wrong + params.correction * eta * wrong * wrong) / propensity
    barrier_step(eta, state.weight, state.scratch_loss, state.weight)
    state.last[arm] = loss
    if params.hint == COMMON:
        for a in range(len(state.last)):
            state.last[a] = loss
    state.count[0] += 1
    state.wrong[0] += wrong * wrong


@kernel
def probability(params: LogBarrierOmdParams, state: LogBarrierOmdState, instance: Instance, action: int) -> float:
    """Return the probability of the arm in the law of `select`."""
    total = _weigh(params, state, instance)
    return state.scratch_law[action] / total


@kernel
def barrier_step(eta: float, weight: Array, loss: Array, out: Array) -> None:
    """Write argmin <w, loss> + D(w, weight) into `out`, float64[k], which may be `weight`. Overwrites `loss`.

    1 / w = 1 / weight + eta (loss - nu), where nu makes them add up to 1: their sum is convex in nu and rises. Newton's
    method therefore falls towards the root from any nu above it, and passes neither it nor a pole. It begins at the
    least of the largest loss and of those nu at which some weight alone is 1; all is counted from the lowest loss on.
    """
    k = len(weight)
    lowest, highest = math.inf, -math.inf
    for a in range(k):
        lowest = min(lowest, loss[a])
        highest = max(highest, loss[a])
    nu = highest - lowest
    for a in range(k):
        loss[a] -= lowest
        nu = min(nu, loss[a] + (1.0 / weight[a] - 1.0) / eta)
    total = 1.0
    for _ in range(_PASSES_MAX):
        total, slope = 0.0, 0.0
        for a in range(k):
            w = 1.0 / (1.0 / weight[a] + eta * (loss[a] - nu))
            total += w
            slope += w * w
        following = nu - (total - 1.0) / (eta * slope)
        if not following < nu:
            break
        nu = following
    for a in range(k):
        out[a] = 1.0 / (1.0 / weight[a] + eta * (loss[a] - nu)) / total


@kernel
def _weigh(params: LogBarrierOmdParams, state: LogBarrierOmdState, instance: Instance) -> float:
    """Write the law but for a factor, and return its sum."""
    law = state.scratch_law
    _expect(params, state, instance)
    same = True
    for a in range(len(law)):
        same &= state.scratch_loss[a] == state.scratch_loss[0]
        law[a] = state.weight[a]
    if not same:
        barrier_step(_step(params, state), state.weight, state.scratch_loss, law)
    total = 0.0
    for a in range(len(law)):
        law[a] = law[a] if instance.available[a] else 0.0
        total += law[a]
    return total


@kernel
def _step(params: LogBarrierOmdParams, state: LogBarrierOmdState) -> float:
    """Return eta of the next decision."""
    if params.eta > 0.0:
        return params.eta
    k = float(len(state.weight))
    return min(_ETA_MAX, math.sqrt(k * log(k * (state.count[0] + 2.0)) / (1.0 + state.wrong[0])))


@kernel
def _expect(params: LogBarrierOmdParams, state: LogBarrierOmdState, instance: Instance) -> None:
    """Write the hint of every arm's loss."""
    for a in range(len(state.last)):
        if params.hint == CONTEXT:
            forecast = instance.context[a if len(instance.context) > 1 else 0]
            state.scratch_loss[a] = _loss(params, forecast)
        else:
            state.scratch_loss[a] = 0.0 if params.hint == ZERO else state.last[a]


@kernel
def _loss(params: LogBarrierOmdParams, reward: float) -> float:
    return min(max(lack_of(params.rewards, reward), 0.0), 1.0)


register_policy(LogBarrierOmdParams, select=select, update=update, probability=probability)
