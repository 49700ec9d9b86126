"""How much contextual policies earn in one pass over labelled tables, beside Vowpal Wabbit; and how fast they are.

Run: python benchmarks/contextual.py [--json] [--sets digits,wine] [--replications 10] [--quick] [--no-speed].
Shown is the mean reward of what was chosen (progressive validation) over shuffles of the rows, and its standard error.
Ours meet the features as they stand in the tables; `default` is one policy with default params for all sets, a name
that ends in `_tuned` is the best of its grid on each set, in hindsight.
Vowpal Wabbit meets the same rows in the same orders. It is tuned on each set in hindsight, by halving: all of the grid
below on one shuffle, the better ones on three, the finalists on all. `vw_best` may have its features standardised by
means and deviations of the whole table, which no online learner knows; `vw_raw_best` gets the features as ours do.
A full run writes results/contextual.json, of which tables.py makes a table, and results/contextual.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import contextual_speed
import numpy as np
from machine import machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from speed import peer_python

from onearm.engine.draws import NATURE, run_key
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Environment
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "contextual.json"
SEED = 0
DEFAULT = "fourier_ucb"
MEAN_OF = ("digits", "wine", "breast_cancer", "segment", "phishing")
SETS = (*MEAN_OF, "mnist_5k")
# name of the result: policy, and its grid (none: default params)
OURS: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "default": (DEFAULT, {}),
    "linucb": ("linucb", {}),
    "linear_thompson": ("linear_thompson", {}),
    "linear_greedy": ("linear_greedy", {}),
    "logistic_thompson": ("logistic_thompson", {}),
    "squarecb": ("squarecb", {}),
    "fastcb": ("fastcb", {}),
    "regcb": ("regcb", {}),
    "bag": ("bag", {}),
    "linucb_tuned": ("linucb", {"alpha": [0.15, 0.3, 0.5, 1.0, 1.5], "regularisation": [0.02, 0.1, 0.3, 1.0]}),
    "linear_thompson_tuned": ("linear_thompson", {"v": [0.1, 0.2, 0.3], "regularisation": [0.1, 0.3, 1.0]}),
    "squarecb_tuned": ("squarecb", {"gamma": [5.0, 20.0, 80.0], "regularisation": [0.1, 0.3, 1.0]}),
    "regcb_tuned": ("regcb", {"mellowness": [0.01, 0.03, 0.1], "regularisation": [0.1, 0.3, 1.0]}),
}
LARGE = {"mnist_5k": ("default",)}  # 784 features: a matrix of 5 MB for each arm, so only these are run
# Vowpal Wabbit's grid: features, interactions, exploration and learning rates, each with each
VW_FEATURES = ("raw", "standard")
VW_INTERACTIONS = ("-q sa", "-q sa --noconstant")
VW_EXPLORATION = {
    "squarecb": [f"--squarecb --gamma_scale {gamma}" for gamma in (10, 100, 1000)],
    "regcbopt": [f"--regcbopt --mellowness {mellowness}" for mellowness in (1e-6, 1e-4, 1e-2)],
    "epsilon_0": ["--epsilon 0", "--epsilon 0 --cb_type dr"],
    "bag": ["--bag 8 --greedify", "--bag 8 --greedify --cb_type dr"],
    "cover": ["--cover 8 --nounif --psi 0.01 --cb_type dr", "--cover 8 --nounif --psi 0.1"],
    "first": ["--first 50", "--first 200", "--first 200 --cb_type dr"],
}
VW_RATES = ("-l 0.5", "-l 3", "-l 10", "-l 0.1 --power_t 0", "--coin")
# of a large table, only what was best on part of the grid above
VW_LARGE = {
    "regcbopt": ["--regcbopt --mellowness 1e-06", "--regcbopt --mellowness 0.0001"],
    "epsilon_0": ["--epsilon 0"],
    "first": ["--first 200"],
}
VW_LARGE_RATES = ("-l 0.5", "-l 3", "-l 10")
Step = Callable[[], None]
Job = tuple[str, str, dict[str, Any]]  # the name of the result, policy and params


@dataclass(frozen=True)
class Sweep:
    """How a run is cut: the shuffles, and how many of Vowpal Wabbit's configurations meet 3 of them, and all."""

    replications: int = 10
    semifinalists: int = 24
    finalists: int = 3
    every: int = 1  # of Vowpal Wabbit's grid, every so many configurations


