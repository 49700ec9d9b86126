"""The service at a real port, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from support.served import ARMS, RANDOM
from support.stored import used_database

from onearm.api.http.app import create_app
from onearm.api.http.connection import Limits
from onearm.api.http.guard import Guard
from onearm.api.http.server import PLAIN, Network, Server
from onearm.api.service.service import Service
from onearm.engine.storage.store import Store

PATIENCE = 60.0  # a busy machine is no bug
DECIDE = "/v1/experiments/e/decisions"


class Listening:
    """The service over an SQLite file with the experiment `e`, at a port of this machine."""

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        grace: int = 10,
        network: Network = PLAIN,
        trusted: Path | None = None,  # the certificate that clients know
        options: dict[str, Any] | None = None,  # of the application
        **guarded: Any,
    ) -> None:
        self.folder = folder
        self.verified = True if trusted is None else ssl.create_default_context(cafile=trusted)
        self.store = Store.open(used_database(folder / "run.db"))
        guard = Guard(**guarded)
        refused: Counter[str] = Counter()
        self.app = create_app(self.store, guard=guard, refused=refused, **(options or {}))
        self.server = Server(guard.with_cors(self.app), limits or Limits(), network=network, refused=refused)
        self.server.config.timeout_graceful_shutdown = grace
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'http' if network.certificate is None else 'https'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._serve)

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def __enter__(self) -> Self:
        self.thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, verify=self.verified)
        try:
            self.begin()
        except BaseException:
            self.__exit__(None, None, None)  # else its thread goes on for ever, and with it this process
            raise
        return self

    def begin(self) -> None:
        """Create what tests find in it."""
        body = {"experiment_id": "e", "arms": ARMS, "policy": RANDOM}
        assert self.client.post("/v1/experiments", json=body).status_code in (200, 201)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.stop()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
            runner.run(self.server.serve([self.listener]))

    def stop(self) -> None:
        """Let it end, and wait for that."""
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    @staticmethod
    def wait_until(so: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def connect(self) -> Line:
        """Open a connection."""
        return Line(self.port)


class Line:
    """A connection on which anything can be sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.port = port
        self.seen = b""  # what was read and belongs to the next answer

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str = "GET", path: str = "/health/live", body: bytes = b"", **headers: str) -> None:
        """Send a request; a header's name has _ for -."""
        given = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        lines = "".join(f"{name}: {text}\r\n" for name, text in given.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: its status, its headers, and its body."""
        while b"\r\n\r\n" not in self.seen:
            self.seen += self._more()
        head, _, self.seen = self.seen.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self.seen) < length:
            self.seen += self._more()
        body, self.seen = self.seen[:length], self.seen[length:]
        return int(first.split()[1]), headers, body

    def ends(self) -> bool:
        """Wait until the other side closes; tell whether it sent nothing before."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> bytes:
        more = self.socket.recv(65536)
        assert more, "the connection was closed before the answer was whole"
        return more
