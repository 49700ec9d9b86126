"""How fast contextual decisions are: against C, NumPy's BLAS and other libraries, in one run on one core.

contextual.py runs it. A step is one decision and its feedback, against NumPy a decision alone. Contexts and rewards lie
in tables, the very same for ours, C and NumPy. Rates are per second of CPU; a ratio is the median over rounds, in each
of which the rivals take turns.
"""

from __future__ import annotations

import ctypes
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from c_loops import c_loops
from threadpoolctl import threadpool_limits

from onearm.engine.arrays import aligned_zeros
from onearm.engine.kernel import loop
from onearm.engine.problem import check_fit
from onearm.engine.protocol import select, update
from onearm.engine.vocabulary import Array, Feedback, Instance, Key, Problem
from onearm.policies import catalog

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "reference_contextual.c"
D, K, M = 32, 10, 100  # of reference_contextual.c
SCALE = 10.0  # of SquareCB: gamma = SCALE sqrt(t)
Rate = Callable[[int], float]  # steps -> steps per second of CPU

# name: policy, its params, shape of a context, rows of the tables (a power of 2; those of 100 actions fit the second
# cache), arms, and what is asked for
LINUCB = {"alpha": 1.0, "regularisation": 1.0, "scaling": "none", "noise": 1.0}  # what C computes
SQUARECB = {"gamma": SCALE, "noise": 1.0, "regularisation": 1.0, "origin": 0.0}
TASKS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], int, int, dict[str, float]]] = {
    "linucb": ("linucb", LINUCB, (D,), 1024, K, {"c": 0.8, "peers": 45}),
    "squarecb": ("squarecb", SQUARECB, (0,), 4096, K, {"c": 0.4, "vw text": 100}),
    "squarecb_actions": ("squarecb", SQUARECB, (M, D), 16, M, {"c": 0.5, "vw cache": 100}),
    "linucb_actions": ("linucb", LINUCB, (M, D), 16, M, {"blas": 0.6}),
}
VW_EXAMPLES = {"squarecb": 20_000, "squarecb_actions": 2000}
VW_FLAGS = "--cb_explore_adf --squarecb"


class Tables:
    """Contexts and rewards of one task, the same for all rivals: float64[rows, *shape] and float64[rows, arms]."""

    def __init__(self, shape: tuple[int, ...], rows: int, arms: int) -> None:
        draws = np.random.default_rng(0)
        self.contexts = aligned_zeros(rows, *shape)  # as the engine's own contexts are
        self.contexts[:] = draws.standard_normal((rows, *shape)) / np.sqrt(D)
        if shape == (0,):
            self.rewards = (draws.random((rows, arms)) < np.linspace(0.1, 0.82, arms)).astype(float)
        else:
            weights = draws.standard_normal(D) if len(shape) == 2 else draws.standard_normal((D, arms))
            self.rewards = self.contexts @ weights + 0.1 * draws.standard_normal((rows, arms))


@loop
def play(
    params: Any,
    state: Any,
    run: np.uint64,
    contexts: Array,
    rewards: Array,
    available: Array,
    detail: Array,
    start: int,
    stop: int,
) -> float:
    """Decide and learn on the rows of a table in turn; return the total reward."""
    total = 0.0
    mask = len(rewards) - 1
    for t in range(start, stop):
        row = t & mask
        instance = Instance(t, contexts[row], available)
        key = Key(run, t)
        decision = select(params, state, instance, key)
        reward = rewards[row, decision.action]
        update(params, state, instance, decision, Feedback(reward, detail), key)
        total += reward
    return total


@loop
def choose(params: Any, state: Any, run: np.uint64, contexts: Array, available: Array, start: int, stop: int) -> int:
    """Decide on the rows of a table in turn, and learn nothing; return the sum of the actions."""
    total = 0
    mask = len(contexts) - 1
    for t in range(start, stop):
        total += select(params, state, Instance(t, contexts[t & mask], available), Key(run, t)).action
    return total


