"""What watching costs where nothing changes: false alarms, and what is lost; and what it finds of arms not played."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from changing_worlds import BERNOULLI, DIGITS, SEED, Spec
from parallel import in_threads

from onearm.engine.growth import grown
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Environment
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

LINEAR = {"name": "linear", "params": {}}
CLICKS = {"name": "linear", "params": {"reward": "bernoulli"}}
DELAY = 1000
TABLES = ("digits", "wine", "breast_cancer", "segment", "phishing")
ARMS, LENGTH = 10, 8  # of contexts that shift
Env = Callable[[int, int], Environment]  # of so many decisions, and of a replication


def adaptive(inner: Spec, **params: float) -> Spec:
    """Return the wrapper around a policy."""
    return {"name": "adaptive", "params": {"policy": inner, **params}}


def bernoulli(*mean: float) -> Spec:
    """Return arms that pay 1 or 0."""
    return {"name": "bernoulli", "params": {"mean": list(mean)}}


def noisy(env: Spec, noise: float) -> Spec:
    """Return an environment with noise of Student's t, 2 degrees."""
    return {"name": "scaled", "params": {"env": env, "noise": noise, "degrees": 2.0}}


def late(env: Spec) -> Spec:
    """Return an environment whose rewards are learned much later."""
    return {"name": "delayed", "params": {"env": env, "delay": DELAY}}


def fixed(spec: Spec) -> Env:
    """Return an environment, whatever the replication."""
    env = envs.from_spec(spec)
    return lambda plays, replication: env


def shifted(kind: str, contexts: Any, random: Any) -> Any:
    """Return contexts with standard deviations of 1 that shift, float64[n, d]: all at once, by and by, or in width."""
    n, d = contexts.shape
    after = np.arange(n)[:, None] >= n // 2
    way = random.choice([-3.0, 3.0], size=d)
    match kind:
        case "jump":
            return contexts + way * after
        case "slowly":
            return contexts + way * np.clip((np.arange(n)[:, None] - n / 4) / (n / 2), 0.0, 1.0)
        case "scale":
            return contexts * np.where(after, 3.0, 1.0)
        case _:
            return np.where(after, 2.0 * contexts + way / 3.0, contexts)


def shifting(kind: str, bent: bool, plays: int, replication: int) -> Environment:
    """Return arms whose contexts shift, and whose rewards are in each context what they were."""
    random = np.random.default_rng(replication)
    theta = random.normal(size=(LENGTH, ARMS))
    theta /= np.linalg.norm(theta, axis=0)
    contexts = shifted(kind, random.normal(size=(plays, LENGTH)), random)
    mean = contexts @ theta
    rewards = (np.sin(mean) if bent else mean) + 0.5 * random.normal(size=mean.shape)
    return envs.make("logged_table", reward=rewards, context=contexts)


def rare(share: float, plays: int, replication: int) -> Environment:
    """Return three arms that pay 1 with one small chance, whatever the context."""
    random = np.random.default_rng(replication)
    rewards = (random.random((plays, 3)) < share).astype(float)
    return envs.make("logged_table", reward=rewards, context=random.normal(size=(plays, LENGTH)))


# without contexts, and with: name of the world, and its environment; None where arms join
WITHOUT: dict[str, Env | None] = {
    "Bernoulli": fixed(BERNOULLI),
    "Bernoulli, rare": fixed(bernoulli(0.01, 0.02, 0.03)),
    "Bernoulli, sure": fixed(bernoulli(0.9, 0.95, 0.99)),
    "Student's t, 2 degrees": fixed(noisy(BERNOULLI, 0.3)),
    "delay 1,000": fixed(late(BERNOULLI)),
    "arms that join": None,
}
WITH: dict[str, Env | None] = {
    "normal": fixed(LINEAR),
    "Bernoulli": fixed(CLICKS),
    "Student's t, 2 degrees": fixed(noisy(LINEAR, 0.5)),
    "delay 1,000": fixed(late(LINEAR)),
    "arms that join": None,
    "rare, .01": functools.partial(rare, 0.01),
    "rare, .02": functools.partial(rare, 0.02),
    "rare, .05": functools.partial(rare, 0.05),
    "contexts that jump": functools.partial(shifting, "jump", False),
    "contexts that shift slowly": functools.partial(shifting, "slowly", False),
    "contexts that get wider": functools.partial(shifting, "scale", False),
    "contexts that shift": functools.partial(shifting, "both", False),
    "contexts that shift, rewards bent": functools.partial(shifting, "both", True),
}


def false_alarms(runs: dict[str, int], plays: dict[str, int]) -> list[dict[str, Any]]:
    """Return in how many runs a change was found where there was none, by the policy inside and by world."""
    inner = {"thompson_any": ({"propensities": False}, WITHOUT), "linucb": ({}, WITH), "fourier_softmax": ({}, WITH)}
    found = []
    for name, (params, worlds) in inner.items():
        policy = adaptive({"name": name, "params": params})
        for world, env in worlds.items():
            of = joining(policy, worlds is WITH, plays[name]) if env is None else still(policy, env, plays[name])
            changes = in_threads(of, range(runs[name]))
            row = {"policy": name, "world": world, "runs": runs[name], "plays": plays[name]}
            found.append({**row, "alarmed": sum(n > 0 for n in changes), "changes": sum(changes)})
    return found


