"""`--processes 2`: tests are collected once, and then run by two processes, each a copy of the one that collected them.

To collect them takes 12 s, and 25 s where Python has not compiled what they import: processes that are started for
themselves pay that again each. Where the system cannot copy a process, one runs all.

`--further 2 --room FILE`: two more join them when that file is there, as whoever else used the processor has ended.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, NamedTuple

import numba
import pytest
from support.subjects import subject_of

Groups = list[list[pytest.Item]]
LOOKS_S = 1.0  # how often it is looked for room
Said = tuple[str, str, dict[str, Any]]  # of which test, by which hook, and what
# What begins processes that all copies share, or does once what each of them would do.
ORIGINALS = ("support.forked", "support.with_numba", "support.quick_databases")


class Copy(NamedTuple):
    """A process that runs tests, and what it tells of them."""

    process: ForkProcess
    told: Connection


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the numbers of processes."""
    parser.addoption("--processes", type=int, default=1, help="collect tests once, and run them in so many processes")
    parser.addoption("--further", type=int, default=0, help="so many more join them")
    parser.addoption("--room", type=Path, help="a file: when it is there, the further processes join")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests in copies of this process, and report here what they tell."""
    option = session.config.option
    fork = "fork" in multiprocessing.get_all_start_methods()
    if option.processes < 2 or option.collectonly or session.testsfailed or not fork:
        return None
    for name in ORIGINALS:
        if name in sys.modules:
            sys.modules[name].begin()
    groups = grouped(session.items)
    turn = multiprocessing.get_context("fork").Value("i", 0)
    running = {copy.told: copy for copy in [started(session, groups, turn) for _ in range(option.processes)]}
    further = option.further if option.room else 0
    at: dict[Connection, str] = {}
    lost: list[str] = []
    while running:
        if further and turn.value < len(groups) and option.room.exists():
            running |= {copy.told: copy for copy in [started(session, groups, turn) for _ in range(further)]}
            further = 0
        for told in connection.wait(list(running), LOOKS_S if further else None):
            assert isinstance(told, Connection)
            try:
                for said in told.recv():
                    at[told] = report(session.config, *said)
            except EOFError:
                process = running.pop(told).process
                process.join()
                if process.exitcode:
                    lost.append(
                        f"a process ended with {process.exitcode}, and with it {at.get(told)} and what came next"
                    )
        if session.shouldfail or session.shouldstop:
            turn.value = len(groups)  # there is nothing left to begin
    session.shouldfail = session.shouldfail or " and ".join(lost)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


def grouped(items: list[pytest.Item]) -> Groups:
    """Return tests that one process runs, one after the other: of a file, or of all that compiles the same."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[str(item.path) if numba.config.DISABLE_JIT else subject_of(item.nodeid)].append(item)
    return [*groups.values()]


def started(session: pytest.Session, groups: Groups, turn: Any) -> Copy:
    """Copy this process. The copy takes one group after the other, `turn` being the number of the next."""
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one folder for all copies
    told, tell = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=run, args=(session, groups, turn, tell))
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads: here those of OpenBLAS, which sees to them itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    tell.close()
    return Copy(process, told)


def run(session: pytest.Session, groups: Groups, turn: Any, tell: Connection) -> None:
    """In a copy: run tests until none is left to begin."""
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(Telling(session.config, tell))
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()  # its files are the first process's
    capture.start_global_capturing()
    left = taken(groups, turn)
    item = next(left, None)
    try:
        while item is not None and not session.shouldfail and not session.shouldstop:
            following = next(left, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
    finally:
        session._setupstate.teardown_exact(None)


def taken(groups: Groups, turn: Any) -> Iterator[pytest.Item]:
    """Yield the tests of one group after the other that no other copy has taken."""
    while True:
        with turn.get_lock():
            mine = turn.value
            turn.value += 1
        if mine >= len(groups):
            return
        yield from groups[mine]


class Telling:
    """Tells the process that collected the tests what pytest says of each: that it begins, and then all the rest."""

    def __init__(self, config: pytest.Config, tell: Connection) -> None:
        self._config = config
        self._tell = tell
        self._heard: list[Said] = []

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """A test begins."""
        self._send([(nodeid, "pytest_runtest_logstart", {"nodeid": nodeid, "location": location})])

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """A test ends."""
        self._send([*self._heard, (nodeid, "pytest_runtest_logfinish", {"nodeid": nodeid, "location": location})])
        self._heard.clear()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test was set up, called, or torn down.

        Pytest's own way to write a report down takes half a millisecond for the three of a test: what passed is sent
        as it is, less its keywords, which nobody asks for and which are most of it.
        """
        if report.passed:
            report.keywords = {}
            said: dict[str, Any] = {"report": report}
        else:
            said = {"written": self._config.hook.pytest_report_to_serializable(config=self._config, report=report)}
        self._heard.append((report.nodeid, "pytest_runtest_logreport", said))

    def _send(self, said: list[Said]) -> None:
        self._tell.send_bytes(pickle.dumps(said))  # `send` makes a pickler of its own each time


def report(config: pytest.Config, nodeid: str, hook: str, said: dict[str, Any]) -> str:
    """Let all that listens to pytest in this process hear what a copy told; return the test's name."""
    if "written" in said:
        said = {"report": config.hook.pytest_report_from_serializable(config=config, data=said["written"])}
    getattr(config.hook, hook)(**said)
    return nodeid
