"""The memory that states may take: one, and all of them together."""

from __future__ import annotations

from typing import NamedTuple

from ...engine.errors import Conflict
from ..experiment.sizes import in_mb


class StateLimits(NamedTuple):
    """How many bytes states may take; each is an option of `onearm serve`."""

    one: int = 1_000_000_000
    all: int = 4_000_000_000


DEFAULT_LIMITS = StateLimits()


class Room:
    """What the states of a service take. Its methods belong to the event loop's thread."""

    def __init__(self, limits: StateLimits) -> None:
        self.limits = limits
        self.taken = 0
        self._sizes: dict[str, int] = {}  # by the id of the experiment

    def take(self, experiment: str, size: int) -> None:
        """Note what the state of an experiment takes now; 0 where it is not in memory."""
        self.taken += size - self._sizes.pop(experiment, 0)
        if size:
            self._sizes[experiment] = size

    def check(self, experiment: str, size: int) -> None:
        """Refuse a state of so many bytes where it would be too large, or all together: nothing is made then.

        The refusal says nothing of the others: they may be another tenant's.
        """
        one, most = self.limits
        if size > one:
            raise Conflict(
                "state_too_large",
                f"the state would take {in_mb(size)}, and one may take {in_mb(one)} (--state-bytes): create another "
                "experiment for what is more",
            )
        others = self.taken - self._sizes.get(experiment, 0)
        if others + size > most:
            raise Conflict(
                "no_room",
                f"the state would take {in_mb(size)}, and there is no room for it: those of all experiments may take "
                f"{in_mb(most)} together (--state-bytes-all): archive some",
            )
