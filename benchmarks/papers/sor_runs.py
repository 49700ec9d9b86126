"""Runs of rules on the shifted Laplacian and on the heat equation: iterations of each solve, arms, contexts, time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import sor_rules as rules
from sor_rules import BEST_FIXED, BEST_POINT, CG, IN_HINDSIGHT, Rule, fixed, policy_of

from onearm.engine import loop
from onearm.engine.choices import Single
from onearm.engine.simulation import Simulation
from onearm.engine.solvers.cg import cg_work, solve_cg
from onearm.engine.solvers.heat import STEP, diffusivity, put_start, put_system
from onearm.engine.solvers.sor import Half, laplacian
from onearm.engine.vocabulary import LEARN, Array, Environment
from onearm.envs import catalog as envs

OMEGAS = np.linspace(rules.OMEGA_MIN, rules.OMEGA_MAX, rules.POINTS)
CHUNK = 100  # rounds between two reports of progress
LAST = 1000  # rounds whose mean tells what was learned in the end
HEAT_TRIALS = {25: 4, 50: 2}  # at the most; 1 of larger sizes, where steps cost the more
SAMPLED = {25: 1, 50: 5}  # every so manieth step is solved at all omegas; of larger sizes every 25th
REFERENCE = "omega_1.5"  # whose temperatures the sampled steps begin with
Progress = Callable[[int], None]  # told how many rounds were made


class Run(NamedTuple):
    """What one rule did in one trial, round by round."""

    cost: Array  # float64[rounds] iterations
    arm: Array  # int64[rounds]
    context: Array  # float64[rounds]
    seconds: float  # of CPU, learning included


class Runs(NamedTuple):
    """All trials of all rules in one world, by the rule's key; those in hindsight are found afterwards."""

    of: dict[str, list[Run]]
    omega: float | None  # the best fixed one, where it was looked for
    omega_of: dict[str, Array]  # float64[points], what the arms of a rule are
    table: Array | None  # float64[instances, 20] cost of each grid point, of the first trial
    table_context: Array | None  # float64[instances]


class Job(NamedTuple):
    """One trial of one rule; without an environment it is conjugate gradients alone, on the heat equation."""

    key: str
    rule: Rule
    env: Environment | None
    trial: int = 0
    side: int = 0


def run_shift(variance: str, wanted: dict[str, Rule], rounds: int, trials: int, seed: int, told: Progress) -> Runs:
    """Run rules on the shifted Laplacian; all meet the same systems."""
    grid = {f"grid_{omega:.2f}": fixed(float(omega), "") for omega in OMEGAS}
    worlds = {points: envs.make("shifted_laplacian", variance=variance, points=points) for points in points_of(wanted)}
    played = {key: rule for key, rule in wanted.items() if key not in IN_HINDSIGHT}
    if hindsight(wanted):
        played |= grid
    jobs = [Job(key, rule, worlds[rule.points], trial) for trial in range(trials) for key, rule in played.items()]
    of = play_all(jobs, "shift", rounds, seed, told)
    table, omega = None, None
    if hindsight(wanted):
        tables = [np.stack([of[key][trial].cost for key in grid], axis=1) for trial in range(trials)]
        best = int(np.mean(tables, axis=(0, 1)).argmin())
        omega, table = float(OMEGAS[best]), tables[0]
        first = next(iter(grid))
        for key, costs in ((BEST_FIXED, None), (BEST_POINT, tables)):
            if key in wanted:
                arms = [np.full(rounds, best) if costs is None else each.argmin(axis=1) for each in tables]
                of[key] = [
                    Run(each[np.arange(rounds), arm], arm, of[first][trial].context, math.nan)
                    for trial, (each, arm) in enumerate(zip(tables, arms, strict=True))
                ]
    context = None if table is None else of[next(iter(grid))][0].context
    return Runs({key: of[key] for key in wanted}, omega, omegas_of(wanted), table, context)


