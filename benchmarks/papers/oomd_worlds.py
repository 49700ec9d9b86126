"""The worlds of oomd.py: where the regimes of the papers meet, each case with its horizon and the policies that play.

The papers have no experiments. Worlds are those that an independent implementation was measured in, as far as its
description goes: orders and slopes are to be met, figures only where the world is told to the digit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import oomd_rules as rules
from oomd_rules import Rule
from scipy.optimize import linprog

from onearm.engine.vocabulary import Array, Environment
from onearm.envs import catalog as envs
from onearm.envs.arms.adversarial import adversarial
from onearm.envs.vectors.online_regression import online_regression

WALL = 1.18  # pins a coordinate to the wall: large gradients without any variation
LEVEL = 0.447  # times 1 / sqrt(T): the slope of the flat coordinates
HORIZONS = (1000, 3162, 10_000, 31_623, 100_000)
DECADES = (1000, 10_000, 100_000)
STEPS, STEP_HORIZONS = (0.05, 0.2, 0.8), (3000, 30_000, 100_000)
PIECES, NOISES = (1, 10, 100), (0.1, 0.5)
MOVING_HORIZON = 20_000
ARMS, GAP, TIDE, PERIOD = 8, 0.1, 0.3, 2000
Made = Callable[[int], Environment]  # replication -> environment


class Case(NamedTuple):
    """A world for one horizon."""

    table: str  # the list of rows that it belongs to
    name: str
    horizon: int
    env: Made
    convexity: float | None  # lambda of the drawn losses s . x + lambda |x|^2 / 2; None where they are other losses
    rules: dict[str, Rule]
    replications: int
    setting: Mapping[str, Any] = MappingProxyType({})  # what the case is of a sweep
    least: Callable[[int], float] | None = None  # replication -> loss of the best fixed point, where the env has none


def all_cases(replications: int, horizon_max: int) -> list[Case]:
    """Return every case whose horizon is not above `horizon_max`, or a shorter one where all are."""
    made = [
        *convex(replications),
        *scaling(replications),
        *strongly_convex(replications),
        *exp_concave(min(replications, 4)),
        *dynamic(replications),
        *corrupted(replications),
        *random_order(replications),
        *bandits(replications),
        *implicit(min(replications, 3)),
    ]
    return [case for case in made if case.horizon <= horizon_max]


def sea(table: str, name: str, horizon: int, wanted: dict[str, Rule], runs: int, world: dict[str, Any]) -> Case:
    """Return a case of the stochastically extended adversary in ten dimensions."""
    env = envs.make("sea", dimension=10, **world)
    return Case(table, name, horizon, lambda replication: env, world.get("convexity", 0.0), wanted, runs)


def convex(runs: int) -> list[Case]:
    """Return noise alone, slow drift alone, both, heavy noise, slopes that turn round, and a minimiser that moves.

    Slow drift turns the level by .2 radians in the whole run, `turning` by 15.7, so that no fixed point is good.
    """
    cases = []
    for horizon in HORIZONS:
        level = {"wall": WALL, "reach": LEVEL / math.sqrt(horizon)}
        drifting = {"kind": "rotating", "drift": 0.2 * LEVEL / horizon**1.5}
        worlds: dict[str, dict[str, Any]] = {
            "noise": {"noise": 0.02, "drift": 0.0, **level},
            "slow drift": {"noise": 0.0, **level, **drifting},
            "drift and noise": {"noise": 0.1, **level, **drifting},
            "heavy noise": {"noise": 1.0, "drift": 0.0, **level},
            "turning": {"noise": 0.0, **level, "kind": "rotating", "drift": 7.02 / horizon**1.5},
            "track": {"noise": 0.0, "kind": "rotating", "wall": 0.0, "reach": 0.14, "convexity": 1.0}
            | {"drift": 0.28 * math.sin(10.0 * math.pi / horizon)},
        }
        for name, world in worlds.items():
            few = 4 if world["noise"] == 0.0 else runs  # only the direction is drawn
            cases.append(sea("convex", name, horizon, rules.CONVEX, min(few, runs), world))
    return cases


def scaling(runs: int) -> list[Case]:
    """Return steps of mean 0 whose sizes and numbers differ: drawn ones, and a fixed sequence of them."""
    wanted = {key: rules.CONVEX[key] for key in ("optimistic_ftrl", "optimistic_omd_paper")}
    cases = []
    for horizon in STEP_HORIZONS:
        for size in STEPS:
            still = {"wall": 0.0, "reach": 0.0}
            for name, world in (
                ("noise", {"noise": size, "drift": 0.0}),
                ("jitter", {"noise": 0.0, "drift": math.sqrt(2.0) * size}),
            ):
                case = sea("scaling", name, horizon, wanted, runs, world | still)
                cases.append(case._replace(setting={"size": size}))
    return cases


def strongly_convex(runs: int) -> list[Case]:
    """Return lambda = L = .5: noise, jitter, and little of both."""
    worlds = {
        "noise .3": {"noise": 0.3, "drift": 0.0},
        "jitter .3": {"noise": 0.0, "drift": 0.3 * math.sqrt(2.0)},
        "both .05": {"noise": 0.05, "drift": 0.05 * math.sqrt(2.0)},
    }
    wanted = {key: rule for key, rule in rules.CURVED.items() if key not in ("ftrl", "optimistic_ftrl_sachs")}
    shape = {"wall": 0.0, "reach": 0.05, "convexity": 0.5}
    return [
        sea("strongly_convex", name, horizon, wanted, runs, world | shape)
        for horizon in DECADES
        for name, world in worlds.items()
    ]


def exp_concave(runs: int) -> list[Case]:
    """Return least squares in five dimensions: much noise, little, and neighbours that are alike."""
    cases = []
    for horizon in DECADES:
        for name, noise in (("noise 1", 1.0), ("noise .1", 0.1), ("smooth", 0.0)):
            wanted = rules.newton(0.9 + noise, 0.9 + noise)
            case = Case("exp_concave", name, horizon, squares(horizon, noise), None, wanted, runs if noise else 1)
            cases.append(case)
    return cases


def squares(horizon: int, noise: float) -> Made:
    """Return (a . x - b)^2 / 2 in a ball of radius .5: |a| = 1, b = a . w +- noise, |w| = .4; or a slow wave."""

    @functools.cache
    def make(replication: int) -> Environment:
        if noise > 0.0:  # a longer run begins as a shorter one
            draws = [np.random.default_rng((replication, i)) for i in range(3)]
            w, a = draws[0].normal(size=5), draws[1].normal(size=(horizon, 5))
            b = a / lengths(a) @ (0.4 * w / np.linalg.norm(w)) + noise * draws[2].choice([-1.0, 1.0], horizon)
        else:
            t = np.arange(horizon)[:, np.newaxis]
            a = np.cos(0.003 * t * np.sqrt([1.0, 2.0, 3.0, 5.0, 7.0]) + np.arange(5))
            b = 0.4 * np.sin(0.002 * t[:, 0])
        table: dict[str, Any] = {"features": a / lengths(a), "target": b}
        return online_regression(radius=0.5, **table)

    return make


def lengths(rows: Array) -> Array:
    return np.linalg.norm(rows, axis=1, keepdims=True)


def dynamic(runs: int) -> list[Case]:
    """Return |x - c|^2 / 2 in the unit ball around a c that jumps on the sphere of radius .8."""
    wanted = {key: rule for key, rule in rules.MOVING.items() if key not in ("ftrl", "optimistic_ftrl_sachs")}
    wanted |= rules.learners(2.4, 1.0, 2.0, MOVING_HORIZON)
    cases = []
    for pieces in PIECES:
        for noise in NOISES:
            world: dict[str, Any] = {"domain": "ball", "wall": 0.0, "drift": 0.0, "reach": 0.8, "convexity": 1.0}
            world |= {"noise": noise, "pieces": pieces, "comparator": "piece"}
            name = f"{pieces} pieces, noise {noise:g}".replace("1 pieces", "1 piece")
            case = sea("dynamic", name, MOVING_HORIZON, wanted, runs, world)
            cases.append(case._replace(setting={"pieces": pieces, "noise": noise}))
    return cases


def corrupted(runs: int) -> list[Case]:
    """Return noise with rounds in which the sign of the wall is turned: the changes add up to C."""
    wanted = {key: rules.CONVEX[key] for key in ("optimistic_ftrl", "optimistic_omd_paper", "gradient_descent")}
    level = {"wall": WALL, "reach": LEVEL / 100.0, "noise": 0.02, "drift": 0.0}
    cases = []
    for amount in (0.0, 5.0, 50.0, 500.0):
        case = sea("corrupted", f"C = {amount:g}", 10_000, wanted, runs, level | {"corruption": amount})
        cases.append(case._replace(setting={"corruption": amount}))
    return cases


def random_order(runs: int) -> list[Case]:
    """Return 10,000 drawn losses; a table of them in random order, once; one of 1000, ten times."""
    wanted = {key: rules.CONVEX[key] for key in ("optimistic_ftrl", "optimistic_omd_paper", "gradient_descent")}
    drawn = sea("random_order", "drawn", 10_000, wanted, runs, {"noise": 0.1, "drift": 0.0, "wall": WALL, "reach": 0.0})
    cases = [drawn]
    for name, losses in (("one pass", 10_000), ("ten passes", 1000)):
        env = envs.make("random_order", losses=losses, dimension=10, spread=0.1, wall=WALL)
        cases.append(Case("random_order", name, 10_000, lambda replication, env=env: env, 0.0, wanted, runs))
    return cases


def bandits(runs: int) -> list[Case]:
    """Return eight arms of which one pays .1 more: Bernoulli rewards, and a level that all share and that moves."""
    horizon = MOVING_HORIZON
    wanted = rules.bandits(math.sqrt(ARMS * math.log(horizon) / horizon))

    @functools.cache
    def coins(replication: int) -> Environment:
        rng = np.random.default_rng((replication, 1))
        means = 0.5 + GAP * (np.arange(ARMS) == 0)
        return arms((rng.random((horizon, ARMS)) < means).astype(float))

    @functools.cache
    def tide(replication: int) -> Environment:
        rng = np.random.default_rng((replication, 2))
        level = 0.5 + TIDE * np.cos(2.0 * np.pi * np.arange(horizon) / PERIOD)
        means = level[:, np.newaxis] + GAP * (np.arange(ARMS) == 0)
        return arms(means + 0.05 * rng.normal(size=means.shape))

    return [
        Case("bandits", name, horizon, env, None, wanted, runs) for name, env in (("Bernoulli", coins), ("tide", tide))
    ]


def arms(rewards: Array) -> Environment:
    """Return arms that pay from a table; made without a spec, which would hold all of it."""
    return adversarial(rewards.tolist())


def implicit(runs: int) -> list[Case]:
    """Return absolute losses of features that are almost parallel: a policy sees examples or gradients."""
    return [
        parallel(horizon, key, rule, feedback, runs)
        for horizon in DECADES
        for (key, rule), feedback in zip(rules.ABSOLUTE.items(), ("example", "gradient"), strict=True)
    ]


def parallel(horizon: int, key: str, rule: Rule, feedback: str, runs: int) -> Case:
    """Return |a . x - b| in a box, a = (.5, -.5, .5, .5) + .03 normal, b = a . w + .02 normal."""

    @functools.cache
    def make(replication: int) -> Environment:
        features, target = near_parallel(horizon, replication)
        table: dict[str, Any] = {"features": features, "target": target, "feedback": feedback}
        return online_regression(loss="absolute", shape="box", **table)

    def least(replication: int) -> float:
        return least_of(horizon, replication)

    return Case("implicit", "near-parallel features", horizon, make, None, {key: rule}, runs, {}, least)


@functools.cache
def least_of(horizon: int, replication: int) -> float:
    """Return the loss of the best point, which all policies are compared with."""
    return least_absolute(*near_parallel(horizon, replication), max(1000, horizon // 10))


def near_parallel(horizon: int, replication: int) -> tuple[Array, Array]:
    """Return features float64[n, 4] and targets float64[n]."""
    rng = np.random.default_rng((replication, horizon))
    features = np.array([0.5, -0.5, 0.5, 0.5]) + 0.03 * rng.normal(size=(horizon, 4))
    return features, features @ [0.6, -0.2, 0.1, 0.4] + 0.02 * rng.normal(size=horizon)


def least_absolute(features: Array, target: Array, kept: int) -> float:
    """Return the least sum of |a . x - b| over all x, from a linear program of `kept` rows, or of more.

    Rows that are far from a good x keep the sign of their residual, and count as one (Portnoy, Koenker 1997).
    """
    horizon = len(target)
    x, kept = np.linalg.lstsq(features, target)[0], min(horizon, kept)
    while True:
        residual = target - features @ x
        near = np.abs(residual) <= np.partition(np.abs(residual), kept - 1)[kept - 1]
        signs = np.where(near, 0.0, np.sign(residual))
        pull = signs @ features
        dual = linprog(-target[near], A_eq=features[near].T, b_eq=-pull, bounds=(-1.0, 1.0))
        kept = min(2 * kept, horizon)
        if dual.status != 0:  # too few rows are left to hold against the pull of the others
            continue
        x = -np.asarray(dual.eqlin.marginals)
        residual = target - features @ x
        if (signs * residual >= 0.0).all():
            return float(np.abs(residual).sum())
