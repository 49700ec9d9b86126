"""States that decisions move, as clients name them and as the kernels count them.

A problem says how many there are (`count`), their ids, or the factors that they are made of, each with as many values:
`{"factors": {"length": 10, "class": 2}}` are 20 states, of which the last factor counts fastest. A client may always
give a state's number; with ids also its id, with factors also an object of them. They are told in the client's words.

>>> house = States.from_json({"factors": {"length": 10, "class": 2}})
>>> house.count, house.number("state", {"length": 3, "class": 1}), house.label(7)
(20, 7, {'length': 3, 'class': 1})
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np

from ...engine.choices import CELLS_MAX
from ...engine.errors import InvalidInput, as_seen
from ...engine.vocabulary import Array
from .ids import check_fields, check_id
from .plan_schemas import Said

FACTORS_MAX = 16


@dataclass(frozen=True)
class States:
    """How many states there are, and what they are called."""

    count: int
    ids: tuple[str, ...] = ()
    factors: tuple[tuple[str, int], ...] = ()  # name and number of values of each
    numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)  # of the ids

    def __post_init__(self) -> None:
        """Look ids up at once."""
        object.__setattr__(self, "numbers", {label: s for s, label in enumerate(self.ids)})

    @classmethod
    def from_json(cls, body: Any) -> States:
        """Check `problem.states`: one of a count, ids and factors."""
        check_fields("problem.states", body, {"count", "ids", "factors"})
        if len(body) != 1:
            raise InvalidInput(
                "bad_states",
                f"problem.states has {' and '.join(sorted(body)) or 'nothing'}: give one of count (how many states), "
                "ids (a list) and factors (an object of names and how many values each has)",
            )
        if "count" in body:
            return cls(_whole("problem.states.count", body["count"], CELLS_MAX))
        return cls._of_ids(body["ids"]) if "ids" in body else cls._of_factors(body["factors"])

    @classmethod
    def _of_ids(cls, ids: Any) -> States:
        if not isinstance(ids, list) or not ids:
            raise InvalidInput("bad_states", "problem.states.ids must be a list of one or more ids")
        labels = tuple(check_id("the id of a state", label) for label in ids)
        if len(set(labels)) < len(labels):
            twice = Counter(labels).most_common(1)[0][0]
            raise InvalidInput("bad_states", f"two states have the id {twice!r}: ids of states are unique")
        return cls(len(labels), ids=labels)

    @classmethod
    def _of_factors(cls, factors: Any) -> States:
        if not isinstance(factors, dict) or not 1 <= len(factors) <= FACTORS_MAX:
            raise InvalidInput(
                "bad_states",
                f"problem.states.factors must be an object of 1 to {FACTORS_MAX} names, each with its number of values",
            )
        sizes = tuple(
            (check_id("the name of a factor", name), _whole(f"the values of {name}", n, CELLS_MAX))
            for name, n in factors.items()
        )
        count = math.prod(n for _, n in sizes)
        if count > CELLS_MAX:
            raise InvalidInput(
                "bad_states",
                f"problem.states.factors make {as_seen(count)} states: there may be {CELLS_MAX}; make them coarser",
            )
        return cls(count, factors=sizes)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        if self.ids:
            return {"ids": list(self.ids)}
        return {"factors": dict(self.factors)} if self.factors else {"count": self.count}

    def number(self, name: str, said: Any) -> int:
        """Return the number of a state as a client says it, in the field `name`."""
        if _is_whole(said):
            if not 0 <= said < self.count:
                raise InvalidInput(
                    "unknown_state",
                    f"{name} is {as_seen(said)}: the states of this experiment are 0 to {self.count - 1}",
                )
            return int(said)
        if isinstance(said, str) and self.ids:
            if said not in self.numbers:
                known = ", ".join(self.ids[:20])
                raise InvalidInput("unknown_state", f"there is no state {said[:80]!r} ({name}): the states are {known}")
            return self.numbers[said]
        if isinstance(said, dict) and self.factors:
            return self._combined(name, said)
        raise InvalidInput("bad_state", f"{name} is {as_seen(said)}: it must be {self._wanted}")

    def label(self, number: int) -> Said:
        """Return a state as clients call it."""
        if self.ids:
            return self.ids[number]
        if not self.factors:
            return number
        said = {}
        for name, n in reversed(self.factors):
            number, said[name] = divmod(number, n)
        return {name: said[name] for name, _ in self.factors}

    def context(self, state: Any, begins: bool) -> Array:
        """Return the context of a decision, [s, b], float64[2]."""
        if state is None:
            raise InvalidInput(
                "missing_state", f"the decision has no state: say in which one it is made, {self._wanted}"
            )
        return np.array([self.number("state", state), _truth("bad_state", "begins", begins)], np.float64)

    def following(self, next_state: Any, ended: bool) -> float:
        """Return what came next, as the detail of a feedback has it: a state, or `count` where the unit has ended."""
        if _truth("bad_next_state", "ended", ended):
            if next_state is not None:
                raise InvalidInput(
                    "bad_next_state", "the reward has a next_state, and says that its unit has ended: give one of them"
                )
            return float(self.count)
        if next_state is None:
            raise InvalidInput(
                "missing_next_state",
                f"the reward has no next_state: say which state came next, {self._wanted}, or that the unit has "
                '"ended": true',
            )
        return float(self.number("next_state", next_state))

    def followed(self, detail: float) -> dict[str, Any]:
        """Return what came next as clients say it."""
        number = int(detail)
        return {"ended": True} if number == self.count else {"next_state": self.label(number)}

    @property
    def _wanted(self) -> str:
        """What a state must be, in words."""
        numbers = f"a number from 0 to {self.count - 1}"
        if self.ids:
            return f"one of the ids {', '.join(self.ids[:20])}, or {numbers}"
        if self.factors:
            names = ", ".join(f"{name} (0 to {n - 1})" for name, n in self.factors)
            return f"an object of {names}, or {numbers}"
        return numbers

    def _combined(self, name: str, said: dict[str, Any]) -> int:
        number = 0
        for factor, n in self.factors:
            value = said.get(factor)
            if not _is_whole(value) or not 0 <= value < n:
                raise InvalidInput("bad_state", f"{name}.{factor} is {as_seen(value)}: it must be from 0 to {n - 1}")
            number = number * n + int(value)
        if more := sorted(set(said) - {factor for factor, _ in self.factors}):
            raise InvalidInput("bad_state", f"{name} has the field {more[0][:80]!r}: the state is {self._wanted}")
        return number


def _whole(what: str, value: Any, most: int) -> int:
    if not _is_whole(value) or not 1 <= value <= most:
        raise InvalidInput("bad_states", f"{what} is {as_seen(value)}: it must be a whole number from 1 to {most}")
    return int(value)


def _truth(code: str, name: str, said: Any) -> bool:
    if not isinstance(said, (bool, np.bool_)):
        raise InvalidInput(code, f"{name} is {as_seen(said)}: it must be true or false")
    return bool(said)


def _is_whole(said: Any) -> TypeGuard[int | np.integer[Any]]:
    """Tell whether something is a whole number, of Python's or of NumPy's."""
    return isinstance(said, (int, np.integer)) and not isinstance(said, bool)
