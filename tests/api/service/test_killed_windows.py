"""The service is killed while windows close: after the next start each decision is learned once, with what came."""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from support.processes import Process
from support.served import ARMS, RANDOM, assert_sound, log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.store import Store
from onearm.engine.storage.windows import CLOSED_BY_DEFAULT, CLOSED_BY_REWARD
from onearm.engine.vocabulary import LEARN

VISITS = 1200
PATIENCE = 60.0  # seconds: a busy machine is no bug
PATH = "/v1/experiments/e"


def wait_for(database: str, rewards: int) -> None:
    """Wait until so many decisions are learned, beside a service at work."""
    deadline = time.monotonic() + PATIENCE
    with closing(Store.open(database, write=False)) as store:
        key = store.experiments()[-1].key
        while store.counts(key).rewards < rewards:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize(
    "shares", [(VISITS // 2,), pytest.param((1, VISITS // 3, VISITS // 2), marks=pytest.mark.slow)]
)
def test_kills_while_windows_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: tuple[int, ...]) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    database = f"sqlite:///{tmp_path}/run.db"
    service = Process(database, "--close-after-start", "0")
    try:
        service.wait()
        with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
            reward = {"wait_time": "5s", "default": 0, "aggregation": "sum"}
            body = {"experiment_id": "e", "arms": ARMS, "policy": RANDOM, "reward": reward}
            client.post("/v1/experiments", json=body).raise_for_status()
            client.post(f"{PATH}/decisions:batch", json={"decisions": [{}] * VISITS}).raise_for_status()
            items = [
                {"decision_id": f"~{3 * n}", "value": 0.5, "reward_id": id} for n in range(VISITS // 4) for id in "xy"
            ]
            answers = client.post(f"{PATH}/rewards:batch", json={"rewards": items}).json()["rewards"]
        came = Counter(item["decision_id"] for item, answer in zip(items, answers, strict=True) if "code" not in answer)
        for share in shares:
            wait_for(database, share)
            service.stop(signal.SIGKILL)
            service.start()
            service.wait()
        wait_for(database, VISITS)
        service.stop(signal.SIGTERM)
    finally:
        service.end()
    with closing(Store.open(database, write=False)) as store:
        _, events = log_of(store, "e")
    assert_sound(events)
    found = {event.number: (event.reward, event.detail) for event in events if event.kind == LEARN}
    assert len(found) == VISITS
    for number, (value, why) in found.items():
        here = came[f"~{number}"]
        assert (value, why) == (0.5 * here, CLOSED_BY_REWARD if here else CLOSED_BY_DEFAULT)
    assert not any(map(has_fault, verified(database)))
