"""Decisions that move a state: all policies in all worlds, mixtures of known worlds, and the printed numbers.

Run: python benchmarks/papers/loop.py [--json] [--golden] [--worlds "swim 6,service"] [--policies "loop,half_visit"]
[--horizon 100000] [--seeds 20] [--seed 1] [--plots FOLDER].
Source: He, Zhong, Yang, "Sample-efficient learning of infinite-horizon average-reward MDPs with general function
approximation", ICLR 2024. The paper has no experiments: worlds and figures to compare with are those of an independent
program. Regret is the sum of the gaps of decisions (`engine/states/optimum.py`). `switches` are counted at every
hundredth decision. Policies that take long have fewer seeds.
With --golden the printed numbers are compared with ours, and nothing is run. A run without options writes
results/loop.json and the plot.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # `machine` lies there

import loop_plots  # noqa: E402
from bars import progress_bar  # noqa: E402
from loop_golden import golden  # noqa: E402
from loop_runs import (  # noqa: E402
    CURVE,
    HELD_OUT,
    MIXTURES,
    POLICIES,
    RIVALS,
    SEEDS_FEW,
    STEP,
    WORLDS,
    Run,
    facts,
    policy_of,
    row,
    run,
    world_of,
)
from machine import machine  # noqa: E402

from onearm.policies import catalog  # noqa: E402

RESULT = BENCHMARKS / "results" / "loop.json"
PROCESSES = 2
HORIZON, SEEDS, SEEDS_OF_MIXTURES, SEEDS_HELD_OUT = 100_000, 20, 6, 10


def main() -> None:
    """Measure what is asked for, and show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--golden", action="store_true", help="compare the printed numbers with ours, and run nothing")
    parser.add_argument("--worlds", help="by commas; all of them if left out")
    parser.add_argument("--policies", help="by commas; all of them if left out")
    parser.add_argument("--horizon", type=int, default=HORIZON, help="decisions of a run; default %(default)s")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each policy; default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    arguments = parser.parse_args()
    asked = vars(arguments)
    full = all(asked[name] == parser.get_default(name) for name in asked if name not in ("json", "plots"))
    if arguments.horizon < STEP or arguments.horizon % STEP or arguments.seeds < 1:
        parser.error(f"the horizon must be a multiple of {STEP}, and there must be a seed")
    result: dict[str, Any] = {"machine": machine(), "seed": arguments.seed}
    if arguments.golden:
        result["golden"] = golden()
    else:
        worlds = chosen(parser, arguments.worlds, list(WORLDS))
        names = chosen(parser, arguments.policies, list(POLICIES))
        with progress_bar("decisions") as progress:
            found = measure(worlds, names, arguments.horizon, arguments.seeds, arguments.seed, progress)
            some = bool(arguments.worlds or arguments.policies)
            result["mixture"] = [] if some else mixtures(arguments.seed, progress)
            if not some:
                result["held_out"] = held_out(arguments.horizon, arguments.seed, progress)
        result["regret"] = [
            row(world, name, arguments.horizon, one) for world, runs in found.items() for name, one in runs.items()
        ]
        result["worlds"] = [facts(world) for world in worlds]
        folder = arguments.plots or (RESULT.parent if full else None)
        looks = (np.unique(np.geomspace(STEP, arguments.horizon, CURVE).astype(int) // STEP) * STEP).tolist()
        result["plots"] = loop_plots.draw(found, looks, folder) if folder else []
        if full:
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)
    if arguments.golden and not all(each["agrees"] for each in result["golden"]):
        sys.exit(1)


def chosen(parser: argparse.ArgumentParser, asked: str | None, there: list[str]) -> list[str]:
    """Return the names that are asked for, all if none is. Names may have commas themselves: ", " stays in them."""
    if asked is None:
        return there
    names = [name.replace("\0", ", ").strip() for name in asked.replace(", ", "\0").split(",")]
    for name in names:
        if name not in there:
            parser.error(f"there is no {name!r}: choose from {'; '.join(there)}")
    return names


def measure(
    worlds: list[str], names: list[str], horizon: int, seeds: int, seed: int, progress: Progress
) -> dict[str, dict[str, Run]]:
    """Run all policies in all worlds, two at once, and those first that take long."""
    each = {name: min(seeds, SEEDS_FEW.get(name, seeds)) for name in names}
    task = progress.add_task("regret", total=len(worlds) * sum(each.values()) * horizon)
    order = sorted(names, key=lambda name: (name not in SEEDS_FEW, not name.startswith("loop")))
    found: dict[str, dict[str, Run]] = {world: {} for world in worlds}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        jobs = {
            pool.submit(one, world, name, horizon, each[name], seed): (world, name)
            for name in order
            for world in worlds
        }
        for job in as_completed(jobs):
            world, name = jobs[job]
            found[world][name] = job.result()
            progress.advance(task, each[name] * horizon)
    return {world: {name: found[world][name] for name in names} for world in worlds}


def one(world: str, name: str, horizon: int, seeds: int, seed: int) -> Run:
    """Run a policy in a world. In a process of its own."""
    env, best = world_of(world)
    return run(policy_of(name, best, horizon), env, horizon, seeds, seed, lambda n: None)


def mixtures(seed: int, progress: Progress) -> list[dict[str, Any]]:
    """Run the policies that know the parts of a mixture."""
    names = ("loop_mixture", "ucrl2_vtr")
    task = progress.add_task("mixtures", total=len(MIXTURES) * len(names) * SEEDS_OF_MIXTURES * HORIZON)
    rows = []
    for world, (_, _, model) in MIXTURES.items():
        env, best = world_of(world)
        for name in names:
            policy = catalog.make(name, model=model, span=best.span)
            found = run(policy, env, HORIZON, SEEDS_OF_MIXTURES, seed, lambda n: progress.advance(task, n))
            rows.append(row(world, name, HORIZON, found))
    return rows


def held_out(horizon: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Run the default and both ways of posterior sampling in worlds on which nothing was chosen."""
    task = progress.add_task("held out", total=len(HELD_OUT) * len(RIVALS) * SEEDS_HELD_OUT * horizon)
    rows = []
    for world in HELD_OUT:
        env, best = world_of(world)
        for name in RIVALS:
            policy = policy_of(name, best, horizon)
            found = run(policy, env, horizon, SEEDS_HELD_OUT, seed, lambda n: progress.advance(task, n))
            rows.append(row(world, name, horizon, found))
    means = {
        name: float(np.exp(np.mean([np.log(one["regret_mean"]) for one in rows if one["policy"] == name])))
        for name in RIVALS
    }
    ours, *others = means.values()
    return {
        "worlds": list(HELD_OUT),
        "seeds": SEEDS_HELD_OUT,
        "regret": rows,
        "geometric_means": means,
        "default_over_better": ours / min(others),
    }


def report(result: dict[str, Any]) -> None:
    """Show tables to a person."""
    console = Console()
    if "golden" in result:
        table = Table("what", "printed", "found", "agrees")
        for each in result["golden"]:
            table.add_row(each["what"], f"{each['printed']:.10g}", f"{each['found']:.10g}", str(each["agrees"]))
        console.print(table)
        return
    for part in ("regret", "mixture"):
        table = Table(
            "environment", "policy", "regret", "error", "largest", "plans", "switches", "us a step", title=part
        )
        for each in result[part]:
            numbers = (each[key] for key in ("regret_mean", "regret_stderr", "regret_max", "plans", "switches"))
            shown = ["" if number is None else f"{number:.4g}" for number in numbers]
            table.add_row(each["environment"], each["policy"], *shown, f"{each['microseconds']:.2f}")
        console.print(table)
    if "held_out" in result:
        means = ", ".join(f"{name} {mean:.4g}" for name, mean in result["held_out"]["geometric_means"].items())
        console.print(f"geometric means of regret in {len(result['held_out']['worlds'])} other worlds: {means}")
    table = Table("environment", "states", "arms", "gain", "span", "diameter", "best arm", "myopic", title="worlds")
    for each in result["worlds"]:
        numbers = (each[key] for key in ("gain", "span", "diameter", "gain_stateless", "gain_myopic"))
        table.add_row(each["environment"], str(each["states"]), str(each["arms"]), *(f"{n:.6g}" for n in numbers))
    console.print(table)


if __name__ == "__main__":
    main()
