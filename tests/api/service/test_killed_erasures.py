"""The service is killed while somebody is erased: what was begun is done before the next one answers."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest
from support.processes import Process
from support.served import ARMS, RANDOM, assert_sound, log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.store import Store

ANN = "Ann of 12 High Street"
VISITS = 6000
PATIENCE = 60.0  # seconds: a busy machine is no bug
PATH = "/v1/experiments/e"


def counted(database: str) -> tuple[int, int]:
    """Return how many decisions are to be blanked, and how many are blank, beside a service at work."""
    with closing(Store.open(database, write=False)) as store:
        every, blank = store._read(
            "SELECT count(*), coalesce(sum(CASE WHEN blank THEN 1 ELSE 0 END), 0) FROM erased", ()
        )[0]
        return every, blank


def mentions(folder: Path) -> int:
    return sum(file.read_bytes().count(ANN.encode()) for file in folder.glob("run.db*") if file.is_file())


def test_an_erasure_is_done_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    database = f"sqlite:///{tmp_path}/run.db"
    service = Process(database)
    try:
        service.wait()
        with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
            client.post(
                "/v1/experiments", json={"experiment_id": "e", "arms": ARMS, "policy": RANDOM}
            ).raise_for_status()
            some = [{"unit_id": ANN if n % 2 else "Bob", "decision_id": f"d{n}"} for n in range(2 * VISITS)]
            for start in range(0, len(some), 5000):
                batch = {"decisions": some[start : start + 5000]}
                client.post(f"{PATH}/decisions:batch", json=batch).raise_for_status()
        assert mentions(tmp_path) > VISITS

        def ask(url: str) -> None:
            with suppress(httpx.TransportError):
                httpx.post(f"{url}{PATH}:erase", json={"unit_id": ANN}, timeout=PATIENCE)

        erasure = threading.Thread(target=ask, args=(service.url,))
        erasure.start()
        while counted(database)[1] == 0:
            pass
        service.stop(signal.SIGKILL)
        erasure.join()
        every, blank = counted(database)
        assert every == VISITS and 0 < blank < every, "it was killed in the middle"
        service.start()
        service.wait()
        with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
            answer = client.get(f"{PATH}/decisions/~1")
            while answer.status_code == 503:
                answer = client.get(f"{PATH}/decisions/~1")
            assert answer.status_code == 404
            assert counted(database) == (VISITS, VISITS)
            assert client.post(f"{PATH}/decisions/d1/reward", json={"value": 1}).status_code == 404
            assert client.post(f"{PATH}/decisions/d0/reward", json={"value": 1}).status_code == 200
            again = client.post(f"{PATH}:erase", json={"unit_id": ANN})
            assert json.loads(again.content)["decisions"] == 0
        service.stop(signal.SIGTERM)
    finally:
        service.end()
    assert mentions(tmp_path) == 0
    with closing(Store.open(database, write=False)) as store:
        assert_sound(log_of(store, "e")[1])
    assert [has_fault(one) for one in verified(database)] == [False, False]
