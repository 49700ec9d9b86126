"""Shares are fair, few shards move for that, and each node comes to the same by itself."""

from __future__ import annotations

import pytest

from onearm.api.cluster.balance import fair, moves, wanted
from onearm.engine.storage.records import Node, Shard


def nodes(names: str, leaves: str = "") -> dict[str, Node]:
    return {name: Node(name, "", "", "", 0, 0, 0, name in leaves) for name in names}


def shards(owners: str) -> list[Shard]:
    """Return shards by the names of their owners; '-' is nobody."""
    return [Shard(number, None if owner == "-" else owner, 1, 0) for number, owner in enumerate(owners)]


@pytest.mark.parametrize(
    ("names", "owners", "shares"),
    [
        ("a", "-" * 16, {"a": 16}),
        ("ab", "-" * 16, {"a": 8, "b": 8}),
        ("abc", "-" * 16, {"a": 6, "b": 5, "c": 5}),
        ("abc", "a" * 5 + "b" * 5 + "c" * 6, {"a": 5, "b": 5, "c": 6}),  # who has one more keeps it
        ("", "-" * 16, {}),
    ],
)
def test_shares_are_equal_but_for_one(names: str, owners: str, shares: dict[str, int]) -> None:
    assert fair(nodes(names), shards(owners)) == shares


def test_no_more_moves_than_must_be() -> None:
    assert moves("a", nodes("ab"), shards("a" * 16)) == dict.fromkeys(range(8, 16), "b")
    assert moves("a", nodes("abc"), shards("a" * 8 + "b" * 8)) == {6: "c", 7: "c"}
    assert moves("b", nodes("abc"), shards("a" * 8 + "b" * 8)) == {13: "c", 14: "c", 15: "c"}
    assert moves("a", nodes("abc"), shards("a" * 6 + "b" * 5 + "c" * 5)) == {}


def test_a_node_that_leaves_gives_everything_and_gets_nothing() -> None:
    some = nodes("abc", leaves="b")
    owners = shards("a" * 5 + "b" * 6 + "c" * 5)
    given = moves("b", some, owners)
    assert sorted(given) == list(range(5, 11)) and sorted(given.values()) == ["a"] * 3 + ["c"] * 3
    assert wanted("b", some, shards("-" * 16)) == 0
    assert moves("b", nodes("b", leaves="b"), shards("b" * 16)) == {}


@pytest.mark.parametrize("names", ["a", "ab", "abc", "abcde", "abcdefghijklmnopq"])
def test_by_taking_and_giving_nodes_come_to_fair_shares_and_stay_there(names: str) -> None:
    alive = nodes(names)
    owners = ["a"] * 10 + ["z"] * 6  # z is dead
    for _ in range(3):
        for name in names:
            free = [number for number, owner in enumerate(owners) if owner not in alive]
            for number in free[: wanted(name, alive, shards("".join(owners)))]:
                owners[number] = name
            for number, to in moves(name, alive, shards("".join(owners))).items():
                owners[number] = to
    counts = [owners.count(name) for name in names]
    assert sum(counts) == 16 and max(counts) - min(counts) <= 1
    assert not any(moves(name, alive, shards("".join(owners))) for name in names)
