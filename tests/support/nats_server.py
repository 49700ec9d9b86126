"""A server of NATS with JetStream, in a folder of its own."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import nats
from support.needs import needed
from support.ports import free_port

PATIENCE = 60.0  # seconds in which it begins: a busy machine is no bug
NAMES = ("one", "two", "three")  # of servers of a cluster


class NatsServer:
    """A server that can be killed and started again, at the same port and with what it had stored."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._command = [needed("nats"), "-js", "-a", "127.0.0.1", "-p", str(self.port)]
        self._command += ["-sd", str(folder / "nats"), *options]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, "nats-server did not start"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def address(self, stream: str = "onearm") -> str:
        return f"nats://127.0.0.1:{self.port}/{stream}"


class NatsCluster:
    """Three servers that keep streams together, each of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        routes = [free_port() for _ in NAMES]
        url = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.servers: dict[str, NatsServer] = {}
        for name, port in zip(NAMES, routes, strict=True):
            (folder / name).mkdir()
            among = ["-n", name, "-cluster", f"nats://127.0.0.1:{port}", "-cluster_name", "three", "-routes", url]
            self.servers[name] = NatsServer(folder / name, *among)

    def kill(self) -> None:
        """End all."""
        for server in self.servers.values():
            server.kill()

    def address(self, stream: str = "onearm") -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers.values())
        return f"nats://{hosts}/{stream}?replicas={len(self.servers)}"

    def leader(self, stream: str = "onearm") -> str:
        """Return the name of the server that orders the messages of a stream, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if (found := asyncio.run(self._leader(stream))) is not None:
                return found
            assert time.monotonic() < deadline, "the servers elect no leader"
            time.sleep(0.1)

    async def _leader(self, stream: str) -> str | None:
        for server in self.servers.values():
            with suppress(nats.errors.Error, OSError, TimeoutError):
                client = await nats.connect(f"nats://127.0.0.1:{server.port}", allow_reconnect=False, connect_timeout=2)
                try:
                    found = await client.jetstream(timeout=2).stream_info(stream)
                    return None if found.cluster is None else found.cluster.leader
                finally:
                    await client.close()
        return None