def run_heat(side: int, wanted: dict[str, Rule], rounds: int, trials: int, seed: int, told: Progress) -> Runs:
    """Run rules on the heat equation; the best fixed omega is that of the sampled steps, and is run on all."""
    trials = min(trials, HEAT_TRIALS.get(side, 1))
    worlds = {points: envs.make("heat_equation", side=side, points=points) for points in points_of(wanted)}
    table, omega = None, None
    played = {key: rule for key, rule in wanted.items() if key not in (*IN_HINDSIGHT, CG)}
    every = SAMPLED.get(side, 25)
    if hindsight(wanted):
        table = sample(worlds[rules.POINTS], every, rounds, told)
        best = int(table.mean(axis=0).argmin())
        omega = float(OMEGAS[best])
        if BEST_FIXED in wanted:
            played[BEST_FIXED] = fixed(omega, "")
    jobs = [
        Job(key, rule, worlds[rule.points], trial)
        for key, rule in played.items()
        for trial in range(1 if rule.policy == "fixed_omega" else trials)  # without draws all trials are the same
    ]
    if CG in wanted:
        jobs.append(Job(CG, wanted[CG], None, side=side))
    of = play_all(jobs, "heat", rounds, seed, told)
    context = np.array([diffusivity(t * STEP) for t in range(0, rounds, every)])
    if BEST_POINT in wanted and table is not None:
        of[BEST_POINT] = [Run(table.min(axis=1), table.argmin(axis=1), context, math.nan)]
    return Runs({key: of[key] for key in wanted}, omega, omegas_of(wanted), table, context)


def rounds_of(world: str, size: Any, wanted: dict[str, Rule], rounds: int, trials: int) -> int:
    """Return how many rounds a run makes, for a progress bar."""
    played = [rule for key, rule in wanted.items() if key not in (*IN_HINDSIGHT, CG)]
    if world == "shift":
        return rounds * trials * (len(played) + (len(OMEGAS) if hindsight(wanted) else 0))
    trials = min(trials, HEAT_TRIALS.get(size, 1))
    total = sum(1 if rule.policy == "fixed_omega" else trials for rule in played) + (CG in wanted)
    return rounds * (total + (BEST_FIXED in wanted) + hindsight(wanted))


def hindsight(wanted: dict[str, Rule]) -> bool:
    return any(key in wanted for key in IN_HINDSIGHT)


def points_of(wanted: dict[str, Rule]) -> set[int]:
    return {rules.POINTS, *(rule.points for rule in wanted.values())}


def omegas_of(wanted: dict[str, Rule]) -> dict[str, Array]:
    return {key: np.linspace(rules.OMEGA_MIN, rules.OMEGA_MAX, rule.points) for key, rule in wanted.items()}


class Course:
    """A simulation under way; what it costs is kept round by round."""

    def __init__(self, simulation: Simulation, told: Progress) -> None:
        self.simulation = simulation
        self.told = told
        self.parts: list[tuple[Array, Array, Array]] = []
        self.seconds = 0.0

    def go(self, rounds: int) -> None:
        """Make so many rounds."""
        started = time.thread_time()
        events = self.simulation.advance_logged(rounds)
        self.seconds += time.thread_time() - started
        learned = events.kind == LEARN
        self.parts.append((-events.reward[learned], events.action[learned], events.context[learned, 0]))
        self.told(rounds)

    def run(self) -> Run:
        """Return all rounds."""
        return Run(*(np.concatenate(column) for column in zip(*self.parts, strict=True)), self.seconds)


class CgCourse:
    """The heat equation under way by conjugate gradients alone."""

    def __init__(self, side: int, told: Progress) -> None:
        pattern = laplacian(side - 1)
        self.side = side
        self.told = told
        self.half = Half(pattern.start, pattern.index, pattern.value, pattern.diagonal)
        n = len(self.half.diagonal)
        self.u, self.b, self.work = np.zeros(n), np.zeros(n), cg_work(n)
        self.entry = solve_cg.compiled(self.half, self.b, self.u, 0.0, 1, self.work)
        put_start(self.u, side)
        self.cost: list[int] = []
        self.seconds = 0.0

    def go(self, rounds: int) -> None:
        """Make so many steps."""
        started = time.thread_time()
        for _ in range(rounds):
            put_system(self.half, self.u, self.b, self.side, len(self.cost) * STEP)
            tolerance = 1e-8 * math.sqrt(self.b @ self.b)
            self.cost.append(int(self.entry(self.half, self.b, self.u, tolerance, 10_000, self.work)[0]))
        self.seconds += time.thread_time() - started
        self.told(rounds)

    def run(self) -> Run:
        """Return all steps."""
        cost = np.array(self.cost, float)
        return Run(cost, np.zeros(len(cost), np.int64), np.zeros(len(cost)), self.seconds)


