"""Decisions as people hold them: one, or many that were made together. They carry what `learn` needs of them.

So a decision whose feedback never comes costs nothing once nobody holds it, and one that is held can be learned from
whenever its feedback comes. Beside what is for people, they have fields whose names begin with _.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from ...engine.columns import empty, row_instance
from ...engine.contexts import as_contexts
from ...engine.vocabulary import NOBODY, Action, Array, Columns, Instance, Problem

LEARNED = "learned"  # in place of the engine of a decision that has its feedback
Made = TypeVar("Made", bound="Decided")
Many = TypeVar("Many", bound="DecidedMany")


class Decided(msgspec.Struct, frozen=True, eq=False, gc=False, kw_only=True):
    """One decision: a kind adds its `number`, what was decided, and its `propensity`.

    It can be taken apart and copied as a NamedTuple of these can. Copies carry nothing: an engine knows them by number.
    """

    _context: Any = None  # as the policy saw it
    _available: Any = None  # bool[k]
    _unit: np.uint64 = NOBODY  # whom it is for
    _time: int = 0  # when it was made
    _ranking: Any = ()  # the probabilities of all that could be chosen, where they were asked for
    _engine: object = None  # that of `Pending` while its feedback may come, then LEARNED

    if TYPE_CHECKING:  # every kind has them, as its first and its last field

        @property
        def number(self) -> int:
            """Of the decision, from 0."""
            ...

        @property
        def propensity(self) -> float:
            """The probability with which it was made."""
            ...

    @property
    def chosen(self) -> Action:
        """What was decided, as the kernels read it."""
        raise NotImplementedError

    @property
    def logged(self) -> int | None:
        """The number of what was decided, as the log has it; None where it has none."""
        return int(self.chosen)

    @property
    def decision_id(self) -> str:
        """By what the service knows it: ~ and its number."""
        return f"~{self.number}"

    @property
    def instance(self) -> Instance:
        """What the policy saw."""
        return Instance(self.number, self._context, self._available, self._unit, self._time)

    def row(self, problem: Problem) -> Columns:
        """Return it as one of n rows of a log."""
        seen = as_contexts(self._context), self._available[np.newaxis], np.array([self._unit]), np.array([self._time])
        row = Columns(*empty(1, problem)[:6], *seen)
        row.number[0], row.action[0], row.propensity[0] = self.number, self.chosen, self.propensity
        return row

    def __iter__(self) -> Iterator[Any]:
        return iter(self._asdict().values())

    def __len__(self) -> int:
        return len(self._asdict())

    def __getitem__(self, place: Any) -> Any:
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same decision, to the bit."""
        return isinstance(other, Decided) and type(other) is type(self) and self._bits() == other._bits()

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct has its own, which does not ask __eq__

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self)

    def __copy__(self: Made) -> Made:
        return type(self)(*self)

    def _asdict(self) -> dict[str, Any]:
        """Return what is for people, by name."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name[0] != "_"}

    def _replace(self: Made, **changes: Any) -> Made:
        """Return another decision, which no engine made."""
        return type(self)(**self._asdict() | changes)

    def _bits(self) -> list[Any]:
        return [(value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value) for value in self]


class DecidedMany(msgspec.Struct, frozen=True, eq=False, gc=False, kw_only=True):
    """Decisions that were made in one call, or some of them: a kind adds what was decided, a row each.

    `batch[rows]`, a slice, an index or a mask, are some of them: all share what they carry.
    """

    _columns: Columns  # of DECIDE rows, all that were made together
    _waiting: Array  # bool[all]
    _engine: object  # that of `Pending`
    _rows: Array  # int64[n], which of all these are

    if TYPE_CHECKING:  # every kind has it, as its first field

        @property
        def number(self) -> Array:
            """Of each decision, int64[n]."""
            ...

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self: Many, rows: Any) -> Many:
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        names = [name for name in self.__struct_fields__ if name[0] != "_"]
        given = {name: locked(getattr(self, name)[chosen]) for name in names}
        carried = {name: getattr(self, name) for name in self.__struct_fields__ if name[0] == "_"}
        return type(self)(**carried | given | {"_rows": self._rows[chosen]})

    def one(self, row: int) -> Any:
        """Return row `row` of all that were made together as one decision."""
        raise NotImplementedError

    def carried(self, row: int) -> dict[str, Any]:
        """Return what that decision carries."""
        _, context, available, unit, time = row_instance(row, self._columns, row)
        return {
            "_context": context,
            "_available": available,
            "_unit": np.uint64(unit),
            "_time": int(time),
            "_engine": self._engine,
        }


def locked(array: Array) -> Array:
    """Return a view of an array that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view
