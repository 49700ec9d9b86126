"""The service is killed, restarted and cut off under clients that decide and reward: every reward arrives once."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from support.gate import Gate
from support.processes import READY_SECONDS, Process
from support.served import log_of
from support.stored import new_database

from onearm.api.cli.verify import has_fault, verified
from onearm.client import Client
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, EXTERNAL, LEARN, OUTCOME

ARMS = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
FAULTS = ("killed", "stopped", "shut", "answers lost", "shut while it is killed")
EXPERIMENTS = {
    "plain": {"arms": ARMS, "policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.5}}},
    "window": {"arms": ARMS, "policy": "uniform", "reward": {"wait_time": "1h"}},
}


class Caller(threading.Thread):
    """Decides and rewards, and keeps what it told."""

    def __init__(self, client: Client, me: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self.me, self.over = client, me, over
        self.random = random.Random(me)
        self.told: dict[tuple[str, str], tuple[str, float]] = {}  # what was shown, and its reward
        self.fallbacks = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.step()
                time.sleep(0.005)
        except BaseException as error:
            self.error = error

    def step(self) -> None:
        name, experiment = f"{self.me}-{len(self.told)}", self.random.choice(list(EXPERIMENTS))
        fallback = "b" if self.me % 2 else None
        with self.client.decide(experiment, decision_id=name, fallback=fallback) as decision:
            value = self.random.choice([0.0, 0.25, 1.0])
            decision.reward(value)
        self.fallbacks += decision.is_fallback
        self.told[experiment, name] = decision.action_id, value


def strike(fault: str, service: Process, gate: Gate, moment: float) -> None:
    """Let something happen, and mend it after a moment."""
    if "shut" in fault:
        gate.shut()
    if fault == "answers lost":
        gate.lose_answers()
    if "killed" in fault or fault == "stopped":
        service.stop(signal.SIGTERM if fault == "stopped" else signal.SIGKILL)
        service.start()
        service.wait()
    time.sleep(moment)
    gate.reopen()


@pytest.mark.parametrize("faults", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_every_reward_arrives_once(tmp_path: Path, faults: int) -> None:
    database = new_database(tmp_path / "run.db")
    moments, over = random.Random(1), threading.Event()
    service = Process(database)
    service.wait()
    gate = Gate(service.port)
    client = Client(gate.url, queue=tmp_path / "rewards.db", away_ms=100, timeout=5.0, deadline=READY_SECONDS)
    callers = [Caller(client, me, over) for me in range(4)]
    try:
        for name, fields in EXPERIMENTS.items():
            client.create(name, **fields)
        for caller in callers:
            caller.start()
        for number in range(faults):
            time.sleep(moments.uniform(0.1, 0.4))
            strike(FAULTS[number % len(FAULTS)], service, gate, moments.uniform(0.2, 0.5))
        time.sleep(0.3)
        over.set()
        for caller in callers:
            caller.join(READY_SECONDS)
            assert caller.error is None, caller.error
        assert client.queue is not None and client.queue.flush(READY_SECONDS), client.queue.standing()
        assert client.queue.refused() == []
        assert sum(caller.fallbacks for caller in callers) > 0
        assert service.stop(signal.SIGTERM) == ""
    finally:
        over.set()
        client.close()
        gate.close()
        service.end()
    told = {name: one for caller in callers for name, one in caller.told.items()}
    assert_arrived(database, told)


def assert_arrived(database: str, told: dict[tuple[str, str], tuple[str, float]]) -> None:
    """Check that the log has each reward once, of what was shown, and no other; and that it verifies."""
    store = Store.open(database)
    found: Counter[tuple[str, str, float]] = Counter()
    for experiment in EXPERIMENTS:
        events = log_of(store, experiment)[1]
        actions = {event.number: event.action for event in events if event.kind in (DECIDE, EXTERNAL)}
        rewards = [event for event in events if event.kind in (LEARN, OUTCOME)]
        assert len({event.number for event in rewards}) == len(rewards), "a decision has one reward"
        found.update((experiment, "abc"[actions[event.number] or 0], event.reward or 0.0) for event in rewards)
    store.close()
    wanted = Counter((experiment, action, value) for (experiment, _), (action, value) in told.items())
    assert found == wanted
    assert not any(map(has_fault, verified(database)))
