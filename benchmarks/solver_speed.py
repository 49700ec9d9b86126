"""How fast the linear solvers are, beside PyAMG and SciPy in one run, and what a learner costs that tunes them.

Run: python benchmarks/solver_speed.py [--json] [--rounds 7]. A run without options writes results/solver_speed.json.
Matrices are five-point Laplacians. Times are of CPU, on one thread; each is the median over rounds, in which all rivals
take turns, and a ratio is the median of the rounds' ratios. Nanoseconds per entry are over 5 n, the entries of the full
matrix but for the border's, also where a solver reads half of it or none. A sweep of ours is one with its residual and
the norm; PyAMG's is its C++ alone, and beside it with b - A @ x and the norm, which tell what ours does.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine
from pyamg import __version__ as pyamg_version
from pyamg import amg_core
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy import __version__ as scipy_version
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import cg as scipy_cg

from onearm.api.solver import Tuner
from onearm.engine import loop
from onearm.engine.solvers.cg import cg_work, go_on_cg, go_on_ssor_cg
from onearm.engine.solvers.sor import go_on_sor, laplacian, solve_sor
from onearm.engine.solvers.sor_lanes import lanes_work, solve_lanes
from onearm.engine.solvers.sor_stencil import Stencil, solve_stencil, stencil_work
from onearm.engine.solvers.stopping import FRESH
from onearm.engine.vocabulary import Array, Feedback, Instance, Key, Problem
from onearm.policies import catalog as policies

RESULT = Path(__file__).resolve().parent / "results" / "solver_speed.json"
SIDES = {"1e4": 100, "1e6": 1000}
ENTRIES = 1e8  # of the full matrix, swept in each measurement
ROWS = 1e7  # for each measurement of steps, of 100 at the most
OMEGA = 1.5
SMALL, SMALL_OMEGA, RIGHT_SIDES, LANES = 10, 1.55, 256, 16
GRID = np.linspace(1.0, 1.95, 20)
LOW, HIGH = -0.15, 0.45  # shifts of the diagonal, which the learners see
REWARD_MAX = -1.0  # a solve takes one iteration at least
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tsallis_inf": (
        "tsallis_inf",
        {"estimator": "reduced_variance", "scale": "running_mean", "reward_max": REWARD_MAX},
    ),
    "chebcb": ("chebcb", {"low": -0.15, "high": 0.65, "reward_max": REWARD_MAX}),
    "maillard_chain": ("maillard_chain", {"low": -0.15, "high": 0.65}),
}
TUNERS = ("tsallis", "chebcb", "maillard_chain")  # of `onearm.api.solver`, with a context
LEARNED = (1_000, 100_000)  # decisions made before a learner is measured
TURNS = 500  # decisions that are measured
# what is asked for, at the most; of a ratio at the least
ASKED = {
    "sweep": 1.6,
    "ratio": 2.0,
    "red_black": 0.6,
    "lanes": 0.5,
    "solve_alone_us": 35.0,
    "solve_in_lanes_us": 10.0,
    "tsallis_inf_us": 5.0,
    "chebcb_us": 30.0,
}


class Rival(NamedTuple):
    """Something to be measured: `prepare` is not timed, `run` is, and does so many units of work."""

    run: Callable[[], None]
    units: float
    prepare: Callable[[], object] = lambda: None


def main() -> None:
    """Measure everything, print it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--rounds", type=int, default=7, help="at least 1; the results of others than 7 are not kept")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}: it must be at least 1")
    result = measure(arguments.rounds)
    if arguments.rounds == parser.get_default("rounds"):
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def measure(rounds: int) -> dict[str, Any]:
    """Return all figures."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(
            "compiling", total=(len(SIDES) + 1) * rounds + len(LEARNERS) * len(LEARNED) + len(TUNERS)
        )

        def step(what: str) -> None:
            progress.update(task, advance=1, description=what)

        found: dict[str, Any] = {
            "machine": machine() | {"pyamg": pyamg_version, "scipy": scipy_version},
            "rounds": rounds,
            "asked": ASKED,
            "grid": {},
        }
        for size, side in SIDES.items():
            found["grid"][size] = grid_times(side, rounds, functools.partial(step, f"n = {size}"))
        found["small"] = small_times(rounds, lambda: step("n = 100"))
        found["learners_us"] = {name: learner_us(name, rounds, step) for name in LEARNERS}
        found["tuners_us"] = {name: tuner_us(name, rounds, step) for name in TUNERS}
    return found


def in_turns(rivals: dict[str, Rival], rounds: int, step: Callable[[], None]) -> dict[str, list[float]]:
    """Return the CPU nanoseconds of each rival per unit of work, for each round."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for rival in rivals.values():
        rival.prepare()
        rival.run()  # compiles, and fetches memory
    for _ in range(rounds):
        for name, rival in rivals.items():
            rival.prepare()
            start = time.thread_time()
            rival.run()
            times[name].append((time.thread_time() - start) / rival.units * 1e9)
        step()
    return times