@dataclass(order=True)
class Configuration:
    """One way to run Vowpal Wabbit, and its mean reward on the shuffles so far."""

    mean: float
    family: str = field(compare=False)
    features: str = field(compare=False)
    flags: str = field(compare=False)
    rewards: list[float] = field(compare=False, default_factory=list)
    earned: list[list[float]] = field(compare=False, default_factory=list)  # on each shuffle, summed up to the stops
    costs: tuple[float, float] = field(compare=False, default=(1, 0))  # of a wrong choice, and of the right one


def main() -> None:
    """Measure everything, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--sets", default=",".join(SETS), help="data sets, separated by commas")
    parser.add_argument("--replications", type=int, default=10, help="shuffles of each set")
    parser.add_argument("--quick", action="store_true", help="3 shuffles and a seventh of Vowpal Wabbit's grid")
    parser.add_argument("--no-speed", action="store_true", help="leave the speeds out")
    parser.add_argument("--rounds", type=int, default=7, help="of the speeds")
    parser.add_argument("--plot", type=Path, help="draw to this file (svg, png, pdf)")
    arguments = parser.parse_args()
    names = arguments.sets.split(",")
    if unknown := set(names) - set(SETS):
        parser.error(f"there is no set {', '.join(sorted(unknown))}: known are {', '.join(SETS)}")
    if arguments.replications < 2:
        parser.error("a standard error needs at least 2 replications")
    sweep = Sweep(3, 6, 1, 7) if arguments.quick else Sweep(arguments.replications)
    full = not arguments.quick and not arguments.no_speed and sweep.replications == 10 and set(names) == set(SETS)
    vw = peer_python(HERE / "peers" / "contextual" / "vowpalwabbit.txt")
    pins = [] if arguments.no_speed else sorted(HERE.glob("peers/*.txt"))
    pythons = {each.stem: peer_python(each) for each in pins}
    rounds = arguments.rounds if not arguments.no_speed else 0
    with progress_bar() as progress:
        steps = sum(len(our_jobs(name)) + vw_runs(name, sweep) * (vw is not None) for name in names)
        task = progress.add_task("measuring", total=steps + rounds * len(contextual_speed.TASKS))
        step: Step = lambda: progress.advance(task)  # noqa: E731
        sets = {}
        for name in names:
            progress.update(task, description=name)
            env = envs.make("classification", dataset=name)
            sets[name] = ours(env, our_jobs(name), sweep, step)
            sets[name] |= vowpal_wabbit(env, configurations(name, sweep), vw, sweep, step) if vw else {}
        result: dict[str, Any] = {"machine": machine(), "sets": sets, "mean": means(sets), "margin": margins(sets)}
        if not arguments.no_speed:
            progress.update(task, description="speed")
            result["speed"] = contextual_speed.measure(pythons, vw, rounds, 0.3, step)
    if full:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if plot := arguments.plot or (RESULT.with_suffix(".svg") if full else None):
        draw(result, plot)
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def our_jobs(dataset: str) -> list[Job]:
    """Return result name, policy and params of every run of ours on a set."""
    return [
        (result, policy, dict(zip(grid, values, strict=True)))
        for result, (policy, grid) in OURS.items()
        for values in itertools.product(*grid.values())
        if dataset not in LARGE or result in LARGE[dataset]
    ]


def ours(env: Environment, jobs: Sequence[Job], sweep: Sweep, step: Step) -> dict[str, list[Any]]:
    """Return [mean, standard error] of each of our policies on a table, and its params where several were tried."""
    tried = Counter(result for result, _, _ in jobs)
    horizon = env.problem.horizon
    assert horizon is not None
    found: dict[str, list[Any]] = {}
    for result, name, params in jobs:
        policy = policies.make(name, **params)
        curves = simulate(policy, env, horizon=horizon, replications=sweep.replications, seed=SEED)
        row: list[Any] = mean_and_error((curves.reward[:, -1] / horizon).tolist())
        if tried[result] > 1:
            row.append(json.dumps(params))
        if result not in found or row[0] > found[result][0]:
            found[result] = row
        step()
    return found


def vowpal_wabbit(
    env: Environment, everyone: list[Configuration], python: Path, sweep: Sweep, step: Step
) -> dict[str, list[Any]]:
    """Return [mean, standard error, flags] of Vowpal Wabbit's best by family, of all, and of all on raw features."""
    with tempfile.TemporaryDirectory() as folder:
        arms = write_rows(env, sweep.replications, Path(folder))
        run = lambda some, shuffles: run_vw(python, some, shuffles, Path(folder), arms, step)  # noqa: E731
        run(everyone, range(1))
        better = sorted(everyone, reverse=True)[: sweep.semifinalists]
        run(better, range(1, min(3, sweep.replications)))
        finalists = the_last(sorted(better, reverse=True), everyone, sweep)
        for shuffle in range(1, sweep.replications):
            run([each for each in finalists if len(each.rewards) == shuffle], [shuffle])
    found: dict[str, list[Any]] = {}
    for each in sorted(finalists, reverse=True):
        row = [*mean_and_error(each.rewards), f"{each.features} features, {each.flags}"]
        for result in ("vw_best", f"vw_{each.family}", *(["vw_raw_best"] if each.features == "raw" else [])):
            found.setdefault(result, row)
    return found


