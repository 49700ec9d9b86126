"""The arms that are held of a stream, and the rule that decides on them.

Here the moves of a rule are carried out, in the order in which `loop.simulate` makes them: decide, learn, decide. What
there is to do next is known at all times: a pull, or reading the next arm. Reading is done in two steps, so that there
never are more handles than places: the arm that arrived is stored or dropped as soon as the rule says so, and the rule
learns of it when the next arm is there. Nothing is checked here that a caller may do wrong.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from ...engine import loop
from ...engine.actions import PULL, READ, move_allowed
from ...engine.draws import POLICY, run_key
from ...engine.errors import InvalidInput
from ...engine.kernel import Entry
from ...engine.problem import PULLS_MAX, STREAM_MAX, TRIALS_MAX
from ...engine.vocabulary import Array, Instance, Key, Policy, Problem
from ..kinds.streams.problem import slots_of

NO_CONTEXT = np.zeros(0)
Move = tuple[int, int, int, int, float]  # number of the decision, what, slot, pulls, propensity
SLOT: Final = 2  # of a move
KEPT = ("read", "made", "explored", "peak", "earned", "ended", "over", "done", "king", "king_since", "crownings")


class Record(NamedTuple):
    """What is known of an arm."""

    number: int  # in the stream, from 0
    mean: float  # of its rewards; NaN before the first
    pulls: int


class Held:
    """An arm that is held."""

    __slots__ = ("arm", "number", "pulls", "total")

    def __init__(self, arm: Any, number: int, pulls: int = 0, total: float = 0.0) -> None:
        self.arm = arm
        self.number = number
        self.pulls = pulls
        self.total = total  # of its rewards

    @property
    def record(self) -> Record:
        """Return what is known of it."""
        return Record(self.number, self.total / self.pulls if self.pulls else math.nan, self.pulls)


class Holding:
    """The places of a stream, what is in them, and the rule's state.

    With `spare`, it is done as soon as nothing is left but to pull the arm that was chosen; else when the trials are
    made. `low` is the least reward: to the rule rewards begin at 0.
    """

    def __init__(self, policy: Policy, problem: Problem, seed: int, low: float = 0.0, spare: bool = False) -> None:
        self.params = policy.params
        self.state = policy.init(policy.params, problem)
        self._run = run_key(seed, 0, POLICY)
        self._low = low
        self._spare = spare
        self.most_arms = problem.n_arms or STREAM_MAX
        self.trials = problem.horizon or TRIALS_MAX
        self._trials_known = problem.horizon is not None
        slots = slots_of(problem)
        self.arrived = slots  # the place of the arm that arrived
        self.places: list[Held | None] = [None] * (slots + 1)
        self.available = np.zeros(slots + 2, np.bool_)  # as the rule knows it
        self.available[-1] = True
        self.number = 0  # of the next decision
        self.slot = -1  # of the arm to pull, -1 while there is none
        self.pulls = 0  # how often to pull it
        self.read = self.made = self.explored = self.held = self.peak = 0
        self.earned = 0.0
        self.ended = False  # no more arms will come
        self.over = False  # and the rule knows
        self.done = False
        self.king = -1  # number of the arm that the rule would commit to
        self.king_since = self.crownings = 0
        self.leaving: list[tuple[Held, str]] = []  # who was let go and why, until somebody was told
        self.reading: Move | None = None  # which waits for the next arm
        self._best = -1  # the place that the rule would commit to, as it knows it
        self._move: Move = (0, READ, slots, 0, 1.0)
        self._pulled_last = -1  # slot, since the stream was over
        self._seen, self._scratch = self.available.copy(), np.zeros(3, np.int64)
        self._of_pull, self._of_read = np.array([0.0, -1.0]), np.array([0.0, -1.0])  # details of feedback
        self._turn = self._entry(policy)

    def begin(self) -> None:
        """Let the rule decide what is to be done next; from then on it always is decided."""
        self._best = self._recommended()
        self._follow(self._decide(self.available))

    def arrive(self, arm: Any) -> None:
        """Let the next arm arrive, for which the rule waits."""
        held = Held(arm, self.read)
        self.read += 1
        self.held += 1
        if self.held > self.peak:
            self.peak = self.held
        self._follow(self._learn_of(held))

    def end(self) -> None:
        """Let no more arms come: the rule learns of it as soon as it asks for one."""
        self.ended = True
        if self.reading is not None and self.slot < 0 and not self.done:
            self._learn_of_end()

    def meanwhile(self) -> None:
        """Let the rule decide what to pull while the next arm is awaited; nothing where it holds nothing."""
        assert self.reading is not None
        seen = self.available.copy()  # by the rule: to it, an arm that was stored is still where it arrived
        seen[-1] = False
        if seen[self.arrived]:
            seen[self.reading[SLOT]] = False
        if seen.any():
            self._move = self._decide(seen)
            _, _, slot, pulls, _ = self._move
            self.slot = self._place_of(slot)
            self.pulls = min(pulls, self.trials - self.made)

    def take_back(self) -> None:
        """Forget a pull that was decided on while the next arm was awaited, so that this can come."""
        if self.reading is not None and self.slot >= 0:
            self.slot = -1
            self.number -= 1
            if self.ended:
                self._learn_of_end()

    def learn(self, total: float, n: int) -> None:
        """Learn the sum of the rewards of n pulls, at most as many as were to be made."""
        held = self.places[self.slot]
        assert held is not None
        held.pulls += n
        held.total += total
        self.made += n
        self.earned += total
        if self.over:
            self._pulled_last = self.slot
        elif self.reading is None:
            self.explored += n
        self._of_pull[0] = n
        move = self._turn_to(self._move, self.available, total - self._low * n, self._of_pull)
        self.slot = -1
        if self.made >= self.trials:
            self.finish()
        elif self.reading is None:
            self._follow(move)
        elif self.ended:
            self._learn_of_end()

    def chosen(self) -> Held | None:
        """Return what the rule would commit to now; where it knows of nothing, what has the best mean."""
        held = self.places[place] if (place := self._place_of(self._best)) >= 0 else None
        if held is None:
            there = [other for other in self.places if other is not None]
            held = max(there, key=lambda other: other.total / max(other.pulls, 1), default=None)
        return held

    def finish(self) -> None:
        """Let all arms go but the one that is chosen."""
        self.note_king()
        kept = self.chosen()
        for place, held in enumerate(self.places):
            if held is not None and held is not kept:
                self.places[place] = None
                self._leave(held, "over")
        self.slot = -1
        self.done = True

    def note_king(self) -> None:
        """Count a crowning where the rule would commit to another arm than before."""
        self.king, self.king_since, self.crownings = self.reign()

    def reign(self) -> tuple[int, int, int]:
        """Return the number of the arm that the rule would commit to, arms seen since when, and crownings so far."""
        king = self.places[place] if (place := self._place_of(self._best)) >= 0 else None
        if king is None or king.number == self.king:
            return self.king, self.king_since, self.crownings
        return king.number, self.read, self.crownings + 1

    def to_json(self) -> dict[str, Any]:
        """Return all but the rule's state and the handles. A pull that was decided on is not kept: it is again."""
        places = [None if held is None else [held.number, held.pulls, held.total] for held in self.places]
        return {name: getattr(self, name) for name in KEPT} | {
            "number": self.number - (self.slot >= 0),
            "available": self.available.tolist(),
            "reading": self.reading,
            "pulled_last": self._pulled_last,
            "places": places,
        }

    def restore(self, body: dict[str, Any], handles: dict[int, Any]) -> None:
        """Take up what `to_json` returned, with handles by their arms' numbers; the rule's state is there already.

        Where the stream ended while something was asked, the rule learns of the end: nothing is asked any more.
        """
        for name in KEPT:
            setattr(self, name, body[name])
        self.number, self._pulled_last = body["number"], body["pulled_last"]
        self.available[:] = body["available"]
        for place, held in enumerate(body["places"]):
            if held is not None:
                self.places[place] = Held(handles[held[0]], *held)
                self.held += 1
        if body["reading"] is not None:
            number, what, slot, pulls, propensity = body["reading"]
            self.reading = number, what, slot, pulls, propensity
        if self.reading is None and not self.done:
            self.begin()
            return
        self._best = self._recommended()
        if self.ended and not self.done:
            self._learn_of_end()

    def _decide(self, available: Array) -> Move:
        """Let the rule decide without learning."""
        instance, key = Instance(self.number, NO_CONTEXT, available), Key(self._run, self.number)
        decision = loop.decide.now(self.params, self.state, instance, key)
        if not move_allowed(decision.action, available):
            raise self._impossible(self.number)
        what, slot, pulls = decision.action.tolist()
        self.number += 1
        return self.number - 1, what, slot, pulls, decision.propensity

    def _recommended(self) -> int:
        """Return the place that the rule would commit to."""
        return int(loop.recommendation.now(self.params, self.state, Key(self._run, self.number)))

    def _entry(self, policy: Policy) -> Entry:
        rest = self._seen, 0.0, self._of_pull, 0, NO_CONTEXT, self._seen, self._scratch
        return loop.turn.entry(self.params, self.state, self._run, *self._move, *rest)

    def _turn_to(self, move: Move, seen: Array, reward: float, detail: Array) -> Move:
        """Let the rule learn what a move did, and return the next one; this is not counted until it is followed."""
        number = self.number
        what, slot, pulls, propensity, self._best = self._turn(
            self.params,
            self.state,
            self._run,
            *move,
            seen,
            reward,
            detail,
            number,
            NO_CONTEXT,
            self.available,
            self._scratch,
        )
        return number, what, slot, pulls, propensity

    def _follow(self, move: Move) -> None:
        """Do what the rule decided, as far as that goes without the next arm."""
        number, what, slot, pulls, _ = move
        self.number = number + 1
        if what == PULL and pulls >= 1 and 0 <= slot <= self.arrived and self.places[slot] is not None:
            self._move = move
            self.slot = slot
            left = self.trials - self.made
            self.pulls = pulls if pulls <= left else left
            if self.over and self._spare and self._keeps(slot, pulls):
                self.finish()
        elif what == READ and 0 <= slot <= self.arrived and not self.over:
            self._let_go(move, slot)
            if self.ended or self.read >= self.most_arms:
                self._learn_of_end()
        else:
            raise self._impossible(number)

    def _let_go(self, move: Move, slot: int) -> None:
        """Store the arm that arrived in a slot, in place of what is there, or drop it."""
        self.note_king()
        self.reading = move
        arrived = self.places[-1]
        if arrived is None:
            return
        self.places[-1] = None
        if slot == self.arrived:
            self._leave(arrived, "dropped")
            return
        if (replaced := self.places[slot]) is not None:
            self._leave(replaced, "replaced")
        self.places[slot] = arrived

    def _leave(self, held: Held, reason: str) -> None:
        self.leaving.append((held, reason))
        self.held -= 1

    def _learn_of(self, held: Held | None) -> Move:
        """Let the rule learn which arm was read, if any, and return its next move."""
        assert self.reading is not None
        move, self.reading = self.reading, None
        slot, seen, available = move[SLOT], self.available, self.available
        self.places[-1] = held
        if held is None or slot != self.arrived or held.number == 0:  # else there is an arm where one was before
            seen = self._seen
            seen[:] = available
            available[slot] = self.places[slot] is not None
            available[-2] = held is not None
            available[-1] = held is not None
        if held is None:
            self.over = self.ended = True
        self._of_read[1] = -1 if held is None else held.number
        return self._turn_to(move, seen, 0.0, self._of_read)

    def _learn_of_end(self) -> None:
        """Let the rule learn that there is nothing more to read."""
        move = self._learn_of(None)
        if self.held:
            self._follow(move)
        else:
            self.done = True

    def _place_of(self, place: int) -> int:
        """Return where an arm is that the rule knows in `place`: it may be stored already."""
        return self.reading[SLOT] if self.reading is not None and place == self.arrived else place

    def _impossible(self, number: int) -> InvalidInput:
        return InvalidInput(
            "impossible_move",
            f"the rule made at decision {number} a move that cannot be made: pulls are of slots that hold an arm, at "
            "least one, and nothing is read after the end of the stream; mend its file",
        )

    def _keeps(self, slot: int, pulls: int) -> bool:
        """Tell whether the rule only pulls what it chose: for the rest of the trials, or twice on end."""
        if slot != self._best:
            return False
        if self._trials_known:
            return pulls >= min(self.trials - self.made, PULLS_MAX)
        return slot == self._pulled_last
