"""Kill the service at random moments while clients use it: nothing acknowledged is lost, nothing is applied twice."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from support import with_numba
from support.processes import (
    CLIENTS,
    EXPERIMENTS,
    POLICIES,
    READY_SECONDS,
    SEED,
    VECTORS,
    Client,
    Process,
    assert_told,
    join,
)
from support.served import folded, log_of

from onearm.engine.storage.store import Store

if TYPE_CHECKING:
    from support.postgres_server import Running


class Blow(NamedTuple):
    """What happens to the service."""

    strike: Callable[[Process], None]
    ready: bool = True  # whether it answers again before


def stopped(how: signal.Signals) -> Callable[[Process], None]:
    """Return what stops the service by a signal, and starts it again."""

    def strike(service: Process) -> None:
        stderr = service.stop(how)
        assert "Traceback" not in stderr, stderr
        assert service.process.returncode == (0 if how == signal.SIGTERM else -how)
        service.start()

    return strike


def storm(database: str, blows: list[Blow], callers: int = CLIENTS) -> None:
    """Run clients against a service that meets each blow."""
    moments = random.Random(SEED)
    service = Process(database)
    over = threading.Event()
    clients: list[Client] = []
    try:
        service.wait()
        for name, fields in EXPERIMENTS.items():
            body = {"experiment_id": name, "seed": 9, **fields}
            httpx.post(f"{service.url}/v1/experiments", json=body, timeout=60).raise_for_status()
        clients = [Client(me, service.url, over) for me in range(callers)]
        for client in clients:
            client.start()
        for strike, ready in blows:
            if ready:
                service.wait()
            before = sum(len(client.decided) for client in clients)
            time.sleep(moments.uniform(0.2, 0.8))
            deadline = time.monotonic() + READY_SECONDS
            while ready and sum(len(client.decided) for client in clients) == before:
                assert time.monotonic() < deadline, "it decides no more"
                time.sleep(0.05)
            strike(service)
        service.wait()
        deadline = time.monotonic() + READY_SECONDS
        while not (
            clients[0].joined and clients[0].said and clients[0].cast
        ):  # on a busy machine that may take a while
            assert time.monotonic() < deadline and clients[0].is_alive()
            time.sleep(0.1)
        over.set()
        join(clients)
        assert "Traceback" not in service.stop(signal.SIGKILL)
        store = Store.open(database)
        try:
            logs = {name: log_of(store, name) for name in EXPERIMENTS}
        finally:
            store.close()
        for name, (_, events) in logs.items():
            assert_told(name, events, clients)
        assert sum(client.retries for client in clients) > callers
        service.start()
        service.wait()
        digests = {}
        for name, (row, events) in logs.items():
            found = httpx.get(f"{service.url}/v1/experiments/{name}").json()
            digests[name] = found["digest"]
            assert found["seq"] == len(events)
            if name not in (VECTORS, POLICIES):  # which are folded by verify alone
                assert found["digest"] == folded(row, events)
        assert service.stop(signal.SIGTERM) == ""
    finally:
        over.set()
        service.end()
    # As Python: the same to the bit, and done before it would be compiled.
    verify = ("verify", "--database", database, "--json")
    verified = with_numba.run(with_numba.COMMAND, *verify, **with_numba.AS_PYTHON)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    reports = {one["id"]: one for one in json.loads(verified.stdout)["experiments"]}
    for name in EXPERIMENTS:
        assert reports[name]["first_difference"] is None
        assert reports[name]["digest"] == digests[name]


KILL, TERM = Blow(stopped(signal.SIGKILL)), Blow(stopped(signal.SIGTERM))
HASTY = Blow(stopped(signal.SIGKILL), ready=False)  # while it starts


@pytest.mark.jit
@pytest.mark.parametrize(
    ("blows", "callers"),
    [([TERM, HASTY, KILL], CLIENTS), pytest.param([KILL] * 90 + [HASTY] * 10, 64, marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_kills_at_random_moments_lose_nothing_and_apply_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blows: list[Blow], callers: int
) -> None:
    """Meanwhile entries go over to what a worker compiled."""
    monkeypatch.setenv("ONEARM_BACKGROUND", "on")
    storm(f"sqlite:///{tmp_path}/run.db", blows, callers)


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let services compile nothing, and so start sooner: what a database keeps is the same."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.mark.usefixtures("plain_python")
@pytest.mark.parametrize(
    ("blows", "callers"),
    [([KILL], CLIENTS), pytest.param([KILL] * 100, 64, marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_a_kill_on_postgresql_loses_nothing(postgres_url: str, blows: list[Blow], callers: int) -> None:
    storm(postgres_url, blows, callers)


@pytest.mark.usefixtures("plain_python")
@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_server_that_crashes_and_is_started_again_loses_nothing(own_postgres: Running, times: int) -> None:
    """The service goes on, and folds what a commit that failed left behind."""
    from support import postgres_server

    database = postgres_server.new_database(own_postgres.url, "onearm")
    storm(database, [Blow(lambda service: own_postgres.restart())] * times)
