"""A commit that hangs: those whose decisions it writes wait for it, and whoever comes afterwards hears that at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from support.listening import DECIDE, Listening

from onearm.api.service import writer
from onearm.engine.storage.store import Store


@contextmanager
def held_file(listening: Listening) -> Iterator[None]:
    """Hold the lock of the file, as another program may that writes to it."""
    connection = sqlite3.connect(listening.folder / "run.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setattr(writer, "HUNG_SECONDS", 0.3)
    with Listening(tmp_path) as listening:
        yield listening


def everything(listening: Listening) -> tuple[int, int]:
    """Return how many events and decisions there are, in the log and in memory."""
    store = Store.open(str(listening.store.url), write=False)
    counts = store.counts(listening.service.live("e").row.key)
    store.close()
    return counts.seq, counts.decisions


def test_what_comes_after_a_while_is_refused_and_nothing_is_lost(listening: Listening) -> None:
    client, live = listening.client, listening.service.live("e")
    assert client.post(DECIDE, json={"decision_id": "first"}).status_code == 201
    with ThreadPoolExecutor(1) as pool:
        with held_file(listening):
            waits = pool.submit(client.post, DECIDE, json={"decision_id": "waits"})
            listening.wait_until(lambda: listening.service.writer.running > 0.3)
            before = live.seq, live.number, live.rewards
            for path, body in ((DECIDE, {}), (f"{DECIDE}/first/reward", {"value": 1.0})):
                refused = client.post(path, json=body)
                assert (refused.status_code, refused.headers.get("retry-after")) == (503, "1"), refused.text
                assert refused.json()["code"] == "commit_slow"
                assert "0 requests wait" in refused.json()["detail"]
            batch = {"examples": [{"action_id": "a", "value": 1.0, "propensity": 0.5}]}
            assert "commit_slow" in client.post("/v1/experiments/e/examples:batch", json=batch).text
            assert "commit_slow" in client.post(f"{DECIDE}:batch", json={"decisions": [{}, {}]}).text
            assert (live.seq, live.number, live.rewards) == before
            ready = client.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "slow")
            assert "see what holds it up" in ready.json()["reason"]
            assert client.get("/health/live").status_code == 200
            assert not waits.done()
        assert waits.result().status_code == 201
    assert client.get("/health/ready").status_code == 200
    assert client.post(f"{DECIDE}/first/reward", json={"value": 1.0}).json() == {"status": "accepted"}
    assert client.post(DECIDE, json={"decision_id": "waits"}).status_code == 200
    assert everything(listening) == (3, 2)


def test_no_more_wait_than_there_is_room_for(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WAITING_MAX", 3)
    monkeypatch.setattr(writer, "HUNG_SECONDS", 1000.0)
    with ThreadPoolExecutor(9) as pool:
        with held_file(listening):
            answers = [pool.submit(listening.client.post, DECIDE, json={"decision_id": "0"})]
            listening.wait_until(lambda: listening.service.writer.running)
            listening.wait_until(lambda: not listening.service.writer.waiting)  # it is being committed
            answers += [pool.submit(listening.client.post, DECIDE, json={"decision_id": f"{i}"}) for i in range(1, 9)]
            listening.wait_until(lambda: sum(answer.done() for answer in answers) == 5)
            assert listening.service.writer.waiting == 3
        codes = sorted(answer.result().status_code for answer in answers)
    assert codes == [201] * 4 + [503] * 5
    assert everything(listening) == (4, 4)
    assert listening.service.writer.waiting == 0


def test_a_commit_that_hung_and_failed_is_folded_again(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite gives up after a while."""
    writing = listening.store._writer
    assert writing is not None
    writing.exec_driver_sql("PRAGMA busy_timeout = 700")
    writing.rollback()
    with held_file(listening):
        failed = listening.client.post(DECIDE, json={"decision_id": "fails"})
        assert (failed.status_code, failed.json()["code"]) == (503, "commit_failed")
        assert "locked" in failed.json()["detail"]
    listening.wait_until(lambda: listening.service.live("e").unusable is None)
    assert listening.client.post(DECIDE, json={"decision_id": "fails"}).status_code == 201
    assert everything(listening) == (1, 1)


def test_a_table_that_is_locked_on_postgresql(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "HUNG_SECONDS", 0.3)
    monkeypatch.setattr("support.listening.used_database", lambda path: postgres_url)
    with Listening(tmp_path) as listening, ThreadPoolExecutor(1) as pool:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            waits = pool.submit(listening.client.post, DECIDE, json={"decision_id": "waits"})
            listening.wait_until(lambda: listening.service.writer.running > 0.3)
            assert listening.client.post(DECIDE, json={}).json()["code"] == "commit_slow"
        assert waits.result().status_code == 201
        assert listening.client.post(DECIDE, json={}).status_code == 201
