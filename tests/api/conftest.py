"""The service in this process, over a file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `e`: three arms, a randomised policy."""
    with Served(tmp_path) as served:
        assert served.create().status_code == 201
        yield served
