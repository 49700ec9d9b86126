"""Worlds, policies and runs of loop.py."""

from __future__ import annotations

import json
import math
import time
from typing import Any, NamedTuple

import numpy as np

from onearm.engine.simulation import Simulation
from onearm.engine.states.optimum import BestPolicy, diameter, gain_myopic, gain_stateless, optimum
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import Array, Environment, Policy
from onearm.envs import catalog as envs
from onearm.policies import catalog

WORLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "swim 6": ("river_swim", {}),
    "swim 12": ("river_swim", {"states": 12}),
    "swim 12 clipped": ("river_swim", {"states": 12, "clipped": True}),
    "four rooms": ("four_rooms", {}),
    "garnet 1": ("garnet", {"seed": 1}),
    "garnet 2": ("garnet", {"seed": 2}),
    "garnet 3": ("garnet", {"seed": 3}),
    "admission": ("admission", {}),
    "service": ("service", {}),
    "inventory": ("inventory", {}),
    "backoff": ("backoff", {}),
}
HELD_OUT: dict[str, tuple[str, dict[str, Any]]] = {  # worlds that no policy was chosen on
    **{f"garnet {seed}": ("garnet", {"seed": seed}) for seed in range(4, 21)},
    "swim 8": ("river_swim", {"states": 8}),
    "swim 20": ("river_swim", {"states": 20}),
    "service 10": ("service", {"places": 10}),
}
RIVALS = ("half_visit", "psrl 1/S", "psrl 1")  # of which the first is the default
MIXTURES = {"arrivals_mixture": "arrivals", "swim 12 clipped": "river"}  # and the model that is known
KNOWING = ("loop_mixture", "ucrl2_vtr")  # the policies that are told it
POLICIES: dict[str, tuple[str, dict[str, Any]]] = {
    "half_visit": ("half_visit", {}),
    "psrl 1/S": ("psrl", {"prior": "1/S"}),
    "psrl 1": ("psrl", {"prior": 1.0}),
    "psrl 1, tsde": ("psrl", {"prior": 1.0, "tsde": True}),
    "imed_rl": ("imed_rl", {}),
    "imed_rl, no bound": ("imed_rl", {"with_bound": False}),
    "loop": ("loop", {"span": "true"}),
    "loop, no caps": ("loop", {"span": "true", "cap": False}),
    "loop, proved": ("loop", {"span": "true", "variance": False, "cap": False}),
    "loop, scale .1": ("loop", {"span": "true", "scale": 0.1}),
    "loop, span estimated": ("loop", {}),
    "ucrl3_box": ("ucrl3_box", {}),
    "kl_ucrl": ("kl_ucrl", {}),
    "ucrl2b": ("ucrl2b", {}),
    "ucrl2": ("ucrl2", {}),
    "optimistic_q, scale .01": ("optimistic_q", {"horizon": "run", "span": "true", "scale": 0.01}),
    "differential_q": ("differential_q", {}),
    "uniform": ("uniform", {}),
}
SEEDS_FEW = {"imed_rl": 5, "imed_rl, no bound": 5, "kl_ucrl": 4, "psrl 1, tsde": 4}  # of those that take long
STEP = 100  # decisions between two looks at a policy
CURVE = 60  # points
EARLY, MIDDLE = 3_000, 10_000  # decisions at which the default is compared, too


class Run(NamedTuple):
    """One policy in one world."""

    regret: Array  # float64[seeds, looks]
    plans: Array  # float64[seeds]; NaN where a policy makes none
    switches: Array  # float64[seeds] looks at which the best actions of all states had changed
    microseconds: float  # of a step, the world's own time included


def world_of(name: str) -> tuple[Environment, BestPolicy]:
    """Return a world and what is best in it."""
    made, params = (WORLDS | HELD_OUT | {"arrivals_mixture": ("arrivals_mixture", {})})[name]
    env = envs.make(made, **params)
    return env, optimum(*tables_of(env))


