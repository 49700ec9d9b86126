"""Arms that pass by, in plain Python: an oracle of what a move does, and a world for what no simulation shows.

As in a service, arms may be late, more of them may come than was said, and fewer pulls be made than were asked for.
"""

from __future__ import annotations

import numpy as np

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem

RUN = run_key(20, 0, POLICY)
NO_KEY = Key(RUN, 0)  # of a recommendation in which no tie is broken: rules for streams keep one arm
EIGHTHS = [4, 2, 6, 3, 5, 7, 1, 6, 0, 5]  # the arms' means: sums of such rewards are exact


class Passing:
    """A stream of arms, of which `offered` have come so far; `closed` says that no more will.

    Every move is checked: only an arm that is there is pulled, at least once, and nothing is read that did not come.
    """

    def __init__(self, slots: int, offered: int, *, closed: bool = True) -> None:
        self.places: list[int | None] = [None] * (slots + 1)  # the arms, by number; the last one is the arriving one's
        self.offered, self.closed = offered, closed
        self.read = 0
        self.over = False
        self.gone: set[int] = set()
        self.pulls: dict[int, int] = {}  # by arm
        self.peak = 0

    def available(self) -> Array:
        """Return which places hold an arm, and whether another can be read, bool[slots + 2]."""
        readable = self.read < self.offered or (self.closed and not self.over)
        return np.array([arm is not None for arm in self.places] + [readable])

    def make(self, action: Array, most: float = 1.0) -> Feedback:
        """Make a move; a pull only this part of the times that it asks for."""
        what, slot, pulls = action.tolist()
        assert 0 <= slot < len(self.places), f"there is no place {slot}"
        assert what in (0, 1), f"no move is {what}"
        return self._pull(slot, int(pulls * most), pulls) if what == 0 else self._read(slot)

    def _pull(self, slot: int, n: int, asked: int) -> Feedback:
        arm = self.places[slot]
        assert asked >= 1, f"{asked} pulls are none"
        assert arm is not None, f"place {slot} is empty"
        assert arm not in self.gone
        before = self.pulls.get(arm, 0)
        self.pulls[arm] = before + n
        return Feedback(_total(arm, before + n) - _total(arm, before), np.array([n, -1.0]))

    def _read(self, slot: int) -> Feedback:
        assert self.available()[-1], "there is nothing to read"
        arrived = self.places[-1]
        if arrived is not None:
            lost = self.places[slot] if slot < len(self.places) - 1 else arrived
            self.places[slot] = arrived
            if lost is not None:
                self.gone.add(lost)
        self.places[-1] = None
        if self.read < self.offered:
            self.places[-1] = self.read
            self.read += 1
        else:
            self.over = True
        self.peak = max(self.peak, sum(arm is not None for arm in self.places))
        return Feedback(0.0, np.array([0.0, -1.0 if self.over else self.read - 1.0]))


def _total(arm: int, n: int) -> float:
    """Return the sum of the first n rewards of an arm: its mean, and some luck in the first of them."""
    luck = (arm * 2654435761 % 7 - 3) / 8
    return min(max(n * EIGHTHS[arm % len(EIGHTHS)] / 8 + luck, 0.0), float(n))


def decide(policy: Policy, state: object, t: int, available: Array) -> tuple[Instance, Decision]:
    """Return the instance at t and what a policy decides; the action is a copy, for policies use theirs again."""
    instance = Instance(t, np.zeros(0), available)
    action, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
    return instance, Decision(action.copy(), float(propensity))


def learn(policy: Policy, state: object, instance: Instance, decision: Decision, feedback: Feedback) -> None:
    """Let a policy learn what a move did."""
    loop.learn(policy.params, state, instance, decision, feedback, Key(RUN, instance.t))


def play(policy: Policy, state: object, world: Passing, start: int, most: int, trials: int) -> list[list[int]]:
    """Let a policy make up to `most` moves, until so many trials are made; return these."""
    moves: list[list[int]] = []
    while len(moves) < most and sum(world.pulls.values()) < trials:
        instance, decision = decide(policy, state, start + len(moves), world.available())
        learn(policy, state, instance, decision, world.make(decision.action))
        moves.append(decision.action.tolist())
    return moves


def fresh(policy: Policy, arms: int, trials: int | None, slots: int) -> object:
    """Return the state of a policy before the first arm; 0 arms and no trials say that these are unknown."""
    return policy.init(policy.params, Problem(arms, horizon=trials, slots=slots))
