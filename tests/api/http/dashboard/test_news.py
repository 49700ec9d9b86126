"""The stream that tells open pages of news: soon, past idle time-outs, and with an end where the service ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from support.keyed import Keyed
from support.listening import DECIDE, Line, Listening

from onearm.api.http.connection import Limits

Open = Callable[..., Line]


@pytest.fixture
def listen() -> Iterator[Open]:
    """Return what asks for news of a service on a connection of its own, and closes it in the end."""
    lines: list[Line] = []

    def opened(listening: Listening, path: str = "/events", **headers: str) -> Line:
        line = listening.connect()
        lines.append(line)
        line.ask("GET", path, **headers)
        assert heard(line, b"event: hello")
        return line

    yield opened
    for line in lines:
        line.close()


def heard(line: Line, word: bytes, seconds: float = 20.0) -> bool:
    """Read until a word comes; tell whether it does before the other side closes."""
    deadline = time.monotonic() + seconds
    while word not in line.seen:
        assert time.monotonic() < deadline, line.seen
        try:
            more = line.socket.recv(4096)
        except TimeoutError:
            return False
        if not more:
            return False
        line.seen += more
    line.seen = line.seen.split(word, 1)[1]
    return True


@pytest.mark.usefixtures("empty_database")
def test_news_are_told_and_nothing_else(tmp_path: Path, listen: Open) -> None:
    with Listening(tmp_path) as listening:
        line = listen(listening, "/events?experiment=e")
        assert listening.client.post("/v1/experiments/hello/decisions").status_code == 201
        line.socket.settimeout(3.0)
        assert not heard(line, b"event: news"), "another experiment is none of its news"
        line.socket.settimeout(20.0)
        assert listening.client.post(DECIDE).status_code == 201
        assert heard(line, b"event: news")
        assert listening.client.get("/events?experiment=nowhere").status_code == 404
        assert listening.client.delete("/v1/experiments/e?confirm=e").status_code == 200
        assert heard(line, b"0\r\n\r\n"), "it ends with its experiment"


def test_what_a_page_shows_in_the_end_is_how_it_is(tmp_path: Path, listen: Open) -> None:
    """What is shown is made once for a moment: a page that asks within it gets what was before, and hears once more."""
    with Listening(tmp_path) as listening:
        line = listen(listening, "/events?experiment=e")
        shown = ""
        for _ in range(2):
            listening.client.get("/experiments/e/live")  # somebody looks just before
            if not shown:
                assert listening.client.post(DECIDE).status_code == 201
            assert heard(line, b"event: news")
            shown = listening.client.get("/experiments/e/live").text
        assert "<dt>Decisions</dt><dd>1<" in shown
        line.socket.settimeout(5.0)
        assert not heard(line, b"event: news"), "then there is no more"


def test_it_knows_no_idle_time_out(tmp_path: Path, listen: Open) -> None:
    with Listening(tmp_path, limits=Limits(idle_seconds=1.0, read_seconds=1.0)) as listening:
        line = listen(listening)
        time.sleep(3.5)
        assert listening.client.post(DECIDE).status_code == 201
        assert heard(line, b"event: news")


def test_it_ends_with_the_service(tmp_path: Path, listen: Open) -> None:
    listening = Listening(tmp_path).__enter__()
    line = listen(listening)
    begun = time.monotonic()
    stopping = threading.Thread(target=listening.__exit__, args=(None, None, None))
    stopping.start()
    assert heard(line, b"0\r\n\r\n"), "it was whole, and did not break off"
    stopping.join(30.0)
    assert not stopping.is_alive() and time.monotonic() - begun < 8.0, "nobody waits for the grace of 10 s"


def test_it_ends_where_the_key_does(tmp_path: Path, listen: Open) -> None:
    with Keyed(tmp_path) as keyed:
        key = keyed.key("read")
        line = listen(keyed, Authorization=f"Bearer {key}")
        assert keyed.operator.post(f"/v1/keys/{key.split('_')[1]}:revoke").status_code == 200
        assert heard(line, b"0\r\n\r\n")
        with httpx.Client(base_url=keyed.url) as nobody:
            assert nobody.get("/events").status_code == 401