class Ours:
    """One of our policies on a table."""

    def __init__(self, task: str, tables: Tables) -> None:
        name, params, shape, _, arms, _ = TASKS[task]
        policy = catalog.make(name, **params)
        problem = Problem(arms, shape)
        check_fit(policy, problem)
        self.params, self.state = policy.params, policy.init(policy.params, problem)
        self.tables, self.available, self.detail = tables, np.ones(arms, np.bool_), np.zeros(0)
        self.run, self.t = np.uint64(1), 0
        self.play(1000)  # compiles, and learns enough to decide as it will

    def play(self, steps: int) -> float:
        """Return steps per second of CPU: decisions and feedbacks, from where it stopped."""
        arguments = (self.params, self.state, self.run, self.tables.contexts, self.tables.rewards)
        rest = (self.available, self.detail, self.t, self.t + steps)
        self.t += steps
        return per_second(play.compiled(*arguments, *rest), (*arguments, *rest), steps)

    def choose(self, steps: int) -> float:
        """Return decisions per second of CPU."""
        arguments = (self.params, self.state, self.run, self.tables.contexts, self.available, self.t, self.t + steps)
        return per_second(choose.compiled(*arguments), arguments, steps)


def measure(
    pythons: dict[str, Path | None], vw: Path | None, rounds: int, seconds: float, step: Callable[[], None]
) -> dict[str, Any]:
    """Return, by task, rates of all rivals, the medians of our ratios to them, and what is asked for.

    `pythons` holds the Python of each peer's environment and `vw` that of Vowpal Wabbit's, None where it is missing.
    `step` is called `rounds` times for each task.
    """
    found: dict[str, Any] = {}
    with c_loops(SOURCE, "-fopenmp-simd") as c, threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        for task, (*_, shape, rows, arms, asked) in TASKS.items():
            tables = Tables(shape, rows, arms)
            ours = Ours(task, tables)
            rivals: dict[str, Rate] = {}
            if "c" in asked and c is not None:
                rivals["c"] = c_rate(c, task, tables)
            if "blas" in asked:
                rivals["blas"] = lambda steps, tables=tables: blas_rate(tables, steps)
            our_rate = ours.choose if "blas" in asked else ours.play
            found[task] = turns(our_rate, rivals, rounds, seconds, step) | {"asked": asked}
            if "peers" in asked:
                found[task]["peers"] = peer_rates(pythons, found[task]["onearm"])
            if task in VW_EXAMPLES and vw is not None:
                rates = vw_rates(vw, task, Path(folder), rounds)
                times = {form: found[task]["onearm"] / rate for form, rate in rates.items()}
                found[task]["vw"] = {"per_second": rates, "times": times}
    return found


def turns(our_rate: Rate, rivals: dict[str, Rate], rounds: int, seconds: float, step: Callable[[], None]) -> Any:
    """Let ours and the rivals run in turn; return median rates, and median ratios of ours to each rival."""
    rates: dict[str, list[float]] = {name: [] for name in ("onearm", *rivals)}
    for _ in range(rounds):
        for name, rate in {"onearm": our_rate, **rivals}.items():
            rates[name].append(rate(max(int(rate(2000) * seconds), 1)))
        step()
    ours = rates.pop("onearm")
    return {
        "onearm": statistics.median(ours),
        **{name: statistics.median(theirs) for name, theirs in rates.items()},
        "ratio": {
            name: statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
            for name, theirs in rates.items()
        },
    }


def per_second(function: Callable[..., Any], arguments: tuple[Any, ...], steps: int) -> float:
    """Return steps per second of this thread's CPU."""
    start = time.thread_time()
    function(*arguments)
    return steps / (time.thread_time() - start)


