"""Relaxation learned while solving: the shifted Laplacians and the heat equation of Khodak et al., all rules compared.

Run: python benchmarks/papers/sor.py [--json] [--shift low,high] [--heat 25,50,100] [--rounds 5000] [--trials 4]
[--seed 0] [--policies tsallis_inf,chebcb,fixed_omega,young] [--plots FOLDER].
Source: Khodak, Chow, Balcan, Talwalkar, "Learning to relax: setting solver parameters across a sequence of linear
system instances", ICLR 2024. The paper has figures and no tables; `claims` compares with the means that an independent
implementation of it measured, and `exact_counts` with counts that are known to the integer.

All rules meet the same systems. A row tells iterations a solve: their mean, its standard deviation between trials, and
the mean of the last 1000 rounds. `fixed_omega` is the best of 20 grid points in hindsight, `best_grid_point` the best
for each instance. On the heat equation both are judged on every step with 25 intervals, and on every 5th and 25th step
with 50 and 100, from the temperatures of omega = 1.5; the best fixed omega is then run on all steps. There 4, 2 and 1
trials are made at the most, and CPU seconds include the learning.
Policies are keys of the table in sor_rules.py, or name, or name:{json}. With --shift alone, or --heat alone, the other
is left out. A run without options takes all, and writes results/sor.json and the plots.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # `machine` lies there

import sor_plots  # noqa: E402
from bars import progress_bar  # noqa: E402
from machine import machine  # noqa: E402
from sor_claims import claims  # noqa: E402
from sor_counts import exact_counts  # noqa: E402
from sor_rules import Rule, label, read_rules  # noqa: E402
from sor_runs import Runs, rounds_of, run_heat, run_shift, summary  # noqa: E402

from onearm.engine.errors import InvalidInput, OnearmError  # noqa: E402

RESULT = BENCHMARKS / "results" / "sor.json"
VARIANCES, SIDES = ("low", "high"), (25, 50, 100)
ROUNDS, TRIALS = 5000, 4


def main() -> None:
    """Measure everything, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--shift", help="variances of the shifts, low,high; empty for none")
    parser.add_argument("--heat", help="intervals along a side, 25,50,100; empty for none")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each trial; default %(default)s")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each rule; default %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policies", help="keys of the table in sor_rules.py, name or name:{json}, by commas")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    arguments = parser.parse_args()
    asked = vars(arguments)
    full = all(asked[name] == parser.get_default(name) for name in asked if name not in ("json", "plots"))
    if arguments.rounds < 1 or arguments.trials < 1:
        parser.error("rounds and trials must be 1 or more")
    where = machine()
    try:
        variances, sides = worlds_of(arguments.shift, arguments.heat)
        rules = read_rules(arguments.policies)
        size = (arguments.rounds, arguments.trials, arguments.seed)
        with progress_bar("solves") as progress:
            shift, heat = measure(variances, sides, rules, *size, progress)
    except OnearmError as error:
        parser.error(str(error))
    counts = exact_counts()
    result: dict[str, Any] = {"machine": where, "seed": arguments.seed, "rounds": arguments.rounds}
    result["shift"] = {variance: summary(runs) for variance, runs in shift.items()}
    result["heat"] = {str(side): summary(runs) for side, runs in heat.items()}
    result["exact_counts"] = counts
    result["claims"] = claims(result["shift"], result["heat"], counts["all_equal"], arguments.rounds)
    folder = arguments.plots or (RESULT.parent if full else None)
    result["plots"] = sor_plots.draw(shift, heat, rules, folder) if folder else []
    if full:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def worlds_of(shift: str | None, heat: str | None) -> tuple[list[str], list[int]]:
    """Return variances and sides; what is not asked for is left out where the other one is."""
    if shift is None and heat is None:
        return list(VARIANCES), list(SIDES)
    variances = [name for name in (shift or "").split(",") if name]
    for name in variances:
        if name not in VARIANCES:
            raise InvalidInput("bad_shift", f"there is no variance {name!r}: known are {', '.join(VARIANCES)}")
    sides = []
    for text in (text for text in (heat or "").split(",") if text):
        if not text.isdecimal() or int(text) < 2:
            raise InvalidInput("bad_heat", f"{text!r} intervals cannot be: write whole numbers from 2 on, as 25,50")
        sides.append(int(text))
    return variances, sides


def measure(
    variances: list[str],
    sides: list[int],
    rules: dict[str, Rule],
    rounds: int,
    trials: int,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Runs], dict[int, Runs]]:
    """Run all rules in all worlds that they are for."""
    mine = {world: {key: rule for key, rule in rules.items() if world in rule.worlds} for world in ("shift", "heat")}
    for world, asked in (("shift", variances), ("heat", sides)):
        if asked and not mine[world]:
            raise InvalidInput("no_rule", f"none of the policies is for {world}: name others, or leave {world} out")
    tasks = {
        size: progress.add_task(f"{world} {size}", total=rounds_of(world, size, mine[world], rounds, trials))
        for world, sizes in (("shift", variances), ("heat", sides))
        for size in sizes
    }

    def told(size: Any) -> Any:
        return lambda made: progress.advance(tasks[size], made)

    shift = {name: run_shift(name, mine["shift"], rounds, trials, seed, told(name)) for name in variances}
    heat = {side: run_heat(side, mine["heat"], rounds, trials, seed, told(side)) for side in sides}
    return shift, heat


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console(highlight=False)
    for title, rows in (
        *((f"shifted Laplacian, {name} variance", rows) for name, rows in result["shift"].items()),
        *((f"heat equation, {side} intervals", rows) for side, rows in result["heat"].items()),
    ):
        table = Table(title=f"{title}: iterations a solve")
        for head in ("rule", "mean", "± sd of trials", "of best fixed", "last 1000", "CPU s"):
            table.add_column(head, justify="left" if head == "rule" else "right")
        for key, row in sorted(rows.items(), key=lambda item: item[1]["mean"]):
            name = label(key) + (f" ({row['omega']:.2f})" if row.get("omega") else "")
            numbers = (row["sd"], row["ratio_to_best_fixed"], row["last1000"], row["cpu_seconds"])
            texts = ("-" if x is None else f"{x:.{p}f}" for x, p in zip(numbers, (2, 3, 2, 1), strict=True))
            table.add_row(name, f"{row['mean']:.2f}", *texts)
        console.print(table)
    for each in result["exact_counts"]["rows"]:
        if not each["equal"]:
            console.print(f"[bold red]not equal[/]: {each}")
    for name, each in result["claims"].items():
        holds = "holds" if each["holds"] else "[bold red]FAILS[/]"
        ends = ["-" if end is None else f"{end:.4g}" for end in (each["low"], each["high"])]
        console.print(f"{holds}: {name}: {each['value']:.4g} (asked: {ends[0]} to {ends[1]})")
    for plot in result["plots"]:
        console.print(f"drawn: {plot}")


if __name__ == "__main__":
    main()