def play_all(jobs: list[Job], world: str, rounds: int, seed: int, told: Progress) -> dict[str, list[Run]]:
    """Play all jobs in threads and in turns, so that what disturbs the seconds disturbs all alike."""
    made = {job.key: policy_of(job.rule, world) for job in jobs if job.env is not None}
    courses: list[Course | CgCourse] = []
    for job in jobs:
        if job.env is None:
            courses.append(CgCourse(job.side, told))
        else:
            simulation = Simulation(made[job.key], job.env, horizon=rounds, seed=seed, replication=job.trial)
            simulation.compile(logged=True)
            courses.append(Course(simulation, told))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, rounds, CHUNK):
            chunk = min(CHUNK, rounds - start)
            list(pool.map(lambda course, made: course.go(made), courses, [chunk] * len(courses)))
    found: dict[str, list[Run]] = {}
    for job, course in zip(jobs, courses, strict=True):
        found.setdefault(job.key, []).append(course.run())
    return found


def sample(env: Environment, every: int, rounds: int, told: Progress) -> Array:
    """Return float64[steps, 20], the iterations at each omega of every so manieth step, from the same temperature."""
    simulation = Simulation(policy_of(rules.RULES[REFERENCE], "heat"), env, horizon=rounds)
    state = simulation.world.state
    steps = [Step(env, state, arm) for arm in range(rules.POINTS)]
    rows = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for t in range(0, rounds, every):
            simulation.advance(t - simulation.t)
            rows.append(list(pool.map(lambda step, time: step.cost(state.u, time), steps, [t] * len(steps))))
            told(min(every, rounds - t))
    return np.array(rows)


class Step:
    """Single steps of the heat equation at the omega of one arm, from any temperature."""

    def __init__(self, env: Environment, state: Any, arm: int) -> None:
        self.states, self.time, self.reward = stacked(state), np.zeros(1, np.int64), np.zeros(1)
        mask, unused = np.ones((1, env.problem.n_arms), np.bool_), (np.zeros(1), np.zeros(1, np.int64))
        asked = np.ones(1, np.bool_), np.array([arm]), np.zeros((1, 1)), mask, np.zeros((1, 0))
        runs, made = np.zeros(1, np.uint64), np.zeros(1, np.int64)
        self.given = (env.params, self.states, runs, self.time, *asked, self.reward, *unused, made, Single())
        self.entry = loop.answer_all.compiled(*self.given)

    def cost(self, u: Array, t: int) -> float:
        """Return the iterations of step t."""
        self.states.u[0] = u
        self.time[0] = t
        self.entry(*self.given)
        return -float(self.reward[0])


def stacked(state: Any) -> Any:
    """Return a copy of a state as the one row of stacked states."""
    return type(state)(*(stacked(field) if isinstance(field, tuple) else field[None].copy() for field in state))


def summary(runs: Runs) -> dict[str, dict[str, Any]]:
    """Return the row of each rule: mean and sd over trials of the iterations a round, and of the last 1000 rounds."""
    best = mean_of(runs.of[BEST_FIXED]) if BEST_FIXED in runs.of else None
    found: dict[str, dict[str, Any]] = {}
    for key, trials in runs.of.items():
        means = [float(run.cost.mean()) for run in trials]
        last = [float(run.cost[-last_of(runs, run) :].mean()) for run in trials]
        seconds = [run.seconds for run in trials if not math.isnan(run.seconds)]
        found[key] = {
            "mean": mean_of(trials),
            "sd": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "last1000": float(np.mean(last)),
            "ratio_to_best_fixed": None if best is None else mean_of(trials) / best,
            "trials": len(trials),
            "cpu_seconds": float(np.mean(seconds)) if seconds else None,
        }
    if BEST_FIXED in found:
        found[BEST_FIXED]["omega"] = runs.omega
    return found


def last_of(runs: Runs, run: Run) -> int:
    """Return how many entries stand for the last 1000 rounds: fewer where only some steps were sampled."""
    most = max(len(trial.cost) for trials in runs.of.values() for trial in trials)
    return max(1, round(LAST * len(run.cost) / most)) if most > LAST else len(run.cost)


def mean_of(trials: list[Run]) -> float:
    return float(np.mean([run.cost.mean() for run in trials]))
