"""Sweeps and logs in many files, on the workers of Dask beside threads: how fast, and whether the bits are the same.

.venv/bin/python benchmarks/sweep_dask.py [--json] [--replications 200] [--horizon 1000000] [--files 100]
[--rows 20000] [--longer 10] [--workers 2] [--rounds 3] [--out FILE].
Workers are processes of this machine, as many as there are threads beside them; what they take to start is told apart.
Each way is measured in turns, and the median of its rounds counts. The speed is that on the wall, on the same cores;
CPU seconds of all processes that take part stand beside it. A log whose files are some times as long shows what is left
of what each file costs beside its rows. One worker is killed when half of the sweep is done. Exits
with 1 where a way is slower than it should be, has other bits, or lost something. The result is written to
results/sweep_dask.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from machine import machine
from rich.console import Console
from rich.table import Table

from onearm.api.offline.candidates import Candidate, candidate
from onearm.api.offline.data import as_data
from onearm.api.offline.evaluation import Evaluation, concluded, evaluate
from onearm.api.offline.judging import Readings
from onearm.api.offline.options import Options
from onearm.api.offline.reading import Place, place_of
from onearm.api.offline.spread import judge_in_parts
from onearm.api.scheduling.scheduler import Scheduler, Threads, opened
from onearm.api.scheduling.sweep import sweep
from onearm.engine.simulation import Curves, Simulation, simulate
from onearm.engine.storage.formats.parquet.writer import Writer
from onearm.engine.storage.rows import Wanted
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

SHORT = 10_000  # trials of the sweep of which the bits are compared before all others
WANTED = 0.8  # of the speed that there is without Dask
ARMS = 10
TARGETS = ("uniform", "action:3", "logged")  # each file alone
LEARNERS = ("ucb1", "linucb", "uniform")  # by a model of the reward too: all files in their order
NAMES = ("replications", "horizon", "files", "rows", "longer", "workers", "rounds")  # options that the result names
PARTS = ("sweep", "files", "longer", "learners")
RESULT = Path(__file__).parent / "results" / "sweep_dask.json"
Found = TypeVar("Found")


def main() -> int:
    """Measure, show, and return 1 where something is slower than it should be, or has other bits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--horizon", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rows", type=int, default=20_000, help="decisions in each file")
    parser.add_argument("--longer", type=int, default=10, help="times the decisions in files of a second log, or 0")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    asked = parser.parse_args()
    named = {name: vars(asked)[name] for name in NAMES}
    result: dict[str, Any] = {"machine": machine(), "asked": named}
    began = time.perf_counter()
    with opened(f"local:{asked.workers}") as workers:
        workers.map(pid, range(asked.workers))
        result["start_seconds"] = time.perf_counter() - began
        result["sweep"] = sweeps(workers, asked)
        result["files"] = with_log(fixed, workers, asked, asked.rows)
        if asked.longer:
            result["longer"] = with_log(fixed, workers, asked, asked.rows * asked.longer)
        result["learners"] = with_log(learners, workers, asked, asked.rows)
    result["missed"] = missed(result)
    asked.out.write_text(json.dumps(result, indent=2) + "\n")
    if asked.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)
    return 1 if result["missed"] else 0


def pid(_: Any) -> int:
    """Return the process that does a part of the work."""
    return os.getpid()


