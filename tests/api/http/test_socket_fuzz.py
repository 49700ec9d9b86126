"""Bytes that are nearly HTTP, at a real port: nothing crashes, nothing leaks, and others are answered."""

from __future__ import annotations

import contextlib
import logging
import random
import re
import resource
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.listening import DECIDE, Listening

from onearm.api.http.connection import Limits

HEAD = f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
SOUND = [
    HEAD + b"Content-Length: 2\r\n\r\n{}",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    HEAD + b'Content-Length: 22\r\nIdempotency-Key: k\r\n\r\n{"decision_id": "k"}  ',
    f"POST {DECIDE}/~0/reward HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n".encode() + b'{"value": 1}',
    HEAD.replace(b"decisions", b"decisions:batch") + b'Content-Length: 23\r\n\r\n{"decisions": [{}, {}]}',
    b"GET /v1/experiments/e?after=1 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /v1/experiments HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
]
PIECES = [
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"%",
    b"%2F",
    b"%zz",
    b"\xff\xfe",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity, chunked\r\n",
    b"ffffffffffffffff\r\n",
    b"Host: evil.example\r\n",
    b"X: " + b"y" * 5000 + b"\r\n",
    b"Connection: close\r\n",
    b"HTTP/9.9",
    b"[1e999,",
    b"\xed\xa0\x80",
    b"[" * 600,
]
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
SOON = 0.03  # seconds
EVERY = 50  # cases, after which somebody else is answered


def flipped(data: bytes, draws: random.Random) -> bytes:
    i = draws.randrange(len(data))
    return data[:i] + bytes([draws.randrange(256)]) + data[i + 1 :]


def cut(data: bytes, draws: random.Random) -> bytes:
    i, j = sorted(draws.choices(range(len(data) + 1), k=2))
    return data[:i] + data[j:]


def repeated(data: bytes, draws: random.Random) -> bytes:
    i, j = sorted(draws.choices(range(len(data) + 1), k=2))
    return data[:j] + data[i:]


def filled(data: bytes, draws: random.Random) -> bytes:
    i = draws.randrange(len(data) + 1)
    return data[:i] + draws.choice(PIECES) + data[i:]


def spliced(data: bytes, draws: random.Random) -> bytes:
    other = draws.choice(SOUND)
    return data[: draws.randrange(len(data) + 1)] + other[draws.randrange(len(other)) :]


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [flipped, cut, repeated, filled, spliced]


def case(draws: random.Random) -> bytes:
    """Return some requests, of which at least one is changed somewhere."""
    data = b"".join(draws.choices(SOUND, k=draws.randint(1, 3)))
    for _ in range(draws.randint(1, 4)):
        data = draws.choice(CHANGES)(data, draws) or b"\r\n"
    return data


def send(port: int, data: bytes, draws: random.Random) -> bytes:
    """Send it in one to three pieces, and return what is answered soon; most clients leave before."""
    answered = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line, contextlib.suppress(ConnectionError):
        for piece in pieces(data, draws):
            line.sendall(piece)
        if draws.random() < 0.75:
            return b""
        line.settimeout(SOON)
        with contextlib.suppress(TimeoutError):  # what is not whole is refused later
            while more := line.recv(65536):
                answered += more
    return answered


def pieces(data: bytes, draws: random.Random) -> list[bytes]:
    places = [0, *sorted(draws.choices(range(len(data) + 1), k=draws.randint(0, 2))), len(data)]
    return [data[i:j] for i, j in pairwise(places)]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("cases", [600, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_is_nearly_http_harms_nobody(tmp_path: Path, cases: int, caplog: pytest.LogCaptureFixture) -> None:
    draws, statuses = random.Random(7), set[int]()
    with Listening(tmp_path, Limits(read_seconds=2.0, idle_seconds=2.0)) as listening:
        listening.client.get("/metrics").raise_for_status()  # what is loaded late is there
        files, peak = open_files(), 0
        for i in range(cases):
            answered = send(listening.port, case(draws), draws)
            statuses |= {int(status) for status in STATUS.findall(answered)}
            assert not answered or answered.startswith(b"HTTP/1.1 "), answered[:200]
            if i % EVERY == 0:
                assert listening.client.post(DECIDE, json={}).status_code == 201
            if i == cases // 2:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        listening.wait_until(lambda: len(listening.server.server_state.connections) <= 1)
        listening.wait_until(lambda: not listening.server.server_state.tasks)
        assert open_files() <= files + 2
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= 1.05 * peak
    assert {200, 201, 400, 404, 422} <= statuses
    assert not {status for status in statuses if status >= 500}
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
