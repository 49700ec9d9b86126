"""What tests of interfaces share: the service in this process over a file of its own, and compiled statements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import statements
from support.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Yield a service with the experiment `e`: three arms, a randomised policy."""
    with Served(tmp_path) as served:
        assert served.create().status_code == 201
        yield served


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """Let all databases of a process share what SQLAlchemy compiles."""
    with pytest.MonkeyPatch.context() as patch:
        statements.share(patch)
        yield
