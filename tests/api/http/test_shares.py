"""How much one key and one tenant may have: requests a second, and experiments."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
from support.keyed import NEW, Keyed
from support.listening import DECIDE

from onearm.api.access.rates import Rates


class Clock:
    """A clock that a test sets, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_asks_too_often_waits_and_others_do_not(tmp_path: Path) -> None:
    clock = Clock()
    with Keyed(tmp_path, options={"rates": Rates(3.0, clock)}) as keyed:
        busy, calm = keyed.asking("write"), keyed.asking("write")
        assert [busy.post(DECIDE).status_code for _ in range(5)] == [201, 201, 201, 429, 429]
        answer = busy.post(DECIDE)
        assert answer.json()["code"] == "too_many_requests"
        assert "--max-requests-per-second" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"
        assert calm.post(DECIDE).status_code == 201
        assert keyed.client.get("/health/live").status_code == 200
        assert keyed.client.post(DECIDE).status_code == 401
        clock.now += 0.34
        assert [busy.post(DECIDE).status_code for _ in range(2)] == [201, 429]
        clock.now += 1e6  # rest saves up no more than a second's requests
        assert [busy.post(DECIDE).status_code for _ in range(4)] == [201, 201, 201, 429]


def test_retry_after_says_how_long() -> None:
    clock = Clock()
    rates = Rates(0.1, clock)
    assert (rates.wait("k"), rates.wait("k")) == (0.0, 10.0)
    clock.now += 9.0
    assert 0.9 < rates.wait("k") < 1.1
    clock.now += 1.5
    assert rates.wait("k") == 0.0


def test_a_tenant_has_at_most_so_many_experiments(tmp_path: Path) -> None:
    with Keyed(tmp_path, options={"experiments_max": 3}) as keyed:
        shop = keyed.asking("admin", tenant="shop")
        answers: list[httpx.Response] = []

        def create(n: int) -> None:
            answers.append(shop.post("/v1/experiments", json=NEW | {"experiment_id": f"x{n}"}))

        threads = [threading.Thread(target=create, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made = sorted(answer.status_code for answer in answers)
        assert made == [201, 201, 409, 409, 409, 409]  # banner is the first of three
        refused: Any = next(answer for answer in answers if answer.status_code == 409).json()
        assert refused["code"] == "too_many_experiments" and "--max-experiments" in refused["detail"]
        assert len(shop.get("/v1/experiments").json()["experiments"]) == 3
        assert shop.post("/v1/experiments", json=NEW | {"experiment_id": "banner"}).status_code == 200
        assert shop.post("/v1/experiments/banner:archive").status_code == 200
        assert shop.post("/v1/experiments", json=NEW).status_code == 409
        assert keyed.asking("admin", tenant="news").post("/v1/experiments", json=NEW).status_code == 201
