"""What decisions with windows came to: sums as of all decisions, and how many windows closed with the default.

>>> tally = WindowTally(fresh_windows(2))
>>> tally.close("default")
>>> tally.close("reward")
>>> tally.come_late(True)
>>> tally.defaults, tally.late
(1, 1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.vocabulary import Array
from .sums import Sums, Tally, fresh

if TYPE_CHECKING:
    from ...engine.storage.store import Store


class WindowSums(NamedTuple):
    """What is counted of decisions with windows."""

    all: Sums
    defaults: Array  # int64[1] windows that closed with the default
    late: Array  # int64[1] rewards that came too late, and are on record


def fresh_windows(choices: int) -> WindowSums:
    """Return the sums before any event, as `sums.fresh`."""
    return WindowSums(fresh(choices), np.zeros(1, np.int64), np.zeros(1, np.int64))


class WindowTally(Tally):
    """Sums at work where decisions have windows."""

    fresh = staticmethod(fresh_windows)

    def __init__(self, sums: WindowSums) -> None:
        super().__init__(sums.all)
        self.sums = sums

    @property
    def defaults(self) -> int:
        """How many windows closed with the default."""
        return int(self.sums.defaults[0])

    @property
    def late(self) -> int:
        """How many rewards came too late, and are on record."""
        return int(self.sums.late[0])

    def close(self, why: str) -> None:
        """Enter that a window closed with a "reward", or with the "default"."""
        self.sums.defaults[0] += why == "default"

    def come_late(self, late: bool) -> None:
        """Enter a reward that is on record, and whether it came too late."""
        self.sums.late[0] += late

    def count_log(self, store: Store, experiment: int, after: int, until: int) -> None:
        """Enter what windows came to as well."""
        super().count_log(store, experiment, after, until)
        found = store.windowed(experiment, after, until)
        self.sums.defaults[0] += found.defaults
        self.sums.late[0] += found.late
