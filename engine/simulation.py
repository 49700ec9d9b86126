"""Simulated experiments: a policy against an environment, replicated in threads, with regret curves.

>>> from onearm.policies import catalog as policies
>>> from onearm.envs import catalog as envs
>>> world = envs.make("bernoulli", mean=[0.1, 0.9])
>>> curve = simulate(policies.make("ucb1"), world, horizon=1000, replications=4, seed=1)
>>> curve.reward.shape == (4, len(curve.t))
True
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from . import loop
from .actions import empty_actions
from .changes.worlds import changes_of
from .choices import Queries
from .columns import empty, take
from .contexts import empty_context, empty_contexts
from .draws import NATURE, POLICY, run_key
from .errors import InvalidInput, RewardWarning
from .pending import Pending
from .problem import check_problem, check_seed, fitted
from .protocol import certifies, observes
from .rewards import said_of
from .vocabulary import Array, Certificate, Change, Columns, Environment, Key, Outside, Policy, Problem, Totals, World

CURVE_POINTS = 100
LOSS = "the best hypothesis, of what is recommended after so many queries"
REPLICATIONS_MAX = 10**6
CHUNK = 1_000_000  # trials between two reports of progress, at the least
REPORTS_MAX = 10_000
DECISIONS_MAX = 2**62
LOG_CHUNK = 100_000  # steps between two pages of the log, at the most
LOG_BYTES = 1 << 24  # of a page, where one decision has not more


class Simulation:
    """One run of a policy against an environment; may be advanced in parts, to the same bits as at once.

    `seed` is shared by all policies that are compared: they meet the same nature. Not to be shared between threads.
    """

    def __init__(self, policy: Policy, env: Environment, *, horizon: int, seed: int = 0, replication: int = 0) -> None:
        self.horizon = horizon
        self.problem = problem_of(env, horizon)
        self.policy = fitted(policy, self.problem)
        self.run = run_key(check_seed(seed), replication, POLICY)
        self.params = self.policy.params
        self.state = self.policy.init(self.params, self.problem)
        nature = run_key(seed, replication, NATURE)
        self.world = World(
            params=env.params,
            state=env.init(env.params, self.problem, nature),
            run=nature,
            context=empty_context(self.problem),
            available=np.ones(self.problem.n_choices, np.bool_),
            detail=np.zeros(self.problem.detail_length),
            rules=self.problem.choice.rules,
        )
        self.totals = Totals(trials=np.zeros(2, np.int64), reward=np.zeros(2), regret=np.zeros(2))
        self.outside = _outside(self.policy, self.problem)
        self.delay_max = env.delay_max
        self.t = 0
        self._pending = _no_pending(self.problem, env.delay_max) if env.delay_max else None
        self._verdict: Any = None  # as the next, compiled only where it says something: each takes 0.3 s
        if isinstance(self.problem.choice, Queries):
            self._verdict = loop.verdict.compiled(self.params, self.state, Key(self.run, 0), self.world)
        self._certificate: Any = None
        if certifies(self.params):
            self._certificate = loop.certificate.compiled(self.params, self.state)
        self._entries: dict[bool, Any] = {}  # whether events are logged: the loop for that

    @property
    def trials(self) -> int:
        """How many trials are made: as many as decisions, and where these are moves as many as pulls."""
        return int(self.totals.trials[0])

    def compile(self, *, logged: bool = False) -> None:
        """Compile the loop now, or load it: that of `advance`, or that of `advance_logged`."""
        columns = empty(0, self.problem) if logged else None
        self._entries[logged] = loop.simulate.compiled(*self._arguments(columns, 0, 0))

    def advance(self, trials: int) -> None:
        """Make `trials` more trials, and what is left of the last batch of pulls."""
        self._simulate(None, DECISIONS_MAX, self.trials + trials)

    def at(self, trials: int) -> tuple[float, float]:
        """Return reward and regret at a number of trials within the last decision.

        Within a batch of pulls the regret grows by as much at each pull, and so does, on average, the reward. Of a task
        the regret is the loss of what is recommended now, and the reward minus that.
        """
        if self._verdict is not None:
            _, loss = self._verdict(self.params, self.state, Key(self.run, self.t), self.world)
            return -loss, loss
        now, before = self.totals.trials.tolist()
        part = (trials - before) / (now - before) if trials < now else 1.0
        return _between(self.totals.reward, part), _between(self.totals.regret, part)

    @property
    def certificate(self) -> Certificate:
        """What the policy proves of its run so far; NaN where it proves nothing."""
        if self._certificate is None:
            return Certificate(math.nan, math.nan)
        return Certificate(*self._certificate(self.params, self.state))

    @property
    def changes(self) -> list[Change]:
        """The changes of the world that the policy found so far."""
        return changes_of(self.policy, self.state)

    @property
    def logged_at_once(self) -> int:
        """How many decisions make a page of the log: the fewer the wider their contexts and vectors are."""
        row = empty(1, self.problem)
        arrays = [*row.context] if isinstance(row.context, tuple) else [row.context]
        size = sum(array.nbytes for array in (*arrays, row.available))
        size += 8 * (self.problem.dimension + self.problem.detail_length)
        return min(LOG_CHUNK, max(1, LOG_BYTES // (2 * size)))  # a decision and its reward are two rows

    def advance_logged(self, decisions: int) -> Columns:
        """Make up to `decisions` more decisions, within the horizon, and return their events.

        With them come those of rewards that arrive meanwhile.
        """
        columns = empty(2 * decisions + self.delay_max, self.problem, masked=observes(self.world.params))
        return take(columns, slice(0, self._simulate(columns, decisions, self.horizon)))

    def _simulate(self, columns: Columns | None, most: int, until: int) -> int:
        logged = columns is not None
        if logged not in self._entries:
            self.compile(logged=logged)
        self.t, rows = self._entries[logged](*self._arguments(columns, most, min(until, self.horizon)))
        if rows < 0:
            raise InvalidInput(
                "impossible_move",
                f"policy {self.policy.name!r} made at decision {self.t} a move that cannot be made there: pulls are of "
                "slots that hold an arm, at least one, and nothing is read after the end of the stream; mend its file",
            )
        return int(rows)

    def _arguments(self, columns: Columns | None, most: int, until: int) -> tuple[Any, ...]:
        totals, span = self.totals, (self.t, most, until)
        return (self.params, self.state, self.run, self.world, self._pending, totals, columns, self.outside, *span)


@dataclass(frozen=True)
class Curves:
    """What an experiment found: cumulative reward and regret of each replication at log-spaced times."""

    policy: dict[str, Any]  # spec
    env: dict[str, Any]  # spec
    regret_kind: str | None
    horizon: int
    task: bool  # whether a hypothesis is recommended in the end: `regret` is then its loss at t, and not a sum
    t: Array  # int64[m], trials made; a decision is one, and where decisions are moves each pull is one
    reward: Array  # float64[r, m], summed up to t
    regret: Array  # float64[r, m], NaN where the environment does not know its optimum
    bound: Array  # float64[r, m], what the policy proves of its regret up to t; NaN where it proves nothing
    variation: Array  # float64[r], how far the losses were from what was expected; NaN where that is not asked
    supposes: str | None  # of the losses, for the bound to hold, beyond that they are convex
    outside: Outside | None  # rewards of all replications that the policy is not made for; None where there is none
    changes: list[list[Change]] | None  # of each replication those of the world; None where the policy does not look
    cpu_seconds: float  # spent in the compiled loop, over all threads

    @property
    def steps_per_second(self) -> float:
        """Trials per second of CPU."""
        return self.reward.shape[0] * self.horizon / max(self.cpu_seconds, 1e-9)


class Replications(NamedTuple):
    """What some replications of an experiment found, r of them."""

    reward: Array  # float64[r, m], as `Curves` has it
    regret: Array  # float64[r, m]
    bound: Array  # float64[r, m]
    variation: Array  # float64[r]
    outside: Outside | None
    changes: list[list[Change]]
    cpu_seconds: float


def simulate(
    policy: Policy,
    env: Environment,
    *,
    horizon: int,
    replications: int = 1,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> Curves:
    """Run `replications` independent runs of `horizon` trials each, in threads (the compiled loop frees the GIL).

    `progress` hears of each chunk of trials done. Replication r gives the same bits whatever the number of threads.
    Warns where rewards lay outside of the range that the policy is made for, and the environment declares none.
    """
    check_replications(replications)
    first = Simulation(policy, env, horizon=horizon, seed=seed)
    first.compile()  # in one thread

    def played(r: int) -> Replications:
        return replicate(policy, env, horizon=horizon, seed=seed, which=range(r, r + 1), progress=progress)

    with ThreadPoolExecutor(min(replications, threads or os.cpu_count() or 1)) as pool:
        curves = curves_of(first, env, list(pool.map(played, range(replications))))
    if curves.outside is not None:
        warnings.warn(said_of(curves.outside, policy.name, env.name), RewardWarning, stacklevel=2)
    return curves


def replicate(
    policy: Policy,
    env: Environment,
    *,
    horizon: int,
    seed: int,
    which: range,
    progress: Callable[[int], None] = lambda steps: None,
) -> Replications:
    """Run the replications `which`, one after another, each the same bits wherever and beside whichever it runs."""
    times = curve_times(horizon)
    chunk = max(CHUNK, horizon // REPORTS_MAX)
    stops = sorted({*times.tolist(), *range(chunk, horizon, chunk)})
    reward = np.empty((len(which), len(times)))
    regret, bound, variation = np.empty_like(reward), np.empty_like(reward), np.empty(len(which))
    seconds, outside, changes = 0.0, [], []
    for place, r in enumerate(which):
        simulation = Simulation(policy, env, horizon=horizon, seed=seed, replication=r)
        point = reported = 0
        for stop in stops:
            started = time.thread_time()
            simulation.advance(stop - simulation.trials)
            seconds += time.thread_time() - started
            if stop == times[point]:
                reward[place, point], regret[place, point] = simulation.at(stop)
                bound[place, point], variation[place] = simulation.certificate
                point += 1
            progress(stop - reported)
            reported = stop
        changes.append(simulation.changes)
        outside.append(simulation.outside)
    return Replications(reward, regret, bound, variation, _all_outside(outside), changes, seconds)


def curves_of(first: Simulation, env: Environment, parts: Sequence[Replications]) -> Curves:
    """Return what replications found that ran in parts, in the order of the parts; `first` is the experiment's first.

    >>> from onearm.policies import catalog as policies
    >>> from onearm.envs import catalog as envs
    >>> policy, world = policies.make("ucb1"), envs.make("bernoulli", mean=[0.1, 0.9])
    >>> parts = [replicate(policy, world, horizon=100, seed=1, which=which) for which in (range(2), range(2, 3))]
    >>> whole = simulate(policy, world, horizon=100, replications=3, seed=1)
    >>> bool((curves_of(Simulation(policy, world, horizon=100), world, parts).regret == whole.regret).all())
    True
    """
    policy, task = first.policy, isinstance(first.problem.choice, Queries)
    reward, regret, bound, variation = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:4])
    outside = _all_outside([part.outside for part in parts])
    found = None if policy.found is None else [each for part in parts for each in part.changes]
    about = (policy.spec, env.spec, LOSS if task else env.regret_kind, first.horizon, task, curve_times(first.horizon))
    seconds = sum(part.cpu_seconds for part in parts)
    return Curves(*about, reward, regret, bound, variation, policy.supposes, outside, found, seconds)


def check_replications(replications: int) -> None:
    """Refuse a number of runs that is none, or that nobody can wait for."""
    if not 1 <= replications <= REPLICATIONS_MAX:
        raise InvalidInput(
            "bad_replications",
            f"there are {replications} replications: at least 1 is needed, and at most {REPLICATIONS_MAX}",
        )


def problem_of(env: Environment, horizon: int) -> Problem:
    """Return the environment's problem with the horizon of this run."""
    problem = replace(env.problem, horizon=horizon)
    check_problem(problem)
    return problem


