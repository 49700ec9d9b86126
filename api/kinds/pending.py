"""The decisions of an engine of Python that wait for feedback."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np

from ...engine.errors import Conflict, InvalidInput, NotFound
from ...engine.vocabulary import Instance

Made = TypeVar("Made")  # a decision as a person wants it; it has a `number`


class Pending(Generic[Made]):
    """Decisions by number, each with what was seen; feedback is accepted once."""

    def __init__(self, made: type[Made]) -> None:
        self._made = made
        self._open: dict[int, tuple[Made, Instance]] = {}

    def hold(self, decision: Made, instance: Instance) -> None:
        """Keep a decision until its feedback comes."""
        self._open[instance.t] = (decision, instance)

    def find(self, decision: Made | int, decided: int) -> tuple[Made, Instance]:
        """Return a decision, or that of a number, and what was seen; `decided` is how many there were so far."""
        number: Any = decision.number if isinstance(decision, self._made) else decision  # type: ignore[attr-defined]
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise InvalidInput(
                "bad_decision", f"the decision is {decision!r}: give what decide() returned, or its number"
            )
        number = int(number)
        if number not in self._open:
            if 0 <= number < decided:
                raise Conflict("reward_exists", f"decision {number} already has feedback: feedback is accepted once")
            raise NotFound("unknown_decision", f"there is no decision {number}: decide first")
        held = self._open[number]
        if isinstance(decision, self._made) and decision is not held[0] and decision != held[0]:
            raise Conflict("other_engine", f"decision {number} is another one here: it comes from another engine")
        return held

    def drop(self, number: int) -> None:
        """Let go of a decision whose feedback is learned."""
        del self._open[number]