def grid_times(side: int, rounds: int, step: Callable[[], None]) -> dict[str, float]:
    """Return nanoseconds of sweeps per entry, and of conjugate gradients per row and step, on a grid."""
    n = side * side
    sweeps, steps = round(ENTRIES / (5 * n)), min(100, round(ROWS / n))
    times = in_turns(sweep_rivals(side, sweeps) | step_rivals(side, steps), rounds, step)
    found = {name: statistics.median(each) for name, each in times.items()}
    pairs = zip(times["pyamg_sweep_and_residual"], times["sweep"], strict=True)
    found["ratio"] = statistics.median(theirs / ours for theirs, ours in pairs)
    return found


def sweep_rivals(side: int, sweeps: int) -> dict[str, Rival]:
    """Return what sweeps a grid: ours in natural and in red-black order, and PyAMG."""
    n = side * side
    half, matrix = laplacian(side), scipy_laplacian(side)
    b, x, r, d = np.ones(n), np.zeros(n), np.empty(n), np.empty(n)
    work = stencil_work(side, side)
    grid_b, grid_x = b.reshape(side, side), np.zeros((side, side))
    stencil = Stencil(4.0, -1.0, -1.0)
    begun = go_on_sor(half, b, x, OMEGA, 0.0, 10**9, r, d, 0, FRESH)
    ours = go_on_sor.compiled(half, b, x, OMEGA, 0.0, 10**9, r, d, sweeps, begun)
    red_black = solve_stencil.compiled(stencil, grid_b, grid_x, OMEGA, 0.0, sweeps, work)

    def anew() -> None:
        x[:] = 0.0
        r[:] = b

    def pyamg(residual: bool) -> Callable[[], None]:
        def run() -> None:
            for _ in range(sweeps):
                amg_core.sor_gauss_seidel(matrix.indptr, matrix.indices, matrix.data, x, b, 0, n, 1, OMEGA)
                if residual:
                    np.linalg.norm(b - matrix @ x)

        return run

    entries = 5.0 * n * sweeps
    return {
        "sweep": Rival(lambda: ours(half, b, x, OMEGA, 0.0, 10**9, r, d, sweeps, begun), entries, anew),
        "pyamg_sweep": Rival(pyamg(residual=False), entries, anew),
        "pyamg_sweep_and_residual": Rival(pyamg(residual=True), entries, anew),
        # A whole solve: the colours are parted, put together, and the true residual is computed at both ends.
        "red_black": Rival(
            lambda: red_black(stencil, grid_b, grid_x, OMEGA, 0.0, sweeps, work), entries, lambda: grid_x.fill(0.0)
        ),
    }


