"""What is published, and where to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nats_server import NatsServer
from support.rewarded import NAMES, more
from support.served import Served


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return a database with the experiments `e` and `two.words`, each of 40 decisions with their rewards."""
    with Served(tmp_path) as served:
        for name in NAMES:
            served.create(name)
        url = served.url
    more(url, 40)
    return url


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    yield server
    server.kill()
