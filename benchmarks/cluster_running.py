"""PostgreSQL, nodes of the service and the lines between them, all on this machine, and all of which can fail."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx
import psycopg

HERE = Path(__file__).parent
READY_SECONDS = 180.0  # a busy machine is no bug
SOCKET = ".s.PGSQL.5432"
PORTS = (20_000, 32_000)


class Database:
    """A server of PostgreSQL in a folder of its own, and one database in it."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder, self._bin = folder, bin_folder
        self._user: list[str] = []
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            self._user = ["runuser", "-u", "postgres", "--"]

    @property
    def url(self) -> str:
        """Where it is."""
        return self.url_at(self.folder)

    def url_at(self, folder: Path) -> str:
        """Return where it is for those who reach it by a socket in another folder."""
        return f"postgresql://postgres@/nodes?host={folder}"

    def start(self) -> None:
        """Make it, and start it."""
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", "--no-sync")
        self._control("start")
        with psycopg.connect(self.url.replace("/nodes", "/postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE nodes")

    def restart(self) -> None:
        """End it as a crash does, and start it again."""
        self._control("-m", "immediate", "restart")

    def stop(self) -> None:
        """End it."""
        self._run("pg_ctl", "-m", "immediate", "stop")

    def _control(self, *how: str) -> None:
        options = f"-k {self.folder} -h '' -c max_connections=100"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "server.log"), "-o", options, *how)

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self._user, str(self._bin / name), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")


@contextmanager
def database() -> Iterator[Database]:
    """Start a server, and end it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise SystemExit("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb): install it")
    folder = Path(tempfile.mkdtemp(prefix="onearm-cluster-"))
    server = Database(folder, found[-1].parent)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Lines:
    """Proxies that pass on bytes until they are cut, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.servers: list[asyncio.Server] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """End what goes on, and the thread."""
        self.run(_end_others(self.servers))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Line:
    """A line from an address to another one, each a port of this machine or the path of a socket."""

    def __init__(self, lines: Lines, here: int | Path, there: int | Path) -> None:
        self._lines, self._there = lines, there
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        lines.run(self._listen(here))

    def cut(self) -> None:
        """Break what is open, and let nothing through."""
        self._is_cut = True
        self._lines.run(self._break())

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = False

    async def _listen(self, here: int | Path) -> None:
        if isinstance(here, Path):
            server = await asyncio.start_unix_server(self._serve, str(here))
        else:
            server = await asyncio.start_server(self._serve, "127.0.0.1", here)
        self._lines.servers.append(server)

    async def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            if isinstance(self._there, Path):
                beyond = await asyncio.open_unix_connection(str(self._there))
            else:
                beyond = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, beyond[1]}
        self._open |= pair
        try:
            await asyncio.gather(_poured(reader, beyond[1]), _poured(beyond[0], writer))
        except asyncio.CancelledError:  # all ends
            for one in pair:
                one.transport.abort()
        self._open -= pair


async def _end_others(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # in which connections that were broken off are closed


async def _poured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


class Process:
    """A node: its process, its line to the database, and that of other nodes to it."""

    def __init__(self, name: str, database: Database, lines: Lines, lease: float, seeded: str = "") -> None:
        self.name, self.lease, self._seeded = name, lease, seeded
        self.port, behind = free_port(), free_port()
        self.address = f"http://127.0.0.1:{behind}"  # where other nodes reach it
        folder = database.folder / name
        folder.mkdir()
        self.to_database = Line(lines, folder / SOCKET, database.folder / SOCKET)
        self.from_nodes = Line(lines, behind, self.port)
        self._url = database.url_at(folder)
        self._clock = folder / "clock"
        self._log: IO[bytes] = (folder / "log").open("ab")
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes]
        self.set_clock(0.0)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_at_work(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def start(self) -> None:
        """Start the process."""
        options = ["--port", self.port, "--database", self._url, "--node", self.name, "--lease", self.lease]
        address = ["--advertise", self.address]
        command = [sys.executable, HERE / "cluster_node.py", "serve", *options, *address]
        environment = os.environ | {"ONEARM_CLOCK_FILE": str(self._clock), "NUMBA_DISABLE_JIT": "1"}
        environment["ONEARM_SEEDED"] = self._seeded
        self.process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=self._log
        )

    def signal(self, how: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(how)

    def set_clock(self, seconds: float) -> None:
        """Let its clock be wrong by so many seconds."""
        self._clock.write_text(str(seconds))

    def revive(self) -> None:
        """Start it again where it ended by itself, as supervisors do: the database may have been away."""
        if not self.is_at_work:
            self.start()

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health/live", timeout=2)
                return
            self.revive()
            if time.monotonic() > deadline:
                raise SystemExit(f"node {self.name} does not answer: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def end(self) -> None:
        """Kill it, where it is still there."""
        if self.is_at_work:
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._log.close()


def free_port() -> int:
    """Return a port that nobody listens at, and that no system gives to connections: nodes come back to theirs."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