def step_rivals(side: int, steps: int) -> dict[str, Rival]:
    """Return what takes steps of conjugate gradients on a grid: ours, with and without SSOR, and SciPy."""
    n = side * side
    half, matrix = laplacian(side), scipy_laplacian(side)
    b, x, work = np.random.default_rng(1).normal(size=n), np.zeros(n), cg_work(n)
    begun = go_on_ssor_cg(half, b, x, OMEGA, 0.0, 10**9, work, 0, FRESH)
    ssor_cg = go_on_ssor_cg.compiled(half, b, x, OMEGA, 0.0, 10**9, work, steps, begun)
    cg = go_on_cg.compiled(half, b, x, 0.0, 10**9, work, steps, begun)

    def anew() -> None:
        x[:] = 0.0
        work.r[:] = b

    rows = float(n * steps)
    return {
        "ssor_cg_row": Rival(lambda: ssor_cg(half, b, x, OMEGA, 0.0, 10**9, work, steps, begun), rows, anew),
        "cg_row": Rival(lambda: cg(half, b, x, 0.0, 10**9, work, steps, begun), rows, anew),
        "scipy_cg_row": Rival(lambda: scipy_cg(matrix, b, rtol=0.0, atol=0.0, maxiter=steps), rows),
    }


def scipy_laplacian(side: int) -> csr_array:
    """Return the matrix of a grid as SciPy has it, with the indices that PyAMG takes."""
    line = diags_array([-1.0, -1.0], offsets=[-1, 1], shape=(side, side))
    one = eye_array(side)
    matrix = csr_array(kron(one, line) + kron(line, one) + 4.0 * eye_array(side * side))
    matrix.sort_indices()
    matrix.indptr, matrix.indices = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
    return matrix


