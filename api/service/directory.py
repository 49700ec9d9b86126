"""Which experiments there are: by name, of all and of each tenant, in the order of their creation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...engine.storage.records import Experiment
from ..experiment.tenants import parts_of


class Directory:
    """The rows of all experiments. That another tenant has many makes nothing slower for one that has few."""

    def __init__(self, rows: Iterable[Experiment] = (), gone: Iterable[str] = ()) -> None:
        self._all: dict[str, Experiment] = {}
        self._of: dict[str, dict[str, Experiment]] = {}
        self._gone: dict[str, set[str]] = {}  # names of deleted ones, by tenant
        for name in gone:
            self._bury(name)
        for row in rows:
            self.add(row)

    def add(self, row: Experiment) -> None:
        """Take note of a new experiment."""
        self._all[row.id] = self._of.setdefault(parts_of(row.id)[0], {})[row.id] = row

    def remove(self, name: str) -> None:
        """Take note that an experiment was deleted."""
        self.forget(name)
        self._bury(name)

    def forget(self, name: str) -> None:
        """Know of an experiment no more; it is there as before."""
        del self._all[name], self._of[parts_of(name)[0]][name]

    def _bury(self, name: str) -> None:
        self._gone.setdefault(parts_of(name)[0], set()).add(name)

    def is_gone(self, name: str) -> bool:
        """Tell whether an experiment of this name was deleted."""
        return name in self._gone.get(parts_of(name)[0], ())

    def ever(self, tenant: str) -> int:
        """Return how many experiments a tenant has had, with the deleted ones."""
        return len(self.rows(tenant)) + len(self._gone.get(tenant, ()))

    def get(self, name: str) -> Experiment | None:
        """Return the row of an experiment by its name."""
        return self._all.get(name)

    def rows(self, tenant: str | None) -> Mapping[str, Experiment]:
        """Return the rows of a tenant, by name; with None those of all."""
        return self._all if tenant is None else self._of.get(tenant, {})

    def __len__(self) -> int:
        """Return how many experiments there are."""
        return len(self._all)
