"""Nodes over a database of PostgreSQL: of one test, and of all of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.nodes import Nodes


@pytest.fixture
def own_nodes(postgres_url: str) -> Iterator[Nodes]:
    """Yield two nodes of one test, which may end, and lose their shards."""
    with Nodes(postgres_url, "a", "b") as some:
        yield some


@pytest.fixture(scope="module")
def nodes(postgres: str, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Yield two nodes for all tests of a file that leave both at work, each with experiments of its own.

    To start and to end two takes most of the time of these.
    """
    from support import postgres_server

    database = postgres_server.new_database(postgres, f"onearm_{os.getpid()}_{request.path.stem}")
    with Nodes(database, "a", "b") as some:
        yield some
