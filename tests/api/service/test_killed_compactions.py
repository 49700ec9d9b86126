"""The service dies at every stage of a compaction, under clients that retry: nothing is lost, twice, or left over."""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.processes import EXPERIMENTS, READY_SECONDS, Client, Process, assert_told, join
from support.served import log_of

from onearm.api.cli.main import run
from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.archives import Archives
from onearm.engine.storage.store import Store

STATES = "onearm.engine.storage.states:States"
STORE = "onearm.engine.storage.store:Store"
STAGES = {  # where it dies, and whether that was done
    "noted": ("onearm.api.service.archives:Archives.write", False),
    "half written": ("onearm.api.service.archives:_Hashed.write", True),
    "renamed": ("onearm.api.service.archives:sync", False),
    "parts": (f"{STATES}.put_base_parts", True),
    "before the row": (f"{STATES}.put_base", False),
    "behind the row": (f"{STATES}.put_base", True),
    "slim": (f"{STORE}.slim", True),
}
CALLERS = 4


def dying(where: str, after: bool, arguments: list[str]) -> int:
    """Run the command, and die where a function is called, or after that."""
    module, _, path = where.partition(":")
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    whole = getattr(owner, name)

    def fatal(*given: Any, **named: Any) -> None:
        if after:
            whole(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, fatal)
    return run(arguments)


def compact(url: str, name: str) -> int:
    """Compact an experiment as it is; return the status, 0 where the service died."""
    try:
        return httpx.post(f"{url}/v1/experiments/{name}:compact", json={}, timeout=READY_SECONDS).status_code
    except httpx.TransportError:
        return 0


def storm(database: str, folder: Path, stages: list[str]) -> None:
    """Run clients against a service that dies at stages of a compaction, each time of another experiment."""
    folder.mkdir()
    service = Process(database, "--archives", str(folder))
    over, clients = threading.Event(), []
    try:
        service.wait()
        for name, fields in EXPERIMENTS.items():
            body = {"experiment_id": name, "seed": 9, **fields}
            httpx.post(f"{service.url}/v1/experiments", json=body, timeout=60).raise_for_status()
        clients = [Client(me, service.url, over) for me in range(CALLERS)]
        for client in clients:
            client.recasts = False  # such a change writes a base as well, and it would die of that
            client.start()
        names = list(EXPERIMENTS)
        for n, (where, after) in enumerate(map(STAGES.__getitem__, stages)):
            wait_until_slim(service.url)  # else it would die of that, and not of what is to come
            service.stop(signal.SIGKILL)
            service.start(functools.partial(dying, where, after))
            service.wait()
            wait_for_more(clients)
            assert compact(service.url, names[n % len(names)]) in (0, 200)
            assert service.process.wait(READY_SECONDS) == -signal.SIGKILL
            service.end()
            service.start()
            service.wait()
            wait_for_more(clients)
            for name in names[n % 2 :: 2]:
                assert compact(service.url, name) == 200
        over.set()
        join(clients)
        service.stop(signal.SIGTERM)
    finally:
        over.set()
        service.end()
    store = Store.open(database, write=False)
    try:
        kept = set()
        for name in EXPERIMENTS:
            row, events = log_of(store, name)
            assert_told(name, events, clients)
            kept |= {base.archive for base in store.bases(row.key)}
            assert len(stages) < 2 or store.bases(row.key)
        assert {path.name for path in folder.iterdir()} == kept
        assert store._read("SELECT count(*) FROM base_part WHERE part = -2", ()) == [(0,)]
    finally:
        store.close()
    found = verified(database, Archives.at(folder))
    assert not any(map(has_fault, found)), found
    assert {link["state"] for one in found for link in one.get("archives", ())} == {"verified"}


def wait_until_slim(url: str) -> None:
    for _ in range(int(READY_SECONDS * 20)):
        if "onearm_chores 0" in httpx.get(f"{url}/metrics", timeout=60).text:
            return
        time.sleep(0.05)
    raise AssertionError("it is never done")


def wait_for_more(clients: list[Client]) -> None:
    """Wait until every client was told of something new."""
    before = [len(client.decided) + len(client.rewarded) for client in clients]
    for _ in range(int(READY_SECONDS * 20)):
        now = [len(client.decided) + len(client.rewarded) for client in clients]
        if all(more >= less + 5 for more, less in zip(now, before, strict=True)):
            return
        assert all(client.error is None for client in clients), [client.error for client in clients]
        time.sleep(0.05)
    raise AssertionError("clients are not answered")


@pytest.mark.parametrize("stages", [["parts"], pytest.param(list(STAGES), marks=pytest.mark.slow)], ids=["few", "all"])
def test_a_kill_at_any_stage_loses_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: list[str]
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # it starts sooner
    storm(f"sqlite:///{tmp_path}/run.db", tmp_path / "archives", stages)


@pytest.mark.parametrize(
    "stages",
    [pytest.param(some, marks=pytest.mark.slow) for some in (["before the row"], list(STAGES))],
    ids=["few", "all"],
)
def test_on_postgresql_too(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: list[str]
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    storm(postgres_url, tmp_path / "archives", stages)
