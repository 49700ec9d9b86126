"""Ports for servers that are told theirs, as other processes must know it before they start, and keep it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

PORTS = (20_000, 32_000)  # systems give connections none of these, so one stays free until a server takes it
_random = random.SystemRandom()  # processes that are copies of one would draw the same otherwise


def free_port() -> int:
    """Return a port that nobody listens at."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nobody listens at."""
    while True:
        first = _random.randrange(*PORTS)
        with ExitStack() as stack, suppress(OSError):
            for number in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", number)))
            return first