def the_last(better: list[Configuration], everyone: list[Configuration], sweep: Sweep) -> list[Configuration]:
    """Return who meets all shuffles: the best, the best of each family and the best on raw features."""
    last = better[: sweep.finalists]
    ranked = better + sorted((each for each in everyone if len(each.rewards) == 1), reverse=True)
    firsts = {each.family: each for each in reversed(ranked)} | {
        "raw": next(each for each in ranked if each.features == "raw")
    }
    last += [each for each in firsts.values() if each not in last]
    return list({id(each): each for each in last}.values())


def configurations(dataset: str, sweep: Sweep) -> list[Configuration]:
    """Return the grid of a set."""
    exploration, rates = (VW_LARGE, VW_LARGE_RATES) if dataset in LARGE else (VW_EXPLORATION, VW_RATES)
    all_of_them = [
        Configuration(0.0, family, features, f"{flags} {rate} {interactions}")
        for family, each in exploration.items()
        for flags, rate, interactions, features in itertools.product(each, rates, VW_INTERACTIONS, VW_FEATURES)
    ]
    return all_of_them[:: sweep.every]


def vw_runs(dataset: str, sweep: Sweep) -> int:
    """Return about how many runs the sweep of a set takes."""
    families = len(VW_LARGE if dataset in LARGE else VW_EXPLORATION)
    n = len(configurations(dataset, sweep))
    return n + 2 * min(n, sweep.semifinalists) + (families + sweep.finalists) * (sweep.replications - 2)


def run_vw(
    python: Path,
    some: list[Configuration],
    shuffles: Any,
    folder: Path,
    arms: int,
    step: Step,
    stops: tuple[int, ...] = (),
) -> None:
    """Run configurations on shuffles, one process a core; add to their rewards, and to what is earned up to stops."""
    jobs: queue.SimpleQueue[tuple[Configuration, int]] = queue.SimpleQueue()
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for each, shuffle in itertools.product(some, shuffles):
        jobs.put((each, shuffle))

    def work() -> None:
        command = [str(python), str(HERE / "peers" / "contextual" / "vw.py")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            with contextlib.suppress(queue.Empty):
                while True:
                    each, shuffle = jobs.get_nowait()
                    file = str(folder / f"{each.features}.{shuffle}")
                    job = {"play": file, "arms": arms, "flags": each.flags, "seed": shuffle, "stops": stops}
                    job["costs"] = each.costs
                    process.stdin.write(json.dumps(job) + "\n")
                    process.stdin.flush()
                    answer = process.stdout.readline()
                    assert answer, f"Vowpal Wabbit died of {each.flags} on {file}"
                    found[id(each), shuffle] = json.loads(answer)
                    with LOCK:
                        step()
            process.stdin.close()

    workers = min(os.cpu_count() or 1, max(1, len(some)))
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    for each, shuffle in itertools.product(some, shuffles):
        each.rewards.append(found[id(each), shuffle]["mean"])
        each.earned.append(found[id(each), shuffle]["earned"])
        each.mean = float(np.mean(each.rewards))


LOCK = threading.Lock()


def write_rows(env: Environment, replications: int, folder: Path) -> int:
    """Write `class|features` of each row in the order of each replication, raw and standardised; return the arms."""
    features, label = env.params.features, env.params.label
    deviation = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    for kind, table in {"raw": features, "standard": standard}.items():
        rows = [
            f"{label[i]}|" + " ".join(f"f{j}:{value:.9g}" for j, value in enumerate(row) if value != 0)
            for i, row in enumerate(table.tolist())
        ]
        for replication in range(replications):
            order = env.init(env.params, env.problem, run_key(SEED, replication, NATURE)).order
            (folder / f"{kind}.{replication}").write_text("\n".join(rows[i] for i in order))
    return env.problem.n_arms


def mean_and_error(values: list[float]) -> list[float]:
    """Return the mean and its standard error."""
    return [float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))]


