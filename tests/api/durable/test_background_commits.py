"""A commit that fails in the background is told, whenever that is; and a process that was forked writes nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.broken_store import FULL, Broken
from support.logged_engines import ARMS

import onearm
from onearm.api.kinds.arms.engine import Engine
from onearm.engine.errors import Unavailable

LONG = 60  # seconds, which nothing here takes


class Held(logging.Handler):
    """Where the background says what failed: it waits there until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.let_go = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.reached.set()
        self.let_go.wait(LONG)


@pytest.fixture
def held() -> Iterator[Held]:
    handler, log = Held(), logging.getLogger("onearm")
    log.addHandler(handler)
    yield handler
    handler.let_go.set()
    log.removeHandler(handler)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with onearm.open("ucb1", arms=ARMS, database=f"sqlite:///{tmp_path}/run.db", experiment="e", commit="0.02s") as one:
        yield one


def test_it_is_told_before_the_background_says_so(engine: Engine, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Broken(engine, monkeypatch)
    disk.error = FULL
    engine.decide()
    assert held.reached.wait(LONG)
    disk.error = None
    with pytest.raises(Unavailable, match="the disk is full"):
        engine.decide()
    held.let_go.set()
    assert engine.decide().number == 0


def test_what_nobody_foresaw_is_told_too_and_commits_go_on(
    engine: Engine, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal: Any = engine._journal
    held.let_go.set()

    def broken(*given: Any, **named: Any) -> None:
        raise ZeroDivisionError("of a driver")

    with monkeypatch.context() as patch:
        patch.setattr(journal.store, "append", broken)
        engine.decide()
        assert held.reached.wait(LONG)
    with pytest.raises(Unavailable, match=r"ZeroDivisionError: of a driver") as told:
        engine.decide()
    assert told.value.code == "commit_failed"
    assert engine.decide().number == 0
    until = time.monotonic() + LONG
    while journal.store.last(journal.row.key)[0] != 1:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("call", ["decide", "flush", "close"])
def test_it_is_told_where_it_fails_in_the_middle_of_a_call(
    call: str, engine: Engine, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal: Any = engine._journal
    disk, check = Broken(engine, monkeypatch), journal.check
    held.let_go.set()
    journal._committing.acquire()  # so the background has yet to write what is decided
    engine.decide()
    disk.error = FULL

    def slowly() -> None:
        check()
        journal._committing.release()
        assert held.reached.wait(LONG)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "check", slowly)
        with pytest.raises(Unavailable, match="the disk is full"):
            getattr(engine, call)()


@pytest.mark.parametrize("call", ["decide", "learn", "flush"])
def test_a_process_that_was_forked_is_refused_whatever_was_locked_then(call: str, engine: Engine) -> None:
    decision = engine.decide()
    journal: Any = engine._journal
    calls = {"decide": engine.decide, "learn": lambda: engine.learn(decision, 1.0), "flush": engine.flush}
    with journal._committing, journal._adding, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, about forks beside threads
        child = os.fork()
        if child == 0:
            code = 1
            try:
                calls[call]()
            except Unavailable as error:
                code = 0 if error.code == "other_process" else 2
            finally:
                os._exit(code)
    guard = threading.Timer(LONG, os.kill, (child, 9))
    guard.start()
    status = os.waitpid(child, 0)[1]
    guard.cancel()
    assert os.waitstatus_to_exitcode(status) == 0
    engine.learn(decision, 1.0)


def test_a_process_that_was_forked_gives_up_nothing(engine: Engine) -> None:
    engine.decide()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        code = 1
        try:
            engine.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.decide().number == 1
