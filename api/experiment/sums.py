"""What decisions came to so far, as running sums beside a policy's state: a report of them costs O(arms).

They are a fold of the log as the state is, and lie beside it in snapshots, under a digest of their own. Source of means
and spreads: Welford's recurrence; nothing cancels, and the bits do not depend on how many rewards are entered at once.

>>> tally = Tally(fresh(2))
>>> tally.decide(1, 0.5)
>>> for reward in (1.0, 2.0, 6.0):
...     tally.enter(1, reward)
>>> tally.mean(1).reward_mean, tally.mean(0).rewards, tally.all.rewards, tally.sums.decisions.tolist()
(3.0, 0, 3, [1, 0, 1])
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ...engine import snapshot
from ...engine.estimate.interval import Z95
from ...engine.growth import padded
from ...engine.storage.moments import Amends, Moments
from ...engine.vocabulary import LEARN, Action, Array, Columns, Feedback
from .report_schemas import Mean

if TYPE_CHECKING:
    from ...engine.storage.corrections import Correction
    from ...engine.storage.store import Store

_DIGEST = 32  # bytes


class Sums(NamedTuple):
    """Of all decisions in row 0, and of those that took choice a in row 1 + a."""

    decisions: Array  # int64[1 + k]
    unknown: Array  # int64[1] decisions whose propensity is not known
    rewards: Array  # int64[1 + k] how many came
    mean: Array  # float64[1 + k] of them
    square: Array  # float64[1 + k] the sum of squared distances from the mean


def fresh(choices: int) -> Sums:
    """Return the sums before any event; of 0 choices those of all decisions alone."""
    rows = 1 + choices
    counts, numbers = np.zeros((2, rows), np.int64), np.zeros((2, rows))
    return Sums(counts[0], np.zeros(1, np.int64), counts[1], numbers[0], numbers[1])


class Tally:
    """Sums at work: to enter an event takes a microsecond, whatever the number of choices.

    What is corrected is entered beside the sums, as rewards that are taken out and put in: they are added up exactly,
    as their order is another one after a start, and read from their index, so snapshots hold nothing of them.
    """

    fresh: Callable[[int], Any] = staticmethod(fresh)  # the sums before any event, of so many choices

    def __init__(self, sums: Sums) -> None:
        self.sums: Any = sums
        self._amends: dict[int, Amends] = {}  # by row, what is corrected, retracted or withheld
        # Numbers are read and written through views: NumPy takes twice as long for one.
        self._decisions, self._unknown, self._rewards, self._mean, self._square = map(_view, sums)

    @property
    def choices(self) -> int:
        """How many are told apart."""
        return len(self._rewards) - 1

    @property
    def unknown(self) -> int:
        """How many decisions have no propensity."""
        return int(self._unknown[0])

    @property
    def all(self) -> Mean:
        """The mean of all rewards."""
        return self._mean_of(0)

    def mean(self, choice: int) -> Mean:
        """Return the mean of the rewards of one choice."""
        return self._mean_of(1 + choice)

    def decided(self, choice: int) -> int:
        """Return how many decisions took one choice."""
        return int(self._decisions[1 + choice])

    def decide(self, action: int | None, propensity: float | None) -> None:
        """Enter a decision, as its event has it."""
        self._decisions[0] += 1
        if propensity is None:
            self._unknown[0] += 1
        if action is not None and action < self.choices:
            self._decisions[1 + action] += 1

    def count(self, decided: Iterable[tuple[int | None, int, int]]) -> None:
        """Enter decisions that were counted: (action, how many, how many of them have no propensity)."""
        for action, number, unknown in decided:
            self._decisions[0] += number
            self._unknown[0] += unknown
            if action is not None and action < self.choices:
                self._decisions[1 + action] += number

    def count_log(self, store: Store, experiment: int, after: int, until: int) -> None:
        """Enter the decisions of a log after one seq, up to another; what came of them `fold` enters."""
        self.count(store.decided(experiment, after, until))

    def learn(self, action: Action, feedback: Feedback) -> None:
        """Enter what came of a decision."""
        self.enter(int(action) if self.choices else None, float(feedback.reward))

    def fold(self, columns: Columns) -> None:
        """Enter what came of the decisions in a page of the log."""
        learned = columns.kind == LEARN
        self._enter_all(columns.action[learned], columns.reward[learned])

    def correct(self, action: int | None, was: float | None, reward: float | None) -> None:
        """Enter that the reward of a decision is another one; None where there is none."""
        for row in (0,) if action is None or not self.choices else (0, 1 + action):
            amends = self._amends.get(row, Amends())
            amends = amends if was is None else amends.taken(was)
            self._amends[row] = amends if reward is None else amends.put(reward)

    def correct_all(self, corrections: Iterable[Correction]) -> None:
        """Enter the corrections of a log."""
        for one in corrections:
            self.correct(one.action, one.was, one.reward)

    def _enter_all(self, actions: Array, rewards: Array) -> None:
        told = actions.tolist() if self.choices else repeat(None)
        for action, reward in zip(told, rewards.tolist(), strict=False):
            self.enter(action, reward)

    def enter(self, action: int | None, reward: float) -> None:
        """Enter a reward of a choice; of None, of all alone."""
        self._add(0, reward)
        if action is not None:
            self._add(1 + action, reward)

    def _add(self, row: int, reward: float) -> None:
        self._rewards[row] += 1
        before = self._mean[row]
        off = reward - before
        self._mean[row] = mean = before + off / self._rewards[row]
        self._square[row] += off * (reward - mean)

    def grown(self, choices: int) -> Self:
        """Return the sums once there are so many choices, where they are told apart."""
        if not 0 < self.choices < choices:
            return self
        made = type(self)(padded(self.sums, self.fresh(choices)))
        made._amends = self._amends
        return made

    def copied(self) -> Self:
        """Return sums that do not change any more."""
        made = type(self)(snapshot.copied(self.sums))
        made._amends = dict(self._amends)
        return made

    def _mean_of(self, row: int) -> Mean:
        known = Moments(int(self._rewards[row]), float(self._mean[row]), float(self._square[row]))
        return mean_of(*self._amends.get(row, Amends()).amended(known))


def mean_of(rewards: int, mean: float, square: float) -> Mean:
    """Return a mean with its interval; `square` is the sum of the squared distances of so many rewards from it.

    >>> mean_of(2, 1.5, 0.5)
    Mean(rewards=2, reward_mean=1.5, reward_stderr=0.5, interval=[0.520018007729973, 2.479981992270027])
    """
    stderr = math.sqrt(square / (rewards - 1) / rewards) if rewards > 1 else 0.0
    if stderr == 0.0:
        return Mean(rewards, mean if rewards else None, None, None)
    return Mean(rewards, mean, stderr, [mean - Z95 * stderr, mean + Z95 * stderr])


def packed(sums: Any) -> bytes:
    """Return sums as bytes: their digest, and what `snapshot.pack` makes of them."""
    content = snapshot.pack(sums)
    return hashlib.sha256(content).digest() + content


def unpack(content: bytes, like: Any) -> None:
    """Write what was packed into fresh sums; raises `Damaged` where it is not whole."""
    digest, rest = content[:_DIGEST], content[_DIGEST:]
    snapshot.unpack(snapshot.checked([rest], digest.hex()), like=like)


def _view(array: Any) -> Any:
    return memoryview(array)
