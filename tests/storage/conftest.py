"""The databases that the storage suite runs on: an SQLite file and a real PostgreSQL server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import postgres_server
import pytest

from onearm.engine.storage.sql import Store

DATABASES = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Yield the URL of a server, with {} for the database's name."""
    if url := os.environ.get("ONEARM_TEST_POSTGRES_URL"):  # postgresql://USER@HOST/{}
        yield url
        return
    if postgres_server.binaries() is None:
        reason = "PostgreSQL is not installed (initdb was not found), so the storage suite cannot run on it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres_server.running() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    return postgres_server.new_database(postgres, f"onearm_{os.getpid()}_{next(DATABASES)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/run.db"
    address: str = request.getfixturevalue("postgres_url")
    return address


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()
