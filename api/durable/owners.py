"""The databases that this process has to itself: engines of one file share its store and its lock.

A database has one writer, and that is a process. The first engine in it opens the store, the last one closes it, and
each has an experiment for itself.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.errors import Unavailable
from ...engine.storage.connections import parse_url
from ...engine.storage.store import Store
from ..service.artefacts import keep_all
from ..service.refusals import INCOMPLETE

if TYPE_CHECKING:
    from .host import Host

log = logging.getLogger("onearm")


class Owner:
    """One database: its store, which experiments have an engine, and the service for those that need one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.RLock()  # held while an engine comes or goes
        self.names: set[str] = set()
        self.host: Host | None = None
        self.holders = 0  # engines, and what looks for an experiment to make one


class Owners:
    """All databases that the engines of a process have open."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # an engine that nobody holds any more is closed wherever that is noticed
        self._owners: dict[str, Owner] = {}
        self._process = os.getpid()
        self._inherited: list[dict[str, Owner]] = []  # of the process that forked this one: what is let go is unlocked

    def hold(self, database: str) -> Share:
        """Return a share of a database, which is opened where nobody here has it; raises as `Store.open`."""
        url = parse_url(database)
        file = url.database if url.get_backend_name() == "sqlite" else None
        key = url.render_as_string(hide_password=False) if file is None else str(Path(file).resolve())
        if self._process != os.getpid():
            self._inherited.append(self._owners)
            self._lock, self._owners, self._process = threading.RLock(), {}, os.getpid()
        with self._lock:
            owner = self._owners.get(key)
            if owner is None:
                owner = self._owners[key] = Owner(_opened(database))
            owner.holders += 1
        return Share(self, key, owner)

    def give_up(self, key: str, owner: Owner) -> None:
        """Take note that a share is not needed any more; close the database where it was the last one."""
        with self._lock:
            owner.holders -= 1
            if owner.holders == 0:
                del self._owners[key]
                owner.store.close()


class Share:
    """A share of a database, and in the end an experiment in it that nobody else here has."""

    def __init__(self, owners: Owners, key: str, owner: Owner) -> None:
        self.owner = owner
        self.store = owner.store
        self._owners, self._key = owners, key
        self._name: str | None = None
        self._is_held = True

    def claim(self, name: str) -> None:
        """Have an experiment for oneself; raises `Unavailable` ("experiment_in_use") where another engine has it."""
        with self.owner.lock:
            if name in self.owner.names:
                raise Unavailable(
                    "experiment_in_use",
                    f"the experiment {name!r} of {self.store.name} is open in this process already: decide with that "
                    "engine, or close it first",
                )
            self.owner.names.add(name)
            self._name = name

    def give_up(self) -> None:
        """Let others have it; again this does nothing."""
        if not self._is_held:
            return
        self._is_held = False
        with self.owner.lock:
            if self._name is not None:
                self.owner.names.discard(self._name)
        self._owners.give_up(self._key, self.owner)


def _opened(database: str) -> Store:
    store = Store.open(database)
    try:
        if store.incomplete:
            log.warning("%s", INCOMPLETE)
        keep_all(store)
    except BaseException:
        store.close()
        raise
    return store


OWNERS = Owners()
