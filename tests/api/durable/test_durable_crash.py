"""Kill the process that decides with a log: nothing that it was told is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.deciding import main, refused
from support.forked import Forked
from support.logged_engines import ARMS
from support.processes import Process
from support.served import assert_sound, log_of

import onearm
from onearm.api.cli.main import run
from onearm.engine.errors import Conflict
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN

ROUNDS = 3
SEED = 21


@contextmanager
def killed_after(lines: int, *arguments: str) -> Iterator[list[list[str]]]:
    """Yield what a process said until it was killed, after so many lines."""
    with tempfile.TemporaryFile("w+") as stderr:
        process = Forked(main, arguments, stderr)
        guard = threading.Timer(180, process.kill)
        guard.start()
        try:
            said = [process.stdout.readline() for _ in range(lines)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
            process.communicate(60)
        finally:
            guard.cancel()
        stderr.seek(0)
        assert stderr.read() == ""
    yield [line.split() for line in said if line.endswith("\n")]


def events_of(database: str) -> list[Event]:
    store = Store.open(database, write=False)
    try:
        return log_of(store, "e")[1]
    finally:
        store.close()


def as_said(event: Event) -> list[str]:
    """Return an event as the process says it."""
    if event.kind == LEARN:
        return ["learned", str(event.number)]
    chosen = str(event.action) if event.vector is None else np.frombuffer(event.vector).tobytes().hex()
    propensity = float("nan") if event.propensity is None else event.propensity
    return ["decided", str(event.number), float(propensity).hex(), chosen]


@pytest.mark.parametrize("name", ["default", "named", "vector", "queries"])
def test_a_kill_loses_nothing_that_was_told_and_nothing_is_there_twice(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is on record is what was told, in that order, and in the end perhaps one thing more."""
    database, moments = f"sqlite:///{tmp_path}/run.db", random.Random(SEED)
    known: list[list[str]] = []
    for turn in range(ROUNDS):
        with killed_after(moments.randrange(20, 90), name, database, "each", str(turn)) as said:
            found = [as_said(event) for event in events_of(database)]
            assert found[: len(known)] == known, "what was there before is as it was"
            fresh = found[len(known) :]
            assert fresh[: len(said)] == said
            assert len(fresh) - len(said) <= 1, "a call that did not return may be on record"
            known = found
    check_that_it_goes_on(database, capsys)


def test_a_kill_loses_what_waits_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The state on disk is a fold of the log all the same."""
    database, moments = f"sqlite:///{tmp_path}/run.db", random.Random(SEED)
    known: list[list[str]] = []
    lost = 0
    for turn in range(ROUNDS):
        with killed_after(moments.randrange(40, 120), "default", database, "25", str(turn)) as said:
            found = [as_said(event) for event in events_of(database)]
            assert found[: len(known)] == known
            fresh = found[len(known) :]
            assert len(fresh) % 25 == 0 and fresh[: len(said)] == said[: len(fresh)]
            lost += max(0, len(said) - len(fresh))
            assert len(said) - len(fresh) < 25
            known = found
    assert lost > 0
    check_that_it_goes_on(database, capsys)


def test_a_service_of_its_own_goes_on_with_the_file_and_gives_it_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"sqlite:///{tmp_path}/run.db"
    with killed_after(60, "default", database, "each", "0"):
        before = [as_said(event) for event in events_of(database)]
    assert run(["verify", "--database", database]) == 0
    service = Process(database)
    try:
        service.wait()
        here = f"{service.url}/v1/experiments/e"
        made = httpx.post(f"{here}/decisions", json={"decision_id": "mine"}, timeout=60).raise_for_status().json()
        httpx.post(f"{here}/decisions/mine/reward", json={"value": 0.5}, timeout=60).raise_for_status()
        open_again = httpx.post(f"{here}/decisions", json={}, timeout=60).raise_for_status().json()["decision_id"]
        assert service.stop(signal.SIGTERM) == ""
    finally:
        service.end()
    assert run(["verify", "--database", database]) == 0
    found = [as_said(event) for event in events_of(database)]
    assert found[: len(before)] == before and len(found) == len(before) + 3
    assert made["propensity"] == float.fromhex(found[len(before)][2])
    with onearm.open(database=database, experiment="e") as engine:
        engine.learn(open_again, 1.0)
        with pytest.raises(Conflict, match="already has feedback"):
            engine.learn("mine", 0.5)
    check_that_it_goes_on(database, capsys)


def check_that_it_goes_on(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Check the log, reward what is open by its number, and that every decision comes out again."""
    events = events_of(database)
    assert_sound(events)
    learned = {event.number for event in events if event.kind == LEARN}
    left = [event.number for event in events if event.kind == DECIDE and event.number not in learned]
    engine = onearm.open(database=database, experiment="e", commit=100)
    for number in left:
        if hasattr(engine, "tell"):
            engine.tell(number, 1)
        elif hasattr(engine, "certificate"):
            engine.learn(number, loss=0.5, gradient=[0.5, 0.25])
        else:
            engine.learn(number, 1.0)
    assert engine.rewards == engine.number
    digest = engine.digest()
    engine.close()
    capsys.readouterr()
    assert run(["verify", "--database", database, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["experiments"]
    assert (told["first_difference"], told["digest"]) == (None, digest)


def test_an_engine_that_nobody_closed_loses_nothing_where_its_process_ends(tmp_path: Path) -> None:
    """No copy: of those nothing is taken apart at their end."""
    database = f"sqlite:///{tmp_path}/run.db"
    onearm.open("ucb1", arms=ARMS, database=database, experiment="e").close()
    program = (
        f"import onearm; engine = onearm.open(database={database!r}, experiment='e', commit=1000); engine.decide()"
    )
    plain = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [event.kind for event in events_of(database)] == [DECIDE]


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/run.db"
    with onearm.open("ucb1", arms=ARMS, database=database, experiment="e") as engine:
        engine.decide()
        with tempfile.TemporaryFile("w+") as stderr:
            process = Forked(refused, [database], stderr)
            said = process.stdout.readline()
            process.communicate(120)
            assert process.returncode == 0
        assert (
            said.startswith("database_in_use ")
            and "is in use by process" in said
            and "end the service or program" in said
        )
        engine.decide()
