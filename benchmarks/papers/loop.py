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
    EARLY,
    HELD_OUT,
    KNOWING,
    MIDDLE,
    MIXTURES,
    POLICIES,
    RIVALS,
    SEEDS_FEW,
    STEP,
    WORLDS,
    Run,
    facts,
    looks,
    row,
    run,
)
from machine import machine  # noqa: E402

from onearm.api.scheduling.scheduler import opened  # noqa: E402

RESULT = BENCHMARKS / "results" / "loop.json"
PROCESSES = 2
HORIZON, SEEDS, SEEDS_OF_MIXTURES, SEEDS_HELD_OUT = 100_000, 20, 6, 10
Cell = tuple[str, str, int]  # a world, a policy, and how many seeds


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
    parser.add_argument("--scheduler", help="local:N or tcp://HOST:PORT, whose workers play; default: two processes")
    arguments = parser.parse_args()
    asked = vars(arguments)
    full = all(asked[name] == parser.get_default(name) for name in asked if name not in ("json", "plots", "scheduler"))
    if arguments.horizon < STEP or arguments.horizon % STEP or arguments.seeds < 1:
        parser.error(f"the horizon must be a multiple of {STEP}, and there must be a seed")
    result: dict[str, Any] = {"machine": machine(), "seed": arguments.seed}
    if arguments.golden:
        result["golden"] = golden()
    else:
        worlds = chosen(parser, arguments.worlds, list(WORLDS))
        names = chosen(parser, arguments.policies, list(POLICIES))
        horizon, seeds = arguments.horizon, arguments.seeds
        asked_for = [(world, name, min(seeds, SEEDS_FEW.get(name, seeds))) for world in worlds for name in names]
        others = [(world, name, SEEDS_HELD_OUT) for world in HELD_OUT for name in RIVALS]
        mixed = [(world, name, SEEDS_OF_MIXTURES) for world in MIXTURES for name in KNOWING]
        with progress_bar("decisions") as progress:
            found = measure(
                asked_for if not full else [*asked_for, *mixed, *others],
                horizon,
                arguments.seed,
                progress,
                arguments.scheduler,
            )
        result["regret"] = [row(*cell[:2], horizon, found[cell]) for cell in asked_for]
        result["mixture"] = [row(*cell[:2], horizon, found[cell]) for cell in mixed] if full else []
        if full:
            result |= {"held_out": held_out(found, horizon), "goals": goals(found, horizon)}
        result["worlds"] = [facts(world) for world in worlds]
        folder = arguments.plots or (RESULT.parent if full else None)
        curves = {world: {name: found[world, name, n] for at, name, n in asked_for if at == world} for world in worlds}
        result["plots"] = loop_plots.draw(curves, looks(horizon), folder) if folder else []
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
    cells: list[Cell], horizon: int, seed: int, progress: Progress, scheduler: str | None = None
) -> dict[Cell, Run]:
    """Run policies in worlds, two at once or where a scheduler has it done, and those first that take long."""
    task = progress.add_task("decisions", total=sum(seeds for _, _, seeds in cells) * horizon)
    order = sorted(cells, key=lambda cell: (cell[1] not in SEEDS_FEW, not cell[1].startswith("loop")))
    found: dict[Cell, Run] = {}
    if scheduler is not None:
        jobs = [(world, name, horizon, seeds, seed) for world, name, seeds in order]
        with opened(scheduler) as spread:
            results = spread.map(run_job, jobs, lambda place: progress.advance(task, jobs[place][3] * horizon))
        found = dict(zip(order, results, strict=True))
        return {cell: found[cell] for cell in cells}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        started = {
            pool.submit(run, world, name, horizon, seeds, seed): (world, name, seeds) for world, name, seeds in order
        }
        for job in as_completed(started):
            found[started[job]] = job.result()
            progress.advance(task, started[job][2] * horizon)
    return {cell: found[cell] for cell in cells}


def run_job(job: tuple[str, str, int, int, int]) -> Run:
    """Run a policy in a world, from all seeds."""
    return run(*job)


def held_out(found: dict[Cell, Run], horizon: int) -> dict[str, Any]:
    """Return what the default and both ways of posterior sampling lose in worlds on which nothing was chosen."""
    rows = [row(world, name, horizon, found[world, name, SEEDS_HELD_OUT]) for world in HELD_OUT for name in RIVALS]
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


def goals(found: dict[Cell, Run], horizon: int) -> list[dict[str, Any]]:
    """Return how near the default is to what it was meant to reach, beside others and beside itself."""
    noted = looks(horizon)
    lost = {
        (world, name): dict(zip(noted, one.regret.mean(axis=0), strict=True)) for (world, name, _), one in found.items()
    }

    def ratio(what: str, asked: float, over: float, under: float) -> dict[str, Any]:
        return {"what": what, "asked": asked, "found": float(over / under)}

    early = [
        ratio(
            f"{world}, beside imed_rl after {EARLY:,}",
            1.5,
            lost[world, RIVALS[0]][EARLY],
            lost[world, "imed_rl"][EARLY],
        )
        for world in ("four rooms", "inventory")
    ]
    rivals = min(lost["backoff", name][horizon] for name in RIVALS[1:])
    late = ratio(f"backoff, beside the better psrl after {horizon:,}", 1.5, lost["backoff", RIVALS[0]][horizon], rivals)
    growth = [
        ratio(
            f"{world}, after {horizon:,} beside {MIDDLE:,}",
            2.0,
            lost[world, RIVALS[0]][horizon],
            lost[world, RIVALS[0]][MIDDLE],
        )
        for world in WORLDS
        if world.startswith("garnet")
    ]
    return [*early, late, *growth]


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
        for each in result["goals"]:
            console.print(f"half_visit in {each['what']}: {each['found']:.2f} times, asked {each['asked']:g}")
    table = Table("environment", "states", "arms", "gain", "span", "diameter", "best arm", "myopic", title="worlds")
    for each in result["worlds"]:
        numbers = (each[key] for key in ("gain", "span", "diameter", "gain_stateless", "gain_myopic"))
        table.add_row(each["environment"], str(each["states"]), str(each["arms"]), *(f"{n:.6g}" for n in numbers))
    console.print(table)


if __name__ == "__main__":
    main()
