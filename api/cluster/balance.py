"""How many shards each node should have, and which go where so that it comes to that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ...engine.storage.records import Node, Shard


def fair(nodes: Mapping[str, Node], shards: Iterable[Shard]) -> dict[str, int]:
    """Return how many shards each node should have: equal shares, one more for some, for those that have most now.

    Nodes that leave should have none. Every node that sees the same comes to the same.

    >>> nodes = {name: Node(name, "", "", "", 0, 0, 0, False) for name in "abc"}
    >>> fair(nodes, [Shard(number, "b", 1, 0) for number in range(16)])
    {'b': 6, 'a': 5, 'c': 5}
    """
    has = Counter(shard.owner for shard in shards)
    stay = sorted((name for name, node in nodes.items() if not node.leaves), key=lambda name: (-has[name], name))
    if not stay:
        return {}
    share, more = divmod(has.total(), len(stay))
    return {name: share + (place < more) for place, name in enumerate(stay)}


def wanted(me: str, nodes: Mapping[str, Node], shards: Iterable[Shard]) -> int:
    """Return how many more shards a node should have."""
    some = list(shards)
    return max(0, fair(nodes, some).get(me, 0) - sum(shard.owner == me for shard in some))


def is_settled(nodes: Mapping[str, Node], shards: Iterable[Shard]) -> bool:
    """Tell whether each shard is at a node that has its share and has looked since: no shard is about to move.

    >>> nodes = {name: Node(name, "", "", "", 0, 7, 0, False) for name in "ab"}
    >>> [is_settled(nodes, [Shard(0, "a", 1, since), Shard(1, owner, 1, 0)]) for owner, since in (("b", 5), ("b", 9))]
    [True, False]
    >>> [is_settled(nodes, [Shard(0, "a", 1, 5), Shard(1, owner, 1, 0)]) for owner in ("a", None)]
    [False, False]
    """
    some = list(shards)
    looked = min((node.renewed_at for node in nodes.values()), default=0)
    return (
        bool(some)
        and all(shard.owner in nodes and shard.since < looked for shard in some)
        and not any(wanted(name, nodes, some) for name in nodes)
    )


def moves(me: str, nodes: Mapping[str, Node], shards: Iterable[Shard]) -> dict[int, str]:
    """Return which shards a node should give to which others, by number."""
    some = list(shards)
    mine = [shard.number for shard in some if shard.owner == me]
    spare = mine[fair(nodes, some).get(me, 0) :]
    takers = [name for name in nodes for _ in range(wanted(name, nodes, some)) if name != me]
    return dict(zip(spare, takers, strict=False))
