"""What the tests of streams share: a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service without streams."""
    with Served(tmp_path) as served:
        yield served