def curve_times(horizon: int) -> Array:
    """Return up to 100 log-spaced times from 1 to `horizon`, both included."""
    times = np.geomspace(1, horizon, CURVE_POINTS).round()
    return np.unique([*times[:-1].astype(np.int64), horizon])


def _outside(policy: Policy, problem: Problem) -> Outside | None:
    """Return where rewards are counted that a policy is not made for; None where there can be none."""
    if problem.reward_range is not None or policy.reward_range is None:
        return None
    return Outside(*policy.reward_range, np.zeros(1, np.int64), np.full(1, np.inf), np.full(1, -np.inf))


def _all_outside(each: list[Outside | None]) -> Outside | None:
    """Return what all replications counted together."""
    seen = [one for one in each if one is not None and one.count[0]]
    if not seen:
        return None
    low, high, *counted = zip(*seen, strict=True)
    counts, least, greatest = map(np.concatenate, counted)
    return Outside(low[0], high[0], counts.sum(keepdims=True), least.min(keepdims=True), greatest.max(keepdims=True))


def _no_pending(problem: Problem, delay_max: int) -> Pending:
    places = delay_max + 1
    return Pending(
        first=np.full(places, -1),
        last=np.full(places, -1),
        following=np.full(places, -1),
        number=np.zeros(places, np.int64),
        action=empty_actions(places, problem),
        propensity=np.zeros(places),
        reward=np.zeros(places),
        context=empty_contexts(places, problem),
        available=np.ones((places, problem.n_choices), np.bool_),
        detail=np.zeros((places, problem.detail_length)),
    )


def _between(totals: Array, part: float) -> float:
    now, before = totals.tolist()
    return float(now if part == 1.0 else before + part * (now - before))
