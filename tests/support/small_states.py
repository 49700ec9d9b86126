"""Small worlds with states, and what is best in them without sweeps: by linear systems and programmes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog

from onearm.engine.states.balls import Boxes, KlBalls, L1Balls, boxes, kl_balls, l1_balls
from onearm.engine.states.planning import SWEEPING, SWEEPS_MAX, Model, Plan, begin, no_plan, sweep
from onearm.engine.states.transitions import Transitions, transitions_of
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import Array
from onearm.envs import catalog as envs


def river_swim(n: int) -> tuple[Array, Array]:
    """Return the rewards float64[n, 2] and the laws float64[n, 2, n] of a river of n states."""
    law, reward, _ = tables_of(envs.make("river_swim", states=n))
    return reward, law


def random_world(seed: int, states: int, n_arms: int, ends: bool = False) -> tuple[Array, Array]:
    """Return rewards and laws that are mixed with 2 % of the even law; with `ends` units end now and then."""
    rng = np.random.default_rng(seed)
    width = states + ends
    law = rng.dirichlet(np.full(width, 0.3), (states, n_arms))
    return rng.random((states, n_arms)), 0.98 * law + 0.02 / width


def model_of(reward: Array, law: Array, *, opened: Array | None = None, start: Array | None = None) -> Model:
    """Return a known world as a model; units that end begin in the law `start`."""
    states = len(reward)
    opened = np.ones(reward.shape, np.bool_) if opened is None else opened
    return Model(reward, opened, np.zeros(states) if start is None else start, transitions_of(law))


def planned(model: Model, eps: float = 1e-12, span: float = np.inf, work: int = 10**9) -> Plan:
    """Return the finished plan of a model, made in calls of so much work."""
    plan = no_plan(*model.reward.shape)
    begin(plan, eps, span, SWEEPS_MAX)
    while plan.stage[0] == SWEEPING:
        sweep(plan, model, work)
    return plan


def merged(law: Array, start: Array | None) -> Array:
    """Return laws float64[S, A, S] in which whoever ends begins anew at once."""
    states = len(law)
    return law if law.shape[2] == states else law[:, :, :states] + law[:, :, states:] * start


def gain_and_bias(reward: Array, law: Array, action: tuple[int, ...]) -> tuple[float, Array]:
    """Solve gain + h = r + P h, min h = 0, of one policy with a single recurrent class, as a linear system."""
    states = len(reward)
    p = law[np.arange(states), action]
    system = np.block([[np.eye(states) - p, np.ones((states, 1))], [np.ones((1, states)), np.zeros((1, 1))]])
    solved = np.linalg.solve(system, np.append(reward[np.arange(states), action], 0.0))
    return float(solved[-1]), solved[:-1] - solved[:-1].min()


def policies(opened: Array) -> Iterator[tuple[int, ...]]:
    """Yield every policy that takes open actions."""
    return itertools.product(*(np.flatnonzero(row).tolist() for row in opened))


def best_policy(reward: Array, law: Array, opened: Array) -> tuple[float, tuple[int, ...]]:
    """Return the largest gain of all policies, and the policy."""
    return max((gain_and_bias(reward, law, action)[0], action) for action in policies(opened))


def l1_of(centre: Transitions, radius: Array) -> L1Balls:
    """Return L1 balls of a radius for each pair, or of one for all."""
    return l1_balls(*centre.successors.shape)._replace(centre=centre, radius=radius)


def kl_of(centre: Transitions, radius: Array) -> KlBalls:
    """Return KL balls of a radius for each pair."""
    return kl_balls(*centre.successors.shape)._replace(centre=centre, radius=radius)


def boxes_of(centre: Transitions, width: Array, ends: bool = False) -> Boxes:
    """Return boxes of one width for all states, float64[S, A]."""
    wide = np.repeat(width[:, :, np.newaxis], centre.chance.shape[2], axis=2)
    fresh = boxes(*centre.successors.shape)
    return fresh._replace(centre=centre, width=wide, width_else=width, ends=np.full(1, ends))


def most_in_l1(p: Array, value: Array, radius: float) -> float:
    """Return max q v over |q - p| <= radius, by a linear programme in q and the sizes of the differences."""
    n = len(p)
    near = np.block([[np.eye(n), -np.eye(n)], [-np.eye(n), -np.eye(n)]])
    rows = np.vstack([near, np.append(np.zeros(n), np.ones(n))])
    limits = np.concatenate([p, -p, [radius]])
    law = np.append(np.ones(n), np.zeros(n))[np.newaxis]
    return -float(linprog(np.append(-value, np.zeros(n)), rows, limits, law, [1.0], bounds=(0, None)).fun)


def most_in_box(p: Array, value: Array, width: float) -> float:
    """Return max q v over |q_k - p_k| <= width, by a linear programme."""
    bounds = [(max(x - width, 0.0), min(x + width, 1.0)) for x in p]
    return -float(linprog(-value, A_eq=np.ones((1, len(p))), b_eq=[1.0], bounds=bounds).fun)
