"""How fast `onearm.open` decides and learns: one decision at a time beside river, and many in one call beside C.

Run: python benchmarks/python_interface.py [--rounds 5] [--seconds 0.5] [--no-peers] [--json]. Writes
results/python_interface.json, of which tables.py makes a table. A pair is `engine.decide()` and `engine.learn(...)`,
with ten arms; contexts hold 32 numbers. Rates are per second of CPU on one thread; a ratio is the median over rounds,
in each of which the rivals take turns.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from c_loops import c_loops
from contextual_speed import LINUCB, SOURCE, D, K, Tables
from machine import machine
from reference import MEANS
from speed import HERE, peer_python, peer_rates
from threadpoolctl import threadpool_limits

import onearm
from onearm.api.kinds.arms.engine import Engine
from onearm.engine.vocabulary import Array

RESULT = HERE / "results" / "python_interface.json"
CHUNK = 50  # pairs between two looks at the clock, as in peers/play.py
ROWS = 4096  # of a batch, and of the table of rewards
# What was asked for, on a machine on which river made so many pairs a second
PAIRS = {"ucb1": 600_000, "epsilon_greedy": 600_000, "linucb": 300_000, "thompson_beta": 100_000}
RIVER_THEN = {"ucb1": 126_000, "epsilon_greedy": 402_000}
MANY = {"ucb1": 5_000_000}  # decisions a second
OF_C = 0.8  # of linucb


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU, for each rival in each round")
    parser.add_argument("--no-peers", action="store_true", help="leave river out; the results are not kept")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    river = None if arguments.no_peers else peer_python(HERE / "peers" / "river.txt")
    result = {
        "machine": machine(),
        **pairs(river, arguments.rounds, arguments.seconds),
        "many": many(arguments.rounds, arguments.seconds),
    }
    if not arguments.no_peers:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result) if arguments.json else said(result))


def pairs(river: Path | None, rounds: int, seconds: float) -> dict[str, Any]:
    """Return pairs a second by policy, of ours and of river, and river's speed beside that on the other machine."""
    engines = {name: opened(name) for name in PAIRS}
    contexts = {name: context_rows(engine) for name, engine in engines.items()}
    ours: dict[str, list[float]] = {name: [] for name in PAIRS}
    theirs: dict[str, list[float]] = {name: [] for name in PAIRS}
    version = None
    for _ in range(rounds):
        for name, engine in engines.items():
            ours[name].append(pairs_per_second(engine, contexts[name], seconds))
        if (peer := peer_rates("river", river, 1, seconds, nothing)) is not None:
            version = peer["version"]
            for name in PAIRS.keys() & peer["steps_per_second"].keys():
                theirs[name].append(peer["steps_per_second"][name])
    speed = [statistics.median(theirs[name]) / then for name, then in RIVER_THEN.items() if theirs[name]]
    found = {
        name: {
            "onearm": statistics.median(rates),
            "river": statistics.median(theirs[name]) if theirs[name] else None,
            "ratio": median_ratio(rates, theirs[name]) if theirs[name] else None,
            "asked": PAIRS[name] * (statistics.mean(speed) if speed else 1.0),
        }
        for name, rates in ours.items()
    }
    return {"pairs": found, "river": version, "river_speed": statistics.mean(speed) if speed else None}


def opened(name: str, **params: Any) -> Engine:
    """Return a policy at work that is compiled and has learned a little."""
    context = D if name == "linucb" else 0
    engine = onearm.open({"name": name, "params": params}, arms=K, context=context, seed=1)
    rows = context_rows(engine)
    for entry in (engine._select, engine._update):
        entry.wait()
    pairs_per_second(engine, rows, 0.05)
    return engine


def context_rows(engine: Engine) -> list[Any]:
    """Return the contexts of ROWS decisions."""
    if engine.problem.context_shape == (0,):
        return [None] * ROWS
    return list(Tables((D,), ROWS, K).contexts)


def pairs_per_second(engine: Engine, contexts: list[Any], seconds: float) -> float:
    """Return pairs a second of CPU."""
    step = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(CHUNK):
            choice = engine.decide(contexts[step % ROWS])
            engine.learn(choice, 1.0 if TABLE[step % ROWS] < MEANS_OF_ARMS[choice.action] else 0.0)
            step += 1
    return step / spent


