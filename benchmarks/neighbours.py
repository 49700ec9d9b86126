"""What one client's large requests do to another client: the latency of a bystander under each attack.

Run: python benchmarks/neighbours.py [--seconds 10] [--events 1000000] [--only NAME] [--quick] [--json]. A bystander
(`bystander.py`, a process of its own) decides and rewards on 64 connections at a fixed pace; meanwhile other clients
send to other experiments what costs the service most: reports and exports of a long log, bodies of 4 MB, batches of
10,000, creations, deletions, compactions, erasures, imports. A process loads what writes archives with the first one,
which is made before. Exits with 1 where its p99 under an attack is above LIMIT_MS, where it was refused anything, or
where an attack was none, as all that it sent got 503.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from machine import machine
from service import Server, free_port, serve, served_by

from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN

HERE = Path(__file__).parent
RESULT = HERE / "results" / "neighbours.json"
LIMIT_MS = 100.0
ARMS = [{"id": f"arm{i}"} for i in range(10)]
BODY_BYTES = 3_900_000
BATCH = 10_000
EXPORTED = 20_000_000  # bytes of a log of 10^6 events: four readers take a second or two for them
CHUNK = 20_000  # events written together
POLICY = {"name": "epsilon_greedy", "params": {"epsilon": 0.1}}

Attack = Callable[[httpx.Client, int], httpx.Response]  # a request of the n-th turn of one attacker


def report(client: httpx.Client, turn: int) -> httpx.Response:
    """Ask for the report of a long log."""
    return client.get("/v1/experiments/long/report")


def diagnostics(client: httpx.Client, turn: int) -> httpx.Response:
    """Ask for the health of an experiment with a long log."""
    return client.get("/v1/experiments/long/diagnostics")


def large_body(client: httpx.Client, turn: int) -> httpx.Response:
    """Send nearly 4 MB that are refused: numbers, empty decisions, or arms with one id twice."""
    path, content = LARGE[turn % len(LARGE)]
    return client.post(path, content=content)


def decide_batch(client: httpx.Client, turn: int) -> httpx.Response:
    """Decide 10,000 times at once."""
    return client.post("/v1/experiments/batches/decisions:batch", content=DECISIONS)


def reward_batch(client: httpx.Client, turn: int) -> httpx.Response:
    """Decide 10,000 times at once, and reward all."""
    made = client.post("/v1/experiments/batches/decisions:batch", content=DECISIONS).json()["decisions"]
    rewards = [{"decision_id": one["decision_id"], "value": 1.0} for one in made if "decision_id" in one]
    return client.post("/v1/experiments/batches/rewards:batch", json={"rewards": rewards})


def creation(client: httpx.Client, turn: int) -> httpx.Response:
    """Create an experiment with a state of 3 MB and archive it."""
    problem = {"context": {"kind": "dense", "length": 150}}
    body = {
        "experiment_id": f"new-{time.monotonic_ns()}",
        "arms": ARMS,
        "policy": {"name": "linucb"},
        "problem": problem,
    }
    answer = client.post("/v1/experiments", json=body)
    client.post(f"/v1/experiments/{body['experiment_id']}:archive")
    return answer


def deletion(client: httpx.Client, turn: int) -> httpx.Response:
    """Create an experiment, decide 10,000 times, and delete it: its log is taken away meanwhile."""
    name = f"gone-{time.monotonic_ns()}"
    client.post("/v1/experiments", json={"experiment_id": name, "arms": ARMS, "policy": POLICY})
    client.post(f"/v1/experiments/{name}/decisions:batch", content=DECISIONS)
    return client.delete(f"/v1/experiments/{name}", params={"confirm": name})


def export(client: httpx.Client, turn: int) -> httpx.Response:
    """Read a long log, and leave in the middle of it."""
    with client.stream("GET", "/v1/experiments/long/log") as answer:
        for _ in answer.iter_raw():
            if answer.num_bytes_downloaded > EXPORTED:
                break
    return answer


def compaction(client: httpx.Client, turn: int) -> httpx.Response:
    """Decide 10,000 times, and compact what lies before."""
    client.post("/v1/experiments/batches/decisions:batch", content=DECISIONS)
    return client.post("/v1/experiments/batches:compact", json={})


def erasure(client: httpx.Client, turn: int) -> httpx.Response:
    """Decide 10,000 times for one person, and erase that."""
    person = f"person-{time.monotonic_ns()}"
    items = ",".join([f'{{"unit_id":"{person}"}}'] * BATCH)
    client.post("/v1/experiments/batches/decisions:batch", content=f'{{"decisions":[{items}]}}'.encode())
    return client.post("/v1/experiments/batches:erase", json={"unit_id": person})


def importing(client: httpx.Client, turn: int) -> httpx.Response:
    """Take an export of 10,000 decisions for a new experiment, and delete that."""
    name = f"taken-{time.monotonic_ns()}"
    exported = client.get("/v1/experiments/short/log").content
    answer = client.post("/v1/experiments:import", params={"experiment_id": name}, content=exported)
    client.delete(f"/v1/experiments/{name}", params={"confirm": name})
    return answer


def _of_size(head: str, item: str, tail: str) -> bytes:
    return (head + ",".join([item] * ((BODY_BYTES - len(head) - len(tail)) // (len(item) + 1))) + tail).encode()


DECISIONS = ('{"decisions":[' + ",".join(["{}"] * BATCH) + "]}").encode()
LARGE = [
    ("/v1/experiments/batches/decisions", _of_size('{"context":[', "1", "]}")),
    ("/v1/experiments/batches/decisions:batch", _of_size('{"decisions":[', "{}", "]}")),
    ("/v1/experiments", _of_size('{"experiment_id":"twice","arms":[', '{"id":"a"}', "]}")),
]
ATTACKS: dict[str, tuple[Attack | None, int]] = {  # with how many clients
    "quiet": (None, 0),
    "reports": (report, 16),
    "diagnostics": (diagnostics, 16),
    "bodies": (large_body, 4),
    "decide_batches": (decide_batch, 2),
    "reward_batches": (reward_batch, 2),
    "creations": (creation, 4),
    "deletions": (deletion, 2),
    "exports": (export, 4),
    "compactions": (compaction, 2),
    "erasures": (erasure, 2),
    "imports": (importing, 2),
}


def write_log(url: str, experiment: str, events: int) -> None:
    """Append so many events to an experiment whose service is stopped: decisions, each with its reward."""
    store = Store.open(url)
    key = next(row.key for row in store.experiments() if row.id == experiment)
    for first in range(0, events // 2, CHUNK):
        rows = []
        for number in range(first, min(first + CHUNK, events // 2)):
            made = Event(key, 2 * number + 1, DECIDE, number, number % len(ARMS), 0.1, time=number)
            rows += [made, made._replace(seq=made.seq + 1, kind=LEARN, reward=float(number % 7), reward_id="")]
        store.append(rows)
    store.close()


@contextlib.contextmanager
def attacked(server: Server, attack: Attack | None, clients: int) -> Iterator[Counter[str]]:
    """Let clients repeat an attack until the block ends; count its answers by status."""
    over, answers = threading.Event(), Counter[str]()

    def work() -> None:
        with httpx.Client(base_url=server.url, timeout=300) as client:
            turn = 0
            while not over.is_set() and attack is not None:
                with contextlib.suppress(httpx.TransportError):
                    answer = attack(client, turn)
                    answers[str(answer.status_code)] += 1
                    if answer.status_code == 503:
                        time.sleep(0.2)
                turn += 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5 if clients else 0.0)
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(120)


def bystander(server: Server, seconds: float) -> dict[str, Any]:
    """Return what a client of another experiment meets meanwhile."""
    command = [sys.executable, str(HERE / "bystander.py"), server.url, "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(seconds: float, events: int, only: list[str]) -> dict[str, Any]:
    """Attack one after another, and return what the bystander met under each."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        url, port = f"sqlite:///{name}/run.db", free_port()
        command = served_by(port, url)
        with serve(command, port) as server:
            for experiment in ("long", "short", "batches", "bystander"):
                body = {"experiment_id": experiment, "arms": ARMS, "policy": POLICY}
                httpx.post(f"{server.url}/v1/experiments", json=body, timeout=120).raise_for_status()
            bystander(server, 1.0)  # the first answers warm what is lazy
        write_log(url, "long", events)
        write_log(url, "short", 2 * BATCH)
        for label in only or list(ATTACKS):  # each begins with a service of its own
            attack, clients = ATTACKS[label]
            with serve(command, port) as server:
                bystander(server, 1.0)
                httpx.post(f"{server.url}/v1/experiments/bystander:compact", json={"before": 20}).raise_for_status()
                before = server.cpu_seconds()
                with attacked(server, attack, clients) as answers:
                    found[label] = bystander(server, seconds)
                    found[label]["attacks"] = dict(answers)
                found[label]["cpu_seconds"] = round(server.cpu_seconds() - before, 2)
    return {"events": events, "limit_p99_ms": LIMIT_MS, "holds": judged(found), "attacks": found}


def judged(found: dict[str, Any]) -> dict[str, bool]:
    """Return whether the bystander was answered in time, and always, and whether each attack was one."""
    meant = [one for label, one in found.items() if ATTACKS[label][1]]
    return {
        "within_limit": all(one["p99_ms"] <= LIMIT_MS for one in found.values()),
        "none_refused": not any(one["refused"] for one in found.values()),
        "attacked": all(set(one["attacks"]) - {"503"} for one in meant),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--only", action="append", choices=list(ATTACKS), default=[])
    parser.add_argument("--quick", action="store_true", help="3 seconds each, and a log of 50,000 events")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seconds, events = (3.0, 50_000) if given.quick else (given.seconds, given.events)
    found = measure(seconds, events, given.only) | {"machine": machine()}
    if not given.quick and not given.only:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))
    else:
        for label, one in found["attacks"].items():
            print(
                f"{label:15} p50 {one['p50_ms']:8.1f} ms   p99 {one['p99_ms']:8.1f} ms   max {one['max_ms']:8.1f} ms   "
                f"refused {one['refused']}   attacks {one['attacks']}"
            )
        for name, holds in found["holds"].items():
            print(f"{name:15} {'yes' if holds else 'NO'}")
    return 0 if all(found["holds"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
