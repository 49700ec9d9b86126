"""What decisions with windows came to: sums as of all decisions, and counts of what windows came to.

>>> tally = WindowTally(fresh_windows(2))
>>> for what in ("defaults", "late", "late"):
...     tally.note(what)
>>> tally.windowed
Windowed(defaults=1, late=2, early=0, taken=0, lapsed=0, replaced=0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.storage.records import Windowed
from ...engine.vocabulary import Array
from .sums import Sums, Tally, fresh

if TYPE_CHECKING:
    from ...engine.storage.store import Store

_PLACES = {name: place for place, name in enumerate(Windowed._fields)}


class WindowSums(NamedTuple):
    """What is counted of decisions with windows."""

    all: Sums
    windowed: Array  # int64[n], the fields of `Windowed` in their order


def fresh_windows(choices: int) -> WindowSums:
    """Return the sums before any event, as `sums.fresh`."""
    return WindowSums(fresh(choices), np.zeros(len(_PLACES), np.int64))


class WindowTally(Tally):
    """Sums at work where decisions have windows."""

    fresh = staticmethod(fresh_windows)

    def __init__(self, sums: WindowSums) -> None:
        super().__init__(sums.all)
        self.sums = sums

    @property
    def windowed(self) -> Windowed:
        """What windows came to so far."""
        return Windowed(*self.sums.windowed.tolist())

    def note(self, what: str) -> None:
        """Enter one more of what a field of `Windowed` counts."""
        self.sums.windowed[_PLACES[what]] += 1

    def count_log(self, store: Store, experiment: int, after: int, until: int) -> None:
        """Enter what windows came to as well."""
        super().count_log(store, experiment, after, until)
        self.sums.windowed[:] += np.array(store.windowed(experiment, after, until), np.int64)
