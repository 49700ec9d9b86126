"""How much policies earn in one pass over tables of named features - text, strings, numbers - beside Vowpal Wabbit.

Run: python benchmarks/sparse.py [--json] [--sets ner,pages] [--replications 5] [--quick].
Shown is the share of wrong choices (progressive validation) over shuffles of the rows, and its standard error; then the
share of the best banner by quarters of 8,000 decisions, where contexts are a country and a device; and how fast logs
are read and decisions made, by sparse_speed.py.
`default` is what onearm takes where no policy is named, and all of ours have default params.
Vowpal Wabbit meets the same rows, but for those of tables of numbers, in the same orders and as large a
table of weights. It is tuned on each set in hindsight: all of
the grid below on one shuffle, the best six and the best of its softmax on all. Costs are 0 for the right choice and 1
for a wrong one, or -.5 and .5.
A full run writes results/sparse.json, of which tables.py makes a table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sparse_speed
from contextual import SEED, Configuration, mean_and_error, progress_bar, run_vw
from machine import machine
from rich.console import Console
from rich.table import Table
from sparse_sets import SETS, TABLES
from speed import peer_python

from onearm.api.kinds.arms.problem import CONTEXT_POLICY
from onearm.engine.draws import NATURE, run_key
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import DECIDE
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "sparse.json"
BITS = 20
OURS: dict[str, Any] = {
    "default": CONTEXT_POLICY,
    **{name: {"name": name, "params": {}} for name in ("fourier_ucb", "squarecb", "regcb", "softmax", "linear_greedy")},
}
BEFORE = ("fourier_softmax", "squarecb", "regcb")  # as they were, with the first-order rule
# Vowpal Wabbit's grid: exploration, learning rates and costs, each with each
VW_EXPLORATION = {
    "squarecb": ["--squarecb --gamma_scale 100"],
    "regcbopt": ["--regcbopt --mellowness 0.0001"],
    "epsilon_0": ["--epsilon 0", "--epsilon 0 --cb_type dr"],
    "softmax": [f"--softmax --lambda {sharpness}" for sharpness in (30, 100)],
}
VW_RATES = ("-l 0.05", "-l 0.5", "-l 3")
VW_COSTS = ((1, 0), (0.5, -0.5))
FINALISTS = 6
COUNTRIES, DEVICES, BANNERS, VISITS = 5, 2, 4, 8000
SPEED_ROUNDS = 3
CLICKS = 0.05, 0.15  # of a wrong banner and of the right one
Step = Callable[[], None]


def main() -> None:
    """Measure everything, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--sets", default=",".join(SETS), help="data sets, separated by commas")
    parser.add_argument("--replications", type=int, default=3, help="shuffles of each set")
    parser.add_argument("--quick", action="store_true", help="the default and squarecb alone, on 2 shuffles")
    arguments = parser.parse_args()
    names = arguments.sets.split(",")
    if unknown := set(names) - set(SETS):
        parser.error(f"there is no set {', '.join(sorted(unknown))}: known are {', '.join(SETS)}")
    replications = 2 if arguments.quick else arguments.replications
    if replications < 2:
        parser.error("a standard error needs at least 2 replications")
    ours = {name: OURS[name] for name in ("default", "squarecb")} if arguments.quick else OURS
    before = () if arguments.quick else BEFORE
    vw = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt")
    with progress_bar() as progress:
        task = progress.add_task("measuring", total=None)
        step: Step = lambda: progress.advance(task)  # noqa: E731
        sets = {}
        for name in names:
            progress.update(task, description=name)
            sets[name] = of_set(name, ours, before, replications, vw, step)
        found = {"sets": sets, "categories": categories(ours, replications, step)}
        progress.update(task, description="speed")
        result = {"machine": machine(), **found, "speed": sparse_speed.measure(vw, SPEED_ROUNDS, step)}
    if not arguments.quick and set(names) == set(SETS):
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def of_set(
    name: str, ours: dict[str, Any], before: tuple[str, ...], replications: int, vw: Path | None, step: Step
) -> dict[str, list[Any]]:
    """Return [mean, standard error] of the wrong share of each policy on a set, with the flags of Vowpal Wabbit's."""
    rows, label = SETS[name]()
    env = envs.factory("classification")(rows=rows, label=label, bits=BITS)
    first_order = {f"{one}_before": {"name": one, "params": {"second_order": False}} for one in before}
    found: dict[str, list[Any]] = {}
    for result, spec in (ours | first_order).items():
        policy = policies.from_spec(spec)
        curves = simulate(policy, env, horizon=len(rows), replications=replications, seed=SEED)
        found[result] = mean_and_error((1 - curves.reward[:, -1] / len(rows)).tolist())
        step()
    if vw is not None and name not in TABLES:
        found |= vowpal_wabbit(env, rows, label, replications, vw, step)
    return found


