"""How much policies earn in one pass over tables of named features - text, strings, numbers - beside Vowpal Wabbit.

Run: python benchmarks/sparse.py [--json] [--sets ner,pages] [--policies regcb,vw] [--parts quality,speed]
[--replications 5] [--quick].
Shown is the share of wrong choices (progressive validation) over shuffles of the rows, and its standard error; then the
share of the best banner by quarters of 8,000 decisions, where contexts are a country and a device; and how fast logs
are read and decisions made, by sparse_speed.py.
`default` is what onearm takes where no policy is named, and all of ours have default params.
Vowpal Wabbit meets the same rows, but for those of tables of numbers, in the same orders and as large a
table of weights. It is tuned on each set in hindsight: all of
the grid below on one shuffle, the best six and the best of its softmax on all. Costs are 0 for the right choice and 1
for a wrong one, or -.5 and .5.
Where all sets and policies were measured, each part is written to results/sparse.json, of which tables.py makes tables.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Collection
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
BEFORE: dict[str, Any] = {  # as they were, with the first-order rule
    f"{name}_before": {"name": name, "params": {"second_order": False}}
    for name in ("fourier_softmax", "squarecb", "regcb")
}
POLICIES = (*OURS, *BEFORE, "vw")
PARTS = ("quality", "speed")
# Vowpal Wabbit's grid: exploration, learning rates and costs, each with each
VW_EXPLORATION = {
    "squarecb": ["--squarecb --gamma_scale 100"],
    "regcbopt": ["--regcbopt --mellowness 0.0001"],
    "epsilon_0": ["--epsilon 0", "--epsilon 0 --cb_type dr"],
    "softmax": [f"--softmax --lambda {sharpness}" for sharpness in (30, 100, 300)],
}
VW_RATES = ("-l 0.05", "-l 0.5", "-l 3")
VW_COSTS = ((1, 0), (0.5, -0.5))
FINALISTS = 6
REPLICATIONS = 10
COUNTRIES, DEVICES, BANNERS, VISITS = 5, 2, 4, 8000
SPEED_ROUNDS = 3
CLICKS = 0.05, 0.15  # of a wrong banner and of the right one
Step = Callable[[], None]


def main() -> None:
    """Measure what is asked for, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--sets", type=one_of(SETS), default=list(SETS), help="data sets, separated by commas")
    parser.add_argument("--policies", type=one_of(POLICIES), default=list(POLICIES), help="ours, before, and vw")
    parser.add_argument("--parts", type=one_of(PARTS), default=list(PARTS), help="what is measured")
    parser.add_argument("--replications", type=int, default=REPLICATIONS, help="shuffles of each set")
    parser.add_argument("--quick", action="store_true", help="the default, squarecb and vw alone, on 2 shuffles")
    asked = parser.parse_args()
    if asked.quick:
        asked.policies, asked.replications = ["default", "squarecb", "vw"], 2
    if asked.replications < 2:
        parser.error("a standard error needs at least 2 replications")
    vw = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt") if "vw" in asked.policies else None
    with progress_bar() as progress:
        task = progress.add_task("measuring", total=steps(asked, vw))
        step: Step = lambda: progress.advance(task)  # noqa: E731
        result: dict[str, Any] = {}
        if "quality" in asked.parts:
            result = {"machine": machine(), "sets": {}}
            for name in asked.sets:
                progress.update(task, description=name)
                result["sets"][name] = of_set(name, asked.policies, asked.replications, vw, step)
            progress.update(task, description="categories")
            result["categories"] = categories(asked.policies, asked.replications, step)
        if "speed" in asked.parts:
            progress.update(task, description="speed")
            result["speed"] = sparse_speed.measure(vw, SPEED_ROUNDS, step)
    if (asked.sets, asked.policies, asked.replications) == (list(SETS), list(POLICIES), REPLICATIONS):
        RESULT.write_text(json.dumps(json.loads(RESULT.read_text()) | result, indent=2) + "\n")
    if asked.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def one_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return what reads names that are separated by commas, in the order in which they are known."""

    def names(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return names


def steps(asked: argparse.Namespace, vw: Path | None) -> int:
    """Return how many steps of the bar are asked for."""
    ours = len(asked.policies) - ("vw" in asked.policies)
    tuned = len(vw_grid()) + (FINALISTS + 1) * (asked.replications - 1) if vw is not None else 0
    quality = len(asked.sets) * ours + tuned * len(set(asked.sets) - set(TABLES))
    quality += 2 * len(OURS.keys() & set(asked.policies))
    speed = SPEED_ROUNDS * len(sparse_speed.LOGS)
    return quality * ("quality" in asked.parts) + speed * ("speed" in asked.parts)


def of_set(name: str, asked: list[str], replications: int, vw: Path | None, step: Step) -> dict[str, list[Any]]:
    """Return [mean, standard error] of the wrong share of each policy on a set, with the flags of Vowpal Wabbit's."""
    rows, label = SETS[name]()
    env = envs.factory("classification")(rows=rows, label=label, bits=BITS)
    found: dict[str, list[Any]] = {}
    for result, spec in (OURS | BEFORE).items():
        if result not in asked:
            continue
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
    everyone = vw_grid()
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


def vw_grid() -> list[Configuration]:
    """Return all of Vowpal Wabbit's grid."""
    return [
        Configuration(0.0, family, "words", f"{flags} {rate} -q sa -b {BITS}", costs=costs)
        for family, each in VW_EXPLORATION.items()
        for flags, rate, costs in itertools.product(each, VW_RATES, VW_COSTS)
    ]


def of_row(row: dict[str, float]) -> list[str]:
    """Return the features of a row as Vowpal Wabbit's text has them; a name may hold neither a colon nor a bar."""
    return [f"{name.replace(':', '_').replace('|', '_')}:{value:.9g}" for name, value in row.items()]


def categories(asked: list[str], replications: int, step: Step) -> dict[str, dict[str, list[float]]]:
    """Return the share of the right banner in each quarter, where it follows the country, or the device as well."""
    found: dict[str, dict[str, list[float]]] = {"country": {}, "both": {}}
    for by, shares in found.items():
        for result in (name for name in OURS if name in asked):
            each = [quarters(OURS[result], by, seed) for seed in range(replications)]
            shares[result] = np.mean(each, axis=0).tolist()
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
    sets = result.get("sets", {})
    table = Table(title="share of wrong choices in one pass, with its standard error")
    for head in ("policy", *sets):
        table.add_column(head)
    for name in dict.fromkeys(name for rows in sets.values() for name in rows):
        cells = [f"{rows[name][0]:.3f} ± {rows[name][1]:.3f}" if name in rows else "" for rows in sets.values()]
        table.add_row(name, *cells)
    console.print(table)
    for by, shares in result.get("categories", {}).items():
        for name, found in shares.items():
            console.print(f"right banner by {by}, {name}: {' '.join(f'{share:.3f}' for share in found)}")
    if "speed" not in result:
        return
    for name, rates in result["speed"]["logs"].items():
        ways = ", ".join(f"{way} {rate:,.0f} events/s" for way, rate in rates.items() if way != "asked")
        console.print(f"{name}: {ways}")
    for name, (taken, asked) in result["speed"]["microseconds"].items():
        console.print(f"{name}: {taken:.1f} us, {asked:g} at most")


if __name__ == "__main__":
    main()
