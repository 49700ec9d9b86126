"""How fast vectors are decided: rounds a second beside PyNOL and C in ten dimensions, growth with d, and from Python.

oomd.py runs it. Times are of CPU, on one thread; each is the median over rounds of measurement, in which ours and C
take turns; PyNOL is measured before, in a process of its own. The next row of a table is the gradient of a linear loss
in the unit ball. Beside PyNOL a round of ours is one of the simulation: its environment, which shuffles the table, and
regret are included. Beside C a loop of decide and learn runs over the very same table, and both keep the sums of the
certificate.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from c_loops import c_loops
from speed import cpu_us, peer_python

from onearm.engine import loop
from onearm.engine.kernel import loop as compiled_loop
from onearm.engine.protocol import select, update
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import LEARN, Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

HERE = Path(__file__).resolve().parents[1]
SOURCE, PEER = HERE / "reference_vectors.c", HERE / "peers" / "vectors"
D, ROWS = 10, 4096
KNOWN = {"gradient_max": 2.4, "smoothness": 1.0}
POLICIES: dict[str, dict[str, Any]] = {
    "optimistic_omd": {},
    "optimistic_ftrl": {},
    "gradient_descent": {},
    "optimistic_ensemble": KNOWN,
}
SINGLE = ("optimistic_omd", "optimistic_ftrl", "gradient_descent")
HORIZON = 20_000  # that the ensembles are made for
COMPARED, STEP = 5000, 0.05  # rounds and step of the run whose points are compared with PyNOL's
EUCLIDEAN, MATRIX = (100, 1000, 10_000), (32, 64, 128, 256)  # dimensions
SECONDS = 0.15  # of CPU, for each rival in each round of measurement
Step = Callable[[], None]


def steps(rounds: int) -> int:
    """Return how often a measurement tells that it goes on."""
    return 2 * rounds + 5


def measure(rounds: int, step: Step) -> dict[str, Any]:
    """Return rates, ratios, exponents and the difference of PyNOL's points from ours."""
    gradients, ours = points_of_ours()
    step()
    found: dict[str, Any] = {"dimension": D, "rows": ROWS}
    peer, theirs = pynol_on(gradients)
    found["pynol"] = peer
    found["pynol_difference"] = None if theirs is None else float(np.abs(theirs - ours).max())
    step()
    learners = peer["learners"] if peer else 6
    found["learners"] = learners
    policies = {name: catalog.make(name, **params) for name, params in POLICIES.items()}
    policies["optimistic_ensemble"] = ensemble_of(learners)
    found["rates"] = simulated(policies, rounds)
    step()
    for name, alone in beside_c(policies, rounds, step).items():
        found["rates"][name] |= alone
    if peer:
        rivals = peer["rounds_per_second"]
        for name, rate in found["rates"].items():
            rate["times_pynol"] = rate["onearm"] / rivals["optimistic_omd" if name in SINGLE else name]
    found["growth"] = growth()
    step()
    found["call_us"] = call_us(policies["optimistic_ftrl"])
    step()
    return found


def table_env(dimension: int, rows: int, radius: float = 1.0) -> Any:
    domain = {"kind": "ball", "dimension": dimension, "radius": radius}
    return envs.make("random_order", losses=rows, dimension=dimension, spread=1.0, wall=0.0, domain=domain)


def points_of_ours() -> tuple[Array, Array]:
    """Return the gradients of a run of ours with a fixed step, and its points, float64[n, d] each."""
    env = table_env(D, COMPARED)
    run = Simulation(catalog.make("optimistic_omd", step=STEP), env, horizon=COMPARED, seed=3)
    events = run.advance_logged(COMPARED)
    learned = events.kind == LEARN
    return -events.detail[learned], events.action[learned]