def vowpal_wabbit(
    env: Any, rows: list[dict[str, float]], label: list[int], replications: int, vw: Path, step: Step
) -> dict[str, list[Any]]:
    """Return [mean, standard error, flags] of Vowpal Wabbit's best, and of its best by exploration."""
    everyone = [
        Configuration(0.0, family, "words", f"{flags} {rate} -q sa -b {BITS}", costs=costs)
        for family, each in VW_EXPLORATION.items()
        for flags, rate, costs in itertools.product(each, VW_RATES, VW_COSTS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        for replication in range(replications):
            order = env.init(env.params, env.problem, run_key(SEED, replication, NATURE)).order
            lines = (f"{label[i]}|{' '.join(of_row(rows[i]))}" for i in order)
            (Path(folder) / f"words.{replication}").write_text("\n".join(lines))
        run_vw(vw, everyone, range(1), Path(folder), env.problem.n_arms, step)
        ranked = sorted(everyone, reverse=True)
        finalists = ranked[:FINALISTS] + [each for each in ranked[FINALISTS:] if each.family == "softmax"][:1]
        run_vw(vw, finalists, range(1, replications), Path(folder), env.problem.n_arms, step)
    found: dict[str, list[Any]] = {}
    for each in sorted(finalists, reverse=True):
        wrong = mean_and_error([1 - reward for reward in each.rewards])
        row = [*wrong, f"{each.flags}, costs {each.costs[0]:g} and {each.costs[1]:g}"]
        for result in ("vw_best", f"vw_{each.family}"):
            found.setdefault(result, row)
    return found


def of_row(row: dict[str, float]) -> list[str]:
    """Return the features of a row as Vowpal Wabbit's text has them; a name may hold neither a colon nor a bar."""
    return [f"{name.replace(':', '_').replace('|', '_')}:{value:.9g}" for name, value in row.items()]


def categories(ours: dict[str, Any], replications: int, step: Step) -> dict[str, dict[str, list[float]]]:
    """Return the share of the right banner in each quarter, where it follows the country, or the device as well."""
    found: dict[str, dict[str, list[float]]] = {"country": {}, "both": {}}
    for by, shares in found.items():
        for result, spec in ours.items():
            shares[result] = np.mean([quarters(spec, by, seed) for seed in range(replications)], axis=0).tolist()
            step()
    return found


def quarters(spec: Any, by: str, seed: int) -> list[float]:
    """Return the share of the right banner in each quarter of the visits."""
    rng = np.random.default_rng(seed)
    country, device = rng.integers(COUNTRIES, size=VISITS), rng.integers(DEVICES, size=VISITS)
    banner = rng.permutation(BANNERS)
    best = banner[(country if by == "country" else 2 * country + device) % BANNERS]
    rows = [{f"country={c}": 1.0, f"device={d}": 1.0} for c, d in zip(country, device, strict=True)]
    env = envs.factory("classification")(rows=rows, label=best.tolist(), shuffle=False, clicks=list(CLICKS))
    log = Simulation(policies.from_spec(spec), env, horizon=VISITS, seed=seed).advance_logged(VISITS)
    chosen = log.action[log.kind == DECIDE]
    shares = (chosen == best).reshape(4, -1).mean(axis=1)
    return [float(share) for share in shares]


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console()
    sets = result["sets"]
    table = Table(title="share of wrong choices in one pass, with its standard error")
    for head in ("policy", *sets):
        table.add_column(head)
    for name in dict.fromkeys(name for rows in sets.values() for name in rows):
        cells = [f"{rows[name][0]:.3f} ± {rows[name][1]:.3f}" if name in rows else "" for rows in sets.values()]
        table.add_row(name, *cells)
    console.print(table)
    for by, shares in result["categories"].items():
        for name, found in shares.items():
            console.print(f"right banner by {by}, {name}: {' '.join(f'{share:.3f}' for share in found)}")
    for name, speed in result["speed"]["logs"].items():
        ways = ", ".join(f"{way} {speed[way]:,.0f} events/s" for way in ("read", "learned", "vw") if speed[way])
        console.print(f"{name}: {ways}")
    for name, (taken, asked) in result["speed"]["microseconds"].items():
        console.print(f"{name}: {taken:.1f} us, {asked:g} at most")


if __name__ == "__main__":
    main()
