"""The service is killed at random moments while rewards come early, in time and late, and decisions are shown or not.

Whatever was answered is on record once, and every window closes once, with what came in it.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from support.processes import Process
from support.served import ARMS, RANDOM, assert_sound, log_of
from support.visits import PATH, PATIENCE, Visits, assert_on_record

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.store import Store
from onearm.engine.storage.windows import LAPSED

SEED = 20


@pytest.mark.parametrize("kills", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_what_was_answered_is_on_record_and_every_window_closes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    database = f"sqlite:///{tmp_path}/run.db"
    service = Process(database, "--close-after-start", "0")
    over, moments = threading.Event(), random.Random(SEED)
    try:
        service.wait()
        reward = {"wait_time": "2s", "default": 0, "aggregation": "sum", "late": "record"}
        body = {"experiment_id": "e", "arms": ARMS, "policy": RANDOM, "reward": reward}
        httpx.post(f"{service.url}/v1/experiments", json=body, timeout=PATIENCE).raise_for_status()
        visits = Visits(service.url, over)
        visits.start()
        for _ in range(kills):
            before, deadline = visits.visits, time.monotonic() + PATIENCE
            while visits.visits < before + 12:
                assert time.monotonic() < deadline and visits.is_alive()
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 1.5))
            service.stop(signal.SIGKILL)
            service.start()
            service.wait()
        over.set()
        visits.join(PATIENCE)
        assert not visits.is_alive()
        deadline = time.monotonic() + PATIENCE
        while httpx.get(f"{service.url}{PATH}/report", timeout=PATIENCE).json()["open"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        report = httpx.get(f"{service.url}{PATH}/report", timeout=PATIENCE).json()
        service.stop(signal.SIGTERM)
    finally:
        over.set()
        service.end()
    with closing(Store.open(database, write=False)) as store:
        events = log_of(store, "e")[1]
    assert_sound(events)
    assert_on_record(events, visits)
    assert report["never_shown"] == sum(event.detail == LAPSED for event in events)
    assert not any(map(has_fault, verified(database)))
