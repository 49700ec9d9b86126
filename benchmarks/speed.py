"""How fast the loop is: against C and other libraries in one run, from Python, on two cores, at its start.

Run: python benchmarks/speed.py [--rounds 7] [--seconds 0.4] [--no-peers]. Writes results/speed.json, of which
tables.py makes tables. Rates are steps per second of CPU on one thread, with 10 Bernoulli arms, no
propensities; a ratio is the median over rounds, in each of which the rivals take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from reference import MEANS, Reference, reference
from rich.console import Console
from rich.progress import Progress

from onearm.engine import loop
from onearm.engine import simulation as experiment
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "speed.json"
PEERS = HERE.parent / ".peers"
# name: params, and the share of C's speed that is asked for
POLICIES: dict[str, tuple[dict[str, Any], float]] = {
    "epsilon_greedy": ({"epsilon": 0.1}, 0.3),
    "ucb1": ({}, 0.5),
    "exp3_ix": ({}, 0.5),
    "thompson_beta": ({"propensities": False}, 0.3),
    "tsallis_inf": ({}, 0.6),
}
REPLICATIONS = 16
COMMAND = [
    *[
        sys.executable,
        "-m",
        "onearm",
        "simulate",
        "--env",
        'bernoulli:{"mean":[0.1,0.5,0.9]}',
        "--policy",
        "ucb1",
    ],
    *["--horizon", "1", "--json"],
]
COMPILE_COUNT = """
from onearm.engine import loop
from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies
Simulation(policies.make("ucb1"), envs.make("bernoulli", mean=[0.1, 0.9]), horizon=10).advance(10)
print(loop.simulate.compilations)
"""


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of CPU, for each rival in each round")
    parser.add_argument("--policy", action="append", choices=[*POLICIES], help="only these; the results are not kept")
    parser.add_argument("--no-peers", action="store_true", help="leave the other libraries out")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    made = {name: policies.make(name, **POLICIES[name][0]) for name in arguments.policy or POLICIES}
    peers = {} if arguments.no_peers else {path.stem: peer_python(path) for path in sorted(HERE.glob("peers/*.txt"))}
    with (
        reference() as c,
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("measuring", total=(len(made) + len(peers)) * arguments.rounds + 4)
        step: Callable[[], None] = lambda: progress.advance(task)  # noqa: E731
        result = {
            "machine": machine(),
            "rounds": arguments.rounds,
            "simulate": {
                name: against_c(policy, c, arguments.rounds, arguments.seconds, step) for name, policy in made.items()
            },
            "peers": {
                name: peer_rates(name, python, arguments.rounds, arguments.seconds, step)
                for name, python in peers.items()
            },
            "call_us": timed(call_us, step),
            "replications": timed(replication_speed_up, step),
            "start": timed(start_cpu, step),
            "compilations_of_second_process": timed(compilations_of_second_process, step),
        }
    report(result)
    if not arguments.policy and not arguments.no_peers:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


def timed(measure: Callable[[], Any], step: Callable[[], None]) -> Any:
    """Measure, and move the progress bar."""
    found = measure()
    step()
    return found


def against_c(
    policy: Policy, c: Reference | None, rounds: int, seconds: float, step: Callable[[], None]
) -> dict[str, float | None]:
    """Return steps per second of ours and of C, and the median of their ratio."""
    ours, theirs = [], []
    for _ in range(rounds):
        steps = steps_within(seconds, lambda n: our_rate(policy, n))
        ours.append(our_rate(policy, steps))
        if c is not None:
            theirs.append(
                c.steps_per_second(policy.name, steps_within(seconds, lambda n: c.steps_per_second(policy.name, n)))
            )
        step()
    return {
        "onearm": statistics.median(ours),
        "c": statistics.median(theirs) if theirs else None,
        "ratio": statistics.median(our / their for our, their in zip(ours, theirs, strict=True)) if theirs else None,
        "asked": POLICIES[policy.name][1],
    }


def steps_within(seconds: float, rate: Callable[[int], float]) -> int:
    """Return how many steps take about that long, from a short run."""
    return int(rate(20_000) * seconds)


def our_rate(policy: Policy, steps: int) -> float:
    """Return steps per second of CPU of the compiled simulation."""
    simulation = Simulation(policy, envs.make("bernoulli", mean=MEANS.tolist()), horizon=steps)
    simulation.compile()
    start = time.thread_time()
    simulation.advance(steps)
    return steps / (time.thread_time() - start)


def call_us() -> dict[str, float]:
    """Return CPU microseconds of one decide and one learn of UCB1 from Python."""
    policy = policies.make("ucb1")
    params, state = policy.params, policy.init(policy.params, Problem(10))
    run, context, available, detail = np.uint64(1), np.zeros(0), np.ones(10, np.bool_), np.zeros(0)
    instance, key = Instance(1, context, available), Key(run, 1)
    decision, feedback = Decision(1, 1.0), Feedback(1.0, detail)
    decide = loop.decide.compiled(params, state, instance, key)
    learn = loop.learn.compiled(params, state, instance, decision, feedback, key)
    calls = {
        "decide": lambda: decide(params, state, Instance(1, context, available), Key(run, 1)),
        "learn": lambda: learn(
            params,
            state,
            Instance(1, context, available),
            Decision(1, 1.0),
            Feedback(1.0, detail),
            Key(run, 1),
        ),
        "decide, tuples ready": lambda: decide(params, state, instance, key),
        "learn, tuples ready": lambda: learn(params, state, instance, decision, feedback, key),
    }
    return {name: min(cpu_us(call) for _ in range(7)) for name, call in calls.items()}


def cpu_us(call: Callable[[], Any], times: int = 30_000) -> float:
    """Return CPU microseconds a call, less those of an empty one."""
    start = time.process_time()
    for _ in range(times):
        call()
    middle = time.process_time()
    for _ in range(times):
        nothing()
    return (2 * middle - start - time.process_time()) / times * 1e6


def nothing() -> None:
    """Cost what a call costs."""


def replication_speed_up() -> dict[str, Any]:
    """Return how much faster 16 replications are on two threads than on one, by the wall clock."""
    policy, env = policies.make("ucb1"), envs.make("bernoulli", mean=MEANS.tolist())

    def seconds(threads: int) -> float:
        start = time.perf_counter()
        experiment.simulate(policy, env, horizon=1_000_000, replications=REPLICATIONS, threads=threads)
        return time.perf_counter() - start

    seconds(2)
    ratios = [seconds(1) / seconds(2) for _ in range(5)]
    return {"replications": REPLICATIONS, "threads": 2, "speed_up": statistics.median(ratios), "all": ratios}


def start_cpu() -> dict[str, float]:
    """Return CPU seconds of `onearm --help`, and of `onearm simulate` to its first step with a warm cache."""
    commands = {"help": [sys.executable, "-m", "onearm", "--help"], "simulate": COMMAND}
    subprocess.run(COMMAND, check=True, capture_output=True)
    return {name: min(child_cpu(command) for _ in range(5)) for name, command in commands.items()}


def child_cpu(command: list[str]) -> float:
    """Run a command and return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compilations_of_second_process() -> int:
    """Return how many loops a second process compiles that finds the first one's cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"ONEARM_CACHE_DIR": cache}
        command = [sys.executable, "-c", COMPILE_COUNT]
        first, second = (
            int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
    assert first > 0, "the first process found a cache where there was none"
    return second


def peer_python(pins: Path) -> Path | None:
    """Return the Python of a library's own environment, built from its pins; say on standard error where that fails."""
    folder = PEERS / pins.stem
    python = folder / "bin" / "python"
    stamp = folder / "pins.txt"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        return python
    print(f"building {folder}", file=sys.stderr)
    uv = Path(sys.executable).with_name("uv")
    # The pins name what the measured classes import, no more: obp alone asks for PyTorch and Python < 3.10.
    if uv.exists():
        command = [str(uv), "pip", "install", "--python", str(python)]
    else:
        command = [str(python), "-m", "pip", "install", "--ignore-requires-python"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([*command, "--quiet", "--no-deps", "-r", str(pins)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"!!! {pins.stem} could not be installed ({error}): MISSING from this run", file=sys.stderr)
        return None
    stamp.write_text(pins.read_text())
    return python


def peer_rates(
    name: str, python: Path | None, rounds: int, seconds: float, step: Callable[[], None]
) -> dict[str, Any] | None:
    """Return a library's version and the median rates of its policies; None where it is missing."""
    found = []
    for _ in range(rounds):
        if python is not None:
            command = [str(python), str(HERE / "peers" / "play.py"), name, str(seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said = done.stderr.strip().splitlines()[-1]
                print(f"!!! {name} failed and is MISSING from this run: {said}", file=sys.stderr)
                python = None
            else:
                found.append(json.loads(done.stdout))
        step()
    if python is None:
        return None
    rates = {
        policy: statistics.median(each["steps_per_second"][policy] for each in found)
        for policy in found[0]["steps_per_second"]
    }
    return {"version": found[0]["version"], "steps_per_second": rates}


def report(result: dict[str, Any]) -> None:
    """Print what was found."""
    for name, found in result["simulate"].items():
        ratio = "no C" if found["ratio"] is None else f"{found['ratio']:.2f} of C (asked: {found['asked']})"
        print(f"{name:15} {found['onearm'] / 1e6:7.1f} million steps a second, {ratio}")
    for name, peer in result["peers"].items():
        rates = peer and ", ".join(f"{policy} {rate:,.0f}" for policy, rate in peer["steps_per_second"].items())
        print(f"{name:15} {rates or 'MISSING'}")
    print("one call        " + ", ".join(f"{name} {us:.2f} us" for name, us in result["call_us"].items()))
    print(f"replications    {result['replications']['speed_up']:.2f} times as fast on two threads")
    print("start           " + ", ".join(f"{name} {seconds:.2f} s of CPU" for name, seconds in result["start"].items()))
    print(f"second process  compiles {result['compilations_of_second_process']}")


if __name__ == "__main__":
    main()
