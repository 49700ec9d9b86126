"""A node is opened: its store among those of others, its place in the table of nodes, its clock."""

from __future__ import annotations

import re
import secrets
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from ...engine.errors import InvalidInput
from ...engine.storage.records import Node
from ...engine.storage.shards import Shards
from ...engine.storage.store import Store
from .clock import DatabaseClock
from .holding import Holding, ShardFence
from .membership import Membership
from .nodes import Nodes

MORE_SECONDS = 1.0  # than its lease, for which a node of the same name is waited for
RETRY_SECONDS = 0.2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class OpenedNode(NamedTuple):
    """What a process needs that serves a database with others."""

    store: Store
    nodes: Nodes
    clock: DatabaseClock


def open_node(database: str, name: str, address: str | None, lease: float) -> OpenedNode:
    """Open a database of PostgreSQL as one of several nodes, which others reach at an address.

    One of this name that was killed a moment ago is waited for. Raises `InvalidInput` where name, address or database
    are none for that or another node has the name, and as `Store.open_among`.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "bad_node", f"--node {name[:80]!r} is no name: take letters, digits, dots and dashes, 63 at most"
        )
    if address is None:
        raise InvalidInput(
            "no_address",
            f"the node {name!r} has no --advertise: say where other nodes reach it, as http://10.0.0.5:8080",
        )
    if not _is_address(address):
        raise InvalidInput(
            "bad_address",
            f"--advertise {address[:80]!r} is no address of a node: write scheme, host and port, as http://10.0.0.5:8080",
        )
    holding = Holding(name)
    store = Store.open_among(database, ShardFence(holding, lease))
    try:
        clock = DatabaseClock()
        shards = Shards(store.url, write=True)
        secret = secrets.token_urlsafe(32)
        node = Node(name, secrets.token_hex(8), address.rstrip("/"), secret, 0, 0, 0, False)
        try:
            _join(shards, node, lease)
        except BaseException:
            shards.close()
            raise
        return OpenedNode(store, Nodes(Membership(shards, node, lease, holding, clock)), clock)
    except BaseException:
        store.close()
        raise


def _join(shards: Shards, node: Node, lease: float) -> None:
    """Become a node that is given nothing yet: until it has started the others have what it had, and answer."""
    patience = time.monotonic() + lease + MORE_SECONDS
    while not shards.join(node._replace(leaves=True), lease):
        if time.monotonic() > patience:
            raise InvalidInput(
                "node_in_use",
                f"there is a node {node.name!r} at work in {shards.name}: give each --node a name of its own",
            )
        time.sleep(RETRY_SECONDS)


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:  # a port beyond 65535, or half an address of IPv6
        return False
    named = url.scheme in ("http", "https") and bool(url.hostname) and port != 0
    return named and url.path in ("", "/") and not url.query
