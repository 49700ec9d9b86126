"""Policies on trial: how often a guard is wrong, how long it takes to be sure, and what shadows cost.

Run: python benchmarks/lives.py [--lives 2000] [--json]. A life is an experiment in which a canary is tried beside a
live policy: decisions are drawn by `split`, as the service draws them, and a guard looks at each hundred of them with
the service's own evidence. In lives without a difference both know the same and decide alike. The cost of shadows is
measured at a service that is asked as fast as it answers, on 64 connections, with and without them in turn.
Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
import time
from typing import Any, NamedTuple

import bystander
import httpx
import numpy as np
from machine import machine
from rich.console import Console
from rich.progress import track
from service import HERE, free_port, serve, served_by

from onearm.api.experiment.lineup_schemas import Guard
from onearm.api.service.evidence import Evidence
from onearm.engine.draws import POLICY, run_key
from onearm.engine.kernel import loop
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Instance, Key
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies
from onearm.policies.wrappers.split import CANARY, LIVE, who_decides

RESULT = HERE / "results" / "lives.json"
CONSOLE = Console(stderr=True)
ALPHA = 0.05
DECISIONS = 5_000  # of a life without a difference
LOOK = 100  # decisions between two looks
MOST = 200_000  # decisions of a life in which one is better
SHADOW_COST = 0.05  # of what is served
ROUNDS = 5
TOP_RATE = 1e6  # requests a second that nothing reaches: as fast as they are answered


class World(NamedTuple):
    """What arms pay, and a name for that."""

    name: str
    means: list[float]


WORLDS = (
    World("clicks", [0.02, 0.03, 0.04]),
    World("halves", [0.4, 0.5, 0.6]),
    World("one arm pays", [0.0, 0.0, 1.0]),
)


@loop
def drawn(params: Any, run: np.uint64, context: Array, available: Array, who: Array) -> None:
    """Write who decides on the decisions 0, 1, ..., int64[n]."""
    for t in range(len(who)):
        who[t] = who_decides(params, Instance(t, context, available, np.uint64(0), 0), Key(run, t))


def without_difference(world: World, share: float, seed: int) -> str | None:
    """Return what a guard does in a life whose canary is as good as the live policy: None in most."""
    member = {"name": "epsilon_greedy", "params": {}}
    policy = policies.make("split", policy=member, canary=member, canary_share=share)
    simulation = Simulation(policy, envs.make("bernoulli", mean=world.means), horizon=DECISIONS, seed=seed)
    log = simulation.advance_logged(DECISIONS)
    who = np.zeros(DECISIONS, np.int64)
    drawn(policy.params, run_key(seed, 0, POLICY), np.zeros(0), np.ones(len(world.means), np.bool_), who)
    reward = log.reward[log.kind == 1]
    return first_move(share, who, reward)[0]


def first_move(share: float, who: Array, reward: Array) -> tuple[str | None, int]:
    """Return what a guard does first, and after how many decisions."""
    evidence, guard = Evidence(0, (0.0, 1.0), 1.0 / min(share, 1.0 - share)), Guard(alpha=ALPHA)
    for start in range(0, len(reward), LOOK):
        part = slice(start, start + LOOK)
        canary = np.where(who[part] == CANARY, 1.0 / share, 0.0)
        live = np.where(who[part] == LIVE, 1.0 / (1.0 - share), 0.0)
        evidence.add(reward[part], canary, {"live": live})
        if (move := evidence.moved(guard)) is not None:
            return move, min(start + LOOK, len(reward))
    return None, len(reward)


def with_difference(base: float, difference: float, share: float, seed: int) -> int:
    """Return after how many decisions a canary is promoted that is worth so much more."""
    rng = np.random.default_rng(seed)
    who = np.where(rng.random(MOST) < share, CANARY, LIVE)
    reward = (rng.random(MOST) < np.where(who == CANARY, base + difference, base)).astype(np.float64)
    move, after = first_move(share, who, reward)
    if move == "demoted":
        raise RuntimeError("a policy that is better was retired")
    return after if move == "promoted" else MOST + 1


def shadow_cost(shadows: int, requests: int) -> dict[str, Any]:
    """Return what a service answers a second, and the CPU of a request, with and without shadows in turn."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with serve(served_by(port, f"sqlite:///{folder}/run.db"), port) as server:
            for name in found:
                body = {"experiment_id": name, "arms": [{"id": str(a)} for a in range(10)], "policy": "ucb1"}
                httpx.post(f"{server.url}/v1/experiments", json=body).raise_for_status()
            for _ in range(shadows):
                joined = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.1 + 0.1 * _}}}
                httpx.post(f"{server.url}/v1/experiments/with/policies", json=joined).raise_for_status()
            asyncio.run(bystander.measure(server.url, list(found), 64, TOP_RATE, 6000 / TOP_RATE))
            for _ in track(range(ROUNDS), "asking with and without shadows", console=CONSOLE):
                for name in found:
                    before = server.cpu_seconds()
                    seen: Any = asyncio.run(bystander.measure(server.url, [name], 64, TOP_RATE, requests / TOP_RATE))
                    wait_for_shadows(server.url)  # what they read is part of what they cost
                    cpu = (server.cpu_seconds() - before) / seen["requests"] * 1e6
                    found[name].append({"cpu_us": cpu, "p50_ms": seen["p50_ms"], "per_second": seen["per_second"]})
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    ratios = [a["per_second"] / b["per_second"] for a, b in zip(found["with"], found["without"], strict=True)]
    cpu = [a["cpu_us"] / b["cpu_us"] for a, b in zip(found["with"], found["without"], strict=True)]
    return {
        "shadows": shadows,
        **medians,
        "served": statistics.median(ratios),
        "cpu": statistics.median(cpu),
    }


