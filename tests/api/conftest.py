"""The service in this process, over a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.listening import Listening
from support.served import Served
from support.stored import new_database

from onearm.client import Client


@pytest.fixture
def empty_database(tmp_path: Path) -> None:
    """Let the service of a test begin with an empty database, and make `hello` in it."""
    new_database(tmp_path / "run.db")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `e`: three arms, a randomised policy."""
    with Served(tmp_path) as served:
        assert served.create().status_code == 201
        yield served


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Yield one for all cases of a file that are refused: as nothing is written, each finds it as the first one did.

    To start a service for each took most of the time of these.
    """
    with Served(tmp_path_factory.mktemp("standing")) as served:
        assert served.create().status_code == 201
        yield served


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Listening]:
    """Yield the same service at a port."""
    with Listening(tmp_path) as service:
        yield service


@pytest.fixture
def client(service: Listening) -> Iterator[Client]:
    """Yield a client of that service."""
    with Client(service.url) as client:
        yield client
