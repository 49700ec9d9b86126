"""How fast streams of arms are: nanoseconds an arm beside C, memory of a long pass, bookkeeping of a run from Python.

streaming.py runs it. Times are of CPU, on one thread; each is the median over rounds, in which the rivals take turns.
An arm costs all that a simulation does for it: its mean is drawn, it is read, pulled in batches, judged, accounted for.
"""

from __future__ import annotations

import ctypes
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from c_loops import c_loops

from onearm.api import arms_once as stream
from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

SOURCE = Path(__file__).resolve().parents[1] / "reference_streaming.c"
ASKED_NS = {"uniform_exploration": 200.0, "early_drop": 500.0}  # an arm, at the most
ASKED_US = 3.0  # a batch of a run from Python, at the most
ARMS = 1_000_000
TRIALS = (10**9, 10**15)
RUN_ARMS = 20_000
RUN_TRIALS = 1000  # for each arm
# interface: the sizes of two passes whose memory is compared
PASSES = {"simulate": (10**6, 10**7), "run": (20_000, 200_000)}
STEPS = len(ASKED_NS) * (len(TRIALS) + 1)  # of a round
# Linux hands the peak of a parent down to its children, so what getrusage says of a child is not the child's alone.
PASS = """
import random, resource, sys
from pathlib import Path
from onearm.api import arms_once as stream
from onearm.engine.simulation import Simulation
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

interface, arms = sys.argv[1], int(sys.argv[2])
if interface == "simulate":
    simulation = Simulation(policies.make("early_drop"), envs.make("arm_stream", arms=arms), horizon=1000 * arms)
    simulation.advance(1000 * arms)
    assert simulation.world.state.read[0] == arms
else:
    means = random.Random(1)
    candidates = (means.random() for _ in range(arms))
    found = stream.run(candidates, lambda mean, n: (mean * n, n), trials=1000 * arms, arms=arms)
    assert found.status.arms_seen == arms
status = Path("/proc/self/status")
if status.exists():
    print(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
"""


def measure(rounds: int, step: Callable[[], None]) -> dict[str, Any]:
    """Return times, ratios, peaks and what is asked for. `step` is called `rounds` x STEPS times."""
    found: dict[str, Any] = {"arms": ARMS}
    with c_loops(SOURCE) as c:
        found["rules"] = {rule: arm_times(rule, c, rounds, step) for rule in ASKED_NS}
    found["batch_us"] = {rule: batch_us(rule, rounds, step) for rule in ASKED_NS}
    found["batch_us_asked"] = ASKED_US
    found["peak_mb"] = {
        interface: {str(arms): peak_mb(interface, arms) for arms in sizes} for interface, sizes in PASSES.items()
    }
    return found


def arm_times(rule: str, c: ctypes.CDLL | None, rounds: int, step: Callable[[], None]) -> dict[str, Any]:
    """Return nanoseconds an arm of ours and of C by the trials, and ours as a share of C's speed."""
    policy, env = policies.make(rule), envs.make("arm_stream", arms=ARMS)
    Simulation(policy, env, horizon=ARMS).compile()
    found: dict[str, Any] = {"asked_ns": ASKED_NS[rule], "ns": {}, "c_ns": {}, "of_c": {}, "regret": {}, "c_regret": {}}
    for trials in TRIALS:
        ours, theirs, regrets, c_regrets = [], [], [], []
        for seed in range(rounds):
            start = time.thread_time()
            simulation = Simulation(policy, env, horizon=trials, seed=seed)
            simulation.advance(trials)
            ours.append((time.thread_time() - start) / ARMS * 1e9)
            regrets.append(float(simulation.totals.regret[0]))
            if c is not None:
                start = time.thread_time()
                c_regrets.append(c_regret(c, rule, ARMS, trials, seed))
                theirs.append((time.thread_time() - start) / ARMS * 1e9)
            step()
        name = str(trials)
        found["ns"][name], found["regret"][name] = statistics.median(ours), statistics.fmean(regrets)
        if c is not None:
            found["c_ns"][name], found["c_regret"][name] = statistics.median(theirs), statistics.fmean(c_regrets)
            found["of_c"][name] = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    return found


def c_regret(library: ctypes.CDLL, rule: str, arms: int, trials: int, seed: int) -> float:
    """Run a rule in C over arms whose means are uniform on [0, 1]; return its regret."""
    function = library[rule]
    function.restype = ctypes.c_double
    return float(function(ctypes.c_long(arms), ctypes.c_double(trials), ctypes.c_uint64(seed)))


def batch_us(rule: str, rounds: int, step: Callable[[], None]) -> float:
    """Return microseconds of a run from Python for each batch of pulls, reading included; a pull costs next to none."""
    draws = random.Random(1)
    means = [draws.random() for _ in range(RUN_ARMS)]
    batches = 0

    def counted(mean: float, n: int) -> tuple[float, int]:
        nonlocal batches
        batches += 1
        return mean * n, n

    run = lambda pull: stream.run(means, pull, trials=RUN_TRIALS * RUN_ARMS, arms=RUN_ARMS, rule=rule)  # noqa: E731
    run(counted)
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        run(lambda mean, n: (mean * n, n))
        times.append((time.thread_time() - start) / batches * 1e6)
        step()
    return statistics.median(times)


def peak_mb(interface: str, arms: int) -> float:
    """Return the peak of a process's resident memory in one pass over so many arms, in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", PASS, interface, str(arms)], capture_output=True, text=True, check=True
    )
    return int(done.stdout) / 1024
