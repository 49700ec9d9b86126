"""What 10^3 to 10^6 decisions a second need, by what one costs here; and whether one to three nodes do what is said.

Run: python benchmarks/scale.py [--check] [--seconds 3] [--sorts arms,lists] [--nodes 3] [--out FILE] [--json].
Needs PostgreSQL and Linux. Nodes start one after another as processes of this machine, and clients ask them without a
pause. Of each sort of decisions the CPU time is measured in batches of 1 and of 100, of the node, of PostgreSQL, and
of the nodes where one passes a request on; a line is laid through both (`scale_model.py`). With --check one, two and
more nodes are then asked for batches of 20 of all experiments, by any node, and the decisions a second are compared
with those that the model predicts for the cores that nodes, PostgreSQL and clients got together. That is done in three
rounds, each with costs of its own, and the medians count. Exits with 1 where a prediction is off by more than a fifth.
The result is written to results/scale.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
from cluster_running import Database, database
from machine import machine
from scale_load import ARMS, READY_SECONDS, Asked, Load, Node, Sort, Target, compiled, load, made, rest, settle
from scale_model import SHARDS, Cost, Costs, fitted, limits, needed, off_by, predicted

from onearm.engine.storage.shards import shard_of

SMALL, LARGE, BETWEEN = 1, 100, 20  # decisions of a request
RATES = (1e3, 1e4, 1e5, 1e6)  # decisions a second
OFF_MAX = 0.2
RESULT = Path(__file__).parent / "results" / "scale.json"
FIRST = "arms"  # the sort with which nodes are compared
MORE = ("beside", "passed", "database_beside")  # costs of several nodes, beyond those of one
NOTHING = Cost(0.0, 0.0)
ROUNDS = 3


class Round(NamedTuple):
    """What was measured within half a minute: a machine that others share is another one in the next."""

    costs: Costs
    checked: list[dict[str, Any]]  # what one, two and more nodes did beside what these costs predict


def dense(length: int) -> Sort:
    """Return decisions by a context of so many numbers."""
    problem = {"context": {"kind": "dense", "length": length}}
    context = [round(0.01 * i, 2) for i in range(length)]
    return Sort({"arms": ARMS, "policy": "linucb", "problem": problem}, {"context": context}, {"value": 1})


SIMPLEX = {"kind": "vector", "domain": {"kind": "simplex", "dimension": 10}, "feedback": "losses"}
LISTS = {"kind": "lists", "slots": {"max": 3}}
SORTS = {
    FIRST: Sort({"arms": ARMS, "policy": "ucb1"}, {}, {"value": 1}),
    "features-8": dense(8),
    "features-64": dense(64),
    "lists": Sort(
        {"arms": ARMS, "policy": "epsilon_greedy", "problem": LISTS},
        {"slots": [{"id": "a"}, {"id": "b"}, {"id": "c"}]},
        {"slots": [{"id": "a", "value": 1}]},
    ),
    "vectors": Sort({"policy": "optimistic_hedge", "problem": SIMPLEX}, {}, {"detail": {"losses": [0.5] * 10}}),
}


def main() -> int:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare what is predicted with what nodes do")
    parser.add_argument("--seconds", type=float, default=3.0, help="of CPU, of each measurement")
    parser.add_argument("--sorts", default=",".join(SORTS), help="of decisions, with commas between")
    parser.add_argument("--nodes", type=int, default=3, help="up to which it is checked; at least 2")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    sorts = list(dict.fromkeys([FIRST, *options.sorts.split(",")]))
    if unknown := [name for name in sorts if name not in SORTS]:
        parser.error(f"--sorts {unknown[0]!r}: there are {', '.join(SORTS)}")
    if not 2 <= options.nodes <= SHARDS:
        parser.error(f"--nodes {options.nodes}: two are needed to pass requests on, and {SHARDS} have something to do")
    found = measure(sorts, options.seconds, options.nodes if options.check else 0)
    found |= {"capacity": capacity(costs_of(found)), "machine": machine()}
    found["missed"] = missed(found)
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 1 if found["missed"] else 0


def missed(found: dict[str, Any]) -> list[str]:
    """Return in words where the prediction is off."""
    return [
        f"{one['nodes']} node{'s' if one['nodes'] > 1 else ''}: {one['predicted']:,.0f} decisions a second are "
        f"predicted, and {one['measured']:,.0f} were made, off by {one['off']:+.0%}: {OFF_MAX:.0%} is the limit"
        for one in found["checked"]
        if abs(one["off"]) > OFF_MAX
    ]


def measure(sorts: Sequence[str], seconds: float, checked: int) -> dict[str, Any]:
    """Return what decisions cost, and what up to so many nodes do."""
    with database() as server, httpx.Client(timeout=READY_SECONDS, trust_env=False) as http:
        node = Node("a", server)
        try:
            settle([node], http)
            asked = Asked(seconds, rest(server, [node], 2 * seconds))
            found: dict[str, Any] = {"idle_cores": sum(asked.idle)}
            found["sorts"] = {name: _costs(server, node, http, name, asked) for name in sorts}
            found["node_bytes"] = node.memory()
            costs = costs_of(found)[FIRST]
            rounds = [_round(server, node, http, costs, asked, checked) for _ in range(ROUNDS)]
        finally:
            node.end()
    middle = {name: _middle([getattr(one.costs, name) for one in rounds]) for name in ("node", "database", *MORE)}
    found["sorts"][FIRST] |= {f"{name}_us": middle.pop(name) for name in ("node", "database")}
    return found | {
        "several": middle,
        "checked": [_median(some) for some in zip(*(one.checked for one in rounds), strict=True)],
    }


def _middle(some: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(one.request for one in some), statistics.median(one.decision for one in some))


def _median(some: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the round whose prediction is off by the median, with what each was off by."""
    ordered = sorted(some, key=lambda one: float(one["off"]))
    return ordered[len(ordered) // 2] | {"offs": [one["off"] for one in some]}


def costs_of(found: dict[str, Any]) -> dict[str, Costs]:
    """Return what was measured as the model reads it, by the sort of decisions; of one node where there is no more."""
    more = {name: Cost(*found["several"][name]) if "several" in found else NOTHING for name in MORE}
    return {
        name: Costs(
            node=Cost(*one["node_us"]),
            database=Cost(*one["database_us"]),
            idle=found["idle_cores"],
            row_bytes=one["row_bytes"],
            **more,
        )
        for name, one in found["sorts"].items()
    }


def capacity(costs: dict[str, Costs]) -> list[dict[str, Any]]:
    """Return what each rate needs, of each sort and size of batch."""
    return [
        {"sort": name, "batch": batch, "rate": rate, **needed(one, batch, rate)._asdict(), "limits": limits(one, batch)}
        for name, one in costs.items()
        for batch in (SMALL, LARGE)
        for rate in RATES
    ]


def _costs(server: Database, node: Node, http: httpx.Client, name: str, asked: Asked) -> dict[str, Any]:
    """Return what a sort of decisions costs one node that nobody passes anything on to."""
    sort, names = SORTS[name], [f"{name}{i}" for i in range(SHARDS)]
    for one in names:
        made(node, http, one, sort)
    targets = [Target(one, sort, (node.port,)) for one in names]
    size, commits = _table_bytes(server), _commits(http, node)
    few = load(server, [node], targets, SMALL, *asked)
    many = load(server, [node], targets, LARGE, *asked)
    after = _commits(http, node)
    rows = _rows(server, names)
    return {
        "node_us": fitted(SMALL, few.nodes_us, LARGE, many.nodes_us),
        "database_us": fitted(SMALL, few.database_us, LARGE, many.database_us),
        "commit_ms": 1000 * (after[0] - commits[0]) / (after[1] - commits[1]),
        "row_bytes": (_table_bytes(server) - size) / rows,
        "state_bytes": compiled(node, http, names[0]),
        "by_batch": {SMALL: few._asdict(), LARGE: many._asdict()},
    }


def _round(server: Database, first: Node, http: httpx.Client, costs: Costs, asked: Asked, checked: int) -> Round:
    """Return what a decision costs one node and two, and how far what that predicts of up to so many nodes is off."""
    nodes, names, compared = [first], [f"{FIRST}{i}" for i in range(SHARDS)], list[dict[str, Any]]()
    few, many = (load(server, nodes, _targets(names, nodes), batch, *asked) for batch in (SMALL, LARGE))
    node = fitted(SMALL, few.nodes_us, LARGE, many.nodes_us)
    costs = costs._replace(node=node, database=fitted(SMALL, few.database_us, LARGE, many.database_us))
    try:
        for count in range(1, max(2, checked) + 1):
            if count > 1:
                nodes.append(Node("abcdefghijklmnop"[count - 1], server))
                owners = settle(nodes, http)
                for name in names:
                    compiled(first, http, name)
            if count == 2:
                costs = costs._replace(**_several(server, nodes, owners, names, costs, asked))
            if count <= checked:
                compared.append(_checked(server, nodes, names, costs, asked))
    finally:
        for node in nodes[1:]:
            node.end()
    settle([first], http)
    return Round(costs, compared)


def _targets(names: Sequence[str], nodes: Sequence[Node]) -> list[Target]:
    """Return experiments of the first sort, each asked of any node."""
    return [Target(name, SORTS[FIRST], tuple(node.port for node in nodes)) for name in names]


def _several(
    server: Database, nodes: Sequence[Node], owners: Sequence[str], names: Sequence[str], alone: Costs, asked: Asked
) -> dict[str, Cost]:
    """Return what two nodes cost more than one: where the owner is asked, and where the other one is."""
    ports = {node.name: node.port for node in nodes}
    others = {"a": "b", "b": "a"}
    more: dict[str, list[float]] = {name: [] for name in MORE}
    for batch in (SMALL, LARGE):
        found = []
        for passes in (False, True):
            targets = []
            for name in names:
                owner = owners[shard_of(name, SHARDS)]
                targets.append(Target(name, SORTS[FIRST], (ports[others[owner] if passes else owner],)))
            found.append(load(server, nodes, targets, batch, *asked))
        own, passed = found
        more["beside"].append(own.nodes_us - alone.node.at(batch))
        more["passed"].append(passed.nodes_us - own.nodes_us)
        more["database_beside"].append(own.database_us - alone.database.at(batch))
    return {name: fitted(SMALL, some[0], LARGE, some[1]) for name, some in more.items()}


def _checked(
    server: Database, nodes: Sequence[Node], names: Sequence[str], costs: Costs, asked: Asked
) -> dict[str, Any]:
    """Return what nodes do, and what was predicted of them."""
    done: Load = load(server, nodes, _targets(names, nodes), BETWEEN, *asked)
    said = predicted(costs, len(nodes), BETWEEN, done.cores, done.clients_us)
    return {
        "nodes": len(nodes),
        "batch": BETWEEN,
        "cores": done.cores,
        "nodes_us": done.nodes_us,
        "database_us": done.database_us,
        "clients_us": done.clients_us,
        "measured": done.rate,
        "predicted": said,
        "off": off_by(said, done.rate),
        "failed": done.failed,
    }


def _commits(http: httpx.Client, node: Node) -> tuple[float, float]:
    """Return the seconds that transactions of the log took so far, and how many there were."""
    text = http.get(f"{node.url}/metrics").text
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("onearm_commit_seconds_"))
    return float(told["onearm_commit_seconds_sum"]), float(told["onearm_commit_seconds_count"])


def _table_bytes(server: Database) -> int:
    """Return the bytes of the log with its indexes, in all its parts."""
    parts = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('event')"  # none of a whole table
    sql = f"SELECT coalesce(({parts}), pg_total_relation_size('event'))"
    with psycopg.connect(server.url) as connection:
        rows = connection.execute(sql).fetchone()
    assert rows is not None
    return int(rows[0])


def _rows(server: Database, names: Sequence[str]) -> int:
    """Return how many decisions of experiments are on record."""
    sql = "SELECT count(*) FROM event JOIN experiment ON key = experiment WHERE id = ANY(%s) AND kind = 0"
    with psycopg.connect(server.url) as connection:
        rows = connection.execute(sql, (list(names),)).fetchone()
    assert rows is not None
    return int(rows[0])


if __name__ == "__main__":
    sys.exit(main())
