"""The decisions of an engine with a log that wait for feedback: those that are not in memory are read from the log.

So a decision that was made before a restart, or by a service, is found by its number or its id, and one that somebody
holds is known again, whichever engine made it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...engine.errors import Conflict, NotFound
from ...engine.storage.records import Event, Experiment
from ...engine.storage.store import Store
from ...engine.vocabulary import Problem
from ..experiment.ids import own_number
from ..kinds.decided import DecidedMany, Made
from ..kinds.pending import REMEMBERED, Found, Many, Pending, another, learned, unknown
from ..service.records import records_of
from ..service.refusals import being_erased


class Written(Protocol):
    """A journal, as far as it is asked here: `journal.py` makes these, and cannot be imported."""

    store: Store
    row: Experiment

    def flush(self) -> None:
        """Write down what is not yet."""


class LoggedPending(Pending[Made]):
    """Decisions by number or id; feedback is accepted once, whoever took it before."""

    def __init__(
        self,
        made: type[Made],
        problem: Problem,
        journal: Written,
        remade: Callable[[Event], Made],
        remember: Any = REMEMBERED,
    ) -> None:
        super().__init__(made, problem, remember)
        self._journal = journal
        self._remade = remade  # makes a decision of its event

    def find(self, decision: Any, decided: int) -> Made:
        """Return a decision, or that of a number or an id, whose feedback may come."""
        made = self._made
        if type(decision) is made and decision._engine is self.engine:
            return decision
        number = self._number(decision)
        held = self.held.get(number) or self._in_batch(number, decided)
        if isinstance(decision, made) and decision != held:
            raise another(number)
        return held

    def find_many(self, decisions: Many, decided: int) -> Found[Made]:
        """Return decisions, or those of numbers or ids, whose feedback may come."""
        if isinstance(decisions, DecidedMany) and decisions._engine is not self.engine:
            decisions = [decisions.one(row) for row in decisions._rows.tolist()]
        return super().find_many(decisions, decided)

    def _number(self, decision: Any) -> int:
        """Return the number of a decision; that of an id that a client gave is in the log."""
        if not isinstance(decision, str):
            return super()._number(decision)
        number = own_number(decision)
        if number is not None:
            return number
        journal = self._journal
        for event in journal.store.find(journal.row.key, [], [decision]):
            if event.number is not None:
                return event.number
        raise unknown(decision)

    def _in_batch(self, number: int, decided: int) -> Made:
        """Return a decision that was made together with others, or that the log has; raise where neither is so."""
        try:
            return super()._in_batch(number, decided)
        except (Conflict, NotFound):  # it is not in memory, which may mean anything
            if not 0 <= number < decided:
                raise
        return self._read(number)

    def _read(self, number: int) -> Made:
        """Return a decision from the log; raise where it has feedback, or is erased."""
        journal = self._journal
        journal.flush()  # what came of it may not be there yet
        found = records_of(journal.store.find(journal.row.key, [number])).get(number)
        if found is None:
            raise unknown(number)
        if found.reward is not None:
            raise learned(number)
        if number in journal.store.unblanked().get(journal.row.key, ()):
            raise being_erased()
        return self._remade(found.event)