def still(policy: Spec, env: Env, plays: int) -> Callable[[int], int]:
    """Return the runs of a world in which nothing changes, by replication: how many changes were found."""

    def run(replication: int) -> int:
        simulation = Simulation(
            policies.from_spec(policy), env(plays, replication), horizon=plays, seed=SEED, replication=replication
        )
        simulation.advance(plays)
        return changes_found(simulation)

    return run


def joining(policy: Spec, contexts: bool, plays: int) -> Callable[[int], int]:
    """Return the same where an arm joins in the middle, and another later, without contexts the best so far."""
    sizes = (3, 4, 5) if not contexts else (8, 9, 10)

    def run(replication: int) -> int:
        state, t = None, 0
        for part, k in enumerate(sizes):
            means = (0.3, 0.2, 0.1, 0.6, 0.8)[:k]
            env = envs.make("linear", arms=k) if contexts else envs.from_spec(bernoulli(*means))
            made = policies.from_spec(policy)
            simulation = Simulation(made, env, horizon=plays, seed=SEED, replication=replication)
            if state is not None:
                simulation.state = grown(simulation.policy, state, simulation.problem)
            simulation.t = t
            simulation.advance(plays // 2 if part == 0 else plays // 4)
            state, t = simulation.state, simulation.t
        return changes_found(simulation)

    return run


def changes_found(simulation: Simulation) -> int:
    """Return how many changes a run of `adaptive` has found."""
    return int(simulation.state.worlds.total[0]) - 1


def nothing_lost(seeds: int, runs: int, plays: int) -> dict[str, Any]:
    """Return what is earned a decision where nothing changes, with the watch and without, and the difference."""
    found = {}
    plain: Spec = {"name": "fourier_softmax", "params": {}}
    for dataset in TABLES:
        env = envs.make("classification", dataset=dataset)
        horizon: Any = env.problem.horizon
        found[dataset] = _beside(plain, env, horizon, seeds, 1.0)
    found["digits, 6 passes"] = _beside(plain, envs.from_spec(DIGITS), 6 * 1797, seeds, 1.0)
    plain = {"name": "thompson_any", "params": {"propensities": False}}
    found["Bernoulli arms"] = _beside(plain, envs.from_spec(BERNOULLI), plays, runs, 0.6)
    return found


def _beside(plain: Spec, env: Environment, plays: int, runs: int, best: float) -> dict[str, float]:
    policies_ = {"default": adaptive(plain), "stationary": plain}
    earned = {
        name: best - np.array(in_threads(functools.partial(_regret, policy, env, plays), range(runs))) / plays
        for name, policy in policies_.items()
    }
    lost = earned["stationary"] - earned["default"]
    error = float(lost.std(ddof=1) / np.sqrt(runs))
    means = {name: float(of.mean()) for name, of in earned.items()}
    return {**means, "lost": float(lost.mean()), "stderr": error, "runs": runs}


def _regret(policy: Spec, env: Environment, plays: int, replication: int) -> float:
    simulation = Simulation(policies.from_spec(policy), env, horizon=plays, seed=SEED, replication=replication)
    simulation.advance(plays)
    return float(simulation.totals.regret[0])


GAINS = (0.1, 0.3, 0.5)
LOOKS = (0.0, 0.001, 0.01)
IDLE, BEST, AT = 0.2, 0.4, 20_000  # what an arm pays at first, what the best one pays, and when the first changes
BLOCK = 500
STILL = 100_000  # decisions where nothing changes


def looked(runs: int, plays: int) -> list[dict[str, Any]]:
    """Return how long it takes until an arm is played that came to pay more than the best, by its gain and `look`."""
    found = []
    inner: Spec = {"name": "thompson_any", "params": {"propensities": False}}
    for look in LOOKS:
        policy = adaptive(inner, look=look)
        lost = in_threads(functools.partial(_regret, policy, envs.from_spec(BERNOULLI), STILL), range(runs))
        row: dict[str, Any] = {"look": look, "regret_where_nothing_changes": float(np.mean(lost))}
        for gain in GAINS:
            times = np.array(in_threads(functools.partial(_noticed, policy, gain, plays), range(runs)))
            row[f"gain {gain:g}"] = {
                "median": float(np.median(times)),
                "ninth_tenth": float(np.quantile(times, 0.9)),
                "never": int((times >= plays).sum()),
            }
        found.append({**row, "runs": runs, "plays": plays})
    return found


def _noticed(policy: Spec, gain: float, plays: int, replication: int) -> int:
    """Return after how many decisions a block is played of which the improved arm is the larger part."""
    after = envs.from_spec(bernoulli(0.1, 0.3, BEST, IDLE, BEST + gain))
    before = envs.from_spec(bernoulli(0.1, 0.3, BEST, IDLE, IDLE))
    made = policies.from_spec(policy)
    first = Simulation(made, before, horizon=AT, seed=SEED, replication=replication)
    first.advance(AT)
    second = Simulation(made, after, horizon=AT + plays, seed=SEED, replication=replication)
    second.state, second.t = first.state, AT
    lost = 0.0
    while second.trials < plays:
        second.advance(BLOCK)
        if second.totals.regret[0] - lost < 0.5 * gain * BLOCK:
            return second.trials
        lost = second.totals.regret[0]
    return plays