def many(rounds: int, seconds: float) -> dict[str, Any]:
    """Return decisions and rewards a second in batches; of linucb also what C decides, and how much of that we do."""
    found: dict[str, Any] = {}
    with c_loops(SOURCE, "-fopenmp-simd") as c, threadpool_limits(1):
        for name, params in (("ucb1", {}), ("linucb", LINUCB)):
            engine = opened(name, **params)
            contexts = np.array(context_rows(engine)) if name == "linucb" else ROWS
            engine.learn_many(engine.decide_many(contexts), REWARDS)
            for entry in engine._many.values():
                entry.wait()
            rates: dict[str, list[float]] = {"decide": [], "learn": [], "c": []}
            for _ in range(rounds):
                rates["decide"].append(rows_per_second(lambda: engine.decide_many(contexts), seconds))  # noqa: B023
                rates["learn"].append(learned_per_second(engine, contexts, seconds))
                if name == "linucb" and c is not None:
                    rates["c"].append(rows_per_second(c_decisions(c, engine, contexts), seconds))
            found[name] = {of: statistics.median(each) for of, each in rates.items() if each}
            found[name]["asked"] = MANY.get(name)
            if rates["c"]:
                found[name] |= {"ratio": median_ratio(rates["decide"], rates["c"]), "asked_ratio": OF_C}
    return found


def rows_per_second(run: Callable[[], Any], seconds: float) -> float:
    """Return rows a second of this thread's CPU, of what runs ROWS at once."""
    times = 0
    start = time.thread_time()
    while (spent := time.thread_time() - start) < seconds:
        run()
        times += 1
    return times * ROWS / spent


def learned_per_second(engine: Engine, contexts: Any, seconds: float) -> float:
    """Return rewards a second of CPU, which come in another order than their decisions."""
    order = np.random.default_rng(0).permutation(ROWS)
    spent, times = 0.0, 0
    while spent < seconds:
        batch = engine.decide_many(contexts)[order]
        start = time.thread_time()
        engine.learn_many(batch, REWARDS)
        spent += time.thread_time() - start
        times += 1
    return times * ROWS / spent


def c_decisions(library: ctypes.CDLL, engine: Engine, contexts: Array) -> Callable[[], Any]:
    """Return the C loop that decides on the same contexts, by regressions on those rows that ours gives to each arm."""
    batch = engine.decide_many(contexts)
    inverse, theta = np.zeros((K, D, D)), np.zeros((K, D))
    for arm in range(K):
        rows = contexts[batch.action == arm]
        inverse[arm] = np.linalg.inv(np.eye(D) + rows.T @ rows)
        theta[arm] = inverse[arm] @ rows.sum(axis=0)
    arrays = contexts, inverse, theta, np.zeros(ROWS, np.int64)
    places = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    alpha = ctypes.c_double(LINUCB["alpha"])

    def decide(kept: Any = arrays) -> None:
        library.linucb_decide(ctypes.c_long(len(kept[0])), *places[:3], alpha, places[3])

    return decide


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median over rounds of how many times as fast we are."""
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def nothing() -> None:
    """Show no progress."""


def said(result: dict[str, Any]) -> str:
    """Return the results as lines."""
    lines = []
    for name, found in result["pairs"].items():
        river = "" if found["river"] is None else f", river {found['river']:,.0f}"
        lines.append(f"{name:15} {found['onearm']:10,.0f} pairs a second (asked: {found['asked']:,.0f}){river}")
    for name, found in result["many"].items():
        of_c = f", {found['ratio']:.2f} of C (asked: {found['asked_ratio']})" if "ratio" in found else ""
        lines.append(f"{name:15} {found['decide']:10,.0f} decisions, {found['learn']:,.0f} rewards in batches{of_c}")
    return "\n".join(lines)


TABLE = np.random.default_rng(0).random(ROWS).tolist()
MEANS_OF_ARMS = MEANS.tolist()
REWARDS = np.random.default_rng(1).integers(0, 2, ROWS).astype(float)

if __name__ == "__main__":
    main()
