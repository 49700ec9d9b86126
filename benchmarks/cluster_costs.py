"""What it costs to serve among others: the fence at each commit, and a request that one node passes on to another.

Run: python benchmarks/cluster_costs.py [--requests 2000] [--out FILE] [--json]. Needs PostgreSQL. Appends with and
without the fence take turns in this process. Requests go to two nodes as `onearm serve` starts them, over one
connection each, one behind the other, by short turns to the node that has the experiment and to the other one. CPU time
is that of all threads of both nodes, by the clocks of their processes, with what they do meanwhile for nobody who asks,
as to renew their leases; that of PostgreSQL stands beside it. How much more of the nodes' a request takes is the median
of TURNS pairs of neighbouring turns. Exits with 1 where one of these costs more than it may. The result is written to
results/cluster_costs.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from cluster_running import Database, database
from cpu_time import clock_of, cpu_of_database, microseconds_by
from machine import machine
from scale_load import Node, Sort, made, settle

from onearm.api.cluster.holding import Holding, ShardFence
from onearm.engine.storage import records
from onearm.engine.storage.records import Event
from onearm.engine.storage.shards import SHARDS, Shards, shard_of
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
TWO = [{"id": "a"}, {"id": "b"}]
SORTS = {
    "ucb1, without a context": Sort({"arms": TWO, "policy": "ucb1"}, {}, {"value": 1}),
    "the default, a context of 8 numbers": Sort(
        {"arms": TWO, "problem": {"context": {"kind": "dense", "length": 8}}},
        {"context": [0.25, -1.5, 0.1, 3.75, 0.0, 1.0, -0.5, 2.2]},
        {"value": 1},
    ),
}


class Turn(NamedTuple):
    """What some requests took: milliseconds of each, microseconds of CPU of one, of both nodes and of PostgreSQL."""

    took_ms: list[float]
    cpu_us: float
    database_us: float


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
    for sort, of in found["forwarding"].items():
        if (more_ms := of["more_ms"]) > MORE_MS_MAX:
            said.append(
                f"a request that is passed on takes {more_ms:.2f} ms more ({sort}): {MORE_MS_MAX:g} is the limit"
            )
        if (more_cpu := of["more_cpu_share"]) > MORE_CPU_MAX:
            limit = f"{MORE_CPU_MAX:.0%} is the limit"
            said.append(f"a request that is passed on takes {more_cpu:.0%} more CPU time of nodes ({sort}): {limit}")
    return said


def _fence(server: Database) -> dict[str, Any]:
    """Return appended events a second with and without the fence, by events of a transaction."""
    holding = Holding("costs")
    store = Store.open_among(server.url, ShardFence(holding, 30.0))
    shards = Shards(store.url, write=True)
    node = records.Node("costs", "1", "http://localhost:1", "", 0, 0, 0, False)
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
    """Return what decisions cost where the node that is asked has the experiment, and where the other one has."""
    nodes = [Node(name, server) for name in ("a", "b")]
    try:
        http = httpx.Client(timeout=30, trust_env=False)
        owners = settle(nodes, http)
        clients = Clients(http, server, [clock_of(node.process.pid) for node in nodes])
        found = {}
        for name, (sort, about) in zip("ef", SORTS.items(), strict=True):
            made(nodes[0], http, name, about)
            first = owners[shard_of(name, SHARDS)] == nodes[0].name
            found[sort] = clients.compared(nodes if first else nodes[::-1], name, about, requests // TURNS)
        return found
    finally:
        for node in nodes:
            node.end()


class Clients(NamedTuple):
    """Who asks nodes for decisions, and the clocks of these."""

    http: httpx.Client
    server: Database
    clocks: list[int]

    def compared(self, pair: list[Node], name: str, sort: Sort, requests: int) -> dict[str, Any]:
        """Return what a decision of an experiment costs by the first of two nodes, who has it, and by the other one."""
        for node in pair:  # the other one opens its connection to the first
            self._asked(node, name, sort, requests)
        turns: dict[str, list[Turn]] = {"own": [], "forwarded": []}
        for _ in range(TURNS):
            for some, node in zip(turns.values(), pair, strict=True):
                some.append(self._asked(node, name, sort, requests))
        medians: dict[str, Any] = {
            way: {
                "ms": round(statistics.median(ms for one in some for ms in one.took_ms), 3),
                "cpu_us": round(statistics.median(one.cpu_us for one in some), 3),
                "database_us": round(statistics.mean(one.database_us for one in some), 3),  # it counts by 10 ms
            }
            for way, some in turns.items()
        }
        shares = [passed.cpu_us / own.cpu_us for own, passed in zip(*turns.values(), strict=True)]
        medians["more_ms"] = round(medians["forwarded"]["ms"] - medians["own"]["ms"], 3)
        medians["more_cpu_share"] = round(statistics.median(shares) - 1, 3)
        return medians

    def _asked(self, node: Node, name: str, sort: Sort, requests: int) -> Turn:
        cpu, database = sum(map(microseconds_by, self.clocks)), cpu_of_database(self.server)
        took = []
        for _ in range(requests):
            begun = time.perf_counter()
            self.http.post(f"{node.url}/v1/experiments/{name}/decisions", json=sort.asked).raise_for_status()
            took.append(1000 * (time.perf_counter() - begun))
        cpu = sum(map(microseconds_by, self.clocks)) - cpu
        return Turn(took, cpu / requests, 1e6 * (cpu_of_database(self.server) - database) / requests)


if __name__ == "__main__":
    sys.exit(main())
