"""What is earned and spent within a budget, beside ParetoBandit and the best fixed mixture in hindsight.

Run: python benchmarks/budgets.py [--json] [--quick]. Prompts go to one of three language models (`routing.py`), within
3, 10 and 30 % of the dear one's mean cost. Everybody learns on other prompts first; counted is the stream after them.
Then once more, with costs that double in the middle of the stream. ParetoBandit runs in an environment of its own: with
the settings of its demonstration, and without its fixed penalty on cost, with forgetting and without; `best` is the one
that earned most. Writes results/budgets.json, of which tables.py makes a table. --quick takes 4 orders of the prompts
and not 10, and keeps no results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from evaluate_claims import claim
from machine import machine
from routing import DEAR, Prompts, as_arrays, prompts
from speed import HERE, peer_python

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.problem import fitted
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

RESULT = HERE / "results" / "budgets.json"
PEER = HERE / "peers" / "routing"
SHARES = (0.03, 0.1, 0.3)  # of the dear model's mean cost
OURS = {  # the policy inside, and whether it sees the prompt
    "squarecb": ("squarecb", True),
    "squarecb, without contexts": ("squarecb", False),
    "linucb": ("linucb", True),
    "fourier_softmax": ("fourier_softmax", True),
}
CLAIMED = "squarecb"
SETTINGS = {
    "as in its demonstration": {"cost_penalty": 0.3, "forgetting_factor": 0.997},
    "no fixed penalty": {"cost_penalty": 0.0, "forgetting_factor": 0.997},
    "no fixed penalty, no forgetting": {"cost_penalty": 0.0, "forgetting_factor": 1.0},
}
STEPS, ROUNDS = 200_000, 5  # of the speeds


def played(order: Prompts, limit: float, inner: str, with_contexts: bool, seed: int) -> tuple[float, float]:
    """Return what a paced budget earned and spent a decision of the stream."""
    contexts = order.contexts if with_contexts else np.zeros((len(order.rewards), 0))
    problem = Problem(order.rewards.shape[1], contexts.shape[1:], feedback="cost")
    policy = fitted(policies.make("paced_budget", policy=inner, cost=order.listed, limit=limit), problem)
    state, run = policy.init(policy.params, problem), run_key(seed, 0, POLICY)
    available, taken = np.ones(problem.n_arms, np.bool_), np.zeros(len(contexts), np.int64)
    for t, (context, rewards, costs) in enumerate(zip(contexts, order.rewards, order.costs, strict=True)):
        at, key = Instance(t, context, available), Key(run, t)
        decision = loop.decide(policy.params, state, at, key)
        taken[t] = decision.action
        feedback = Feedback(float(rewards[taken[t]]), costs[taken[t] : taken[t] + 1].copy())
        loop.learn(policy.params, state, at, decision, feedback, key)
    return of_stream(order.rewards, taken, order.start), of_stream(order.costs, taken, order.start)


def of_stream(table: Array, taken: Array, start: int) -> float:
    """Return the mean of what was taken from the stream on."""
    return float(table[np.arange(start, len(taken)), taken[start:]].mean())


def peers(python: Path, orders: list[Prompts], limits: list[float]) -> dict[str, Any]:
    """Return what ParetoBandit earned and spent: by its settings, float64[limits, runs, 2], and microseconds a step."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder) / "tables.npz"
        np.savez(tables, **as_arrays(orders, True))
        for name, setting in SETTINGS.items():
            runs = [
                {"run": run, "limit": limit, "start": orders[0].start, **setting}
                for limit in limits
                for run in range(len(orders))
            ]
            command = [str(python), str(PEER / "play.py"), str(tables), json.dumps(runs)]
            done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            means = np.array([[run["reward"], run["spent"]] for run in done["runs"]])
            us = float(np.median([run["us"] for run in done["runs"]]))
            found[name] = {"found": means.reshape(len(limits), len(orders), 2), "us": us, "version": done["version"]}
    return found


def summary(found: Array, limit: float, mixtures: Array) -> dict[str, float]:
    """Say what runs earned and spent, float64[runs, 2], by the limit and by the best mixture of each."""
    earned, spent = found[:, 0], found[:, 1] / limit
    return {
        "reward": float(earned.mean()),
        "stderr": float(earned.std(ddof=1) / np.sqrt(len(earned))),
        "of_mixture": float((earned / mixtures).mean()),
        "least_of_mixture": float((earned / mixtures).min()),
        "spent": float(spent.mean()),
        "most_spent": float(spent.max()),
    }


