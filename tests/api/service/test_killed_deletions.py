"""The service is killed while a deleted experiment's log is taken away: it stays deleted, and the rest goes as well."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx
import pytest
from support.processes import Process
from support.served import ARMS, RANDOM, assert_sound, log_of

from onearm.engine.storage.store import Store

EVENTS = 10_000
PATIENCE = 60.0  # seconds: a busy machine is no bug


def left(database: str, key: int) -> int:
    """Return how many events of an experiment there are, beside a service that may be at work."""
    store = Store.open(database, write=False)
    try:
        found: int = store._read("SELECT count(*) FROM event WHERE experiment = ?", (key,))[0][0]
        return found
    finally:
        store.close()


def test_a_deletion_goes_on_after_each_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    database = f"sqlite:///{tmp_path}/run.db"
    service = Process(database)
    try:
        service.wait()
        for name in ("gone", "kept"):
            body = {"experiment_id": name, "arms": ARMS, "policy": RANDOM}
            httpx.post(f"{service.url}/v1/experiments", json=body, timeout=PATIENCE).raise_for_status()
        batch = {"decisions": [{}] * EVENTS}
        path = f"{service.url}/v1/experiments/gone"
        httpx.post(f"{path}/decisions:batch", json=batch, timeout=PATIENCE).raise_for_status()
        store = Store.open(database, write=False)
        key = next(row.key for row in store.experiments() if row.id == "gone")
        store.close()
        httpx.delete(path, params={"confirm": "gone"}, timeout=PATIENCE).raise_for_status()
        counts = [EVENTS]
        for kill in range(3):
            service.stop(signal.SIGKILL)
            counts.append(left(database, key))
            service.start()
            service.wait()
            path = f"{service.url}/v1/experiments"
            assert httpx.get(f"{path}/gone").status_code == 404
            assert httpx.post(path, json={"experiment_id": "gone", "arms": ARMS}).status_code == 409
            made = httpx.post(f"{path}/kept/decisions", json={"decision_id": f"d{kill}"}, timeout=PATIENCE)
            assert made.status_code == 201, "nobody waits for it"
        while left(database, key):
            time.sleep(0.02)
        assert counts[1] > 0, "it was killed while there was something left to take away"
        assert counts == sorted(counts, reverse=True)
        service.stop(signal.SIGTERM)
    finally:
        service.end()
    store = Store.open(database, write=False)
    assert [row.id for row in store.experiments()] == ["hello", "kept"]
    events = log_of(store, "kept")[1]
    assert_sound(events)
    assert [event.decision_id for event in events] == ["d0", "d1", "d2"]
    store.close()
