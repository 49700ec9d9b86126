"""SQLite as tests of one process need it: it waits for no disk, and SQLAlchemy compiles a statement once.

No test cuts the power of the machine, and whoever kills a service starts it as a process, which knows nothing of this.
Such waiting takes 7 of the 8 ms of a decision on a busy machine, and half of its CPU. An engine keeps what it compiled
by its dialect; a service has four engines, and makes 20 statements as it starts and ends: 10 of its 45 ms of CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

STORAGE = "onearm.engine.storage.drivers"  # who imports it has SQLAlchemy


@pytest.fixture(scope="session", autouse=True)
def quick_databases() -> Iterator[Callable[..., Any] | None]:
    """Let each engine of SQLite have what the first one has compiled, and wait for no disk, where tests make any.

    Yield what makes engines as the service has them.
    """
    storage: Any = sys.modules.get(STORAGE)
    if storage is None:
        yield None
        return
    make, made = storage._sqlite_engine, list[Any]()

    def quick(*given: Any, **options: Any) -> Any:
        engine = make(*given, **options)
        storage.event.listen(engine, "connect", wait_for_no_disk)
        if not made:
            made.append(engine)
        (first,) = made
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_sqlite_engine", quick)
        yield make


@pytest.fixture
def databases_of_the_service(quick_databases: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines of SQLite be as the service has them."""
    monkeypatch.setattr(sys.modules[STORAGE], "_sqlite_engine", quick_databases)


def wait_for_no_disk(connection: Any, record: Any) -> None:
    """Leave it to the system when what is written comes to the disk."""
    connection.execute("PRAGMA synchronous = OFF")
