"""What clients may take of the service: bytes of headers, connections, and time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.listening import DECIDE, PATIENCE, Line, Listening

from onearm.api.http.connection import Limits
from onearm.api.http.server import make_room
from onearm.engine.errors import InvalidInput

SMALL = Limits(connections=8, head_bytes=4000, idle_seconds=1.0, read_seconds=1.0)
LARGE = Limits(connections=8, head_bytes=4000)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, LARGE) as listening:
        yield listening


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, SMALL) as listening:
        yield listening


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log holds of errors."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def refused(line: Line, status: int, code: str, option: str) -> None:
    """Read an answer that names an option, behind which the connection ends."""
    found, headers, body = line.answer()
    problem = json.loads(body)
    assert (found, problem["status"], problem["code"]) == (status, status, code)
    assert option in problem["detail"]
    assert (headers["connection"], headers["content-type"]) == ("close", "application/problem+json")
    assert line.ends()
    line.close()


def test_headers_within_the_limit_are_read_however_they_come(large: Listening) -> None:
    line = large.connect()
    for text in ("x" * 3500, "x"):
        line.ask("POST", DECIDE, b" " * 100_000 + b"{}", X=text)  # a body is no header
        assert line.answer()[0] == 201
    head = f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n".encode()
    for i in range(len(head)):
        line.send(head[i : i + 1])
    line.send(b"{}")
    assert line.answer()[0] == 201
    line.send((head + b"{}") * 100)  # many requests at once are no large one
    assert [line.answer()[0] for _ in range(100)] == [201] * 100
    line.close()


@pytest.mark.parametrize("size", [5000, 70_000])  # what reads addresses takes no more than 65,535 bytes
def test_an_address_beyond_the_limit_is_refused_once(large: Listening, size: int) -> None:
    line = large.connect()
    line.ask(path="/" + "x" * size)
    refused(line, 431, "headers_too_large", "4,000 bytes (--max-header-bytes)")
    assert large.service.requests.unread == {"headers_too_large": 1}


@pytest.mark.parametrize("parts", [1, 3])
def test_headers_beyond_the_limit_are_refused(large: Listening, parts: int) -> None:
    line = large.connect()
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1000 + b"\r\n"
    for start in range(0, len(head), len(head) // parts + 1):
        line.send(head[start : start + len(head) // parts + 1])
        time.sleep(0.05)
    refused(line, 431, "headers_too_large", "4,000 bytes (--max-header-bytes)")


@pytest.mark.parametrize(
    "begin", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "]
)
def test_a_line_without_an_end_is_read_up_to_the_limit(large: Listening, begin: bytes) -> None:
    """A header, a path, and a header behind the body: 300 MB of one were read."""
    line = large.connect()
    line.send(begin)
    sent = 0
    try:
        while sent < 50_000_000:
            line.send(b"x" * 100_000)
            sent += 100_000
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert sent < 50_000_000
    line.close()
    assert large.client.get("/health/live").status_code == 200


def test_connections_beyond_the_limit_are_refused_and_others_go_on(large: Listening) -> None:
    lines = [large.connect() for _ in range(7)]  # and that of the client
    for line in lines:
        line.ask()
        assert line.answer()[0] == 200
    for _ in range(3):
        refused(large.connect(), 503, "too_many_connections", "8 connections are open (--max-connections)")
    assert large.client.post(DECIDE, content=b"{}").status_code == 201
    lines.pop().close()
    wait(lambda: len(large.server.server_state.connections) == 7)
    again = large.connect()
    again.ask("POST", DECIDE, b"{}")
    assert again.answer()[0] == 201
    for line in [*lines, again]:
        line.close()


def test_connections_on_which_nothing_happens_are_closed(small: Listening) -> None:
    silent, blank, used = small.connect(), small.connect(), small.connect()
    blank.send(b"\r\n")
    used.ask()
    assert used.answer()[0] == 200
    for line in (silent, blank, used):
        assert line.ends()
        line.close()


@pytest.mark.parametrize("part", [b"GET /health/live HTTP/1.1\r\nHost:", f"POST {DECIDE} HTTP/1.1\r\n".encode()])
def test_a_request_that_is_not_sent_whole_is_refused(small: Listening, part: bytes) -> None:
    line = small.connect()
    line.ask()
    assert line.answer()[0] == 200
    whole = part + b"Host: localhost\r\nContent-Length: 5\r\n\r\n{" if part.startswith(b"POST") else part
    line.send(whole)
    refused(line, 408, "request_timeout", "within 1 s (--read-timeout)")
    again = small.connect()  # that of the client is closed about now, as nothing happens on it
    again.ask("GET", "/v1/experiments/e")
    assert json.loads(again.answer()[2])["decisions"] == 0
    again.close()


def test_a_client_that_reads_nothing_is_left(small: Listening) -> None:
    """Answers pile up in its buffers; a slow reader is not an idle one."""
    line = small.connect()
    for _ in range(30):
        line.ask("GET", "/static/swagger/swagger-ui-bundle.js")
    wait(lambda: len(small.server.server_state.connections) == 2)
    small.client.close()
    wait(lambda: not small.server.server_state.connections)
    line.close()


def test_an_answer_may_take_longer_than_a_client_may_be_idle(small: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    append = small.store.append

    def slow(*given: object) -> None:
        time.sleep(3 * SMALL.idle_seconds)
        append(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(small.store, "append", slow)
    line = small.connect()
    line.ask("POST", DECIDE, b"{}")
    head = f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\n".encode()
    line.send(head)  # the next one may begin meanwhile
    assert line.answer()[0] == 201
    line.send(b"Content-Length: 2\r\n\r\n{}")
    assert line.answer()[0] == 201
    line.close()


def test_a_client_that_leaves_while_several_requests_wait_is_no_error(
    caplog: pytest.LogCaptureFixture, large: Listening
) -> None:
    """Its first request was answered on a connection that was gone, and each time the log got a traceback."""
    for _ in range(20):
        line = large.connect()
        for _ in range(3):
            line.ask("POST", DECIDE, b"{}")
        line.close()
    wait(lambda: len(large.server.server_state.connections) <= 1 and not large.server.server_state.tasks)
    assert not errors(caplog)


def test_a_broken_body_behind_a_request_that_waits_is_no_error(
    caplog: pytest.LogCaptureFixture, large: Listening
) -> None:
    """It was refused and the connection ended for writing, and then the request before it was answered."""
    for _ in range(20):
        line = large.connect()
        whole = f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        broken = (
            f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n".encode()
        )
        line.send(whole + broken + b"zz\r\n")
        line.ends()
        line.close()
    wait(lambda: len(large.server.server_state.connections) <= 1 and not large.server.server_state.tasks)
    assert not errors(caplog)


def test_an_upgrade_is_passed_over_without_a_word(caplog: pytest.LogCaptureFixture, large: Listening) -> None:
    line = large.connect()
    line.ask("GET", "/health/live", Upgrade="websocket", Connection="upgrade")
    assert line.answer()[0] == 200
    line.close()
    assert not caplog.records


def test_what_is_not_http_is_refused_as_a_problem(large: Listening) -> None:
    line = large.connect()
    line.send(b"\x16\x03\x01 hello\r\n\r\n")
    refused(line, 400, "not_http", "send HTTP/1.1")


@pytest.mark.parametrize("first", ["CONNECT localhost:80", "GET http://[", "GET http://localhost:99999999/"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_target_that_is_no_address_is_refused_as_a_problem(large: Listening, first: str, before: int) -> None:
    line = large.connect()
    for _ in range(before):
        line.ask()
        assert line.answer()[0] == 200
    line.send(f"{first} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    refused(line, 400, "not_http", "send HTTP/1.1")


def test_a_body_that_is_too_large_and_goes_on_is_not_read_for_ever(small: Listening) -> None:
    line = small.connect()
    line.send(f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000\r\n\r\n".encode())
    for _ in range(50):
        line.send(b" " * 100_000)
    assert line.answer()[0] == 413
    assert line.ends()
    line.close()


def test_the_process_may_open_as_many_files_as_it_may_have_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda what: (1000, 5000))
    monkeypatch.setattr("resource.setrlimit", lambda what, limits: set_to.append(limits))
    make_room(Limits(connections=500))
    assert set_to == []
    make_room(Limits(connections=4000))
    assert set_to == [(4200, 5000)]
    with pytest.raises(InvalidInput, match=r"5001 connections need 5201 open files.*--max-connections 4800"):
        make_room(Limits(connections=5001))
