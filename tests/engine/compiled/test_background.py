"""Compiling in the background: what comes first, and what happens to workers that are killed, shared or left."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import with_numba

from onearm.engine.compiled import background
from onearm.engine.compiled.apart import Ended, Failed
from onearm.engine.compiled.background import Background
from onearm.engine.compiled.tiers import Entry, Order
from onearm.engine.compiled.worker import LOCK

PATIENCE = 300.0  # seconds


class Told:
    """A loop that says what it was asked for."""

    kept: set[str]  # what was compiled: the folder of all of them

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self, signature: Any) -> str:
        return f"{self._name}({signature})"

    def order(self, signature: Any) -> Order:
        return Order(f"loops:{self._name}", [], signature)

    def holds(self, signature: Any) -> bool:
        return f"loops:{self._name}" in self.kept

    def code(self, signature: Any) -> Any:
        return lambda: "compiled"

    def hasten(self, entry: Entry) -> None:
        raise AssertionError("nobody waits")


def entry_of(name: str, signature: str = "Params") -> Entry:
    return Entry(Told(name), signature, lambda: "interpreted", compiled=False)


class Compiler:
    """A worker that notes what it compiles, once it may; it ends where it was told to."""

    def __init__(self, ends: int = 0, fails: str = "", ready: bool = True) -> None:
        self.may = threading.Event()
        self.ends, self.fails, self.ready = ends, fails, ready
        self.orders: list[str] = []
        self.started = 0

    def __call__(self) -> Compiler:
        self.started += 1
        return self

    pid, memory = 7, 1000

    def compile(self, order: Order) -> None:
        self.may.wait()
        self.orders.append(order.loop)
        if self.ends:
            self.ends -= 1
            raise Ended(self.ready)
        if order.loop == self.fails:
            raise Failed("TypingError: no such field")
        Told.kept.add(order.loop)

    def end(self) -> None:
        self.orders.append("end")


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compiler:
    """Return what stands for every worker, and can write its folder."""
    made = Compiler()
    monkeypatch.setenv(background.SETTING, "on")
    monkeypatch.setattr(Told, "kept", set(), raising=False)
    monkeypatch.setattr(background, "Worker", made)
    monkeypatch.setattr(background.store, "can_be_written", lambda: True)
    return made


def test_decide_comes_before_learn_and_these_before_others_each_as_they_were_asked_for(compiler: Compiler) -> None:
    queue = Background()
    entries = [entry_of(name) for name in ("first", "explain", "learn", "learn_bound", "decide", "turn", "fold")]
    queue.ask(entries[0])
    wait_for(lambda: queue.status().compiling == "first(Params)")
    for entry in entries[1:]:
        queue.ask(entry)
    assert queue.status().waiting == [
        f"{name}(Params)" for name in ("decide", "turn", "learn", "learn_bound", "explain", "fold")
    ]
    assert [entry() for entry in entries] == ["interpreted"] * 7
    compiler.may.set()
    queue.wait(entries[-1])
    assert compiler.orders == [
        f"loops:{name}" for name in ("first", "decide", "turn", "learn", "learn_bound", "explain", "fold")
    ]
    assert [entry() for entry in entries] == ["compiled"] * 7
    status = queue.status()
    assert (status.pid, status.memory_bytes, status.compiling, status.since_s) == (7, 1000, None, None)


def wait_for(is_so: Any) -> None:
    """Wait until something is so: for minutes, as a busy machine is no bug, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_where_it_is_turned_off_nothing_is_compiled_but_what_somebody_waits_for(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(background.SETTING, "off")
    queue, entry = Background(), entry_of("decide")
    queue.ask(entry)
    queue.wait(entry)
    assert (entry(), compiler.started, queue.status().waiting) == ("interpreted", 0, [])
    queue.take(entry)
    entry.finish()
    assert entry() == "compiled"


def test_a_worker_that_has_nothing_to_do_is_ended_and_another_one_started(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LINGER_S", 0.0)
    compiler.may.set()
    queue = Background()
    for n in (1, 2):
        Told.kept.clear()
        queue.ask(entry_of("decide"))
        wait_for(lambda n=n: compiler.orders == ["loops:decide", "end"] * n)
    assert compiler.started == 2


def test_what_is_taken_out_of_the_queue_is_not_compiled_twice(compiler: Compiler) -> None:
    queue = Background()
    first, second = entry_of("decide", "A"), entry_of("learn", "B")
    queue.ask(first)
    wait_for(lambda: queue.status().compiling == "decide(A)")
    queue.ask(second)
    queue.take(second)
    compiler.may.set()
    queue.take(first)  # it is at work, and waited for
    assert first.compiled and not second.compiled
    assert compiler.orders == ["loops:decide"]


@pytest.mark.parametrize("ends", [1, 2])
def test_a_worker_that_ends_is_replaced(compiler: Compiler, ends: int) -> None:
    compiler.may.set()
    compiler.ends = ends
    queue, entry = Background(), entry_of("decide")
    queue.ask(entry)
    queue.wait(entry)
    assert (entry(), compiler.started) == ("compiled", ends + 1)
    assert queue.status()[-3:] == (0, False, [])


def test_after_the_third_that_ends_in_a_row_no_more_are_started_and_that_is_told(compiler: Compiler) -> None:
    compiler.may.set()
    compiler.ends = 3
    queue, entry, later, held = Background(), entry_of("decide"), entry_of("learn"), entry_of("fold")
    Told.kept.add("loops:fold")
    for one in (entry, later, held):
        queue.ask(one)
        queue.wait(one)
    assert (entry(), later(), held()) == ("interpreted", "interpreted", "compiled")  # the last one was on disk
    assert (compiler.started, queue.status().failures, queue.status().given_up) == (3, 3, True)


def test_where_no_worker_can_be_started_this_process_compiles(compiler: Compiler) -> None:
    compiler.may.set()
    compiler.ends, compiler.ready = 1, False
    queue, entry = Background(), entry_of("decide")
    queue.ask(entry)
    queue.wait(entry)
    assert (entry(), compiler.started, queue.status().failures) == ("compiled", 1, 0)


def test_what_does_not_compile_stays_interpreted_and_is_told(compiler: Compiler) -> None:
    compiler.may.set()
    compiler.fails = "loops:learn"
    queue, bad, good = Background(), entry_of("learn"), entry_of("fold")
    for one in (bad, good):
        queue.ask(one)
    queue.wait(good)
    assert (bad(), good()) == ("interpreted", "compiled")
    assert queue.status().errors == ["learn(Params): Failed: TypingError: no such field"]


# What the processes of the tests below begin with: a loop that compiles in a quarter of a second.
BEGIN = """
import os, signal, sys, time, warnings
warnings.simplefilter("error")
import numpy as np
from onearm.engine.compiled.background import BACKGROUND, status
from onearm.engine.solvers.sor import norm

x = np.array([3.0, 4.0])

def worker():
    while (pid := status().pid) is None:
        time.sleep(0.001)
    return pid
"""
COMPILING = {"NUMBA_DISABLE_JIT": "0", background.SETTING: "on"}
WAIT = """
entry = norm.entry(x)
first = entry.compiled, entry(x)
BACKGROUND.wait(entry)
print([*first, entry.compiled, entry(x), norm.compilations])
"""


def run(folder: Path, code: str, **settings: str) -> Any:
    """Run code in a process of its own, in which any warning is an error; return what it printed last, read as JSON."""
    settings = COMPILING | {"ONEARM_CACHE_DIR": str(folder)} | settings
    done = with_numba.run(BEGIN + code, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.replace("True", "true").replace("False", "false").splitlines()
    return json.loads(printed[-1]) if printed else None


def kept(folder: Path) -> list[str]:
    return [file.name.partition("-")[0] for file in folder.glob("*.compiled")]


@pytest.mark.jit
def test_an_entry_answers_at_once_and_goes_over_to_what_another_process_compiled(tmp_path: Path) -> None:
    assert run(tmp_path, WAIT) == [False, 5.0, True, 5.0, 0]
    assert run(tmp_path, WAIT) == [True, 5.0, True, 5.0, 0]
    assert kept(tmp_path) == ["sor_norm"]


@pytest.mark.jit
def test_two_processes_at_once_compile_an_entry_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as two:
        both = [two.submit(run, tmp_path, WAIT) for _ in range(2)]
    assert [one.result()[2:] for one in both] == [[True, 5.0, 0]] * 2
    assert kept(tmp_path) == ["sor_norm"]


@pytest.mark.jit
def test_a_worker_that_is_killed_is_replaced_and_after_the_third_everything_goes_on_interpreted(tmp_path: Path) -> None:
    kill = """
entry = norm.entry(x)
for failures in range(1, {times} + 1):
    os.kill(worker(), signal.SIGKILL)
    while status().failures < failures:
        time.sleep(0.001)
BACKGROUND.wait(entry)
print([entry.compiled, status().given_up, entry(x), norm.compiled(x)(x), entry.compiled])
"""
    # A worker is known by its number once it has begun to work: held up there, it is killed at work.
    held = f"""
import fcntl
lock = os.open({str(tmp_path / "worker.lock")!r}, os.O_CREAT | os.O_WRONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
"""
    assert run(tmp_path, held + kill.format(times=3)) == [False, True, 5.0, 5.0, True]
    for file in tmp_path.glob("*.compiled"):
        file.unlink()
    once = kill.format(times=1).replace("BACKGROUND.wait", "os.close(lock)\nBACKGROUND.wait")
    assert run(tmp_path, held + once) == [True, False, 5.0, 5.0, True]


@pytest.mark.jit
def test_where_the_folder_cannot_be_written_a_thread_of_this_process_compiles(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands where the folder should")
    quiet = "warnings.simplefilter('ignore')"
    assert run(tmp_path / "cache", quiet + WAIT) == [False, 5.0, True, 5.0, 1]


@pytest.mark.jit
def test_a_process_that_ends_leaves_its_worker_to_finish_what_it_is_at_and_end(tmp_path: Path) -> None:
    """The process ends once the worker is at it: before, the order may not have been sent yet, and is never made."""
    until_at_it = f"""
norm.entry(x)
while not os.path.exists({str(tmp_path / LOCK)!r}):
    time.sleep(0.001)
print(worker())
"""
    pid = run(tmp_path, until_at_it)
    wait_for(lambda: kept(tmp_path) == ["sor_norm"])
    wait_for(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that is over, and that nobody asked for its end, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.jit
def test_a_process_that_forks_has_a_worker_of_its_own_and_leaves_the_parents_alone(tmp_path: Path) -> None:
    fork = """
entry = norm.entry(x)
parents = worker()
warnings.simplefilter("ignore")  # Python's own, about forks beside threads
child = os.fork()
BACKGROUND.wait(entry)
same = status().pid == parents
if child == 0:
    os._exit(entry.compiled and entry(x) == 5.0 and not same)
print([entry.compiled, entry(x), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), same])
"""
    assert run(tmp_path, fork) == [True, 5.0, 1, True]


@pytest.mark.jit
def test_a_worker_compiles_where_its_parent_was_told_not_to_later(tmp_path: Path) -> None:
    later = "os.environ['NUMBA_DISABLE_JIT'] = '1'"
    assert run(tmp_path, later + WAIT) == [False, 5.0, True, 5.0, 0]
