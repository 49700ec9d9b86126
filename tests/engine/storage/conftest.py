"""The databases that the storage suite runs on: an SQLite file and a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stored import new_database

from onearm.engine.storage.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/run.db"
    address: str = request.getfixturevalue("postgres_url")
    return address


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    if url.startswith("sqlite"):
        new_database(Path(url.removeprefix("sqlite:///")))
    opened = Store.open(url)
    yield opened
    opened.close()
