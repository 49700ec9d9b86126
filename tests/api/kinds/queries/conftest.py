"""What the tests of queries share: a service with one experiment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.query_service import create
from support.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `q`: which animal is it, by eight answers of -1 or 1?"""
    with Served(tmp_path) as served:
        assert create(served).status_code == 201
        yield served
