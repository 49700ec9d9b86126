"""The worlds that changes.py plays in: what they pay, when they change, and of which parts the figures are told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Environment
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

SEED = 0
POINTS = 80  # of a curve
DIGITS = {"name": "classification", "params": {"dataset": "digits"}}
ROWS = 1797  # of digits
MEANS = [0.1, 0.2, 0.3, 0.4, 0.6]
BERNOULLI = {"name": "bernoulli", "params": {"mean": MEANS}}
SAME = list(range(10))
MOVED = [(arm + 3) % 10 for arm in SAME]
SWAPPED = [0, 1, 2, 5, 4, 3, 6, 7, 8, 9]
PLAYS = 100_000  # with ten changes
DAYS, HOURS = 20, 500  # so many days; decisions of a day, and of a night
STREAM = 20_000  # rows of a stream of river
Spec = dict[str, Any]
Changes = list[tuple[int, int]]


@dataclass(frozen=True)
class World:
    """One world, of which each replication is drawn anew."""

    parts: dict[str, tuple[int, int]]  # name: its decisions, from the first to before the last
    best: float  # what the best arm is worth, always
    env: Callable[[int], Environment]  # of a replication
    changes: Callable[[int], Changes]  # of a replication: with which decisions which world begins; 0 is the first
    contexts: bool = True

    @property
    def horizon(self) -> int:
        """How many decisions are made."""
        return max(end for _, end in self.parts.values())

    @property
    def stops(self) -> list[int]:
        """After how many decisions is looked at what was earned."""
        bounds = {bound for part in self.parts.values() for bound in part}
        points = np.linspace(0, self.horizon, POINTS + 1).round().astype(int).tolist()
        return sorted({*bounds, *points} - {0})

    def of_parts(self, earned: Array) -> Array:
        """Return what was earned a decision in each part, from sums at the stops, float64[..., stops]."""
        sums = np.concatenate([np.zeros((*earned.shape[:-1], 1)), earned], axis=-1)
        place = {stop: i for i, stop in enumerate([0, *self.stops])}
        rates = [
            (sums[..., place[end]] - sums[..., place[start]]) / (end - start) for start, end in self.parts.values()
        ]
        return np.stack(rates, axis=-1)


def earned(world: World, policy: Spec, replication: int, told: bool = False) -> Array:
    """Return what the arms were worth that were played, summed up to each stop.

    A policy that is told begins anew where a world begins, and goes on as it was where one comes again.
    """
    env = world.env(replication)
    simulation = Simulation(policies.from_spec(policy), env, horizon=world.horizon, seed=SEED, replication=replication)
    states = {0: simulation.state}
    changes = dict(world.changes(replication)) if told else {}
    found = []
    for stop in sorted({*world.stops, *changes}):
        simulation.advance(stop - simulation.trials)
        if stop in changes:
            number = changes[stop]
            if number not in states:
                states[number] = simulation.policy.init(simulation.params, simulation.problem)
            simulation.state = states[number]
        found.append((stop, world.best * stop - simulation.totals.regret[0]))
    at_stop = dict(found)
    return np.array([at_stop[stop] for stop in world.stops])


def worlds() -> dict[str, World]:
    """Return all worlds by their names."""
    once = {"before": (0, ROWS), "first 900 after": (ROWS, ROWS + 900), "last 900": (2 * ROWS - 900, 2 * ROWS)}
    reversed_parts = {"before": (0, 10_000), "next 2,500": (10_000, 12_500), "rest": (12_500, 20_000)}
    days = {"days 1 and 2": (0, 4 * HOURS), "from day 3 on": (4 * HOURS, 2 * HOURS * DAYS)}
    nights: Changes = [(HOURS * i, i % 2) for i in range(1, 2 * DAYS)]
    found = {
        "digits moved": World(once, 1.0, lambda _: switched(DIGITS, [ROWS], [SAME, MOVED]), lambda _: [(ROWS, 1)]),
        "two digits swapped": World(
            once, 1.0, lambda _: switched(DIGITS, [ROWS], [SAME, SWAPPED]), lambda _: [(ROWS, 1)]
        ),
        "five arms reversed": World(
            reversed_parts,
            max(MEANS),
            lambda _: switched(BERNOULLI, [10_000], [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]),
            lambda _: [(10_000, 1)],
            contexts=False,
        ),
        "ten changes": World(
            {"all": (0, PLAYS)}, max(MEANS), ten_changes, lambda seed: _numbered(ten_times(seed)[0]), contexts=False
        ),
        "day and night": World(
            days, 1.0, lambda _: envs.make("switching", env=DIGITS, every=HOURS, orders=[SAME, MOVED]), lambda _: nights
        ),
    }
    return found | {name: stream(name) for name in STREAMS}


def switched(env: Spec, at: list[int], orders: list[list[int]]) -> Environment:
    """Return an environment whose arms change places."""
    return envs.make("switching", env=env, at=at, orders=orders)


def ten_times(seed: int) -> tuple[list[int], list[list[int]]]:
    """Return ten decisions at random, and eleven orders of the arms."""
    random = np.random.default_rng(seed)
    at = sorted(random.choice(np.arange(1, PLAYS), 10, replace=False).tolist())
    return at, [random.permutation(len(MEANS)).tolist() for _ in range(11)]


def ten_changes(seed: int) -> Environment:
    """Return five arms that change places ten times."""
    return switched(BERNOULLI, *ten_times(seed))


def _numbered(at: list[int]) -> Changes:
    return [(t, i + 1) for i, t in enumerate(at)]


# name in the tables: the stream, and whether it changes at once, after each quarter, or all the time
STREAMS = {
    "SEA": ("sea", True),
    "LED": ("led", True),
    "Hyperplane": ("hyperplane", False),
    "Agrawal": ("agrawal", True),
    "RandomRBFDrift": ("random_rbf", False),
}


def stream(name: str) -> World:
    """Return a stream of river, whose classes are the arms."""
    parts = {"all": (0, STREAM), "first quarter": (0, STREAM // 4), "last quarter": (3 * STREAM // 4, STREAM)}
    kind, at_once = STREAMS[name]
    quarters = _numbered([STREAM * i // 4 for i in (1, 2, 3)]) if at_once else []
    return World(parts, 1.0, functools.partial(drawn, kind), lambda _: quarters)


@functools.cache
def drawn(kind: str, seed: int) -> Environment:
    """Return a stream as river draws it with a seed."""
    return envs.make("river", stream=kind, rows=STREAM, seed=seed)
