"""What it costs to serve among others: the fence at each commit, and a request that one node passes on to another.

Run: python benchmarks/cluster_costs.py [--requests 2000] [--out FILE] [--json]. Needs PostgreSQL. Appends with and
without the fence take turns in this process; requests go to two nodes over one connection each, one behind the other,
by short turns to the node that has the experiment and to the other one. CPU time is that of all threads of both nodes,
by the clocks of their processes, with what they do meanwhile for nobody who asks, as to renew their leases. How much
more of it a request takes is the median of TURNS pairs of neighbouring turns. Exits with 1 where one of these costs
more than it may. The result is written to results/cluster_costs.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from cluster_running import Database, Lines, Process, database
from cpu_time import clock_of, microseconds_by
from machine import machine

from onearm.api.cluster.holding import Holding, ShardFence
from onearm.engine.storage.records import Event, Node
from onearm.engine.storage.shards import SHARDS, Shards
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE

BATCHES = (1, 32, 256)  # events of a transaction, of 8 experiments where there are as many
EXPERIMENTS = 8
ROUNDS = 12
SECONDS = 0.4  # of a round
TURNS = 40  # of each node, in which it is asked its share of the requests
FENCE_COSTS_MAX = 0.25  # of the appends a second
MORE_MS_MAX = 1.0  # of a request that is passed on, at the median
MORE_CPU_MAX = 0.3  # of it, by the CPU time of one that is not
RESULT = Path(__file__).parent / "results" / "cluster_costs.json"
ARMS = [{"id": "a"}, {"id": "b"}]


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help=f"to each node; at least {TURNS}")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    if options.requests < TURNS:
        parser.error(f"--requests {options.requests}: each of {TURNS} turns needs one")
    with database() as server:
        found: dict[str, Any] = {
            "fence": _fence(server),
            "forwarding": _forwarding(server, options.requests),
            "machine": machine(),
        }
    found["missed"] = missed(found)
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["missed"] else 0


def missed(found: dict[str, Any]) -> list[str]:
    """Return in words what costs more than it may."""
    said = [
        f"the fence takes {of['costs']:.1%} of the appends of {size} events each: {FENCE_COSTS_MAX:.0%} is the limit"
        for size, of in found["fence"].items()
        if of["costs"] > FENCE_COSTS_MAX
    ]
    more_ms, more_cpu = (found["forwarding"][name] for name in ("more_ms", "more_cpu_share"))
    if more_ms > MORE_MS_MAX:
        said.append(f"a request that is passed on takes {more_ms:.2f} ms more: {MORE_MS_MAX:g} is the limit")
    if more_cpu > MORE_CPU_MAX:
        said.append(f"a request that is passed on takes {more_cpu:.0%} more CPU time: {MORE_CPU_MAX:.0%} is the limit")
    return said


def _fence(server: Database) -> dict[str, Any]:
    """Return appended events a second with and without the fence, by events of a transaction."""
    holding = Holding("costs")
    store = Store.open_among(server.url, ShardFence(holding, 30.0))
    shards = Shards(store.url, write=True)
    node = Node("costs", "1", "http://localhost:1", "", 0, 0, 0, False)
    shards.join(node, 60.0)
    shards.take(node.name, SHARDS)
    seen = shards.renew(node, 60.0)
    assert seen is not None
    holding.shards = len(seen.shards)
    holding.epochs = {one.number: one.epoch for one in seen.shards}
    keys = [store.add_experiment(f"fence{i}", "{}", b"", "{}", 0).key for i in range(EXPERIMENTS)]
    for i, key in enumerate(keys):
        holding.know(key, f"fence{i}")
    ends = dict.fromkeys(keys, 0)
    found = {}
    for size in BATCHES:
        rates: dict[str, list[float]] = {"fenced": [], "unfenced": []}
        fence = store._fence
        for number in range(2 * ROUNDS):
            name = "fenced" if number % 2 else "unfenced"
            store._fence = fence if number % 2 else None
            rates[name].append(_appended(store, ends, size))
        store._fence = fence
        medians = {name: statistics.median(some) for name, some in rates.items()}
        found[size] = {**{name: round(rate) for name, rate in medians.items()}}
        found[size]["costs"] = round(1 - medians["fenced"] / medians["unfenced"], 3)
    shards.leave(node)
    shards.close()
    for key in keys:
        store._fence = None
        store.bury(key, 1)
    store.close()
    return found


def _appended(store: Store, ends: dict[int, int], size: int) -> float:
    """Append for a while, and return how many events a second."""
    done, begun = 0, time.perf_counter()
    keys = list(ends)
    while (took := time.perf_counter() - begun) < SECONDS:
        events = []
        for i in range(size):
            key = keys[i % EXPERIMENTS]
            ends[key] += 1
            events.append(Event(key, ends[key], DECIDE, ends[key] - 1, 1, 0.5, context=b"x" * 256, time=1))
        store.append(events)
        done += size
    return done / took


def _forwarding(server: Database, requests: int) -> dict[str, Any]:
    """Return what a decision costs where the node that is asked has the experiment, and where the other one has."""
    lines = Lines()
    nodes = [Process(name, server, lines, 5.0) for name in ("a", "b")]
    try:
        for node in nodes:
            node.address = node.url  # without the line between, which takes time of this process
            node.start()
        for node in nodes:
            node.wait()
        http = httpx.Client(timeout=30, trust_env=False)
        owner, other = _shared(http, nodes)
        clocks = [clock_of(node.process.pid) for node in nodes]
        for node in (owner, other):  # the other one opens its connection to the owner
            _asked(http, node, clocks, requests // TURNS)
        figures: dict[str, dict[str, list[float]]] = {name: {"ms": [], "cpu_us": []} for name in ("own", "forwarded")}
        for _ in range(TURNS):
            for one, node in zip(figures.values(), (owner, other), strict=True):
                took, cpu = _asked(http, node, clocks, requests // TURNS)
                one["ms"] += took
                one["cpu_us"].append(cpu)
        medians = {
            name: {key: round(statistics.median(some), 3) for key, some in one.items()} for name, one in figures.items()
        }
        pairs = zip(figures["forwarded"]["cpu_us"], figures["own"]["cpu_us"], strict=True)
        more = {
            "more_ms": medians["forwarded"]["ms"] - medians["own"]["ms"],
            "more_cpu_share": statistics.median(passed / own for passed, own in pairs) - 1,
        }
        return medians | {key: round(value, 3) for key, value in more.items()}
    finally:
        for node in nodes:
            node.end()
        lines.close()


def _shared(http: httpx.Client, nodes: list[Process]) -> tuple[Process, Process]:
    """Make the experiment `e`; return the node that has it, and the other one, once both have their share."""
    while True:
        found = http.get(f"{nodes[0].url}/v1/cluster").json()
        if sorted(one["shards"] for one in found["nodes"]) == [SHARDS // 2, SHARDS // 2]:
            break
        time.sleep(0.1)
    body = {"experiment_id": "e", "arms": ARMS, "policy": {"name": "ucb1"}}
    while http.post(f"{nodes[0].url}/v1/experiments", json=body).status_code not in (200, 201):
        time.sleep(0.1)
    holding = Holding("")
    holding.shards = SHARDS
    has = found["shards"][holding.shard("e")]["owner"]
    return (nodes[0], nodes[1]) if has == "a" else (nodes[1], nodes[0])


def _asked(http: httpx.Client, node: Process, clocks: list[int], requests: int) -> tuple[list[float], float]:
    """Ask for decisions; return the milliseconds of each, and the microseconds of CPU of one."""
    before = sum(map(microseconds_by, clocks))
    took = []
    for _ in range(requests):
        begun = time.perf_counter()
        http.post(f"{node.url}/v1/experiments/e/decisions", json={}).raise_for_status()
        took.append(1000 * (time.perf_counter() - begun))
    return took, (sum(map(microseconds_by, clocks)) - before) / requests


if __name__ == "__main__":
    sys.exit(main())
