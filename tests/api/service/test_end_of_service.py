"""How the service ends: what was asked is answered, the rest refused, and snapshots are kept as time allows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.listening import DECIDE, PATIENCE, Listening
from support.served import Served

from onearm.api.service import keeping
from onearm.engine.storage.tables import SNAPSHOT


class Slow:
    """A database whose commits wait until they are let go."""

    def __init__(self, listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
        self.append = listening.store.append
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(listening.store, "append", self._append)

    def _append(self, *given: Any) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        self.append(*given)


def stopping(listening: Listening) -> threading.Thread:
    """Let the service end, and wait until it listens no more."""
    thread = threading.Thread(target=listening.stop)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline
        try:
            listening.connect().close()
        except OSError:
            return thread
        time.sleep(0.02)


def test_what_is_in_flight_is_answered_and_the_rest_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Listening(tmp_path) as listening:
        asked, idle, half, more = (listening.connect() for _ in range(4))
        for line in (idle, half):
            line.ask()
            assert line.answer()[0] == 200
        slow = Slow(listening, monkeypatch)
        body = b'{"decision_id": "late"}'
        head = f"POST {DECIDE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
        asked.send(head + b"\r\n" + body)
        more.send(head + b"\r\n" + body[:5])
        half.send(head)
        assert slow.begun.wait(PATIENCE)
        thread = stopping(listening)
        assert idle.ends()
        half.send(b"\r\n" + body)
        status, headers, said = half.answer()
        assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "1")
        assert b'"stopping"' in said and half.ends()
        more.send(body[5:])
        slow.go.set()
        for line in (asked, more):
            status, headers, said = line.answer()
            assert (status in (200, 201), headers["connection"]) == (True, "close"), said
            assert line.ends()
        thread.join(PATIENCE)
        for line in (asked, idle, half, more):
            line.close()
    with Served(tmp_path) as served:
        assert served.record("late").status_code == 200


def test_a_request_that_is_never_sent_whole_holds_nothing_up(tmp_path: Path) -> None:
    with Listening(tmp_path) as listening:
        line = listening.connect()
        line.send(b"GET / HTTP/1.1\r\nHost:")
        deadline = time.monotonic() + PATIENCE
        while not listening.server.server_state.connections:
            assert time.monotonic() < deadline
        thread = stopping(listening)
        status, headers, said = line.answer()
        assert (status, headers["connection"]) == (503, "close") and b'"stopping"' in said
        thread.join(PATIENCE)
        line.close()


def test_what_takes_longer_than_the_service_waits_is_told_to_ask_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(tmp_path, grace=1) as listening:
        slow = Slow(listening, monkeypatch)
        line = listening.connect()
        line.ask("POST", DECIDE, b"{}")
        assert slow.begun.wait(PATIENCE)
        thread = stopping(listening)
        status, headers, said = line.answer()
        assert (status, headers["connection"]) == (503, "close") and b'"stopping"' in said
        slow.go.set()
        thread.join(PATIENCE)
        line.close()


def snapshots(served: Served) -> set[str]:
    names = {row.key: row.id for row in served.store.experiments()}
    engine = sa.create_engine(served.url)
    with engine.connect() as connection:
        kept = {names[key] for key in connection.scalars(sa.select(SNAPSHOT.c.experiment))}
    engine.dispose()
    return kept


@pytest.mark.usefixtures("empty_database")
def test_states_are_kept_at_the_end_as_time_allows_and_the_smallest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "SNAPSHOT_SECONDS", 0.5)
    monkeypatch.setattr(keeping, "TOGETHER_BYTES", 1000)
    caplog.set_level(logging.WARNING, "onearm")
    with Served(tmp_path) as served:
        for name, n_arms in (("large", 3000), ("small", 2), ("middle", 900)):
            arms = [{"id": str(number)} for number in range(n_arms)]
            served.create(name, arms=arms, policy={"name": "ucb1"})
            served.decide({"decision_id": "d"}, name)
            served.reward("d", 1.0, name)
        digests = {name: served.digest(name) for name in ("large", "small", "middle")}
        append = served.store.append

        def slow(events: Sequence[Any], archived: Any, parts: Sequence[Any], whole: Any, bases: Any) -> None:
            time.sleep(1.0 if sum(len(part.state) for part in parts) > 20_000 else 0.0)
            append(events, archived, parts, whole, bases)

        monkeypatch.setattr(served.store, "append", slow)
        served.stop()
        (record,) = caplog.records
        assert record.getMessage().startswith("2 of ")
        monkeypatch.undo()
        served.start()
        assert snapshots(served) == {"small", "middle"}
        assert {name: served.digest(name) for name in digests} == digests
        served.assert_consistent("large")
