"""The store that the storage suite runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stored import new_database

from onearm.engine.storage.store import Store


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    if url.startswith("sqlite"):
        new_database(Path(url.removeprefix("sqlite:///")))
    opened = Store.open(url)
    yield opened
    opened.close()
