"""The databases that several processes serve: a real server of PostgreSQL, and on one machine a file of SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/run.db"
    address: str = request.getfixturevalue("postgres_url")
    return address
