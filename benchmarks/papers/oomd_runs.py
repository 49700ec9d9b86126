"""Runs of oomd.py: regret on the drawn losses and what was proven of it, at several times of every single run."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from oomd_rules import Rule, policy_of
from oomd_worlds import GAP, Case

from onearm.engine.simulation import Simulation
from onearm.engine.vectors.hindsight import best_for_bowl
from onearm.engine.vocabulary import LEARN, Array
from onearm.policies.vectors.optimistic_ensemble import dynamic_certificate

PAGE = 10_000  # decisions whose events are looked at together: they fit the cache of a processor
ROUNDING = 1e-11  # of sums of as many numbers as there are rounds, beside the sum of their sizes
MARKS = 12  # times at which regret and certificate are compared in each run
Progress = Callable[[int], None]  # told how many rounds were made


class Run(NamedTuple):
    """One run of one policy; the regret is that of the drawn losses against the best fixed point so far."""

    t: Array  # int64[m]
    regret: Array  # float64[m]
    bound: Array  # float64[m] the certificate; NaN where there is none
    expected: float  # regret on expected losses, at the end
    size: float  # the sum of the sizes of all gradients: rounding is in proportion to it
    more: dict[str, float]  # what else is known at the end


class Job(NamedTuple):
    """One run that is to be made."""

    case: Case
    key: str
    rule: Rule
    replication: int


def run_all(cases: list[Case], seed: int, told: Progress, threads: int | None = None) -> list[dict[str, Any]]:
    """Run every case in threads; return rows with their runs under "runs_", in the order of the cases."""
    jobs = [
        Job(case, key, rule, replication)
        for case in cases
        for key, rule in case.rules.items()
        for replication in range(case.replications)
    ]
    seen = set()
    for job in jobs:
        what = (job.rule.policy, job.case.table)
        if what not in seen:
            seen.add(what)
            simulation_of(job, seed).compile()  # in one thread; who logs compiles where it begins

    def played(job: Job) -> Run:
        run = play(job, seed)
        told(job.case.horizon)
        return run

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        runs = list(pool.map(played, jobs))
    rows, of = [], dict[tuple[int, str], list[Run]]()
    for job, run in zip(jobs, runs, strict=True):
        of.setdefault((id(job.case), job.key), []).append(run)
    for case in cases:
        rows += [row_of(case, key, of[id(case), key]) for key in case.rules]
    return rows


def rounds_of(cases: list[Case]) -> int:
    """Return how many rounds all runs take, for a progress bar."""
    return sum(case.horizon * case.replications * len(case.rules) for case in cases)


def simulation_of(job: Job, seed: int) -> Simulation:
    env = job.case.env(job.replication)
    return Simulation(policy_of(job.rule), env, horizon=job.case.horizon, seed=seed, replication=job.replication)


def play(job: Job, seed: int) -> Run:
    """Make one run."""
    simulation = simulation_of(job, seed)
    if job.case.table == "bandits":
        return pulled(simulation)
    if job.case.convexity is None:
        return against_known(simulation, job)
    return against_drawn(simulation, job)


def marks_of(horizon: int) -> Array:
    return np.unique(np.geomspace(min(10, horizon), horizon, MARKS).round().astype(np.int64))


def pulled(simulation: Simulation) -> Run:
    """Count how often an arm was taken that pays less in expectation: the first pays GAP more than the others."""
    arms = simulation.advance_logged(simulation.horizon)
    regret = GAP * float((arms.action[arms.kind == LEARN] != 0).sum())
    return Run(np.array([simulation.horizon]), np.array([regret]), np.full(1, np.nan), regret, 0.0, {})


def against_known(simulation: Simulation, job: Job) -> Run:
    """Compare with the best point of the whole run, which the environment knows, or which is found here."""
    marks = marks_of(simulation.horizon)
    regret, bound = np.zeros(len(marks)), np.zeros(len(marks))
    for i, mark in enumerate(marks.tolist()):
        simulation.advance(mark - simulation.t)
        reward, regret[i] = simulation.at(mark)
        bound[i] = simulation.certificate.bound
    if job.case.least is not None:
        regret[:] = np.nan  # before the end another point would be best
        regret[-1] = -reward - job.case.least(job.replication)
    return Run(marks, regret, bound, float(regret[-1]), float(simulation.horizon), {})


def against_drawn(simulation: Simulation, job: Job) -> Run:
    """Compare with the point that is best so far for the drawn losses s . x + lambda |x|^2 / 2."""
    domain, convexity = simulation.problem.domain, job.case.convexity
    assert domain is not None and convexity is not None
    marks = marks_of(simulation.horizon)
    regret, bound = np.zeros(len(marks)), np.zeros(len(marks))
    slope, loss, size = np.zeros(domain.dimension), 0.0, 0.0
    pieces = Pieces(simulation, job) if "pieces" in job.case.setting else None
    for i, mark in enumerate(marks.tolist()):
        while simulation.t < mark:
            events = simulation.advance_logged(min(PAGE, mark - simulation.t))
            learned = events.kind == LEARN
            action, detail = events.action[learned], events.detail[learned]
            slopes = -detail - convexity * action
            slope += slopes.sum(axis=0)
            loss -= float(events.reward[learned].sum())
            size += float(np.abs(detail).sum())
            if pieces is not None:
                pieces.add(action, detail)
        best = best_for_bowl(domain, slope, convexity * mark)
        regret[i] = loss - float(slope @ best) - 0.5 * convexity * mark * float(best @ best)
        bound[i] = simulation.certificate.bound
    more = {} if pieces is None else pieces.end()
    return Run(marks, regret, bound, simulation.at(simulation.horizon)[1], size, more)


class Pieces:
    """What was paid more than by a comparator that jumps: the best point of each piece, known to the environment."""

    def __init__(self, simulation: Simulation, job: Job) -> None:
        self.simulation = simulation
        self.is_ensemble = job.rule.policy == "optimistic_ensemble"
        self.pieces = job.case.setting["pieces"]
        self.centre = simulation.world.state.comparator.copy()  # float64[pieces, d]
        self.paid, self.t = 0.0, 0

    def add(self, action: Array, detail: Array) -> None:
        """Add rounds: the points that were decided and the gradients of their rewards, float64[n, d] each."""
        piece = np.minimum((self.t + np.arange(len(action))) * self.pieces // self.simulation.horizon, self.pieces - 1)
        # <g, x - u> of the drawn losses: what the certificate bounds, and no less than the difference of the losses.
        self.paid -= float((detail * (action - self.centre[piece])).sum())
        self.t += len(action)

    def end(self) -> dict[str, float]:
        """Return the length of the comparator's path, what is proven against it, and by how much that holds."""
        length = float(np.linalg.norm(np.diff(self.centre, axis=0), axis=1).sum())
        if not self.is_ensemble:
            return {"path_length": length}
        bound = float(dynamic_certificate(self.simulation.params, self.simulation.state, length).bound)
        return {"path_length": length, "dynamic_certificate": bound, "dynamic_margin": bound - self.paid}


