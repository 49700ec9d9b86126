"""Schedulers: results in the order of the specs, workers that are killed, and whom they refuse to work with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster
from support.dask_workers import two_workers
from support.nodes import until

from onearm.api.scheduling import on_dask
from onearm.api.scheduling.scheduler import opened
from onearm.engine.errors import InvalidInput, Unavailable


@pytest.fixture(scope="module")
def dask_address() -> Iterator[str]:
    with two_workers() as address:
        yield address


def backwards(seconds: float) -> float:
    """Find the later the earlier it is asked."""
    time.sleep(seconds)
    return seconds


def square_or_die(spec: tuple[int, str]) -> int:
    """Kill the worker that is the first to come to 5; the others go on."""
    number, mark = spec
    if number == 5 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(spec: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_ever(begun: str) -> None:
    Path(begun).touch()
    time.sleep(3600)


def refuse(spec: int) -> None:
    raise InvalidInput("no_luck", f"{spec} is unlucky: take another one")


@pytest.mark.parametrize("name", [None, "tcp"])
def test_results_come_in_the_order_of_the_specs(name: str | None, dask_address: str) -> None:
    heard: list[int] = []
    with opened(name and dask_address) as scheduler:
        assert scheduler.map(backwards, [0.3, 0.2, 0.0], heard.append) == [0.3, 0.2, 0.0]
        assert scheduler.map(backwards, []) == []
    assert sorted(heard) == [0, 1, 2]


@pytest.mark.parametrize("name", [None, "tcp"])
def test_an_error_comes_whole(name: str | None, dask_address: str) -> None:
    with opened(name and dask_address) as scheduler, pytest.raises(InvalidInput, match="7 is unlucky") as caught:
        scheduler.map(refuse, [7])
    assert caught.value.code == "no_luck"


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    with opened("local:2") as scheduler:
        mark = tmp_path / "killed"
        found = scheduler.map(square_or_die, [(number, str(mark)) for number in range(20)])
    assert mark.exists() and found == [number * number for number in range(20)]


def variable(name: str) -> str | None:
    return os.environ.get(name)


def test_a_worker_keeps_memory_as_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Dask's default each array of some size takes new pages of memory, which doubles what a file costs."""
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)  # other tests start workers as Dask does
    with dask.config.set({"distributed.worker.multiprocessing-method": "spawn"}), opened("local:1") as scheduler:
        assert scheduler.map(variable, ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS"]) == [None, "1"]


def test_work_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with (
        opened("local:1") as scheduler,
        pytest.raises(Unavailable, match="part 0 of the work ended 4 workers") as caught,
    ):
        scheduler.map(die, [1])
    assert caught.value.code == "killed_workers"


def test_workers_that_all_end_for_good_are_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Dask itself waits for ever."""
    monkeypatch.setattr(on_dask, "PATIENCE_FOR_WORKERS", 0.5)
    begun = tmp_path / "begun"
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:

        def retire() -> None:
            until(begun.exists)
            cluster.scale(0)

        ending = threading.Thread(target=retire)
        ending.start()
        with (
            opened(cluster.scheduler_address) as scheduler,
            pytest.raises(Unavailable, match="all workers are gone, with 2 parts of the work left") as caught,
        ):
            scheduler.map(wait_for_ever, [str(begun), str(begun)])
        ending.join()
    assert caught.value.code == "no_workers"


@pytest.mark.parametrize("name", ["local", "local:0", "local:x", "local:1025", "http://here:80", "dask"])
def test_a_name_that_is_no_scheduler_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' (is no scheduler|has no number)"), opened(name):
        pass


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "PATIENCE", 0.5)
    with (
        pytest.raises(Unavailable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 within"),
        opened("tcp://127.0.0.1:1"),
    ):
        pass


def test_a_scheduler_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "PATIENCE_FOR_WORKERS", 0.3)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        address = cluster.scheduler_address
        with pytest.raises(Unavailable, match="has no workers: start some with `dask worker tcp"), opened(address):
            pass


def test_a_worker_of_another_version_is_named(tmp_path: Path) -> None:
    about = tmp_path / "onearm-0.0.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: onearm\nVersion: 0.0.9\n")
    assert "has onearm 0.0.9, and this process" in refusal_of_worker(PYTHONPATH=str(tmp_path))


def test_a_worker_without_onearm_is_named(tmp_path: Path) -> None:
    package = tmp_path / "onearm"
    package.mkdir()
    (package / "__init__.py").write_text('"""Another package of that name."""')
    assert "has no onearm, or one of another version" in refusal_of_worker(PYTHONPATH=str(tmp_path))


def refusal_of_worker(**settings: Any) -> str:
    """Return what is said to whoever asks a scheduler whose only worker runs with these settings."""
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        address = cluster.scheduler_address
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard", "--no-nanny"]
        worker = subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.DEVNULL)
        try:
            with pytest.raises(Unavailable) as caught, opened(address):
                pass
        finally:
            worker.terminate()
            worker.wait(20)
    return str(caught.value)


def test_a_worker_that_dies_while_it_starts_is_told_in_one_line(tmp_path: Path) -> None:
    fatal = tmp_path / "fatal.py"
    fatal.write_text("import os\nos._exit(3)\n")
    with (
        dask.config.set({"distributed.worker.preload": [str(fatal)]}),
        pytest.raises(Unavailable, match="a worker process ended while it started") as caught,
        opened("local:1"),
    ):
        raise AssertionError("it started")
    assert "\n" not in str(caught.value)
