"""Several nodes of the service over one database of PostgreSQL, each at a port, in threads of this process."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
from support.served import ARMS, RANDOM

from onearm.api.cluster.opening import open_node
from onearm.api.http.app import create_app
from onearm.api.http.connection import Limits
from onearm.api.http.server import Server
from onearm.api.service.clocks import Clocks
from onearm.api.service.service import Service
from onearm.engine.storage.shards import SHARDS, shard_of

PATIENCE = 60.0  # a busy machine is no bug
LEASE = 2.0


class ListeningNode:
    """A node at work until it is closed."""

    def __init__(self, database: str, name: str, lease: float = LEASE) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.name = name
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.opened = open_node(database, name, self.url, lease)
        clocks = Clocks(self.opened.clock.now)
        self.app = create_app(self.opened.store, nodes=self.opened.nodes, clocks=clocks)
        self.server = Server(self.app, Limits(), pass_on=self.app.pass_on)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve(sockets=[self.listener])))
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE)

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    @property
    def has(self) -> set[int]:
        """The shards that it has."""
        holding = self.opened.nodes.membership.holding
        return set(holding.epochs) - holding.moving

    def start(self) -> Self:
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive())
        assert self.server.started
        return self

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Ask until the answer is not 503."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self.client.request(method, path, json=body, **more)).status_code == 503:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)
        return answer

    def create(self, name: str, **fields: Any) -> httpx.Response:
        return self.ask("POST", "/v1/experiments", {"experiment_id": name, "arms": ARMS, "policy": RANDOM} | fields)

    def close(self) -> None:
        self.server.should_exit = True
        if self.thread.is_alive():
            self.thread.join(PATIENCE)
        self.listener.close()
        self.client.close()


class Nodes:
    """Nodes over one database; each has its share when the block begins."""

    def __init__(self, database: str, *names: str) -> None:
        self.database = database
        self.all = [ListeningNode(database, name) for name in names]

    def __enter__(self) -> Self:
        for node in self.all:
            node.start()
        self.settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.all:
            node.close()

    def add(self, name: str) -> ListeningNode:
        node = ListeningNode(self.database, name).start()
        self.all.append(node)
        return node

    def settle(self) -> None:
        """Wait until all nodes have their shares, and know it."""
        until(lambda: self._fair() and len({str(node.opened.nodes.membership.view.shards) for node in self.all}) == 1)

    def _fair(self) -> bool:
        counts = [len(node.has) for node in self.all]
        return sum(counts) == SHARDS and max(counts) - min(counts) <= 1

    def owner(self, name: str) -> ListeningNode:
        return next(node for node in self.all if shard_of(name, SHARDS) in node.has)

    def other(self, name: str) -> ListeningNode:
        """Return a node that has not the experiment of a name."""
        return next(node for node in self.all if shard_of(name, SHARDS) not in node.has)

    def name_at(self, node: str, begin: str) -> str:
        """Return the name of an experiment that this node has, or would have."""
        names = (f"{begin}{number}" for number in itertools.count())
        return next(name for name in names if self.owner(name).name == node)


def until(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
