"""Nodes as processes: one is killed, one sleeps for longer than its lease, the database starts again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.street import LEASE, NAMES, PATIENCE, Street

from onearm.engine.storage.shards import SHARDS

if TYPE_CHECKING:
    from support.postgres_server import Running


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.fixture
def street(own_postgres: Running, plain_python: None) -> Iterator[Street]:
    from support.postgres_server import new_database

    street = Street(new_database(own_postgres.url, "street"), "a", "b")
    try:
        street.begin()
        yield street
    finally:
        street.end()


def test_a_node_that_is_killed_is_replaced_within_its_lease(street: Street) -> None:
    """By the clock of the database: not before its lease ends, and then as soon as the other one says that it is there,
    which it must do before its own lease ends.
    """
    street.decide_everywhere("before")
    had = street.database_says("SELECT number FROM shard WHERE owner = 'b'")
    killed = street.nodes.pop("b")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    [(ends,)] = street.database_says("SELECT until FROM node WHERE name = 'b'")
    street.decide_everywhere("after")
    taken = dict(street.database_says("SELECT number, since FROM shard WHERE owner = 'a'"))
    assert len(had) == SHARDS // 2 and len(taken) == SHARDS
    for (number,) in had:
        assert 0 <= taken[number] - ends <= LEASE * 1e6
    killed.end()
    street.again("b")
    street.settle()
    street.decide_everywhere("again")
    street.assert_sound()


def test_a_node_that_sleeps_past_its_lease_wakes_up_and_spoils_nothing(street: Street) -> None:
    """Clients ask it while it falls asleep: whatever it was at then is refused, or done by the new owner."""
    street.decide_everywhere("before")
    sleeper = street.nodes.pop("b")
    clients = [Asking(sleeper.url, number) for number in range(4)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    sleeper.process.send_signal(signal.SIGSTOP)
    street.decide_everywhere("meanwhile")
    for client in clients:
        client.over.set()
    sleeper.process.send_signal(signal.SIGCONT)
    for client in clients:
        client.join(PATIENCE)
        street.told |= client.told
    assert len(street.told) > 2 * len(NAMES)
    street.nodes["b"] = sleeper
    street.settle()
    street.decide_everywhere("after")
    street.assert_sound()


def test_a_database_that_starts_again_is_waited_for(street: Street, own_postgres: Running) -> None:
    street.decide_everywhere("before")
    own_postgres.restart()
    street.decide_everywhere("after")
    street.assert_sound()


class Asking(threading.Thread):
    """Asks one node for decisions, and keeps those that it was told of."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.number = url, number
        self.over = threading.Event()
        self.told: dict[tuple[str, str], Any] = {}

    def run(self) -> None:
        asked = 0
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as client:
            while not self.over.is_set():
                name, decision = NAMES[asked % len(NAMES)], f"{self.number}-{asked}"
                asked += 1
                answer = client.post(f"/v1/experiments/{name}/decisions", json={"decision_id": decision})
                if answer.status_code == 201:
                    self.told[name, decision] = answer.json()
                else:
                    assert answer.status_code == 503, answer.text
