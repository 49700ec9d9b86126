"""Databases as tests of one process need them: SQLite waits for no disk, and SQLAlchemy compiles a statement once.

No test cuts the power of the machine, and whoever kills a service starts it as a process, which knows nothing of this.
Such waiting takes 7 of the 8 ms of a decision on a busy machine, and half of its CPU. An engine keeps what it compiled
by its dialect; a service has four engines, and makes 20 statements as it starts and ends: 10 of its 45 ms of CPU.

The tables of a new database are made by all steps of the schema once in a process, on each kind of server. From then on
what these said is said again: 42 -> 4 ms of CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

STORAGE = "onearm.engine.storage.drivers"  # who imports it has SQLAlchemy
SCHEMA = "onearm.engine.storage.schema"


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
        patch.setattr(sys.modules[SCHEMA], "migrate", said_again(sys.modules[SCHEMA], storage))
        yield make


def said_again(schema: Any, storage: Any) -> Callable[[Any], None]:
    """Return what makes the tables of a new database as the steps of the schema did before; of another, by these."""
    migrate, said = schema.migrate, dict[Any, list[tuple[str, Any]]]()

    def quick(connection: Any) -> None:
        if storage.sa.inspect(connection).get_table_names():
            migrate(connection)
            return
        kind = connection.dialect.name, schema.MIGRATIONS
        if kind in said:
            for statement, given in said[kind]:
                connection.exec_driver_sql(statement, given)
            return
        heard = list[tuple[str, Any]]()

        def hear(_: Any, cursor: Any, statement: str, given: Any, *about: Any) -> None:
            if not statement.lstrip().startswith(("SELECT", "PRAGMA")):
                heard.append((statement, given))

        storage.event.listen(connection, "before_cursor_execute", hear)
        try:
            migrate(connection)
        finally:
            storage.event.remove(connection, "before_cursor_execute", hear)
        said[kind] = heard

    return quick


@pytest.fixture
def databases_of_the_service(quick_databases: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines of SQLite be as the service has them."""
    monkeypatch.setattr(sys.modules[STORAGE], "_sqlite_engine", quick_databases)


def wait_for_no_disk(connection: Any, record: Any) -> None:
    """Leave it to the system when what is written comes to the disk."""
    connection.execute("PRAGMA synchronous = OFF")
