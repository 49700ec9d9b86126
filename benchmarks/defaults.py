"""What the policies earn that nobody chose: in other units, when rewards come late, and what their logs can judge.

Run: python benchmarks/defaults.py [--json] [--quick]. Each table has today's default beside those of before and others.

units    five normal arms, and digits with contexts: rewards times a, plus b, or with noise of Student's t, 2 degrees
delays   digits, each reward learned so many decisions later
tables   five labelled tables, rewards of 0 and 1 at once: what the default for contexts loses where nothing is hard
bernoulli  regret of the default for arms where rewards are 0 and 1, in the mean and in the worst hundredth of runs
judged   logs of the default inside `floor`: how often 95 % intervals of snips hold the true value of five policies
wide     what a decision and its reward cost among many arms, and the memory of the state, of the defaults as they are
grouped  300 arms in 20 hidden groups, beside linucb and squarecb at the best of several widths
shops    visitors of ten countries, of whom few buy: what is earned of what the best article of each country earns
many     arms of which one is good, from ten to ten thousand, also where something is expected of each beforehand
speed    steps a second of the new defaults by those of before

Writes results/defaults.json, of which tables.py makes the tables of docs/figures.md, and draws the plots there, which
`python benchmarks/defaults_plots.py` draws again from the results. --quick takes 5 seeds and not 20.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from defaults_claims import claims
from defaults_plots import draw
from machine import machine
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits

from onearm.engine import loop
from onearm.engine.estimate.interval import normal
from onearm.engine.estimate.weighting import snips
from onearm.engine.problem import fitted
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.snapshot import size
from onearm.engine.vocabulary import LEARN, Decision, Environment, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

RESULT = Path(__file__).resolve().parent / "results" / "defaults.json"
CONSOLE = Console(stderr=True)
DIGITS = {"name": "classification", "params": {"dataset": "digits"}}
ARMS = {"name": "normal", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6], "sd": 0.1}}
BERNOULLI = {"name": "bernoulli", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6]}}
UNITS = {
    "a = 1": {},
    "a = 1000": {"scale": 1e3},
    "a = .001": {"scale": 1e-3},
    "a = 1e6": {"scale": 1e6},
    "a = 1e-6": {"scale": 1e-6},
    "b = 100": {"offset": 100.0},
    "b = 1e6": {"offset": 1e6},
    "b = -1e6": {"offset": -1e6},
    "noise": {"noise": 0.3},
}
DELAYS = (0, 20, 100, 400)
TABLES = ("digits", "wine", "breast_cancer", "segment", "phishing")
CONTEXTUAL = ("fourier_softmax", "fourier_ucb", "linucb", "linear_thompson", "squarecb", "regcb", "fastcb")
NUMBERED = ("thompson_any", "thompson_beta", "thompson_normal", "epsilon_greedy")
DRAWN = ("thompson_any", "thompson_beta", "thompson_normal", "linear_thompson")
SAMPLED = {name: {"propensities": False} for name in DRAWN}  # the same choices in distribution, and sooner
WIDE = {
    "fourier_softmax": ((10, 64), (100, 64), (1000, 64), (10_000, 16)),
    "thompson_any": ((10, 0), (1000, 0), (100_000, 0)),
}
WIDTHS = {
    "linucb": ("alpha", (0.2, 0.25, 0.3, 0.4, 0.6, 1.0)),
    "squarecb": ("gamma", (100.0, 200.0, 300.0, 400.0, 600.0)),
}
GROUPED = 20_000  # decisions
SHOPS = {  # articles, the chance that a visitor buys the one that suits and another one, euros or just clicks
    "50 articles, euros": (50, 0.3, 0.02, True),
    "4 banners, euros": (4, 0.15, 0.05, True),
    "4 banners, clicks": (4, 0.15, 0.05, False),
    "10 banners, rare clicks": (10, 0.05, 0.01, False),
}
VISITS, COUNTRIES, EUROS = 8000, 10, (5.0, 200.0)
MANY = (10, 100, 1000, 10_000)  # arms
CROWDED = ("thompson_any", "thompson_beta", "ucb1", "moss", "epsilon_greedy")
EXPECTED = 'thompson_any:{"expected": ...}'
SPEEDS = {"thompson_any": ("thompson_beta", BERNOULLI), "fourier_softmax": ("fourier_ucb", DIGITS)}
LOGGED = 100  # logs that are judged
TRAINING = (20, 60, 200)  # rows that the policies are fitted on which are judged
Array = np.ndarray[Any, Any]


def lost(name: str, env: Environment, horizon: int, seeds: int) -> float:
    """Return how much less than the best was lost a decision, in the mean over seeds."""
    policy = policies.make(name, **SAMPLED.get(name, {}))
    curves = simulate(policy, env, horizon=horizon, replications=seeds, seed=0)
    return float(curves.regret[:, -1].mean() / horizon)


def units(seeds: int) -> dict[str, Any]:
    """Return what is earned a decision in the units of the world inside, by policy and by unit."""
    found: dict[str, Any] = {}
    for world, names, best, horizon in ((ARMS, NUMBERED, 0.6, 5000), (DIGITS, CONTEXTUAL, 1.0, 1797)):
        for name in track(names, f"units of {world['name']}", console=CONSOLE):
            found[name] = {
                unit: best
                - lost(name, envs.make("scaled", env=world, **params), horizon, seeds) / params.get("scale", 1.0)
                for unit, params in UNITS.items()
            }
    return found


def delays(seeds: int) -> dict[str, Any]:
    """Return the share of digits that were right, by policy and by delay."""
    worlds = {late: envs.make("delayed", env=DIGITS, delay=late) if late else envs.from_spec(DIGITS) for late in DELAYS}
    return {
        name: {str(late): 1.0 - lost(name, env, 1797, seeds) for late, env in worlds.items()}
        for name in track(CONTEXTUAL, "delays", console=CONSOLE)
    }


def tables(seeds: int) -> dict[str, Any]:
    """Return the share of rows that were right in one pass, by policy and table."""
    found: dict[str, Any] = {name: {} for name in CONTEXTUAL[:2]}
    for dataset in track(TABLES, "tables", console=CONSOLE):
        env = envs.make("classification", dataset=dataset)
        horizon: Any = env.problem.horizon
        for name, of in found.items():
            of[dataset] = 1.0 - lost(name, env, horizon, seeds)
    return {name: {**of, "mean": float(np.mean(list(of.values())))} for name, of in found.items()}


def bernoulli(seeds: int) -> dict[str, Any]:
    """Return the regret in 100,000 decisions, in the mean and in the worst hundredth of runs."""
    found = {}
    for name in NUMBERED[:2]:
        policy = policies.make(name, **SAMPLED[name])
        curves = simulate(policy, envs.from_spec(BERNOULLI), horizon=100_000, replications=25 * seeds, seed=0)
        last = curves.regret[:, -1]
        found[name] = {
            "mean": float(last.mean()),
            "worst_hundredth": float(np.quantile(last, 0.99)),
            "runs": 25 * seeds,
        }
    return found


def judged(logs: int) -> dict[str, Any]:
    """Return in how many of so many logs the interval of each policy holds its true value."""
    x, right, laws = _judges()
    held = dict.fromkeys(laws, 0)
    env = envs.make("classification", features=x.tolist(), label=right.tolist())
    policy = policies.make("floor", policy={"name": "fourier_softmax", "params": {}}, minimum=0.01)
    row_of = {row.tobytes(): i for i, row in enumerate(x)}
    for seed in track(range(logs), "judged", console=CONSOLE):
        events = Simulation(policy, env, horizon=len(x), seed=seed).advance_logged(len(x))
        learned = events.kind == LEARN
        rows = np.array([row_of[context.tobytes()] for context in events.context[learned]])
        action, reward = events.action[learned], events.reward[learned]
        for name, law in laws.items():
            interval = normal(snips(reward, events.propensity[learned], law[rows, action]))
            held[name] += int(interval.low <= law[np.arange(len(x)), right].mean() <= interval.high)
    return {"logs": logs, "held": held}


def _judges() -> tuple[Array, Array, dict[str, Array]]:
    """Return the digits that nobody was fitted on, and the laws of five policies over them, float64[n, 10]."""
    data = load_digits()
    x, label = data.data / 16.0, data.target
    held_out = max(TRAINING)
    left = np.ascontiguousarray(np.unique(x[held_out:], axis=0))
    right_of = {row.tobytes(): int(right) for row, right in zip(x[held_out:], label[held_out:], strict=True)}
    right = np.array([right_of[row.tobytes()] for row in left])
    laws = {"uniform": np.full((len(left), 10), 0.1), "always 3": np.tile(np.eye(10)[3], (len(left), 1))}
    for n in TRAINING:
        rows = np.column_stack([x[:n], np.ones(n)])
        weights = np.linalg.solve(rows.T @ rows + np.eye(rows.shape[1]), rows.T @ np.eye(10)[label[:n]])
        score = np.exp(12.0 * np.column_stack([left, np.ones(len(left))]) @ weights)
        laws[f"fitted on {n}"] = score / score.sum(axis=1, keepdims=True)
    return left, right, laws


def wide() -> list[dict[str, Any]]:
    """Return milliseconds of CPU of a decision and its reward, and the memory of the state, by arms and dimension.

    Inside `adaptive`, as the default has them.
    """
    found = []
    for name, sizes in WIDE.items():
        for k, d in sizes:
            problem = Problem(k, (d,))
            policy = fitted(policies.make("adaptive", policy={"name": name, "params": {}}), problem)
            state = policy.init(policy.params, problem)
            ms = _pair_ms(policy, state, k, d)
            found.append({"policy": name, "arms": k, "dimension": d, "ms": ms, "mb": size(state) / 1e6})
    return found


def _pair_ms(policy: Any, state: Any, k: int, d: int) -> float:
    """Return the median of 200 pairs; where there are contexts once every arm was played."""
    random, available, run = np.random.default_rng(0), np.ones(k, np.bool_), np.uint64(1)
    nothing = np.zeros(0)
    instance = Instance(0, random.normal(size=d), available)
    decide = loop.decide.compiled(policy.params, state, instance, Key(run, 0))
    learn = loop.learn.compiled(policy.params, state, instance, Decision(0, 0.5), Feedback(1.0, nothing), Key(run, 0))
    for arm in range(k if d else 0):
        played, feedback = Decision(arm, 1.0 / k), Feedback(float(arm % 3), nothing)
        learn(policy.params, state, Instance(arm, random.normal(size=d), available), played, feedback, Key(run, arm))
    times = []
    for t in range(k, k + 300):
        instance = Instance(t, random.normal(size=d), available)
        start = time.process_time()
        decision = Decision(*decide(policy.params, state, instance, Key(run, t))[:2])
        learn(policy.params, state, instance, decision, Feedback(float(t % 3), nothing), Key(run, t))
        times.append(time.process_time() - start)
    return float(np.median(times[100:])) * 1e3


def grouped(seeds: int) -> dict[str, dict[str, float]]:
    """Return what is earned a decision among arms in hidden groups: of `linucb` and `squarecb` at each width."""
    env = envs.make("grouped")
    found: dict[str, dict[str, float]] = {"fourier_softmax": {"as it is": _earned("fourier_softmax", {}, env, seeds)}}
    for name, (param, values) in WIDTHS.items():
        runs = track(values, f"grouped: {name}", console=CONSOLE)
        found[name] = {f"{param} {value:g}": _earned(name, {param: value}, env, seeds) for value in runs}
    return found


def _earned(name: str, params: dict[str, float], env: Environment, seeds: int) -> float:
    curves = simulate(policies.make(name, **params), env, horizon=GROUPED, replications=seeds, seed=0)
    return float(curves.reward[:, -1].mean() / GROUPED)


def shops(seeds: int) -> dict[str, dict[str, float]]:
    """Return what is earned, as a share of what the best article of each country earns in expectation."""
    found: dict[str, dict[str, float]] = {name: {} for name in ("fourier_softmax", "fourier_ucb", "linucb", "squarecb")}
    for shop, (k, suits, else_, in_euros) in track(SHOPS.items(), "shops", console=CONSOLE):
        for name, of in found.items():
            of[shop] = float(np.mean([_sold(name, seed, k, suits, else_, in_euros) for seed in range(min(seeds, 10))]))
    return found


def _sold(name: str, seed: int, k: int, suits: float, else_: float, in_euros: bool) -> float:
    random = np.random.default_rng(seed)
    right = np.array([random.choice(k) for _ in range(COUNTRIES)])
    country = random.integers(COUNTRIES, size=VISITS)
    bought = random.random((VISITS, k)) < np.where(np.arange(k) == right[country][:, np.newaxis], suits, else_)
    worth = random.uniform(*EUROS, (VISITS, k)) if in_euros else np.ones((VISITS, k))
    env = envs.make("logged_table", reward=(bought * worth).tolist(), context=np.eye(COUNTRIES)[country].tolist())
    curves = simulate(policies.make(name), env, horizon=VISITS, seed=seed)
    return float(curves.reward[0, -1]) / VISITS / suits / (np.mean(EUROS) if in_euros else 1.0)


def many(seeds: int) -> dict[str, dict[str, float]]:
    """Return what is earned a decision among arms with means below .2 and one of .3, by policy and number of arms."""
    found: dict[str, dict[str, float]] = {name: dict.fromkeys(map(str, MANY), 0.0) for name in (*CROWDED, EXPECTED)}
    for k in track(MANY, "many arms", console=CONSOLE):
        for seed in range(seeds):
            mean = np.append(np.random.default_rng(seed).uniform(0.0, 0.2, k - 1), 0.3)
            for name, policy in _crowded(mean, seed).items():
                curves = simulate(policy, envs.make("bernoulli", mean=mean.tolist()), horizon=10_000, seed=seed)
                found[name][str(k)] += float(curves.reward[0, -1]) / 10_000 / seeds
    return found


def _crowded(mean: Array, seed: int) -> dict[str, Policy]:
    """Return the policies, and one that knows of each arm the mean with an error as large as the means differ."""
    guess = mean + np.random.default_rng([seed, 1]).normal(0.0, 0.2 / np.sqrt(12.0), len(mean))
    knowing = policies.make("thompson_any", **SAMPLED["thompson_any"], expected=guess.tolist())
    return {name: policies.make(name, **SAMPLED.get(name, {})) for name in CROWDED} | {EXPECTED: knowing}


def speed() -> dict[str, float]:
    """Return steps a second by those of the default of before, the median of nine pairs of runs."""
    found = {}
    for name, (before, world) in SPEEDS.items():
        rates: list[list[float]] = [[], []]
        for run in range(10):
            for of, policy in zip(rates, (name, before), strict=True):
                of.append(_rate(policies.make(policy, **SAMPLED.get(policy, {})), envs.from_spec(world), run))
        found[name] = float(np.median(np.array(rates[0][1:]) / np.array(rates[1][1:])))
    return found


def _rate(policy: Any, env: Environment, seed: int) -> float:
    steps = 1000 if env.problem.context_shape != (0,) else 300_000
    simulation = Simulation(policy, env, horizon=2 * steps, seed=seed)
    simulation.advance(steps // 10)
    start = time.process_time()
    simulation.advance(steps)
    return steps / (time.process_time() - start)


def main() -> None:
    """Measure, write the results, and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quick", action="store_true", help="5 seeds in place of 20")
    options = parser.parse_args()
    seeds = 5 if options.quick else 20
    parts: dict[str, Callable[[], Any]] = {
        "units": lambda: units(seeds),
        "delays": lambda: delays(seeds),
        "tables": lambda: tables(seeds),
        "bernoulli": lambda: bernoulli(seeds),
        "judged": lambda: judged(LOGGED),
        "wide": wide,
        "grouped": lambda: grouped(seeds),
        "shops": lambda: shops(seeds),
        "many": lambda: many(seeds),
        "speed": speed,
    }
    result: dict[str, Any] = {"machine": machine(), "seeds": seeds, **{name: part() for name, part in parts.items()}}
    result["claims"] = claims(result)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    draw(result, RESULT.parent)
    if options.json:
        print(json.dumps(result))
        return
    for each in result["claims"]:
        print(f"{'holds' if each['holds'] else 'FAILS':6} {each['value']:10.4g}  {each['claim']}")


if __name__ == "__main__":
    main()
