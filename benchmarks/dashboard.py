"""What the dashboard costs: until a page is painted, while it is open, and what fifty open pages do to decisions.

Run: python benchmarks/dashboard.py [--experiments 1000] [--decisions 1000000] [--seconds 10] [--quick] [--json]. It
needs chromium and the extra `browser`. An experiment has a long log, and takes decisions at a fixed pace
(`bystander.py`). Pages that are only counted are clients that do what a browser does: listen for news, and ask for the
part that changed. Exits with 1 where a figure is beyond its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from machine import machine
from neighbours import ARMS, POLICY, write_log
from service import Server, free_port, serve, served_by

HERE = Path(__file__).parent
RESULT = HERE / "results" / "dashboard.json"
LIMITS = {"paint_overview_s": 0.3, "paint_experiment_s": 0.3, "open_page_core": 0.01, "fifty_pages_p99_ms": 5.0}
PAGES = 50
RATE, QUIET_RATE = 100, 4  # requests a second of the bystander
PAINTS = 5
ROUNDS = 3
HEAP_GROWTH_MAX = 2_000_000  # bytes
ONE = "/experiments/long"


def prepare(database: str, experiments: int, decisions: int) -> None:
    """Make experiments, of which one has a long log."""
    port = free_port()
    with (
        serve(served_by(port, database), port) as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
    ):
        body = {"arms": ARMS, "policy": POLICY, "reward": {"range": [0, 6]}}
        for name in ("long", *(f"experiment {i}" for i in range(experiments - 2))):
            client.post("/v1/experiments", json=body | {"experiment_id": name}).raise_for_status()
    write_log(database, "long", 2 * decisions)


@contextlib.contextmanager
def pages_open(server: Server, n: int) -> Iterator[None]:
    """Keep so many pages of an experiment open."""
    over = threading.Event()

    def look() -> None:
        with (
            httpx.Client(base_url=server.url, timeout=30) as client,
            contextlib.suppress(httpx.TransportError),
            client.stream("GET", "/events?experiment=long") as news,
        ):
            for line in news.iter_lines():
                if over.is_set():
                    return
                if line.startswith("event:"):
                    client.get(f"{ONE}/live").raise_for_status()

    threads = [threading.Thread(target=look, daemon=True) for _ in range(n)]
    for thread in threads:
        thread.start()
    time.sleep(1.0 if n else 0.0)
    try:
        yield
    finally:
        over.set()


def bystander(server: Server, seconds: float, rate: int) -> dict[str, Any]:
    """Decide and reward at a fixed pace; return what that met, and the part of a core that the service took."""
    command = [sys.executable, str(HERE / "bystander.py"), server.url, "--seconds", str(seconds), "--rate", str(rate)]
    before = server.cpu_seconds()
    done = subprocess.run([*command, "--experiment", "long"], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"core": (server.cpu_seconds() - before) / seconds}


def painted(page: Any, url: str) -> float:
    """Return the median of the seconds until something is painted, of a page that is opened again and again."""
    times = []
    for _ in range(PAINTS):
        page.goto(url)
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        times.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1e3)
    return statistics.median(times)


def heap(session: Any) -> int:
    """Return how many bytes the scripts of a page hold."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return int(metrics["JSHeapUsedSize"])


def in_a_browser(server: Server, seconds: float) -> dict[str, Any]:
    """Return what a browser sees: seconds to the first paint, and bytes by which an open page grows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        found = {
            "paint_overview_s": painted(page, f"{server.url}/"),
            "paint_experiment_s": painted(page, f"{server.url}{ONE}"),
        }
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        load = threading.Thread(target=bystander, args=(server, seconds + 8, RATE))
        load.start()
        page.wait_for_timeout(6000)
        first = heap(session)
        page.wait_for_timeout(1e3 * seconds)
        found |= {"heap_bytes": first, "heap_growth_bytes": heap(session) - first}
        load.join()
        browser.close()
    return found


def measure(experiments: int, decisions: int, seconds: float) -> dict[str, Any]:
    """Measure one service without pages, with one, and with fifty."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/run.db"
        prepare(database, experiments, decisions)
        port = free_port()
        with serve(served_by(port, database), port) as server:
            httpx.get(f"{server.url}{ONE}", timeout=120).raise_for_status()
            bystander(server, 3.0, RATE)  # compiled
            while (told := httpx.get(f"{server.url}/v1{ONE}/curve", timeout=60).json())["seq"] < told["of"]:
                pass  # the hours of the log are counted: once, and not by pages
            found: dict[str, Any] = in_a_browser(server, seconds)
            for n in (0, 1, PAGES):  # beside little else, whose CPU would hide that of a page
                with pages_open(server, n):
                    found[f"quiet_with_{n}"] = bystander(server, 2 * seconds, QUIET_RATE)
            rounds: dict[int, list[dict[str, Any]]] = {0: [], PAGES: []}
            for _ in range(ROUNDS):  # in turn: what else the machine does meets both
                for n, some in rounds.items():
                    with pages_open(server, n):
                        some.append(bystander(server, seconds, RATE))
                    time.sleep(1.0)
    found["rounds"] = {str(n): some for n, some in rounds.items()}
    p99 = {n: min(one["p99_ms"] for one in some) for n, some in rounds.items()}
    found["open_page_core"] = found["quiet_with_1"]["core"] - found["quiet_with_0"]["core"]
    found["fifty_pages_core"] = found[f"quiet_with_{PAGES}"]["core"] - found["quiet_with_0"]["core"]
    found["fifty_pages_p99_ms"] = p99[PAGES] - p99[0]
    return found


def main() -> int:
    """Print the figures, and write them unless they were made quickly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true", help="20 experiments and 2000 decisions; nothing is written")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    experiments, decisions = (20, 2000) if given.quick else (given.experiments, given.decisions)
    found = measure(experiments, decisions, given.seconds)
    found |= {"experiments": experiments, "decisions": decisions, "machine": machine()}
    within = {name: found[name] <= most for name, most in LIMITS.items()}
    within["heap_growth_bytes"] = found["heap_growth_bytes"] <= HEAP_GROWTH_MAX
    found["within"] = within
    if not given.quick:
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
    for name in () if given.json else (*LIMITS, "heap_growth_bytes"):
        print(f"{name:20} {found[name]:12,.4f}   {'within' if within[name] else 'BEYOND'} its limit")
    if given.json:
        print(json.dumps(found, indent=1))
    return 0 if all(within.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
