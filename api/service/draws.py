"""Are the propensities on the log true? What is drawn is watched by a bettor, as it is committed.

An arm that is taken more often than its propensities say makes the capital grow: it is 1 at the start, and reaches 100
once in a hundred times at the most while they are true (`engine/estimate/eprocess.py`). Nothing is kept until somebody
asks for the first time. From then on the actions of commits are gathered, and entered when it is asked for again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...engine.estimate.capital import EState, log_capital
from ...engine.estimate.eprocess import add_many, start_actions
from ...engine.storage.records import Event
from ...engine.vocabulary import DECIDE

GATHERED = 10_000  # decisions of an experiment between two looks; of more the last ones count
CHOICES_MAX = 200  # an experiment with more is not watched: the bets on a choice take 512 bytes


class Drawn(NamedTuple):
    """The actions of an experiment that were committed since the last look, with their propensities."""

    actions: deque[int]
    propensities: deque[float]


class Draws:
    """The bets of all experiments. `add` and `taken` belong to the event loop's thread, `evidence` to any one."""

    def __init__(self) -> None:
        self.watched = False  # whether somebody asks
        self.known: dict[int, float] = {}  # log10 of each capital, by experiment, as it was when somebody last asked
        self._drawn: dict[int, Drawn] = {}  # by the key of the experiment
        self._bets: dict[int, EState] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Gather decisions that were committed, where they are watched."""
        for event in events:
            if event.kind == DECIDE and event.action is not None and event.propensity is not None:
                drawn = self._drawn.get(event.experiment)
                if drawn is None:
                    new: Drawn = Drawn(deque(maxlen=GATHERED), deque(maxlen=GATHERED))
                    drawn = self._drawn[event.experiment] = new
                drawn.actions.append(event.action)
                drawn.propensities.append(event.propensity)

    def taken(self) -> dict[int, Drawn]:
        """Return what was gathered, and begin anew."""
        self.watched = True
        drawn, self._drawn = self._drawn, {}
        return drawn

    def evidence(self, drawn: dict[int, Drawn], choices: dict[int, int]) -> dict[int, float]:
        """Enter what was gathered; return log10 of each capital, by experiment, of those with so many choices.

        Where their number changed the bets begin anew. Cost: 2 us a decision.
        """
        self._bets = {key: bets for key, bets in self._bets.items() if len(bets.growth) == choices.get(key)}
        for key, (actions, propensities) in drawn.items():
            n = choices.get(key, 0)
            if not 0 < n <= CHOICES_MAX or max(actions) >= n:
                continue
            bets = self._bets.setdefault(key, start_actions(n))
            add_many(bets, np.array(actions), np.array(propensities))
        self.known = {key: log_capital(bets) / math.log(10.0) for key, bets in self._bets.items()}
        return self.known
