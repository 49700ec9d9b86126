"""Which experiments there are: by name, of all and of each tenant, in the order of their creation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...engine.storage.tables import Experiment
from ..experiment.tenants import parts_of


class Directory:
    """The rows of all experiments. That another tenant has many makes nothing slower for one that has few."""

    def __init__(self, rows: Iterable[Experiment] = ()) -> None:
        self._all: dict[str, Experiment] = {}
        self._of: dict[str, dict[str, Experiment]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Experiment) -> None:
        """Take note of a new experiment."""
        self._all[row.id] = self._of.setdefault(parts_of(row.id)[0], {})[row.id] = row

    def get(self, name: str) -> Experiment | None:
        """Return the row of an experiment by its name."""
        return self._all.get(name)

    def rows(self, tenant: str | None) -> Mapping[str, Experiment]:
        """Return the rows of a tenant, by name; with None those of all."""
        return self._all if tenant is None else self._of.get(tenant, {})

    def __len__(self) -> int:
        """Return how many experiments there are."""
        return len(self._all)
