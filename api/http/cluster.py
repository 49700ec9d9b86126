"""The nodes that serve one database, and which has which shard of the experiments."""

from __future__ import annotations

import time
from collections import Counter

import msgspec

from ..cluster.balance import moves
from ..cluster.nodes import Nodes
from ..service.service import Service
from .call import Call
from .endpoint import Answer
from .requests import iso


class ClusterNode(msgspec.Struct):
    """A node whose lease holds. `lag_seconds` is how long ago it renewed that."""

    name: str
    address: str
    shards: int
    recovering: int
    lag_seconds: float
    leaves: bool


class ClusterShard(msgspec.Struct):
    """A shard. `owner` is null where no node has it, `since` where none ever had, `to` where it stays where it is."""

    number: int
    owner: str | None
    epoch: int
    since: str | None
    to: str | None


class Cluster(msgspec.Struct):
    """All nodes and shards as this node saw them so many seconds ago; one process alone is no node, and has none."""

    node: str | None
    seen_seconds_ago: float
    nodes: list[ClusterNode]
    shards: list[ClusterShard]


async def cluster(service: Service, call: Call) -> Answer:
    """Tell which nodes there are, and which has which shard."""
    return Answer(200, seen_by(call.scope["app"].nodes))


def seen_by(nodes: Nodes | None) -> Cluster:
    """Return all nodes and shards as this one saw them last."""
    if nodes is None:
        return Cluster(None, 0.0, [], [])
    member = nodes.membership
    now, alive, shards = member.view
    has = Counter(shard.owner for shard in shards)
    to = {number: taker for name in alive for number, taker in moves(name, alive, shards).items()}
    found = [
        ClusterNode(
            name, node.address, has[name], node.recovering, max(0.0, (now - node.renewed_at) / 1e6), node.leaves
        )
        for name, node in sorted(alive.items())
    ]
    said = [
        ClusterShard(number, owner if owner in alive else None, epoch, iso(since) if since else None, to.get(number))
        for number, owner, epoch, since in shards
    ]
    return Cluster(member.node.name, time.monotonic() - member.viewed, found, said)
