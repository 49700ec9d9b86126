"""A proxy before a service that can be shut, and can lose what goes through it."""

from __future__ import annotations

import contextlib
import socket
import threading


class Gate:
    """Leads connections to a port, at one of its own that stays the same."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._is_shut = False
        self._loses_answers = False
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shut(self) -> None:
        """Cut all connections, and refuse others."""
        self._is_shut = True
        self._cut()

    def lose_answers(self) -> None:
        """Lead requests to the service, and cut the connection in place of its answer."""
        self._loses_answers = True

    def reopen(self) -> None:
        """Let everything through."""
        self._is_shut = self._loses_answers = False

    def close(self) -> None:
        self._over = True
        self._listener.close()
        self._cut()

    def _cut(self) -> None:
        for one in list(self._open):
            self._end(one)

    def _end(self, one: socket.socket) -> None:
        self._open.discard(one)
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                asker, _ = self._listener.accept()
                if self._is_shut:
                    asker.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target), timeout=30)
            except OSError:
                with contextlib.suppress(OSError, UnboundLocalError):
                    asker.close()
                continue
            self._open |= {asker, server}
            for pair in ((asker, server, False), (server, asker, True)):
                threading.Thread(target=self._lead, args=pair, daemon=True).start()

    def _lead(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self._loses_answers:
                    break
                target.sendall(data)
        except OSError:
            pass
        self._end(source)
        self._end(target)
