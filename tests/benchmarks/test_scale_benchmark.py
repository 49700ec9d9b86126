"""The benchmarks of nodes, workers, streams and Dask: what is missed is said, and the pages show each table."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "cluster_costs": "nodes.md",
    "cluster_faults": "nodes.md",
    "cluster_takeover": "nodes.md",
    "workers": "nodes.md",
    "publish": "brokers.md",
    "sweep_dask": "sweeps.md",
}
NAMES = tuple(PAGES)
PLAIN = "ucb1, without a context"


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    return found


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize("name", NAMES)
def test_what_was_measured_is_judged_as_it_says(module: Callable[[str], ModuleType], name: str) -> None:
    assert module(name).missed(result(name)) == result(name)["missed"]


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_show_the_table_with_what_is_missed(module: Callable[[str], ModuleType], name: str) -> None:
    show = getattr(module("scale_tables"), name)
    for page in (PAGES[name], "figures.md"):
        assert show(result(name)) in (ROOT / "docs" / page).read_text()
    assert "Missed:\n\n- this" in show(result(name) | {"missed": ["this"]})


@pytest.mark.parametrize(
    ("name", "places", "value", "said"),
    [
        ("publish", ("speed", "events_per_second"), 9_999.0, "9,999 events a second were sent"),
        ("publish", ("speed", "events"), 0, "0 of 100,000 events were sent (speed)"),
        ("publish", ("killed", "events"), 0, "0 of 100,000 events were sent (killed)"),
        ("publish", ("killed", "whole"), False, "what was read back is not the log, in order (killed)"),
        ("publish", ("killed", "failures"), 2, "2 failures were felt of 3 kills"),
        ("publish", ("killed", "sent_at_kills"), [1, 2, 100_000], "of 3 kills some came when all was sent"),
        ("publish", ("killed", "sent_at_kills"), [1, 2], "of 3 kills some came when all was sent"),
        ("cluster_costs", ("fence", "256", "costs"), 0.251, "25.1% of the appends of 256 events each"),
        ("cluster_costs", ("forwarding", PLAIN, "more_ms"), 1.01, "1.01 ms more"),
        ("cluster_costs", ("forwarding", PLAIN, "more_cpu_share"), 0.31, "31% more CPU time"),
        ("cluster_faults", ("seconds_without_an_answer", "killed", "most"), 4.1, "by nobody for 4.1 s"),
        ("cluster_takeover", ("seconds", "all", "most"), 4.1, "by nobody for 4.1 s after a kill"),
        ("workers", ("sqlite", "several", "failed"), 1.0, "1 requests failed (sqlite)"),
        ("workers", ("postgresql", "one", "workers_cpu_us"), 1.0, "where 1.5 are the limit"),
        ("cluster_faults", ("writes_refused_by_the_fence",), 0, "the fence refused no write"),
        ("sweep_dask", ("files", "speed"), 0.79, "workers have 0.79 of the speed without Dask (files)"),
        ("sweep_dask", ("learners", "same_bits"), False, "workers find something else (learners)"),
        ("sweep_dask", ("sweep", "killed", "kills"), 0, "no worker was killed"),
        ("sweep_dask", ("sweep", "killed", "results"), 7, "7 of 200 results are there"),
        ("sweep_dask", ("sweep", "killed", "same_bits"), False, "a worker was killed finds something else"),
    ],
)
def test_each_thing_that_is_spoilt_is_missed(
    module: Callable[[str], ModuleType], name: str, places: tuple[str, ...], value: Any, said: str
) -> None:
    spoilt = copy.deepcopy(result(name))
    inner = spoilt
    for place in places[:-1]:
        inner = inner[place]
    inner[places[-1]] = value
    assert said in " ".join(module(name).missed(spoilt))


def test_a_watch_counts_the_seconds_without_an_answer(module: Callable[[str], ModuleType]) -> None:
    status = [200]

    class Node(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()
            self.wfile.write(b'{"code": "moving"}')

        def log_message(self, *given: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Node) as node:
        threading.Thread(target=node.serve_forever, daemon=True).start()
        over = threading.Event()
        watch = module("cluster_gaps").Watch("e", lambda: [f"http://127.0.0.1:{node.server_port}"], over)
        watch.start()
        try:
            status[0] = 503
            watch.begin()
            begun = time.monotonic()
            time.sleep(0.7)
            assert 0.6 <= watch.gap.seconds <= time.monotonic() - begun
            assert list(watch.gap.heard) == ["moving"] and 0.2 <= watch.gap.heard["moving"] <= watch.gap.seconds
            status[0] = 200
            time.sleep(1.0)
            assert watch.gap.seconds >= 0.6
        finally:
            over.set()
            watch.join()
            node.shutdown()


@pytest.mark.slow
def test_a_log_is_published_while_the_server_is_killed(tmp_path: Path) -> None:
    found = run("publish", tmp_path, "--events", "20000", "--kills", "2")
    assert found["speed"]["events"] == found["killed"]["events"] == 20_000
    assert [each for each in found["missed"] if "a second" not in each] == []


@pytest.mark.slow
def test_workers_of_dask_find_what_threads_find(tmp_path: Path) -> None:
    small = (
        "--replications",
        "40",
        "--horizon",
        "20000",
        "--files",
        "4",
        "--rows",
        "500",
        "--longer",
        "2",
        "--rounds",
        "1",
    )
    found = run("sweep_dask", tmp_path, *small)
    assert [each for each in found["missed"] if "of the speed" not in each] == []


def run(name: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run a benchmark; it ends with 1 where something is missed, be it the speed on a busy machine."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / f"{name}.py"),
        "--json",
        "--out",
        str(folder / "out"),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(found["missed"]) and json.loads((folder / "out").read_text()) == found
    return found