def sweeps(workers: Scheduler, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep in threads, on workers, and on workers of which one is killed."""
    policy, world = policies.make("ucb1"), envs.make("bernoulli")

    def threads(horizon: int) -> Curves:
        return simulate(policy, world, horizon=horizon, replications=asked.replications, threads=asked.workers)

    def spread(horizon: int, progress: Callable[[int], None] = lambda trials: None) -> Curves:
        asked_for: Any = {"horizon": horizon, "replications": asked.replications, "seed": 0}
        return sweep([policy], world, **asked_for, scheduler=workers, progress=progress)[0]

    short = same_curves(threads(SHORT), spread(SHORT))
    spent, found = in_turns(
        {"threads": lambda: threads(asked.horizon), "workers": lambda: spread(asked.horizon)}, asked.rounds
    )
    left = workers.map(pid, range(8 * asked.workers))
    done, kills, trials_in_all = 0, 0, asked.replications * asked.horizon

    def kill_at_half(trials: int) -> None:
        nonlocal done, kills
        before, done = done, done + trials
        if before < trials_in_all / 2 <= done < trials_in_all:
            os.kill(left[0], signal.SIGKILL)
            kills += 1

    began = time.perf_counter()
    survived = spread(asked.horizon, kill_at_half)
    return {
        "replications": asked.replications,
        **spent,
        "speed": spent["seconds"]["threads"] / spent["seconds"]["workers"],
        "same_bits": short and same_curves(found["threads"], found["workers"]),
        "killed": {
            "seconds": time.perf_counter() - began,
            "kills": kills,
            "results": len(survived.reward),
            "same_bits": same_curves(found["threads"], survived),
        },
    }


def with_log(
    measure: Callable[[Path, Scheduler, argparse.Namespace], dict[str, Any]],
    workers: Scheduler,
    asked: argparse.Namespace,
    rows: int,
) -> dict[str, Any]:
    """Measure with a log as one file and as many files, with so many decisions in each of these."""
    folder = Path(tempfile.mkdtemp(prefix="onearm-files-"))
    try:
        write_log(folder / "one.parquet", folder / "many", asked.files, rows)
        return {"rows": asked.files * rows, **measure(folder, workers, asked)}
    finally:
        shutil.rmtree(folder)


def fixed(folder: Path, workers: Scheduler, asked: argparse.Namespace) -> dict[str, Any]:
    """Judge candidates that learn nothing. One file draws otherwise than many, and has the same estimates only."""
    one, many = (place_of(str(folder / name), None, None) for name in ("one.parquet", "many"))
    candidates, options = [candidate(target) for target in TARGETS], Options(("snips",))

    def whole() -> Evaluation:
        with one.rows(Wanted(contexts=False)) as rows:
            return evaluate(candidates, Readings(rows, [rows] * len(candidates)), options)

    ways = {
        "one_file": whole,
        "threads": lambda: judged(many, candidates, options, Threads(asked.workers)),
        "workers": lambda: judged(many, candidates, options, workers),
    }
    spent, found = in_turns(ways, asked.rounds)
    values = {way: [each.value for each in one.estimates] for way, one in found.items()}
    return {
        **spent,
        "speed": spent["seconds"]["one_file"] / spent["seconds"]["workers"],
        "same_bits": values["one_file"] == values["workers"] and same(found["threads"], found["workers"]),
    }


def learners(folder: Path, workers: Scheduler, asked: argparse.Namespace) -> dict[str, Any]:
    """Judge policies that learn, and by a model of the reward, in threads and on workers."""
    many = place_of(str(folder / "many"), None, None)
    candidates, options = [candidate(target) for target in LEARNERS], Options(("snips", "dr"))
    ways = {
        "threads": lambda: judged(many, candidates, options, Threads(asked.workers)),
        "workers": lambda: judged(many, candidates, options, workers),
    }
    spent, found = in_turns(ways, asked.rounds)
    return {
        **spent,
        "speed": spent["seconds"]["threads"] / spent["seconds"]["workers"],
        "same_bits": same(found["threads"], found["workers"]),
    }


def judged(many: Place, candidates: list[Candidate], options: Options, scheduler: Scheduler) -> Evaluation:
    """Judge candidates on many files."""
    found = judge_in_parts(many, candidates, options, scheduler, Wanted())
    return concluded(candidates, found.rows, found.facts, found.scored, options)


def same(one: Evaluation, other: Evaluation) -> bool:
    """Whether all that two evaluations tell is the same."""
    return json.dumps(as_data(one)) == json.dumps(as_data(other))


def write_log(one: Path, many: Path, count: int, rows: int) -> None:
    """Write one simulated log as one file, and as many files with as many decisions each."""
    many.mkdir()
    world = envs.make("bernoulli", mean=np.linspace(0.1, 0.6, ARMS).tolist())
    run = Simulation(policies.make("floor", minimum=0.02, policy="exp3_ix"), world, horizon=count * rows)
    about = {"policy": run.policy.spec, "seed": "0"}
    with Writer(one, run.problem, about) as whole:
        for number in range(count):
            events = run.advance_logged(rows)
            whole.write(events)
            with Writer(many / f"part-{number:04}.parquet", run.problem, about) as part:
                part.write(events)


def in_turns(ways: dict[str, Callable[[], Found]], rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, Found]]:
    """Return the median seconds of each way, of CPU and on the wall, and what it found."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Found] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            began, before = time.perf_counter(), cpu_seconds()
            found[name] = way()
            cpu[name].append(cpu_seconds() - before)
            wall[name].append(time.perf_counter() - began)
    spent = {"cpu_seconds": cpu, "seconds": wall}
    return {what: {name: statistics.median(some) for name, some in of.items()} for what, of in spent.items()}, found


def cpu_seconds() -> float:
    """Return what this process and all that it started have spent so far."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def same_curves(one: Curves, other: Curves) -> bool:
    """Whether two sweeps found the same bits."""
    names = ("t", "reward", "regret", "bound", "variation")
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names)


def missed(result: dict[str, Any]) -> list[str]:
    """Return in words what is not as it should be."""
    said = []
    for part in filter(result.__contains__, PARTS):
        found = result[part]
        if found["speed"] < WANTED:
            said.append(f"workers have {found['speed']:.2f} of the speed without Dask ({part}): {WANTED} is asked for")
        if not found["same_bits"]:
            said.append(f"workers find something else ({part})")
    killed, replications = result["sweep"]["killed"], result["sweep"]["replications"]
    if killed["kills"] != 1:
        said.append("no worker was killed before the end of the sweep")
    if killed["results"] != replications:
        said.append(f"{killed['results']} of {replications} results are there after a worker was killed")
    if not killed["same_bits"]:
        said.append("a sweep of which a worker was killed finds something else")
    return said


def report(result: dict[str, Any]) -> None:
    """Show a table to a person."""
    table = Table("what", "CPU seconds", "seconds", "speed beside no Dask", "same bits")
    for part in filter(result.__contains__, PARTS):
        found = result[part]
        for way, seconds in found["seconds"].items():
            shown = f"{found['speed']:.2f}" if way == "workers" else ""
            cpu = f"{found['cpu_seconds'][way]:.2f}"
            table.add_row(f"{part}, {way}", cpu, f"{seconds:.2f}", shown, str(found["same_bits"]))
    killed = result["sweep"]["killed"]
    table.add_row("sweep, a worker killed", "", f"{killed['seconds']:.2f}", "", str(killed["same_bits"]))
    table.add_row("workers start in", "", f"{result['start_seconds']:.2f}", "", "")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
