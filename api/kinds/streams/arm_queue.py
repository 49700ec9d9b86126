"""The queue of an experiment whose arms come once: which arms wait, which are held where, and what they earned.

Places are numbered as in a move (`engine/actions.py`): the slots, and behind them the place of the arm that arrived.
The queue is a fold of the log, as a policy's state is, and its arrays are kept with that state in snapshots.

>>> queue = ArmQueue(Problem(0, slots=1), places=empty_places(1))
>>> queue.offer({"id": "a"})
0
>>> queue.mask().tolist()
[False, False, True]
>>> queue.read(number=0, slot=1, arm=0)
[]
>>> queue.learn(place=1, pulls=4, total=3.0)
>>> queue.read(number=2, slot=1, arm=-1)
[Evicted(id='a', reason='dropped', pulls=4, mean=0.75)]
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....engine.actions import READ
from ....engine.errors import Damaged
from ....engine.estimate.chosen_arm import interval
from ....engine.vocabulary import Array, Columns, Problem
from .queue_schemas import Evicted, Held, Reason, Recommended

QUEUE_MAX = 10_000  # arms that wait
ARM_BYTES_MAX = 10_000  # of an arm's description, as JSON
SLACK = 1e-9  # of a sum, relative: adding up n rewards rounds

Arm = dict[str, Any]
Range = tuple[float, float]


class Places(NamedTuple):
    """What is held, as arrays of p = slots + 1 places, and what was done."""

    arm: Array  # int64[p], number of the arm, in the order of the offers; -1 where there is none
    since: Array  # int64[p], number of the decision that put it there
    pulls: Array  # int64[p], made and rewarded since it was read
    total: Array  # float64[p], of their rewards
    read: Array  # int64[1], arms that were read
    made: Array  # int64[1], pulls of all arms, those that are gone too
    peak: Array  # int64[1], the most arms that were held at once
    over: Array  # int64[1], 1 once the end of the stream was read


def empty_places(slots: int) -> Places:
    """Return the places before the first arm."""
    p = slots + 1
    counts = (np.zeros(1, np.int64) for _ in range(4))
    return Places(np.full(p, -1), np.zeros(p, np.int64), np.zeros(p, np.int64), np.zeros(p), *counts)


class ArmQueue:
    """The arms that wait and those that are held."""

    def __init__(self, problem: Problem, places: Places, offers: Sequence[Arm] = (), closed: bool = False) -> None:
        assert problem.slots is not None
        self.problem = problem
        self.places = places
        self.closed = closed
        self.committed: int | None = None  # the place of the arm
        self.answer: Recommended | None = None  # what was said of it then
        self.unreported: list[Evicted] = []  # those who left since a decision was answered
        self._arrived = problem.slots
        self._held: list[Arm | None] = [offers[arm] if arm >= 0 else None for arm in places.arm]
        read = self.read_so_far
        self._waiting = OrderedDict((arm["id"], (number, arm)) for number, arm in enumerate(offers[read:], read))

    @property
    def read_so_far(self) -> int:
        """How many arms were read."""
        return int(self.places.read[0])

    @property
    def made(self) -> int:
        """How many pulls were made and rewarded."""
        return int(self.places.made[0])

    @property
    def over(self) -> bool:
        """Whether the end of the stream was read."""
        return bool(self.places.over[0])

    @property
    def n_waiting(self) -> int:
        """How many arms wait."""
        return len(self._waiting)

    def waiting(self, label: str) -> tuple[int, Arm] | None:
        """Return the number and the description of an arm that waits."""
        return self._waiting.get(label)

    def offer(self, arm: Arm) -> int:
        """Let an arm wait behind the others; return its number."""
        number = self.read_so_far + len(self._waiting)
        self._waiting[arm["id"]] = (number, arm)
        return number

    @property
    def next(self) -> tuple[int, Arm | None]:
        """The number and the description of the arm that a read brings; -1 and None where it brings the end."""
        return next(iter(self._waiting.values()), (-1, None))

    def mask(self) -> Array:
        """Return what can be done, bool[slots + 2]: which places hold an arm, and whether there is one to be read."""
        mask = np.zeros(self._arrived + 2, np.bool_)
        if self.committed is not None:
            mask[self.committed] = True
            return mask
        mask[:-1] = self.places.arm >= 0
        mask[-1] = not self.over and (self.closed or bool(self._waiting))
        return mask

    def read(self, number: int, slot: int, arm: int) -> list[Evicted]:
        """Store the arm that arrived in `slot`, or drop it, and let `arm` arrive, -1 for none; return who left.

        `number` is that of the decision.
        """
        places, arrived, evicted = self.places, self._arrived, []
        if places.arm[arrived] >= 0:
            stored = slot < arrived
            if places.arm[slot] >= 0:
                evicted.append(self._evicted(slot, "replaced" if stored else "dropped"))
            if stored:
                for column in places[:4]:
                    column[slot] = column[arrived]
                self._held[slot] = self._held[arrived]
                places.since[slot] = number
        for column, empty in zip(places[:4], (-1, number, 0, 0.0), strict=True):
            column[arrived] = empty
        self._held[arrived] = None
        if arm < 0:
            places.over[0] = 1
        else:
            self._arrive(arm)
        places.peak[0] = max(places.peak[0], (places.arm >= 0).sum())
        return evicted

    def _arrive(self, arm: int) -> None:
        if self.next[0] != arm:
            raise Damaged("missing_offer", f"the log reads arm {arm}, but lacks its offer: restore it from a backup")
        _, (_, self._held[self._arrived]) = self._waiting.popitem(last=False)
        self.places.arm[self._arrived] = arm
        self.places.read[0] += 1

    def commit(self, place: int) -> list[Evicted]:
        """Keep the arm in a place alone; return those that are let go for it, none when it is done again."""
        self.committed = place
        others = [held.place for held in self.held if held.place != place]
        evicted = [self._evicted(other, "over") for other in others]
        for other in others:
            self._held[other] = None
            self.places.arm[other], self.places.pulls[other], self.places.total[other] = -1, 0, 0.0
        return evicted

    def _evicted(self, place: int, reason: Reason) -> Evicted:
        return Evicted(self.label(place), reason, int(self.places.pulls[place]), self.mean(place))

    def learn(self, place: int, pulls: int, total: float) -> None:
        """Enter pulls of the arm in a place, and the sum of their rewards."""
        self.places.pulls[place] += pulls
        self.places.total[place] += total
        self.places.made[0] += pulls

    def fold(self, columns: Columns) -> None:
        """Enter the feedback of a part of the log, LEARN rows."""
        feedback = (columns.number, columns.action, columns.reward, columns.detail)
        for number, (what, place, _), reward, (pulls, arm) in zip(*(c.tolist() for c in feedback), strict=True):
            if what == READ:
                self.read(number, place, int(arm))
            else:
                self.learn(place, int(pulls), reward)

    def holds(self, place: int) -> bool:
        """Tell whether there is an arm in a place; place -1 holds none."""
        return place >= 0 and self._held[place] is not None

    def label(self, place: int) -> str:
        """Return the id of the arm in a place that holds one."""
        arm = self._held[place]
        assert arm is not None
        label: str = arm["id"]
        return label

    def mean(self, place: int) -> float | None:
        """Return the mean reward of the arm in a place; None where it was never pulled."""
        pulls = int(self.places.pulls[place])
        return float(self.places.total[place]) / pulls if pulls else None

    @property
    def best(self) -> int:
        """The place of the arm with the best mean among those that are held, -1 where none is."""
        mean = {arm.place: -math.inf if arm.mean is None else arm.mean for arm in self.held}
        return max(mean, key=mean.__getitem__, default=-1)

    @property
    def held(self) -> list[Held]:
        """The arms that are held, by place."""
        return [
            Held(self.label(place), place, int(self.places.pulls[place]), self.mean(place))
            for place, arm in enumerate(self._held)
            if arm is not None
        ]

    def recommended(self, place: int, reward_range: Range | None) -> Recommended:
        """Describe the arm in a place as the answer."""
        pulls, total = int(self.places.pulls[place]), float(self.places.total[place])
        return Recommended(
            arm_id=self.label(place),
            pulls=pulls,
            mean=self.mean(place),
            interval=None if reward_range is None else list(interval(total, pulls, self.read_so_far, reward_range)),
            arms_seen=self.read_so_far,
            pulls_made=self.made,
            committed=self.committed is not None,
        )


def within(total: float, pulls: int, reward_range: Range | None) -> bool:
    """Tell whether a sum can be that of so many rewards within a range, but for rounding; of none it is 0.

    >>> [within(total, 10, (0.0, 1.0)) for total in (10.000000001, 10.1, -0.1)]
    [True, False, False]
    """
    if reward_range is None or pulls == 0:
        return pulls > 0 or total == 0.0
    low, high = reward_range
    slack = SLACK * pulls * max(abs(low), abs(high))
    return pulls * low - slack <= total <= pulls * high + slack
