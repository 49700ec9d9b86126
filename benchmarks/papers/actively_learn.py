"""Learning to actively learn: worst-case losses by difficulty, of trained policies and of the classical ones.

Run: python benchmarks/papers/actively_learn.py [--json] [--settings arms,thresholds] [--effort 1.0] [--seed 1]
[--rounds 5] [--no-lp] [--plots FOLDER].
Source: after Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382. Its own
constants and tables could not be had: tasks, levels and constants here are ours.

`worst_case` holds what the worst means that were found cost each policy at each level: lower bounds of the true worst
case. `gap` is how much more that is, at most, than the least of all at a level. `lp` is exact: linear programmes over
small problems, where the answers are 0 or 1; `trained` is what training reaches there, exact as well. `claims` tells
what was to be reached.
A run without options plays all, and writes results/active.json and the plots.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # `machine` and `bars` lie there

import active_plots  # noqa: E402
from active_claims import claims  # noqa: E402
from active_exact import exact_rows  # noqa: E402
from active_settings import SETTINGS, Setting, contenders, made  # noqa: E402
from active_speed import speed_of  # noqa: E402
from active_training import trained_rows  # noqa: E402
from bars import progress_bar  # noqa: E402
from machine import machine  # noqa: E402

from onearm.engine.hardness.worst_case import Effort, player, rounds_of, worst_case  # noqa: E402

RESULT = BENCHMARKS / "results" / "active.json"


def main() -> None:
    """Measure what is asked for, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="which problems; default all")
    parser.add_argument("--effort", type=float, default=1.0, help="of the adversary; .1 is quick and says little")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="of the measurements of speed; 0 for none")
    parser.add_argument("--no-lp", action="store_true", help="without the linear programmes and training against them")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    arguments = parser.parse_args()
    names = [name for name in arguments.settings.split(",") if name]
    if unknown := [name for name in names if name not in SETTINGS]:
        parser.error(f"there is no setting {unknown[0]!r}: known are {', '.join(SETTINGS)}")
    if not 0.0 < arguments.effort <= 10.0 or arguments.rounds < 0 or arguments.seed < 0:
        parser.error("effort must be above 0 and at most 10, rounds and seed 0 or more")
    asked = vars(arguments)
    full = all(asked[name] == parser.get_default(name) for name in asked if name not in ("json", "plots"))
    result: dict[str, Any] = {"machine": machine(), "seed": arguments.seed, "worst_case": [], "gap": {}, "made": {}}
    for name in names:
        rows, gaps = found_in(SETTINGS[name], effort_of(arguments.effort), arguments.seed)
        result["worst_case"] += rows
        result["gap"][name] = gaps
        result["made"][name] = made(SETTINGS[name])
    result["lp"] = [] if arguments.no_lp else exact_rows()
    result["trained"] = [] if arguments.no_lp else trained_rows()
    if arguments.rounds:
        result["speed"] = speed_of(arguments.rounds)
    folder = arguments.plots or (RESULT.parent if full else None)
    result["plots"] = active_plots.draw(result, folder) if folder else []
    result["claims"] = claims(result)
    if full:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def effort_of(share: float) -> Effort:
    """Return the usual effort of the adversary, or a share of it."""
    usual = Effort()
    if share == 1.0:
        return usual
    return usual._replace(
        steps=max(1, round(share * usual.steps)),
        choice_rollouts=max(32, round(share * usual.choice_rollouts)),
        final_rollouts=max(64, round(share * usual.final_rollouts)),
    )


def found_in(setting: Setting, effort: Effort, seed: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the worst losses found in a setting, a row for each policy and level, and the largest gap of each."""
    players = {each.key: player(each.policy, setting.problem, seed) for each in contenders(setting)}
    labels = {each.key: each.label for each in contenders(setting)}
    with progress_bar("ascents") as progress:
        bar = progress.add_task(setting.name, total=rounds_of(len(players), len(setting.levels)))
        found = worst_case(
            setting.task,
            players,
            setting.levels,
            seed=seed,
            effort=effort,
            workers=os.cpu_count() or 1,
            progress=lambda done: progress.advance(bar, done),
        )
    rows = [
        {
            "task": setting.name,
            "policy": key,
            "label": labels[key],
            "level": level,
            "loss": float(found.losses[p, r]),
            "stderr": float(found.stderr[p, r]),
        }
        for p, key in enumerate(found.names)
        for r, level in enumerate(found.levels)
    ]
    return rows, dict(zip(found.names, map(float, found.gaps), strict=True))


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console(highlight=False)
    for name, gaps in result["gap"].items():
        rows = [row for row in result["worst_case"] if row["task"] == name]
        levels = list(dict.fromkeys(row["level"] for row in rows))
        table = Table(title=f"worst loss found: {SETTINGS[name].title}")
        table.add_column("policy")
        for head in (*(f"r = {level:g}" for level in levels), "gap"):
            table.add_column(head, justify="right")
        for key, gap in sorted(gaps.items(), key=lambda item: item[1]):
            mine = [row for row in rows if row["policy"] == key]
            table.add_row(mine[0]["label"], *(f"{row['loss']:.3f}" for row in mine), f"{gap:.3f}")
        console.print(table)
    if result["lp"]:
        table = Table(title="the exact optimum of small problems")
        for head in ("problem", "minimax of each level", "robust", "its gap", "uniform's gap", "table's gap"):
            table.add_column(head, justify="left" if head == "problem" else "right")
        for row in result["lp"]:
            cells = [" ".join(f"{x:.4f}" for x in row[name]) for name in ("minimax", "robust")]
            shipped = "-" if row["table_gap"] is None else f"{row['table_gap']:.6f}"
            table.add_row(row["problem"], *cells, f"{row['gap']:.6f}", f"{row['uniform_gap']:.6f}", shipped)
        console.print(table)
    for row in result["trained"]:
        console.print(
            f"trained for {row['problem']}, seed {row['seed']}: gap {row['gap']:.4f} in {row['cpu_seconds']:.0f} s"
        )
    for name, row in result.get("speed", {}).items():
        console.print(f"{name}: " + ", ".join(f"{what} {value:.3g}" for what, value in row.items()))
    for each in result["claims"]:
        holds = "holds" if each["holds"] else "[bold red]FAILS[/]"
        ends = ["-" if end is None else f"{end:.4g}" for end in (each["low"], each["high"])]
        console.print(f"{holds}: {each['claim']}: {each['value']:.4g} (asked: {ends[0]} to {ends[1]})")
    for plot in result["plots"]:
        console.print(f"drawn: {plot}")


if __name__ == "__main__":
    main()