def row_of(case: Case, key: str, runs: list[Run]) -> dict[str, Any]:
    """Return what all runs of a policy in a case come to. `margin` is the least of bound - regret at any time."""
    regret = np.array([run.regret[-1] for run in runs])
    bound = np.array([run.bound[-1] for run in runs])
    expected = np.array([run.expected for run in runs])
    known = [(run.bound - run.regret)[~np.isnan(run.regret)] for run in runs]  # NaN where the bound is: that counts
    row: dict[str, Any] = {"case": case.name, "horizon": case.horizon, "policy": key, **case.setting}
    row |= {"regret_mean": float(regret.mean()), "regret_stderr": stderr(regret)}
    row |= {"expected_mean": float(expected.mean()), "expected_stderr": stderr(expected)}
    proves = not all(np.isnan(run.bound).all() for run in runs)
    row["certificate"] = float(bound.mean()) if proves else None
    row["margin"] = float(np.concatenate(known).min()) if proves else None
    row["rounding"] = ROUNDING * max(run.size for run in runs)
    row["compared"] = sum(len(each) for each in known)
    row["runs"] = len(runs)
    for name in runs[0].more:
        values = [run.more[name] for run in runs]
        row[name] = float(np.min(values) if name.endswith("margin") else np.mean(values))
    row["runs_"] = runs
    return row


def stderr(values: Array) -> float:
    """Return the standard error of a mean; 0 of a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