def measured(python: Path, data: Prompts, seeds: int, factor: float) -> list[dict[str, Any]]:
    """Return of each limit what everybody earned and spent."""
    orders = [data.shuffled(seed, factor) for seed in range(seeds)]
    dear = float(data.costs[data.start :, DEAR].mean())
    limits = [share * dear for share in SHARES]
    beside = peers(python, orders, limits)
    rows = []
    for place, (share, limit) in enumerate(zip(SHARES, limits, strict=True)):
        mixtures = np.array([order.best_mixture(limit) for order in orders])
        ours = {
            name: summary(
                np.array([played(order, limit, inner, seen, seed) for seed, order in enumerate(orders)]),
                limit,
                mixtures,
            )
            for name, (inner, seen) in OURS.items()
        }
        theirs = {name: summary(of["found"][place], limit, mixtures) for name, of in beside.items()}
        best = max(theirs, key=lambda name: theirs[name]["reward"])
        rows.append(
            {
                "share": share,
                "factor": factor,
                "mixture": float(mixtures.mean()),
                "ours": ours,
                "paretobandit": theirs,
                "best": best,
            }
        )
        print(f"limit {share:.0%}, costs times {factor:g}: done", file=sys.stderr)
    rows[0]["paretobandit_us"] = min(of["us"] for of in beside.values())
    rows[0]["version"] = next(iter(beside.values()))["version"]
    return rows


def speed() -> dict[str, dict[str, float]]:
    """Return microseconds of CPU for a decision with its reward: of policies alone, and in a paced budget."""
    found = {}
    for contexts, env in {"no": {"name": "bernoulli", "params": {"mean": [0.79, 0.92, 0.93]}}, "25": _linear()}.items():
        world = envs.make("priced", env=env, cost=[0.0019, 0.0348, 1.0])
        for inner in ("squarecb", "linucb"):
            paced = {"policy": inner, "cost": [0.0019, 0.0348, 1.0], "limit": 0.1}
            pair = [policies.make(inner), policies.make("paced_budget", **paced)]
            alone, around = ([_us(policy, world) for _ in range(ROUNDS)] for policy in pair)
            found[f"{inner}, {contexts} numbers"] = {"alone": min(alone), "paced": min(around)}
    return found


def _linear() -> dict[str, Any]:
    return {"name": "linear", "params": {"arms": 3, "dimension": 25}}


def _us(policy: Any, world: Any) -> float:
    simulation = Simulation(policy, world, horizon=STEPS, seed=1)
    simulation.compile()
    start = time.process_time()
    simulation.advance(STEPS)
    return (time.process_time() - start) / STEPS * 1e6


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each figure that was to be reached, and whether it is."""
    found = []
    for row in rows:
        ours, theirs, share = row["ours"][CLAIMED], row["paretobandit"][row["best"]], f"limit {row['share']:.0%}"
        if row["factor"] == 1.0:
            found += [
                claim(f"{share}: reward by that of the best mixture", ours["of_mixture"], low=0.99),
                claim(f"{share}: spent by the limit", ours["spent"], high=1.01),
                claim(f"{share}: spent by the limit, the run that spent most", ours["most_spent"], high=1.01),
                claim(f"{share}: reward by ParetoBandit's best setting", ours["reward"] / theirs["reward"], low=1.0),
            ]
        else:
            found += [
                claim(f"{share}, costs double: spent by the limit", ours["spent"], high=1.02),
                claim(f"{share}, costs double: spent, the run that spent most", ours["most_spent"], high=1.02),
            ]
    return found


def main() -> None:
    """Measure, write the results of a full run, and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quick", action="store_true", help="4 orders in place of 10; the results are not kept")
    options = parser.parse_args()
    python = peer_python(PEER / "paretobandit.txt")
    if python is None:
        sys.exit("ParetoBandit brings the data along: nothing is measured without it")
    data, seeds = prompts(python), 4 if options.quick else 10
    rows = [row for factor in (1.0, 2.0) for row in measured(python, data, seeds, factor)]
    result = {"machine": machine(), "runs": seeds, "stream": len(data.rewards) - data.start, "warm": data.start}
    result |= {"limits": rows, "speed_us": speed(), "claims": claims(rows)}
    if not options.quick:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if options.json:
        print(json.dumps(result))
        return
    for each in result["claims"]:
        print(f"{'holds' if each['holds'] else 'FAILS':6} {each['value']:10.4g}  {each['claim']}")


if __name__ == "__main__":
    main()
