"""The service is killed at random moments while an experiment lives: all that rewards and policies may do, at once.

Rewards come early, in time and late, decisions are shown or not, what was learned is corrected and retracted, policies
join, decide, are promoted and retire, states are set back, an arm joins a group by its tag; all of them keep to
constraints. Whatever was answered is on record once, states follow, and `verify` makes every decision again.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.corrected import changes_of
from support.processes import Process
from support.served import assert_sound, log_of
from support.visits import PATH, PATIENCE, Visits, answered, assert_on_record

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CORRECTED, DECIDE, LEARN

SEED = 20
BODY: dict[str, Any] = {
    "experiment_id": "e",
    "arms": [{"id": "a"}, {"id": "b", "tags": ["new"]}, {"id": "c"}],
    "policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.5}},
    "reward": {"wait_time": "2s", "default": 0, "aggregation": "sum", "late": "record"},
    "constraints": {"floors": 0.1, "groups": [{"name": "fresh", "tag": "new", "floor": 0.3}]},
}
ROUNDS = 2  # of all that happens to policies, at the least


class Keeper(threading.Thread):
    """Corrects what was learned, and changes who decides; what gets no answer is sent again."""

    def __init__(self, url: str, visits: Visits, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url, self._visits, self._over = url, visits, over
        self._numbers = random.Random(SEED)
        self.corrected: dict[str, float | None] = {}
        self.rounds = 0

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as self._client:
            while not self._over.is_set():
                epsilon = 0.1 + self.rounds / 1000  # another one in each round
                policy = {"name": "epsilon_greedy", "params": {"epsilon": epsilon}}
                found = self._send("POST", "/policies", {"policy": policy, "role": "canary", "share": 0.3})
                self._correct(4)
                if self.rounds == 0:
                    self._send("POST", "/arms", {"id": "d", "tags": ["new"]})
                deed = "promote" if self.rounds % 2 else "retire"
                body = {"former": "retired"} if deed == "promote" else {}
                self._send("POST", f"/policies/{found['policy']}:{deed}", body)
                self._correct(2)
                self._send("POST", "/policies:rollback", {"to": self._send("GET", "", None)["seq"] // 2})
                self.rounds += 1

    def _correct(self, times: int) -> None:
        """Correct some visits whose windows are closed: of the others there is nothing to correct yet."""
        for _ in range(times):
            name = f"v{self._numbers.randrange(max(1, self._visits.visits))}"
            value = self._numbers.choice([0.0, 0.75, None])
            sent = ("DELETE", None) if value is None else ("PUT", {"value": value})
            if self._send(sent[0], f"/decisions/{name}/reward", sent[1]) is not None:
                self.corrected[name] = value

    def _send(self, method: str, path: str, body: Any) -> Any:
        """Return the answer; None where there was nothing to correct, or what is done was done by a try before."""
        answer = answered(self._client, method, f"{PATH}{path}", body)
        assert answer.status_code < 300 or answer.status_code in (404, 409), answer.text
        return answer.json() if answer.status_code < 300 else None


def storm(database: str, kills: int) -> None:
    service = Process(database, "--close-after-start", "0")
    over, moments = threading.Event(), random.Random(SEED)
    try:
        service.wait()
        httpx.post(f"{service.url}/v1/experiments", json=BODY, timeout=PATIENCE).raise_for_status()
        visits = Visits(service.url, over)
        keeper = Keeper(service.url, visits, over)
        threads = [visits, keeper]
        for thread in threads:
            thread.start()
        for kill in range(kills + 1):
            before, deadline = visits.visits, time.monotonic() + PATIENCE
            rounds = ROUNDS if kill == kills else 0
            while visits.visits < before + 12 or keeper.rounds < rounds:
                assert time.monotonic() < deadline and all(thread.is_alive() for thread in threads)
                time.sleep(0.01)
            if kill < kills:
                time.sleep(moments.uniform(0.0, 1.5))
                service.stop(signal.SIGKILL)
                service.start()
                service.wait()
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        deadline = time.monotonic() + PATIENCE
        while settling(service.url):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        digest = httpx.get(f"{service.url}{PATH}", timeout=PATIENCE).json()["digest"]
        assert service.stop(signal.SIGTERM) == ""
        service.start()
        service.wait()
        assert httpx.get(f"{service.url}{PATH}", timeout=PATIENCE).json()["digest"] == digest
    finally:
        over.set()
        service.end()
    with closing(Store.open(database, write=False)) as store:
        row, events = log_of(store, "e")
        known = {one.number: one.reward for one in store.corrections(row.key)}
    assert_sound(events)
    assert_on_record(events, visits)
    numbers = {event.decision_id: event.number for event in events if event.kind == DECIDE}
    learned = {event.number: event.reward for event in events if event.kind == LEARN}
    for name, value in keeper.corrected.items():
        assert known.get(numbers[name], learned.get(numbers[name])) == value, name
    sets = [change for _, change in changes_of(events) if change["change"] == "state_set"]
    assert any(one["why"] == "rolled_back" for one in sets)
    last = max(event.seq for event in events if event.kind == CORRECTED)
    assert min(one["corrected_to"] for one in sets[-1]["settings"]) >= last
    assert any(change["change"] == "policies_changed" for _, change in changes_of(events))
    assert not any(map(has_fault, verified(database)))


def settling(url: str) -> bool:
    """Tell whether windows are open, or states do not know all corrections."""
    told = httpx.get(f"{url}{PATH}", timeout=PATIENCE).json()
    return "corrections_left" in told or bool(httpx.get(f"{url}{PATH}/report", timeout=PATIENCE).json()["open"])


@pytest.mark.parametrize("kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_life_goes_on(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str, kills: int
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    is_here = database == "sqlite"
    storm(f"sqlite:///{tmp_path}/run.db" if is_here else request.getfixturevalue("postgres_url"), kills)
