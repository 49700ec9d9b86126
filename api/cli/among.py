"""How `onearm serve` serves a database: alone, as a node among others, or as several workers, each of them a node."""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from ...engine.errors import InvalidInput, OnearmError, Unavailable
from ...engine.storage.access import Access
from ...engine.storage.connections import parse_url, without_password
from ...engine.storage.files import in_use
from ...engine.storage.shards import SHARDS, Shards
from ...engine.storage.store import Store
from ..cluster.membership import LEASE
from ..cluster.nodes import Nodes
from ..cluster.opening import open_node
from ..cluster.workers import Worker, worker_among
from ..service.clocks import Clocks
from .options import Finite, Whole

WORKERS = "workers of another command"  # have a file of SQLite; nodes of other machines cannot
NAME_MAX = 60  # letters of a host's name: a node's may have 63

OPTIONS = (
    click.option(
        "--node",
        metavar="NAME",
        help="Serve a database of PostgreSQL together with other nodes, under a name of its own.",
    ),
    click.option("--advertise", metavar="URL", help="With --node: where the others reach it, as http://10.0.0.5:8080."),
    click.option(
        "--workers",
        type=Whole(1, SHARDS),
        default=1,
        show_default=True,
        help="How many processes answer at the port, each a node of its own.",
    ),
    click.option(
        "--lease",
        type=Finite(1.0),
        default=LEASE,
        show_default=True,
        help="Seconds without a word from a node until the others take its experiments over.",
    ),
)


class Opened(NamedTuple):
    """A database, what tells the time there, and what this process is among others that serve it."""

    store: Store
    clocks: Clocks
    nodes: Nodes | None = None


class Among(NamedTuple):
    """What the command line says of other processes that serve the database."""

    node: str | None
    advertise: str | None
    lease: float  # seconds
    workers: int

    @property
    def names(self) -> list[str]:
        """The workers as nodes."""
        name = self.node or re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()).strip("-")[:NAME_MAX] or "worker"
        return [f"{name}-{number}" for number in range(1, self.workers + 1)]

    @property
    def is_node(self) -> bool:
        """Whether this process itself is a node."""
        return self.node is not None and self.workers == 1

    def check(self, database: str, personalizer: bool) -> None:
        """Raise `InvalidInput` where options do not go together, or the database is none for several."""
        if self.workers == 1 and self.node is None and self.advertise is not None:
            raise InvalidInput("no_node", "--advertise is of no use alone: give the node a name by --node too")
        if personalizer and (self.workers > 1 or self.node is not None):
            with_it = "--node" if self.workers == 1 else "--workers"
            raise InvalidInput(
                "one_process",
                f"--personalizer and {with_it} do not go together: Personalizer's clients ask one process",
            )
        if self.is_node and parse_url(database).get_backend_name() == "sqlite":
            raise InvalidInput(
                "one_process",
                f"{without_password(database)} is a file of SQLite, which processes of one machine write: several "
                "nodes need a database of PostgreSQL, postgresql://USER@HOST/NAME; for several processes here say "
                "--workers",
            )
        if self.workers > 1:
            self._check_workers(database)

    def worker(self, listener: socket.socket) -> Worker | None:
        """Return which worker this process is; None where there are none. It may be another process than before."""
        return None if self.workers == 1 else worker_among(self.names, listener)

    def opened(self, database: str, worker: Worker | None, grace: float) -> Opened:
        """Open the database before anything is started: its errors are for the person at the terminal."""
        node, address = (self.node, self.advertise) if worker is None else (worker.name, worker.address)
        if node is None:
            return Opened(Store.open(database), Clocks(grace=grace))
        try:
            opened = open_node(database, node, address, self.lease)
        except InvalidInput as error:
            if worker is None or error.code != "node_in_use":
                raise
            raise _has_workers(database, worker.name) from None
        return Opened(opened.store, Clocks(opened.clock.now, grace=grace), opened.nodes)

    def _check_workers(self, database: str) -> None:
        if self.advertise is not None:
            raise InvalidInput(
                "local_workers",
                "--workers and --advertise do not go together: workers reach each other on this machine only; for "
                "several machines start nodes, also several on one machine, each with its own --port",
            )
        if others := sorted(_at_work(database) - set(self.names)):
            if parse_url(database).get_backend_name() == "sqlite":
                raise in_use(without_password(database), WORKERS)
            raise InvalidInput(
                "database_in_use",
                f"the database is served by {', '.join(map(repr, others[:5]))}, who could not reach workers of this "
                "command if they are on another machine: end them first, or start nodes with --node and --advertise",
            )


def among_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of this file, as its parameter `among`."""

    @functools.wraps(command)
    def called(*, node: str | None, advertise: str | None, lease: float, workers: int, **others: Any) -> None:
        command(among=Among(node, advertise, lease, workers), **others)

    return functools.reduce(lambda so_far, option: option(so_far), reversed(OPTIONS), called)


def _has_workers(database: str, name: str) -> OnearmError:
    """Return what is raised where the name of a worker belongs to one of another command."""
    if parse_url(database).get_backend_name() == "sqlite":
        return in_use(without_password(database), WORKERS)
    return InvalidInput(
        "database_in_use",
        f"{without_password(database)} is served by another command, which has the worker {name!r}: workers share a "
        "database with nobody else; end that command, and let one command start as many workers as there are to be",
    )


def _at_work(database: str) -> set[str]:
    """Return the names of the nodes that serve a database; nothing is made or upgraded for that."""
    try:
        Access.open(database).close()
    except InvalidInput as error:
        if error.code in ("no_database", "older_schema"):
            return set()
        raise
    shards = Shards(parse_url(database), write=True)
    try:
        return set(shards.see().nodes)
    except Unavailable:  # what is wrong with the database is said when it is opened
        return set()
    finally:
        shards.close()
