"""A node is killed, and nothing else happens: where the time goes until others answer in its place.

Run: python benchmarks/cluster_takeover.py [--kills 5] [--lease 2] [--events 2000] [--out FILE] [--json].
Needs PostgreSQL. Three nodes have an experiment in each shard, with so many decisions; one client asks for decisions.
The node that has most is killed, and somebody asks the two others for each of its experiments all the time. From then
on four things follow: the rest of its lease; until another node took the shard (`noticing`); until that says
no more that it is moving (`taking up`); until it is folded and answered (`folding`). The first two are told by the
database, the others by what is answered. A new node takes the place of the killed one.
Exits with 1 where it took longer than the lease and two seconds. The result is in results/cluster_takeover.json.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
from cluster_running import Database, database
from machine import machine
from scale import SORTS
from scale_load import READY_SECONDS, Client, Node, Target, made, settle
from scale_model import SHARDS

from onearm.engine.storage.shards import shard_of

GAP_SECONDS = 2.0  # above the lease
PAUSE_SECONDS = 0.02  # between an answer and the next question
PHASES = ("lease_left", "noticing", "taking_up", "folding")
RESULT = Path(__file__).parent / "results" / "cluster_takeover.json"


class Seen(NamedTuple):
    """When an experiment was answered again, and when it was said last that it moves; seconds since 1970."""

    moved: float
    answered: float


class Asking(threading.Thread):
    """Asks nodes for one experiment from the kill on, until one of them answers."""

    def __init__(self, experiment: str, urls: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._experiment, self._urls = experiment, urls
        self.seen: Seen | None = None

    def run(self) -> None:
        moved = time.time()
        with httpx.Client(timeout=READY_SECONDS, trust_env=False) as http:
            for turn in count():
                answer = http.get(f"{self._urls[turn % len(self._urls)]}/v1/experiments/{self._experiment}")
                now = time.time()
                if answer.status_code == 200:
                    self.seen = Seen(moved, now)
                    return
                if answer.json()["code"] != "recovering":
                    moved = now
                time.sleep(PAUSE_SECONDS)


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--events", type=int, default=2000, help="decisions with rewards of each experiment, at least")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    kills = measure(options.kills, options.lease, options.events)
    found: dict[str, Any] = {"lease": options.lease, "events": options.events, "kills": kills, "machine": machine()}
    found["seconds"] = {
        name: {"median": statistics.median(some), "most": max(some)}
        for name in (*PHASES, "all")
        if (some := [one[name] for kill in kills for one in kill])
    }
    found["missed"] = missed(found)
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["missed"] else 0


def missed(found: dict[str, Any]) -> list[str]:
    """Return in words what took too long."""
    most, limit = found["seconds"]["all"]["most"], found["lease"] + GAP_SECONDS
    if most <= limit:
        return []
    return [f"an experiment was answered by nobody for {most:.1f} s after a kill, where {limit:g} s are the limit"]


def measure(kills: int, lease: float, events: int) -> list[list[dict[str, float]]]:
    """Return for each kill what it took for each experiment of the killed node."""
    names = names_of_all_shards()
    with database() as server, httpx.Client(timeout=READY_SECONDS, trust_env=False) as http:
        nodes = [Node(name, server, lease) for name in "abc"]
        try:
            settle(nodes, http)
            for name in names:
                made(nodes[0], http, name, SORTS["arms"])
            targets = [Target(name, SORTS["arms"], (nodes[0].port,)) for name in names]
            fill(targets, events)
            found = []
            for number in range(kills):
                found.append(_killed(server, nodes, http, names))
                nodes.append(Node(f"d{number}", server, lease))
                settle(nodes, http)
                time.sleep(1.0)
        finally:
            for node in nodes:
                node.end()
    return found


def names_of_all_shards() -> list[str]:
    """Return a name of an experiment for each shard."""
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(shard_of(f"e{number}", SHARDS), f"e{number}")
        if len(found) == SHARDS:
            return [found[shard] for shard in range(SHARDS)]
    raise AssertionError("count() ends never")


def fill(targets: Sequence[Target], events: int) -> None:
    """Let a client decide and reward until there are so many of each on the average."""
    client = Client(0, targets, 100)
    client.start()
    while client.done < events * len(targets):
        time.sleep(0.05)
    client.over.set()
    client.join(READY_SECONDS)


def _killed(server: Database, nodes: list[Node], http: httpx.Client, names: Sequence[str]) -> list[dict[str, float]]:
    """Kill the node that has most, and see when its experiments are answered again."""
    owners = settle(nodes, http)
    node = max(nodes, key=lambda one: owners.count(one.name))
    nodes.remove(node)
    lost = [name for name in names if owners[shard_of(name, SHARDS)] == node.name]
    load = Client(1, [Target(name, SORTS["arms"], (nodes[0].port,)) for name in names if name not in lost], 20)
    load.start()
    asking = {name: Asking(name, [one.url for one in nodes]) for name in lost}
    with psycopg.connect(server.url, autocommit=True) as connection:
        killed = time.time()
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
        until = connection.execute("SELECT until FROM node WHERE name = %s", (node.name,)).fetchone()
        for one in asking.values():
            one.start()
        for one in asking.values():
            one.join(READY_SECONDS)
        since = dict(connection.execute("SELECT number, since FROM shard").fetchall())
    load.over.set()
    load.join(READY_SECONDS)
    assert until is not None
    found = []
    for name, one in asking.items():
        if one.seen is None:
            raise SystemExit(f"{name} was not answered for {READY_SECONDS:g} s after a kill")
        taken = since[shard_of(name, SHARDS)] / 1e6
        moved = max(taken, one.seen.moved)
        phases = (until[0] / 1e6 - killed, taken - until[0] / 1e6, moved - taken, one.seen.answered - moved)
        found.append({**dict(zip(PHASES, phases, strict=True)), "all": one.seen.answered - killed})
    return found


if __name__ == "__main__":
    sys.exit(main())