def wait_for_shadows(url: str) -> None:
    """Wait until shadows have read all that was logged."""
    while httpx.get(f"{url}/v1/experiments/with/policies").json()["lag"]:
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lives", type=int, default=2000, help="without a difference, in each world")
    parser.add_argument("--times", type=int, default=40, help="lives with each difference")
    parser.add_argument("--requests", type=int, default=15_000, help="of each measure of shadows")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    same = []
    for world, share in [(world, share) for world in WORLDS for share in (0.1, 0.5)]:
        text = f"lives without a difference: {world.name}, canary {share:g}"
        seeds = track(range(given.lives), text, console=CONSOLE)
        moves = [without_difference(world, share, seed) for seed in seeds]
        counts = {name: sum(move == name for move in moves) for name in ("promoted", "demoted")}
        same.append({"world": world.name, "share": share, "lives": given.lives, **counts})
    times = []
    for base, difference, share in [
        (base, difference, share)
        for base, differences in ((0.05, (0.01, 0.05)), (0.5, (0.05, 0.1, 0.2)))
        for difference in differences
        for share in (0.1, 0.5)
    ]:
        text = f"lives with a difference of {difference:g}, canary {share:g}"
        seeds = track(range(given.times), text, console=CONSOLE)
        after = sorted(with_difference(base, difference, share, seed) for seed in seeds)
        late = sum(one > MOST for one in after)
        median = after[len(after) // 2]
        times.append(
            {
                "base": base,
                "difference": difference,
                "share": share,
                "lives": given.times,
                "decisions": None if median > MOST else median,
                "not_within": late,
                "most": MOST,
            }
        )
    cost = [shadow_cost(shadows, given.requests) for shadows in (1, 3)]
    # A share of false moves that is not above alpha but by chance: three standard deviations.
    bound = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / given.lives)
    holds = {
        "false_moves": all((one["promoted"] + one["demoted"]) / one["lives"] <= bound for one in same),
        "shadow": cost[0]["served"] >= 1 - SHADOW_COST,
    }
    found = {
        "alpha": ALPHA,
        "decisions": DECISIONS,
        "looks_each": LOOK,
        "without_difference": same,
        "with_difference": times,
        "shadows": cost,
        "holds": holds,
        "machine": machine(),
    }
    if given.lives >= 2000:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))
    else:
        for row in (*same, *times, *cost):
            print("   ".join(f"{key} {value}" for key, value in row.items()))
        for name, does in holds.items():
            print(f"{name:12} {'holds' if does else 'DOES NOT HOLD'}")
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
