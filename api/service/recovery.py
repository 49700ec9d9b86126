"""The order in which experiments recover: one after another as they were created, those that are asked for first.

Archived ones rest: their logs are not read before somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.storage.tables import Experiment


class Queue:
    """Experiments whose logs are still to be folded. Its methods belong to the event loop's thread."""

    def __init__(self, rows: Iterable[Experiment] = ()) -> None:
        self._left: dict[str, Experiment] = {}
        self._resting: dict[str, Experiment] = {}
        for row in rows:
            (self._left if row.archived_at is None else self._resting)[row.id] = row
        self._asked: dict[str, Experiment] = {}  # in the order in which they were asked for
        self._closed = False
        self.next: Experiment | None = None  # whoever folds in another thread looks at it after each page
        self._choose()

    def __len__(self) -> int:
        """Return how many wait, without those that rest."""
        return len(self._left)

    def __contains__(self, experiment_id: str) -> bool:
        return experiment_id in self._left or experiment_id in self._resting

    @property
    def resting(self) -> int:
        """How many are archived, and not read yet."""
        return len(self._resting)

    def ask(self, experiment_id: str) -> None:
        """Let an experiment come before all that nobody asked for."""
        found = self._left.get(experiment_id) or self._resting[experiment_id]
        self._asked.setdefault(experiment_id, found)
        self._choose()

    def remove(self, experiment_id: str) -> None:
        """Strike out one that is folded, or that cannot be."""
        for some in (self._left, self._resting, self._asked):
            some.pop(experiment_id, None)
        self._choose()

    def postpone(self, experiment_id: str) -> None:
        """Let one that cannot be folded now come after all others; one that rests is to be asked for again."""
        if experiment_id in self._left:
            self._left[experiment_id] = self._left.pop(experiment_id)
        self._asked.pop(experiment_id, None)
        self._choose()

    def close(self) -> None:
        """Let none come next any more: the service ends."""
        self._closed = True
        self._choose()

    def _choose(self) -> None:
        first = next(iter(self._asked.values()), None) or next(iter(self._left.values()), None)
        self.next = None if self._closed else first
