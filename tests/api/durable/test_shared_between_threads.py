"""An engine with a log that threads share: every call is on record once, and the log verifies."""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import onearm
from onearm.api import methods
from onearm.api.cli.main import run
from onearm.api.durable.threads import shared
from onearm.api.kinds.arms.engine import Engine
from onearm.api.kinds.lists.engine import ListEngine
from onearm.api.kinds.queries.engine import QueryEngine
from onearm.api.kinds.vectors.engine import VectorEngine
from onearm.engine.errors import OnearmError
from onearm.engine.task import thresholds

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
THREADS, CALLS = 4, 12
SHARED: dict[str, dict[str, Any]] = {
    "arms": {"arms": ["a", "b", "c"], "policy": "thompson_beta"},
    "lists": {"arms": ["a", "b", "c", "d"], "slots": 3, "policy": "ucb1"},
    "vectors": {"domain": {"kind": "ball", "dimension": 2}},
    "queries": {"policy": "uniform_budget", "task": thresholds(4), "horizon": THREADS * CALLS},
}
ONES: dict[str, Callable[[Any], None]] = {
    "arms": lambda engine: engine.learn(engine.decide(), 1.0),
    "lists": lambda engine: engine.learn(engine.decide(), {"0": 1.0, "2": 0.0}),
    "vectors": lambda engine: engine.learn(engine.decide(), gradient=[0.1, 0.2]),
    "queries": lambda engine: engine.tell(engine.ask(), 1.0),
}
METHODS = [
    (Engine, methods.DecidesArms),
    (ListEngine, methods.FillsLists),
    (VectorEngine, methods.DecidesVectors),
    (QueryEngine, methods.AsksQueries),
]


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    """Let Python go from one thread to another in the middle of a call."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(call: Callable[[], None]) -> list[BaseException]:
    """Make the calls of all threads, and return what they raised."""
    raised: list[BaseException] = []

    def work() -> None:
        for _ in range(CALLS):
            try:
                call()
            except BaseException as error:
                raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("commit", ["each", 7, "0.01s"])
@pytest.mark.parametrize("name", SHARED)
def test_all_that_threads_decide_and_learn_is_on_record_and_verifies(
    name: str, commit: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"database": f"sqlite:///{tmp_path}/run.db", "experiment": "e"}
    with onearm.open(**SHARED[name], **here, commit=commit) as engine:
        assert at_once(lambda: ONES[name](engine)) == []
        slots = 3 if name == "lists" else 1
        assert engine.number == THREADS * CALLS * slots
        digest = engine.digest()
    capsys.readouterr()
    assert run(["verify", "--database", here["database"], "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["experiments"]
    assert (told["first_difference"], told["digest"]) == (None, digest)


def test_a_process_that_is_forked_in_the_middle_of_a_call_is_refused_and_does_not_wait(tmp_path: Path) -> None:
    engine = onearm.open("ucb1", arms=2, database=f"sqlite:///{tmp_path}/run.db", experiment="e")
    with engine._journal.calls, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, about forks beside threads
        told = threading.Thread(target=_in_a_fork, args=(engine, answers := []))
        told.start()
        told.join()
    engine.close()
    assert answers == ["other_process"]


def _in_a_fork(engine: Any, answers: list[str]) -> None:
    """Let a copy of this process decide, while another thread has the lock, and add what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine.decide()
        except OnearmError as error:
            os.write(writing, error.code.encode())
        finally:
            os._exit(0)
    os.close(writing)
    guard = threading.Timer(60.0, os.kill, (child, 9))
    guard.start()
    os.waitpid(child, 0)
    guard.cancel()
    answers.append(os.read(reading, 100).decode())
    os.close(reading)


@pytest.mark.parametrize(("engine", "shared_by"), METHODS)
def test_every_call_that_doors_share_waits_its_turn(engine: type[Any], shared_by: type) -> None:
    """What one thread does no other sees half done; `certificate` and `left` read a state too."""
    names = {name for name in vars(shared_by) if name[0] != "_"} - inspect.get_annotations(engine).keys()
    assert names | {"flush", "close", "report"} <= vars(shared(engine)).keys()


def test_an_engine_in_memory_has_no_lock() -> None:
    assert type(onearm.open(domain={"kind": "ball", "dimension": 2})) is VectorEngine
