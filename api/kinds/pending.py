"""The decisions of an engine of Python that wait for feedback: they are found by number while they are remembered.

What people hold (`decided.py`) is learned from as it is. A number leads to one of the last so many decisions, and for
these alone an engine keeps anything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from msgspec.structs import force_setattr

from ...engine.columns import concat, empty, take
from ...engine.errors import Conflict, InvalidInput, NotFound, OnearmError, as_seen
from ...engine.vocabulary import Array, Columns, Problem
from .decided import LEARNED, Decided, DecidedMany

REMEMBERED = 100_000

Made = TypeVar("Made", bound=Decided)
Many = DecidedMany | Sequence[Decided | int] | Array  # decisions as people give them


class Found(NamedTuple, Generic[Made]):
    """Decisions that may be learned from: as rows, in the order in which they were given."""

    columns: Columns
    batches: list[DecidedMany]
    singles: list[Made]


class Pending(Generic[Made]):
    """Decisions by number; feedback is accepted once."""

    def __init__(self, made: type[Made], problem: Problem, remember: Any = REMEMBERED) -> None:
        if isinstance(remember, bool) or not isinstance(remember, int) or remember < 0:
            raise InvalidInput(
                "bad_remember",
                f"remember is {as_seen(remember)}: it must be a whole number, how many decisions to remember",
            )
        self.engine = object()  # by which decisions know whose they are
        self._made = made
        self._problem = problem
        self.remember = remember
        self._saved = 0  # decisions that were made before these were saved, and are not among them
        self._forgotten = 0  # how many are, as far as `forget` looked
        self.held: dict[int, Made] = {}  # by number, those that were made alone
        self._batches: list[DecidedMany] = []  # whole ones, by number
        self._ends: list[int] = []  # their last numbers

    def hold(self, decision: Made) -> None:
        """Remember the decision that was made last."""
        self.held[decision.number] = decision
        self.held.pop(decision.number - self.remember, None)

    def hold_many(self, batch: DecidedMany, decided: int) -> None:
        """Remember decisions that were made together; `decided` is how many there are with them."""
        if len(batch):
            self._batches.append(batch)
            self._ends.append(int(batch.number[-1]))
        self.forget(decided)

    def saved(self, decided: int) -> None:
        """Know that so many decisions were made before what is known of them was saved."""
        self._saved = decided

    def forget(self, decided: int) -> None:
        """Let go of what is not among the last of so many: where several took their numbers at once."""
        first = max(decided - self.remember, 0)
        gone = bisect_left(self._ends, first)
        del self._batches[:gone], self._ends[:gone]
        if first - self._forgotten < len(self.held):
            for number in range(self._forgotten, first):
                self.held.pop(number, None)
        else:
            self.held = {number: held for number, held in self.held.items() if number >= first}
        self._forgotten = first

    def find(self, decision: Any, decided: int) -> Made:
        """Return a decision, or that of a number, whose feedback may come; `decided` is how many there were so far."""
        made = self._made
        if type(decision) is made and decision._engine is self.engine:
            return decision
        number = self._number(decision)
        if isinstance(decision, made) and number < self._saved and decision._engine is not LEARNED:
            raise unkept(number)
        if isinstance(decision, made) and decision._engine is not None:
            raise learned(number) if decision._engine is LEARNED else another(number)
        held = self.held.get(number)
        if held is None:
            held = self._in_batch(number, decided)
        if isinstance(decision, made) and decision != held:
            raise another(number)
        return held

    def drop(self, decision: Made) -> None:
        """Let go of a decision whose feedback is learned."""
        force_setattr(decision, "_engine", LEARNED)
        if self.held.pop(decision.number, None) is None and (batch := self._batch_of(decision.number)) is not None:
            batch._waiting[decision.number - batch.number[0]] = False

    def find_many(self, decisions: Many, decided: int) -> Found[Made]:
        """Return decisions, or those of numbers, whose feedback may come; raise as `find` where one of them may not."""
        if isinstance(decisions, DecidedMany):
            return Found(self._rows(decisions), [decisions], [])
        numbers, singles = self._taken_apart(decisions, decided)
        _check_different(numbers)
        by_number = np.ones(len(numbers), np.bool_)
        by_number[list(singles)] = False
        by_batch = list(self._by_batch(numbers, by_number & (numbers >= decided - self.remember)))
        for _, places in by_batch:
            by_number[places] = False
        singles |= {place: self.find(int(numbers[place]), decided) for place in np.flatnonzero(by_number).tolist()}
        parts = [self._rows(batch) for batch, _ in by_batch]
        parts += [made.row(self._problem) for made in singles.values()]
        order = np.concatenate([*(places for _, places in by_batch), np.array(list(singles), np.int64)])
        columns = take(concat(parts or [empty(0, self._problem)]), np.argsort(order))
        return Found(columns, [batch for batch, _ in by_batch], list(singles.values()))

    def drop_many(self, found: Found[Made]) -> None:
        """Let go of decisions whose feedback is learned."""
        for batch in found.batches:
            batch._waiting[batch._rows] = False
        for decision in found.singles:
            self.drop(decision)

    def _taken_apart(self, decisions: Any, decided: int) -> tuple[Array, dict[int, Made]]:
        """Return the numbers of decisions that someone gave, and by position those that are no numbers."""
        if isinstance(decisions, np.ndarray) and decisions.ndim == 1 and decisions.dtype.kind in "iu":
            wrong = (decisions < 0) | (decisions >= decided)
            if wrong.any():
                raise unknown(decisions[wrong][0])
            return decisions.astype(np.int64), {}
        if isinstance(decisions, str) or not isinstance(decisions, (Sequence, np.ndarray)):
            raise InvalidInput(
                "bad_decisions",
                f"the decisions are {as_seen(decisions)}: give what decide_many() returned, or a list of numbers",
            )
        singles = {place: self.find(one, decided) for place, one in enumerate(decisions) if isinstance(one, self._made)}
        numbers = [self._number(one) for one in decisions]
        for number in numbers:
            if not 0 <= number < decided:
                raise unknown(number)
        return np.array(numbers, np.int64), singles

    def _number(self, decision: Any) -> int:
        """Return the number of a decision that someone gave."""
        return decision.number if isinstance(decision, self._made) else whole(decision)

    def _rows(self, batch: DecidedMany) -> Columns:
        """Return the rows of a batch, or of some of it, which must all wait and be different."""
        if batch._engine is not self.engine:
            raise unkept(batch.number[0]) if batch.number[0] < self._saved else another(batch.number[0])
        waiting = batch._waiting[batch._rows]
        if not waiting.all():
            raise learned(batch.number[~waiting][0])
        _check_different(batch.number)
        return take(batch._columns, batch._rows)

    def _by_batch(self, numbers: Array, wanted: Array) -> Iterator[tuple[DecidedMany, Array]]:
        """Yield the parts of batches that hold the numbers that are `wanted`, bool[n], and the places of these."""
        starts = np.array([*(batch.number[0] for batch in self._batches), np.iinfo(np.int64).max])
        index = np.searchsorted(np.array(self._ends, np.int64), numbers)  # of the first batch that ends there or behind
        inside = wanted & (numbers >= starts[index])
        for each in np.unique(index[inside]).tolist():
            places = np.flatnonzero(inside & (index == each))
            yield self._batches[each][numbers[places] - starts[each]], places

    def _batch_of(self, number: int) -> DecidedMany | None:
        """Return the batch that a number belongs to."""
        index = bisect_left(self._ends, number)
        found = index < len(self._ends) and self._batches[index].number[0] <= number
        return self._batches[index] if found else None

    def _in_batch(self, number: int, decided: int) -> Made:
        """Return a decision that was made together with others, and raise where no decision of its number waits."""
        if not 0 <= number < decided:
            raise unknown(number)
        if number < self._saved:
            raise unkept(number)
        if number < decided - self.remember:
            raise NotFound(
                "forgotten_decision",
                f"decision {number} is forgotten: the last {self.remember} are remembered; pass the decision object, "
                "or remember=... to onearm.open",
            )
        batch = self._batch_of(number)
        row = 0 if batch is None else int(number - batch.number[0])
        if batch is None or not batch._waiting[row]:
            raise learned(number)
        made: Made = batch.one(row)
        return made


def whole(decision: Any) -> int:
    """Return the number of a decision that someone gave."""
    if isinstance(decision, bool) or not isinstance(decision, (int, np.integer)):
        raise InvalidInput(
            "bad_decision", f"the decision is {as_seen(decision)}: give what decide() returned, or its number"
        )
    return int(decision)


def _check_different(numbers: Array) -> None:
    known, counts = np.unique(numbers, return_counts=True)
    if len(known) < len(numbers):
        twice = int(known[counts > 1][0])
        raise InvalidInput("repeated_decision", f"decision {twice} is given twice: feedback is accepted once")


def unkept(number: int) -> OnearmError:
    """Return what is raised where a decision was made before its engine was saved."""
    return NotFound(
        "forgotten_decision",
        f"decision {number} was made before the engine was saved, which keeps none that wait: learn, then save",
    )


def unknown(decision: int | str) -> OnearmError:
    """Return what is raised where there is no decision of a number or an id."""
    return NotFound("unknown_decision", f"there is no decision {as_seen(decision)}: decide first")


def learned(number: int) -> OnearmError:
    """Return what is raised where a decision has its feedback."""
    return Conflict("reward_exists", f"decision {number} already has feedback: feedback is accepted once")


def another(number: int) -> OnearmError:
    """Return what is raised where a decision of this number is another one here."""
    return Conflict("other_engine", f"decision {number} is another one here: it comes from another engine")