def policy_of(name: str, world: str, best: BestPolicy, horizon: int) -> Policy:
    """Return a policy, told the true span of the world, its parts, and the horizon of the run where it needs them."""
    if name in KNOWING:
        return catalog.make(name, model=MIXTURES[world], span=best.span)
    made, params = POLICIES[name]
    told = {"true": best.span, "run": horizon}
    return catalog.make(made, **{key: told.get(value, value) for key, value in params.items()})


def looks(horizon: int) -> list[int]:
    """Return the decisions after which regret is noted."""
    curve = np.geomspace(STEP, horizon, CURVE).astype(int) // STEP * STEP
    return sorted({*curve.tolist(), *(t for t in (EARLY, MIDDLE) if t < horizon)})


def run(world: str, name: str, horizon: int, seeds: int, seed: int) -> Run:
    """Run a policy in a world with so many seeds."""
    env, best_policy = world_of(world)
    policy, noted = policy_of(name, world, best_policy, horizon), set(looks(horizon))
    curves, plans, switches, spent = [], [], [], 0.0
    for replication in range(seeds):
        simulation = Simulation(policy, env, horizon=horizon, seed=seed, replication=replication)
        simulation.compile()
        curve, changes, best = [], 0, b""
        for t in range(STEP, horizon + 1, STEP):
            before = time.process_time()
            simulation.advance(STEP)
            spent += time.process_time() - before
            now = greedy(simulation.state)
            changes += now != best
            best = now
            if t in noted:
                curve.append(float(simulation.totals.regret[0]))
        curves.append(curve)
        plans.append(plans_of(simulation.state))
        switches.append(float(changes))
    return Run(np.array(curves), np.array(plans), np.array(switches), spent / seeds / horizon * 1e6)


def _planned(state: Any) -> Any:
    """Return what holds the plan of a policy's state, None where there is none."""
    return next(
        (
            part
            for part in (getattr(state, "held", None), getattr(state, "plan", None), state)
            if part is not None and hasattr(part, "q")
        ),
        None,
    )


def greedy(state: Any) -> bytes:
    """Return the best actions of all states, as bytes."""
    held = _planned(state)
    return b"" if held is None else held.q.argmax(axis=1).tobytes()


def plans_of(state: Any) -> float:
    """Return how many plans a policy made; NaN where it makes none."""
    held = _planned(state)
    made = (
        getattr(state, "plans", None)
        if hasattr(state, "plans")
        else getattr(held, "plans", getattr(held, "made", None))
    )
    return math.nan if made is None else float(made[0])


def row(environment: str, policy: str, horizon: int, found: Run, point: int = -1) -> dict[str, Any]:
    """Return a row of the table."""
    last, n = found.regret[:, point], len(found.regret)
    return {
        "environment": environment,
        "policy": policy,
        "horizon": horizon,
        "seeds": n,
        "regret_mean": float(last.mean()),
        "regret_stderr": float(last.std(ddof=1) / math.sqrt(n)) if n > 1 else None,
        "regret_max": float(last.max()),
        "plans": None if math.isnan(found.plans[0]) else float(found.plans.mean()),
        "switches": float(found.switches.mean()),
        "microseconds": found.microseconds,
    }


def facts(name: str) -> dict[str, Any]:
    """Return what is known of a world beforehand."""
    env, best = world_of(name)
    transitions, reward, is_open = tables_of(env)
    start = int(env.params.start)
    return {
        "environment": name,
        "params": json.loads(json.dumps(WORLDS.get(name, ("", {}))[1])),
        "states": len(reward),
        "arms": reward.shape[1],
        "gain": best.gain,
        "span": best.span,
        "diameter": diameter(transitions, is_open),
        "gain_stateless": gain_stateless(transitions, reward, is_open, start),
        "gain_myopic": gain_myopic(transitions, reward, is_open, start),
    }
