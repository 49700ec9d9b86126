"""The rules for arms that come once, pulls with known means, and arms that notice what a stream must not do."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from onearm.api.arms_once import Record, Stream
from onearm.policies import catalog

SLOTS = 4  # enough for every rule


def _needs_nothing(name: str) -> bool:
    return all(p.default is not p.empty for p in inspect.signature(catalog.factory(name)).parameters.values())


RULES = [name for name in catalog.names() if _needs_nothing(name) and "move" in catalog.make(name).actions]
RULES += ['levels:{"kind":"loglog"}', 'king:{"thinned":true}'] if {"levels", "king"} <= set(RULES) else []

ONE_SLOT = [rule for rule in RULES if not rule.startswith("levels") and "thinned" not in rule]


def fixed(arm: float, n: int) -> tuple[float, int]:
    """Pull an arm that is its own mean."""
    return arm * n, n


def coins(seed: int = 0) -> Any:
    """Return a pull of arms that are their own chances; of a batch only a part may be done."""
    draws = np.random.default_rng(seed)

    def pull(arm: float, n: int) -> tuple[float, int]:
        done = int(draws.integers(1, n + 1)) if n > 1 and draws.random() < 0.3 else n
        return float(draws.binomial(done, arm)), done

    return pull


def shuffled(n: int, seed: int = 0) -> list[float]:
    """Return the means 0, 1/n, 2/n ... in some order."""
    means = [i / n for i in range(n)]
    random.Random(seed).shuffle(means)
    return means


def play(asked: Stream, arms: Iterator[Any], pull: Any) -> None:
    """Do by hand what `run` does."""
    while not asked.done:
        if asked.ready:
            try:
                asked.offer(next(arms))
            except StopIteration:
                asked.close()
        else:
            arm, n = asked.ask()
            asked.tell(arm, *pull(arm, n))


class Watched:
    """Arms and pulls that notice whatever a stream must not do."""

    def __init__(self, means: list[float], slots: int, trials: int, seed: int = 0) -> None:
        self.means, self.slots, self.trials = means, slots, trials
        self.pull_of = coins(seed)
        self.here: set[int] = set()
        self.gone: dict[int, str] = {}
        self.read = self.made = self.peak = 0
        self.pulls = [0] * len(means)

    def arms(self) -> Iterator[int]:
        for number in range(len(self.means)):
            assert len(self.here) <= self.slots, "who has to go goes before the next one comes"
            self.here.add(number)
            self.read += 1
            self.peak = max(self.peak, len(self.here))
            yield number

    def pull(self, arm: int, n: int) -> tuple[float, int]:
        assert arm in self.here
        assert 1 <= n <= self.trials - self.made
        total, done = self.pull_of(self.means[arm], n)
        self.pulls[arm] += done
        self.made += done
        return total, done

    def evict(self, arm: int, record: Record, reason: str) -> None:
        self.here.remove(arm)
        assert arm not in self.gone
        assert (record.number, record.pulls) == (arm, self.pulls[arm])
        self.gone[arm] = reason


def judged(first: float = 0.5) -> Stream:
    """Return a stream whose first arm is king and whose second is being judged."""
    asked = Stream(trials=8000, arms=8)
    asked.offer("first")
    arm, n = asked.ask()
    assert (arm, n) == ("first", 334)  # 4 u = 400 pulls, cut to a third of the trials, shared: 8000 / 24
    asked.tell(arm, first * n, n)
    asked.offer("second")
    assert asked.ask() == ("second", 8)
    return asked


def eighths(n: int) -> list[float]:
    """Return means whose sums are exact."""
    return [i % 9 / 8 for i in range(n)]
