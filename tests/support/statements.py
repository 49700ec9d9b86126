"""Statements that SQLAlchemy compiles once in a process of the tests, and not once for each database that they open.

An engine keeps what it compiled by its dialect. A service has four engines and makes 20 statements as it starts and
ends: 10 of its 45 ms of CPU. All of SQLite have one dialect here, so that they find what another one compiled.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine import URL, Engine

from onearm.engine.storage import connections


def share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each engine of SQLite that is made from now on have what the first one has compiled."""
    make, made = connections._sqlite_engine, list[Engine]()

    def sharing(url: URL, **options: Any) -> Engine:
        engine = make(url, **options)
        if not made:
            made.append(engine)
        (first,) = made
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    monkeypatch.setattr(connections, "_sqlite_engine", sharing)
