"""A server of NATS with JetStream, from what is installed, in a folder of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")
PATIENCE = 60.0  # seconds in which it begins: a busy machine is no bug


class NatsServer:
    """A server that can be killed and started again, at the same port and with what it had stored."""

    def __init__(self, folder: Path, *options: str) -> None:
        assert BINARY is not None, "nats-server is not installed: apt-get install nats-server"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._command = [BINARY, "-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(folder / "nats"), *options]
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
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def address(self, stream: str = "onearm") -> str:
        return f"nats://127.0.0.1:{self.port}/{stream}"