def means(sets: dict[str, dict[str, list[Any]]]) -> dict[str, list[float]]:
    """Return [mean, standard error] over the first five sets, of what was run on all of them."""
    found = {}
    for name in sets.get(MEAN_OF[0], {}):
        rows = [sets[dataset][name] for dataset in MEAN_OF if name in sets.get(dataset, {})]
        if len(rows) == len(MEAN_OF):
            error = math.sqrt(sum(row[1] ** 2 for row in rows)) / len(rows)
            found[name] = [float(np.mean([row[0] for row in rows])), error]
    return found


def margins(sets: dict[str, dict[str, list[Any]]]) -> dict[str, list[float]]:
    """Return, by set, how much more the default earns than Vowpal Wabbit's best, and in standard errors of that."""
    found = {}
    for dataset, rows in sets.items():
        if "vw_best" in rows:
            (our, our_error), (their, their_error, _) = rows["default"], rows["vw_best"]
            error = math.hypot(our_error, their_error)
            found[dataset] = [our - their, (our - their) / error if error > 0 else 0.0]
    return found


class Speed(ProgressColumn):
    """Runs per second."""

    def render(self, task: Any) -> Text:
        return Text(f"{task.speed or 0:.1f}/s")


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar with rate and time left on stderr, where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console()
    sets = result["sets"]
    table = Table(title="mean reward of one pass, with its standard error")
    table.add_column("policy")
    for dataset in sets:
        table.add_column(dataset, justify="right")
    table.add_column("mean of five", justify="right")
    for name in dict.fromkeys(name for rows in sets.values() for name in rows):
        cells = [f"{rows[name][0]:.3f} ± {rows[name][1]:.3f}" if name in rows else "" for rows in sets.values()]
        mean = result["mean"].get(name)
        table.add_row(name, *cells, f"{mean[0]:.3f} ± {mean[1]:.3f}" if mean else "")
    console.print(table)
    for dataset, (difference, errors) in result["margin"].items():
        flags = sets[dataset]["vw_best"][2]
        beside = f"beside vw with {flags}"
        console.print(f"{dataset}: the default earns {difference:+.3f} ({errors:+.1f} standard errors) {beside}")
    for task, found in result.get("speed", {}).items():
        parts = [f"{ratio:.2f} of {rival}" for rival, ratio in found["ratio"].items()]
        parts += [f"{peer['times']:,.0f} times {name}" for name, peer in found.get("peers", {}).items() if peer]
        parts += [f"{times:,.0f} times vw from {form}" for form, times in found.get("vw", {}).get("times", {}).items()]
        console.print(f"{task:17} {found['onearm']:12,.0f} a second: {', '.join(parts)} (asked: {found['asked']})")


def draw(result: dict[str, Any], file: Path) -> None:
    """Draw mean rewards with error bars of two standard errors, a group of points for each set."""
    try:
        import matplotlib
    except ImportError:
        print("!!! matplotlib is not installed: the plot is MISSING from this run", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "onearm"  # the same figures give the same bytes
    sets = result["sets"]
    names = list(dict.fromkeys(name for rows in sets.values() for name in rows))
    figure, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
    for i, name in enumerate(names):
        known = [(j, rows[name]) for j, rows in enumerate(sets.values()) if name in rows]
        axes.errorbar(
            [j + 0.8 * (i / max(len(names) - 1, 1) - 0.5) for j, _ in known],
            [row[0] for _, row in known],
            yerr=[2 * row[1] for _, row in known],
            fmt="s" if name.startswith("vw") else "o",
            color=pyplot.get_cmap("tab20")(i % 20),
            markersize=8 if name in ("default", "vw_best") else 4,
            label=name,
        )
    axes.set_xticks(range(len(sets)), list(sets))
    axes.set_ylabel("mean reward of one pass")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