def c_rate(library: ctypes.CDLL, task: str, tables: Tables) -> Rate:
    """Return the function that times the C loop of a task."""
    contexts, rewards = (ctypes.c_void_p(table.ctypes.data) for table in (tables.contexts, tables.rewards))
    mask, number, seed = ctypes.c_long(len(tables.rewards) - 1), ctypes.c_double, ctypes.c_uint64(1)
    name, arguments = {
        "linucb": ("linucb_disjoint", (contexts, rewards, mask, number(LINUCB["alpha"]))),
        "squarecb": ("squarecb", (rewards, mask, number(SCALE), seed)),
        "squarecb_actions": ("squarecb_actions", (contexts, rewards, mask, number(SCALE), seed)),
    }[task]
    function = library[name]
    function.restype = ctypes.c_double
    return lambda steps: per_second(function, (ctypes.c_long(steps), *arguments), steps)


def blas_rate(tables: Tables, steps: int) -> float:
    """Return decisions per second of LinUCB over action features, written as matrix products on one thread."""
    inverse = np.linalg.inv(np.eye(D) + sum(rows.T @ rows for rows in tables.contexts))
    theta = inverse @ sum(x.T @ y for x, y in zip(tables.contexts, tables.rewards, strict=True))
    mask = len(tables.contexts) - 1
    start = time.thread_time()
    for t in range(steps):
        x = tables.contexts[t & mask]
        np.argmax(x @ theta + np.sqrt(np.vecdot(x @ inverse, x)))
    return steps / (time.thread_time() - start)


def peer_rates(pythons: dict[str, Path | None], ours: float) -> dict[str, Any]:
    """Return each library's version, its rate and how many times as fast we are; None where it is missing."""
    found: dict[str, Any] = {}
    for name, python in pythons.items():
        found[name] = None
        if python is not None:
            command = [str(python), str(HERE / "peers" / "contextual" / "play.py"), name, "1.0"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=ONE_THREAD)
            if done.returncode == 0:
                found[name] = json.loads(done.stdout)
                found[name]["times"] = ours / found[name]["steps_per_second"]
            else:
                last = done.stderr.strip().splitlines()[-1]
                print(f"!!! {name} failed and is MISSING from this run: {last}", file=sys.stderr)
    return found


ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def vw_rates(python: Path, task: str, folder: Path, rounds: int) -> dict[str, float]:
    """Return examples per second of CPU that Vowpal Wabbit's own driver learns from text, and from its binary cache."""
    examples = VW_EXAMPLES[task]
    file = folder / task
    _, _, shape, _, arms, _ = TASKS[task]
    write_examples(file, Tables(shape, 512, arms), examples)
    text = {"drive": f"{VW_FLAGS} -d {file}", "examples": examples}
    cached = {"drive": f"{VW_FLAGS} -d {file} --cache_file {file}.cache", "examples": examples}
    jobs = [cached, *[text, cached] * rounds]  # the first run writes the cache
    command = [str(python), str(HERE / "peers" / "contextual" / "vw.py")]
    done = subprocess.run(command, input="\n".join(map(json.dumps, jobs)), capture_output=True, text=True, check=True)
    rates = [json.loads(line)["per_second"] for line in done.stdout.splitlines()][1:]
    return {"text": statistics.median(rates[::2]), "cache": statistics.median(rates[1::2])}


def write_examples(file: Path, tables: Tables, examples: int) -> None:
    """Write decisions of a uniform policy on the rows of a table, in Vowpal Wabbit's text format."""
    draws = np.random.default_rng(1)
    arms = tables.rewards.shape[1]
    with file.open("w") as lines:
        for t in range(examples):
            row = t % len(tables.rewards)
            chosen = int(draws.integers(arms))
            for arm in range(arms):
                cost = f"{arm}:{-tables.rewards[row, arm]:.4f}:{1 / arms} " if arm == chosen else ""
                features = f"a{arm}"
                if tables.contexts.ndim == 3:
                    features = " ".join(f"f{j}:{value:.6g}" for j, value in enumerate(tables.contexts[row, arm]))
                lines.write(f"{cost}|x {features}\n")
            lines.write("\n")