def small_times(rounds: int, step: Callable[[], None]) -> dict[str, float]:
    """Return microseconds of whole solves on 10 x 10 points, alone and in lanes, and nanoseconds per entry in lanes."""
    n, m = SMALL * SMALL, RIGHT_SIDES
    half = laplacian(SMALL)
    matrix = scipy_laplacian(SMALL)
    b = np.random.default_rng(2).normal(size=(m, n))
    tolerance, omega = 1e-8 * np.linalg.norm(b, axis=1), np.full(m, SMALL_OMEGA)
    x, r, d, work = np.zeros((m, n)), np.empty(n), np.empty(n), lanes_work(n, LANES)
    iterations, reasons, norms = np.zeros(m, np.int64), np.zeros(m, np.int64), np.zeros(m)
    alone = solve_sor.compiled(half, b[0], x[0], SMALL_OMEGA, 1.0, 10_000, r, d)
    in_lanes = solve_lanes.compiled(half, b, x, omega, tolerance, 10_000, work, iterations, reasons, norms)

    def solve_alone() -> None:
        for s in range(m):
            alone(half, b[s], x[s], SMALL_OMEGA, tolerance[s], 10_000, r, d)

    def solve_by_scipy() -> None:
        for s in range(m // 8):
            scipy_cg(matrix, b[s], rtol=1e-8)

    rivals = {
        "solve_alone_us": Rival(solve_alone, 1e3 * m, lambda: x.fill(0.0)),
        "solve_in_lanes_us": Rival(
            lambda: in_lanes(half, b, x, omega, tolerance, 10_000, work, iterations, reasons, norms),
            1e3 * m,
            lambda: x.fill(0.0),
        ),
        "scipy_cg_solve_us": Rival(solve_by_scipy, 1e3 * (m // 8)),
    }
    found = {name: statistics.median(each) for name, each in in_turns(rivals, rounds, step).items()}
    sweeps = float(iterations.mean())
    assert not reasons.any(), "a solve did not converge"
    return found | {"sweeps": sweeps, "lanes": found["solve_in_lanes_us"] * 1e3 / sweeps / (5 * n)}


def learner_us(name: str, rounds: int, step: Callable[[str], None]) -> dict[str, float]:
    """Return CPU microseconds of one decide and one learn from Python, after so many decisions.

    The contexts are shifts, the rewards minus the sweeps that the solver takes at the chosen omega.
    """
    policy = policies.make(LEARNERS[name][0], **LEARNERS[name][1])
    params, state, run = policy.params, policy.init(policy.params, Problem(len(GRID), (1,))), np.uint64(1)
    shifts, costs = shifts_and_costs()
    drawn = np.random.default_rng(3).integers(len(shifts), size=LEARNED[-1] + rounds * TURNS).tolist()
    contexts, rewards, available = list(shifts.reshape(-1, 1)), (-costs).tolist(), np.ones(len(GRID), np.bool_)
    detail, key = np.zeros(0), Key(run, 0)
    instance = Instance(0, contexts[0], available)
    decide = loop.decide.compiled(params, state, instance, key)
    decision = decide(params, state, instance, key)
    learn = loop.learn.compiled(params, state, instance, decision, Feedback(-1.0, detail), key)
    t, found = 0, {}
    for learned in LEARNED:
        times = []
        while len(times) < rounds:
            start = time.thread_time()
            until = t + TURNS
            for t in range(t, until):  # noqa: B020
                c = drawn[t]
                instance, key = Instance(t, contexts[c], available), Key(run, t)
                decision = decide(params, state, instance, key)
                learn(params, state, instance, decision, Feedback(rewards[c][decision.action], detail), key)
            t = until
            if t > learned:
                times.append((time.thread_time() - start) / TURNS * 1e6)
        found[str(learned)] = statistics.median(times)
        step(name)
    return found


def tuner_us(name: str, rounds: int, step: Callable[[str], None]) -> float:
    """Return CPU microseconds of one ask and one tell of a tuner with 20 omegas and a context."""
    tuner = Tuner(name, context=(LOW, HIGH))
    shifts, costs = shifts_and_costs()
    drawn = np.random.default_rng(3).integers(len(shifts), size=(rounds + 1, TURNS)).tolist()
    contexts, iterations, times = shifts.tolist(), costs.astype(np.int64).tolist(), []
    for turn in drawn:
        start = time.thread_time()
        for c in turn:
            proposal = tuner.ask(contexts[c])
            tuner.tell(proposal, iterations[c][proposal.arm])
        times.append((time.thread_time() - start) / TURNS * 1e6)
    step(f"Tuner {name}")
    return statistics.median(times[1:])  # the first turn fetches what is compiled


def shifts_and_costs() -> tuple[Array, Array]:
    """Return shifts of a 10 x 10 grid's matrix, and the sweeps that each omega of the grid takes, float64[64, 20]."""
    n, k = SMALL * SMALL, len(GRID)
    shifts = np.linspace(LOW, HIGH, 64)
    costs = np.zeros((len(shifts), k))
    half, work, b, reasons, norms = (
        laplacian(SMALL),
        lanes_work(n, k),
        np.ones((k, n)),
        np.zeros(k, np.int64),
        np.zeros(k),
    )
    for row, shift in zip(costs, shifts, strict=True):
        iterations = np.zeros(k, np.int64)
        shifted = half._replace(diagonal=half.diagonal + shift)
        solve_lanes(shifted, b, np.zeros((k, n)), GRID, np.full(k, 1e-7), 10_000, work, iterations, reasons, norms)
        row[:] = iterations
    return shifts, costs


def report(result: dict[str, Any]) -> None:
    """Print what was found."""
    table = Table("", *result["grid"], title="nanoseconds per entry (rows and steps: per row)")
    for name in next(iter(result["grid"].values())):
        table.add_row(name, *(f"{times[name]:.2f}" for times in result["grid"].values()))
    console = Console()
    console.print(table)
    for name, value in result["small"].items():
        console.print(f"n = 100  {name:20} {value:.2f}")
    for name, us in result["tuners_us"].items():
        console.print(f"Tuner {name:16} {us:.2f} us a round")
    for name, times in result["learners_us"].items():
        console.print(f"{name:16} " + ", ".join(f"{us:.2f} us a round at t = {t}" for t, us in times.items()))


if __name__ == "__main__":
    main()
