"""What so many decisions a second need, by what one costs; without a clock, a process or a database.

A decision is one with its reward. Requests ask for a batch of decisions, and tell a batch of rewards: what a request
costs whatever is in it is shared by those. Of n nodes each is asked as often as the others, so (n - 1) / n of all
requests come to one that has not the experiment, and are passed on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

BUSY = 0.7  # of a core or a disk, at most: what comes is not even
SHARDS = 16  # so many processes have something to do
DATABASE_CORES = 16  # of the largest machine for PostgreSQL that is looked at
DISK_BYTES = 500e6  # a second that it writes
MICRO = 1e6
ROUNDING = 1e-9


class Cost(NamedTuple):
    """Microseconds of CPU: of a request to decide and the one to reward, and of each decision in them."""

    request: float
    decision: float

    def at(self, batch: int) -> float:
        """Return what a decision costs in a batch.

        >>> Cost(400.0, 30.0).at(100)
        34.0
        """
        return self.request / batch + self.decision


class Costs(NamedTuple):
    """What a sort of decisions costs."""

    node: Cost  # of the process that has the experiment
    beside: Cost  # more of it where there are others: fewer requests share a transaction
    passed: Cost  # more of both where another one was asked
    database: Cost
    database_beside: Cost  # more of PostgreSQL where there are several nodes
    idle: float  # cores that a node takes that is asked nothing
    row_bytes: float  # of a decision with its reward, in the database with its indexes


class Need(NamedTuple):
    """What so many decisions a second need."""

    databases: int  # each with experiments, nodes and a PostgreSQL of its own
    nodes: int  # processes of one core, of all databases
    database_cores: float  # of all databases
    written: float  # bytes a second
    stops: str  # what gives way first where more come: one process, shards, database, disk


def fitted(small: int, of_small: float, large: int, of_large: float) -> Cost:
    """Return the cost that fits what a decision costs in batches of two sizes.

    >>> fitted(1, 430.0, 100, 34.0)
    Cost(request=400.0, decision=30.0)
    """
    request = (of_small - of_large) / (1 / small - 1 / large)
    return Cost(request, of_large - request / large)


def node_us(costs: Costs, nodes: int, batch: int) -> float:
    """Return what a decision costs all nodes together, in microseconds of CPU."""
    beside = costs.beside.at(batch) if nodes > 1 else 0.0
    return costs.node.at(batch) + beside + (nodes - 1) / nodes * costs.passed.at(batch)


def database_us(costs: Costs, nodes: int, batch: int) -> float:
    """Return what a decision costs PostgreSQL, in microseconds of CPU."""
    return costs.database.at(batch) + (costs.database_beside.at(batch) if nodes > 1 else 0.0)


def predicted(costs: Costs, nodes: int, batch: int, cores: float, clients_us: float) -> float:
    """Return the decisions a second of nodes that share cores with PostgreSQL and with the clients.

    `cores` is what all of these together get, and `clients_us` what a decision costs the clients.
    """
    own = node_us(costs, nodes, batch)
    everything = own + database_us(costs, nodes, batch) + clients_us
    return MICRO * min(nodes / own, max(0.0, cores - nodes * costs.idle) / everything)


def limits(costs: Costs, batch: int) -> dict[str, float]:
    """Return the decisions a second up to which each part is enough, by its name, the first to give way first."""
    written = BUSY * DISK_BYTES / costs.row_bytes if costs.row_bytes else math.inf
    found = {
        "one process": _most(node_us(costs, 1, batch)),
        "shards": SHARDS * _most(node_us(costs, SHARDS, batch)),
        "database": DATABASE_CORES * _most(database_us(costs, SHARDS, batch)),
        "disk": written,
    }
    return dict(sorted(found.items(), key=lambda one: one[1]))


def needed(costs: Costs, batch: int, rate: float) -> Need:
    """Return what a rate of decisions a second needs."""
    most = limits(costs, batch)
    databases = math.ceil(rate / min(most[name] for name in ("shards", "database", "disk")))
    each = rate / databases
    nodes = next(
        n for n in range(1, SHARDS + 1) if each * node_us(costs, n, batch) <= n * BUSY * MICRO * (1 + ROUNDING)
    )
    stops = next(name for name in most if name != "one process" or (databases, nodes) == (1, 1))
    cores = rate * database_us(costs, nodes, batch) / MICRO / BUSY
    return Need(databases, databases * nodes, cores, rate * costs.row_bytes, stops)


def off_by(found: float, wanted: float) -> float:
    """Return by which share a prediction is off, of what was measured."""
    return math.inf if wanted == 0 else found / wanted - 1


def _most(us: float) -> float:
    """Return how many a second a core does of what takes so long."""
    return BUSY * MICRO / us if us > 0 else math.inf