def pynol_on(gradients: Array) -> tuple[dict[str, Any] | None, Array | None]:
    """Return what PyNOL says of itself, and its points on those gradients; None where it is missing."""
    with contextlib.redirect_stdout(sys.stderr):  # which says what it builds; stdout is for the JSON
        python = peer_python(PEER / "pynol.txt")
    if python is None:
        return None, None
    with tempfile.TemporaryDirectory() as folder:
        given, points = Path(folder, "gradients.npy"), Path(folder, "points.npy")
        np.save(given, gradients)
        command = [str(python), str(PEER / "play.py"), str(given), str(points), "1.0", str(STEP), str(HORIZON)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"!!! PyNOL failed and is MISSING from this run: {reason}", file=sys.stderr)
            return None, None
        return json.loads(done.stdout), np.load(points)


def ensemble_of(learners: int) -> Policy:
    """Return an ensemble of as many learners as PyNOL's, whose steps begin and end elsewhere."""
    largest = 2.0 ** (learners - 1.5) * 2.0 / math.sqrt(HORIZON) * math.sqrt(8.0)
    return catalog.make("optimistic_ensemble", gradient_max=largest, smoothness=1.0)


def simulated(policies: dict[str, Policy], rounds: int) -> dict[str, dict[str, Any]]:
    """Return rounds a second of the compiled simulation."""
    env = table_env(D, ROWS)
    rates: dict[str, list[float]] = {name: [] for name in policies}
    sizes = {name: rounds_within(lambda n, p=policy: our_rate(p, env, n)) for name, policy in policies.items()}
    for _ in range(rounds):
        for name, policy in policies.items():
            rates[name].append(our_rate(policy, env, sizes[name]))
    return {name: {"onearm": statistics.median(found)} for name, found in rates.items()}


def beside_c(policies: dict[str, Policy], rounds: int, step: Step) -> dict[str, dict[str, Any]]:
    """Return rounds a second of decide and learn alone, those of C, and how many times ours these are."""
    found: dict[str, dict[str, Any]] = {}
    pool = policies["optimistic_ensemble"].init(policies["optimistic_ensemble"].params, horizon_problem()).step
    with c_loops(SOURCE) as c:
        if c is None:
            return found
        for name in ("optimistic_omd", "optimistic_ensemble"):
            descent = Descent(policies[name])
            ours, theirs = [], []
            size, c_size = rounds_within(descent.rate), rounds_within(lambda n, k=name: c_rate(c, k, pool, n))
            for _ in range(rounds):
                ours.append(descent.rate(size))
                theirs.append(c_rate(c, name, pool, c_size))
                step()
            pairs = zip(theirs, ours, strict=True)
            same = np.allclose(descent.found(COMPARED), c_found(c, name, pool, COMPARED), rtol=1e-9)
            found[name] = {"alone": statistics.median(ours), "c": statistics.median(theirs), "same_as_c": bool(same)}
            found[name]["times_c"] = statistics.median(their / our for their, our in pairs)
    return found


def horizon_problem() -> Problem:
    return replace(table_env(D, ROWS).problem, horizon=HORIZON)


@compiled_loop
def descend(
    params: Any,
    state: Any,
    run: np.uint64,
    table: Array,
    context: Array,
    available: Array,
    detail: Array,
    rounds: int,
) -> float:
    """Decide and learn on the rows of a table in turn; return the total loss."""
    total = 0.0
    mask = len(table) - 1
    for t in range(rounds):
        key = Key(run, t)
        instance = Instance(t, context, available)
        decision = select(params, state, instance, key)
        reward = 0.0
        for j in range(len(detail)):
            detail[j] = -table[t & mask, j]
            reward += detail[j] * decision.action[j]
        update(params, state, instance, decision, Feedback(reward, detail), key)
        total -= reward
    return total


