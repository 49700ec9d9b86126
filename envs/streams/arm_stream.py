"""Arm stream: a long row of arms that come once each; one can be pulled on arrival, and a few can be stored.

Source: the model of Assadi and Wang, "Exploration with limited memory: streaming algorithms for coin tossing, noisy
comparisons, and multi-armed bandits", STOC 2020, and the instances of Wang, "Tight regret bounds for single-pass
streaming multi-armed bandits", ICML 2023.
State: the means of the arms that are held, O(slots): the mean of an arm is a keyed draw, made when it is read.
Cost: one draw for each batch of pulls, however large, one for each arm that is read, and at the start one more for each
arm, to know the best. Sums of Bernoulli rewards are exact up to 1e10 pulls; beyond, a rounded normal draw, whose error
is below 1e-5 of a standard deviation.

Regret is that of the pulls: each is charged the gap of its arm to the best of all arms of the stream, those that were
not read yet too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.actions import READ
from ...engine.draws import binomial, uniform
from ...engine.draws import normal as draw_normal
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import PULLS_MAX, STREAM_MAX, check_param, check_problem, check_vector
from ...engine.protocol import register_env
from ...engine.vocabulary import Action, Array, Environment, Instance, Key, Problem

KINDS = ("table", "uniform", "clear", "hard", "stair")
TABLE, UNIFORM, CLEAR, HARD, STAIR = range(5)
REWARDS = ("bernoulli", "normal", "two_point")
BERNOULLI, NORMAL, TWO_POINT = range(3)
CLEAR_BEST, CLEAR_MAX = 0.82, 0.8
LOW, HIGH = 0.3, 0.7  # of a stair
EXACT_MAX = 10**10  # pulls
_MEAN = 1 << 21  # index of the draws of means: no reward is drawn up there
_PLACE = 1 << 20  # index of the draw of the best arm's place


class ArmStreamParams(NamedTuple):
    """Numbers fixed at creation."""

    kind: int  # of KINDS
    table: Array  # float64[K], the means in the order of the stream; of other kinds float64[0]
    arms: int  # K
    gap: float  # of the one better arm of `hard`, in eps = (K / T)^(1/3)
    rewards: int  # of REWARDS
    sd: float  # standard deviation of a reward, >= 0; of Bernoulli rewards not used


class ArmStreamState(NamedTuple):
    """What is held, and how far the stream is."""

    mean: Array  # float64[slots + 1], of the arm in each place
    arm: Array  # int64[slots + 1], its number, -1 where there is none
    read: Array  # int64[1], arms that were read
    over: Array  # int64[1], 1 once there was nothing to read
    left: Array  # int64[1], trials that are left
    held: Array  # int64[2], arms held now, the arriving one included, and at the most so far
    special: Array  # int64[1], the place of the one better arm, -1 where there is none
    best: Array  # float64[1], the largest mean of all arms
    eps: Array  # float64[1], (K / T)^(1/3)
    charged: Array  # float64[1], the regret of the last move


def arm_stream(
    arms: int | None = None,
    means: str | list[float] = "uniform",
    gap: float = 1.0,
    rewards: str = "bernoulli",
    sd: float = 0.5,
    slots: int = 8,
) -> Environment:
    """Let `arms` arms come by (1000, or as many as there are means), of which `slots` can be stored.

    `means` are theirs, in order, or how they are drawn: "uniform" on [0, 1]; "clear", one at 0.82 among others that are
    N(0.5, 0.1) cut to [0, 0.8]; "hard", one better by `gap` eps among others at 0.5, with eps = (arms / horizon)^(1/3);
    "stair", rising from 0.3 to 0.7. Rewards are "bernoulli", "normal" with the deviation `sd`, or "two_point": the mean
    plus or minus `sd`.
    """
    table, kind = np.zeros(0), means
    if not isinstance(means, str):
        table, kind = check_vector("means", means), "table"
        if arms is not None and arms != len(table):
            raise InvalidInput("bad_param", f"arms is {arms}, but there are {len(table)} means: leave arms out")
        arms = len(table)
    if kind not in KINDS[1:] and not len(table):
        raise InvalidInput(
            "bad_param", f"means is {as_seen(means)}: it must be a list, or one of {', '.join(KINDS[1:])}"
        )
    arms = 1000 if arms is None else arms
    if isinstance(arms, bool) or not isinstance(arms, int) or not 1 <= arms <= STREAM_MAX:
        raise InvalidInput("bad_param", f"arms is {as_seen(arms)}: it must be a whole number from 1 to 2^53")
    if rewards not in REWARDS:
        raise InvalidInput("bad_param", f"rewards is {as_seen(rewards)}: it must be one of {', '.join(REWARDS)}")
    if rewards == "bernoulli" and len(table) and not (table.min() >= 0.0 and table.max() <= 1.0):
        raise InvalidInput("bad_param", "a mean lies outside of [0, 1]: Bernoulli rewards have means from 0 to 1")
    if isinstance(slots, bool) or not isinstance(slots, int):
        raise InvalidInput("bad_param", f"slots is {as_seen(slots)}: it must be a whole number")
    deviation, distance = check_param("sd", sd, low=0.0), check_param("gap", gap, low=0.0)
    params = ArmStreamParams(KINDS.index(str(kind)), table, arms, distance, REWARDS.index(rewards), deviation)
    problem = Problem(arms, slots=slots)
    check_problem(problem)
    return Environment("arm_stream", params, init, problem, regret_kind="best arm of the whole stream, for each pull")


def init(params: ArmStreamParams, problem: Problem, run: np.uint64) -> ArmStreamState:
    """Return the state before the first arm: all places are empty."""
    places = problem.n_choices - 1
    horizon = problem.horizon or 1
    eps = (params.arms / horizon) ** (1.0 / 3.0)
    if params.kind == HARD and params.rewards == BERNOULLI and 0.5 + params.gap * eps > 1.0:
        raise InvalidInput(
            "bad_horizon",
            f"the better arm would have the mean {0.5 + params.gap * eps:g}: take a smaller gap, or more trials",
        )
    special = int(uniform(Key(run, 0), _PLACE) * params.arms) if params.kind in (CLEAR, HARD) else -1
    state = ArmStreamState(
        mean=np.zeros(places),
        arm=np.full(places, -1),
        read=np.zeros(1, np.int64),
        over=np.zeros(1, np.int64),
        left=np.array([horizon]),
        held=np.zeros(2, np.int64),
        special=np.array([special]),
        best=np.zeros(1),
        eps=np.array([eps]),
        charged=np.zeros(1),
    )
    state.best[0] = _best(params, state, run)
    return state


@kernel
def mean_of(params: ArmStreamParams, state: ArmStreamState, run: np.uint64, arm: int) -> float:
    """Return the mean of an arm of the stream, by its number."""
    if params.kind == TABLE:
        return params.table[arm]
    if params.kind == UNIFORM:
        return uniform(Key(run, arm), _MEAN)
    if params.kind == STAIR:
        return LOW + (HIGH - LOW) * arm / max(params.arms - 1, 1)
    if params.kind == HARD:
        return 0.5 + params.gap * state.eps[0] if arm == state.special[0] else 0.5
    if arm == state.special[0]:
        return CLEAR_BEST
    tries = 0
    mean = -1.0
    while not 0.0 <= mean <= CLEAR_MAX:
        mean = 0.5 + 0.1 * draw_normal(Key(run, arm), _MEAN + tries)
        tries += 1
    return mean


@loop
def _best(params: ArmStreamParams, state: ArmStreamState, run: np.uint64) -> float:
    """Return the largest mean; only means that are drawn at random have to be drawn for it."""
    if params.kind == CLEAR or params.kind == HARD:
        return mean_of(params, state, run, state.special[0])
    if params.kind == STAIR:
        return mean_of(params, state, run, params.arms - 1)
    best = -math.inf
    for arm in range(params.arms):
        best = max(best, mean_of(params, state, run, arm))
    return best


@kernel
def observe(params: ArmStreamParams, state: ArmStreamState, t: int, context: Array, available: Array, key: Key) -> None:
    """Show which places hold an arm, and whether reading is possible."""
    places = len(state.arm)
    for place in range(places):
        available[place] = state.arm[place] >= 0
    available[places] = state.over[0] == 0


@kernel
def respond(
    params: ArmStreamParams, state: ArmStreamState, instance: Instance, action: Action, detail: Array, key: Key
) -> tuple[float, int]:
    """Make the move: pull, as often as trials are left, or store and read."""
    state.charged[0] = 0.0
    detail[0] = 0.0
    detail[1] = -1.0
    if action[0] == READ:
        _read(params, state, action[1], detail, key.run)
        return 0.0, 0
    mean = state.mean[action[1]]
    n = min(action[2], state.left[0], PULLS_MAX)
    state.left[0] -= n
    state.charged[0] = n * (state.best[0] - mean)
    detail[0] = n
    return _sum_of_rewards(params, mean, n, key), 0


@kernel
def _read(params: ArmStreamParams, state: ArmStreamState, slot: int, detail: Array, run: np.uint64) -> None:
    """Store the arm that arrived, or drop it, and let the next one arrive."""
    arrived = len(state.arm) - 1
    if slot < arrived and state.arm[arrived] >= 0:
        state.arm[slot] = state.arm[arrived]
        state.mean[slot] = state.mean[arrived]
    state.arm[arrived] = -1
    if state.read[0] < params.arms:
        state.arm[arrived] = state.read[0]
        state.mean[arrived] = mean_of(params, state, run, state.read[0])
        detail[1] = state.read[0]
        state.read[0] += 1
    else:
        state.over[0] = 1
    held = 0
    for place in range(len(state.arm)):
        held += state.arm[place] >= 0
    state.held[0] = held
    state.held[1] = max(state.held[1], held)


@kernel
def _sum_of_rewards(params: ArmStreamParams, mean: float, n: int, key: Key) -> float:
    """Draw the sum of n rewards."""
    if params.rewards == NORMAL:
        return n * mean + params.sd * math.sqrt(float(n)) * draw_normal(key, 0)
    if params.rewards == TWO_POINT:
        return n * mean + params.sd * (2.0 * _count(key, n, 0.5) - n)
    return _count(key, n, mean)


@kernel
def _count(key: Key, n: int, p: float) -> float:
    """Draw how many of n trials succeed."""
    if n <= EXACT_MAX:
        return float(binomial(key, 0, n, p))
    drawn = np.floor(n * p + math.sqrt(n * p * (1.0 - p)) * draw_normal(key, 0) + 0.5)
    return min(max(drawn, 0.0), float(n))


@kernel
def regret(params: ArmStreamParams, state: ArmStreamState, instance: Instance, action: Action) -> float:
    """Return what the move was charged."""
    return state.charged[0]


register_env(ArmStreamParams, observe=observe, respond=respond, regret=regret)