class Descent:
    """A policy on the table that C reads."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.problem = horizon_problem()
        self.table = c_table()
        self.entry = descend.compiled(*self._arguments(1))

    def rate(self, rounds: int) -> float:
        """Return rounds per second of CPU."""
        arguments = self._arguments(rounds)
        start = time.thread_time()
        self.entry(*arguments)
        return rounds / (time.thread_time() - start)

    def found(self, rounds: int) -> tuple[float, float, float]:
        """Return loss, certificate and variation."""
        arguments = self._arguments(rounds)
        loss = float(self.entry(*arguments))
        proven = loop.certificate(*arguments[:2])
        return loss, float(proven.bound), float(proven.variation)

    def _arguments(self, rounds: int) -> tuple[Any, ...]:
        params = self.policy.params
        arrays = (self.table, np.zeros(0), np.ones(1, np.bool_), np.zeros(D))
        return (params, self.policy.init(params, self.problem), np.uint64(1), *arrays, rounds)


def c_table() -> Array:
    """Return gradients of length 1, float64[rows, d]."""
    return np.random.default_rng(0).choice([-1.0, 1.0], (ROWS, D)) / math.sqrt(D)


def rounds_within(rate: Callable[[int], float], seconds: float = SECONDS) -> int:
    """Return how many rounds take about that long, from a short run."""
    return max(int(rate(2000) * seconds), 100)


def our_rate(policy: Policy, env: Any, rounds: int) -> float:
    """Return rounds per second of CPU of the compiled simulation; the ensemble's horizon stays what it is."""
    simulation = Simulation(policy, env, horizon=max(rounds, HORIZON))
    if policy.name == "optimistic_ensemble":
        simulation.state = policy.init(policy.params, horizon_problem())
    simulation.compile()
    start = time.thread_time()
    simulation.advance(rounds)
    return rounds / (time.thread_time() - start)


def c_rate(c: ctypes.CDLL, name: str, pool: Array, rounds: int) -> float:
    """Return rounds per second of CPU of the loop in C."""
    start = time.thread_time()
    c_found(c, name, pool, rounds)
    return rounds / (time.thread_time() - start)


def c_found(c: ctypes.CDLL, name: str, pool: Array, rounds: int) -> Array:
    """Return what the loop in C finds: loss, certificate and variation."""
    table, out = c_table(), np.zeros(3)
    pointer = lambda array: array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))  # noqa: E731
    given: list[Any] = [pointer(table), ctypes.c_long(ROWS - 1), ctypes.c_long(rounds)]
    if name == "optimistic_ensemble":
        given += [pointer(pool), ctypes.c_long(len(pool)), ctypes.c_double(KNOWN["smoothness"])]
    c[name](*given, pointer(out))
    return out


def growth() -> dict[str, Any]:
    """Return microseconds a round by d, and the exponent: of the ball, and of Newton's step without limits."""
    found: dict[str, Any] = {}
    for name, policy, dimensions, radius in (
        ("euclidean", catalog.make("optimistic_omd"), EUCLIDEAN, 1.0),
        ("newton", catalog.make("optimistic_newton", beta=1e-3), MATRIX, 1e6),
    ):
        times = {}
        for d in dimensions:
            env = table_env(d, 16, radius)
            rounds = rounds_within(lambda n, p=policy, e=env: our_rate(p, e, min(n, 300)))
            times[d] = 1e6 / max(our_rate(policy, env, rounds) for _ in range(3))
        logs = np.log([[d, us] for d, us in times.items()])
        found[name] = {"us": {str(d): us for d, us in times.items()}}
        found[name]["exponent"] = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return found


def call_us(policy: Policy) -> dict[str, float]:
    """Return CPU microseconds of one decide and one learn from Python."""
    params = policy.params
    problem = Problem(0, domain=table_env(D, 16).problem.domain, feedback="gradient")
    state = policy.init(params, problem)
    run, context, available, detail = np.uint64(1), np.zeros(0), np.ones(1, np.bool_), np.full(D, 0.1)
    instance, key = Instance(1, context, available), Key(run, 1)
    decide = loop.decide.compiled(params, state, instance, key)
    decision, feedback = Decision(np.zeros(D), 1.0), Feedback(1.0, detail)
    learn = loop.learn.compiled(params, state, instance, decision, feedback, key)
    calls: dict[str, Callable[[], Any]] = {
        "decide": lambda: decide(params, state, Instance(1, context, available), Key(run, 1)),
        "learn": lambda: learn(
            params,
            state,
            Instance(1, context, available),
            Decision(decision.action, 1.0),
            Feedback(1.0, detail),
            Key(run, 1),
        ),
    }
    return {name: min(cpu_us(call) for _ in range(5)) for name, call in calls.items()}
