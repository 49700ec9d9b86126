"""Databases as tests of one process need them: SQLite waits for no disk, and SQLAlchemy compiles a statement once.

No test cuts the power of the machine, and whoever kills a service starts it as a process, which knows nothing of this.
Such waiting takes 7 of the 8 ms of a decision on a busy machine, and half of its CPU. An engine keeps what it compiled
by its dialect, which asks each server what it is; a service has four engines, a node eight, and makes 20 statements as
it starts and ends: 10 of its 45 ms of CPU, and of a node on PostgreSQL a third of 200 ms.

The tables of a new database are made by all steps of the schema once in a process, on each kind of server. From then on
what these said is said again: 42 -> 4 ms of CPU. Of SQLite that is heard before processes are copied (copies.py): with
what it imports it takes .4 s for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

STORAGE = "onearm.engine.storage.drivers"  # who imports it has SQLAlchemy
SCHEMA = "onearm.engine.storage.schema"
SAID: dict[Any, list[tuple[str, Any]]] = {}  # by the steps of the schema, to each kind of server


@pytest.fixture(scope="session", autouse=True)
def quick_databases() -> Iterator[Callable[..., Any] | None]:
    """Let each engine know and have compiled what the first of its kind has, and SQLite wait for no disk.

    That is where tests make any. Yield what makes engines of SQLite as the service has them.
    """
    storage: Any = sys.modules.get(STORAGE)
    if storage is None:
        yield None
        return
    make = storage._sqlite_engine

    def quick(*given: Any, **options: Any) -> Any:
        engine = make(*given, **options)
        storage.event.listen(engine, "connect", wait_for_no_disk)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_sqlite_engine", as_the_first(quick))
        patch.setattr(storage, "_postgresql_engine", as_the_first(storage._postgresql_engine))
        patch.setattr(sys.modules[SCHEMA], "migrate", said_again(sys.modules[SCHEMA], storage))
        yield make


def as_the_first(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes engines that share the dialect of the first one with their isolation level."""
    made = dict[str | None, Any]()

    def make_alike(*given: Any, **options: Any) -> Any:
        engine = make(*given, **options)
        first = made.setdefault(options.get("isolation_level"), engine)
        if engine is not first:
            own, shared = engine.dialect, first.dialect

            def learn(connection: Any) -> None:
                if shared.server_version_info is None:  # the first one was never connected
                    shared.initialize(connection)

            own.initialize = learn  # on its first connection
            engine.dialect, engine._compiled_cache = shared, first._compiled_cache
        return engine

    return make_alike


def begin() -> None:
    """Hear what makes the tables of SQLite, where tests make any."""
    storage: Any = sys.modules.get(STORAGE)
    if storage is None:
        return
    engine = storage.sa.create_engine("sqlite://")
    with engine.begin() as connection:
        said_again(sys.modules[SCHEMA], storage)(connection)
    engine.dispose()


def said_again(schema: Any, storage: Any) -> Callable[[Any], None]:
    """Return what makes the tables of a new database as the steps of the schema did before; of another, by these."""
    migrate = schema.migrate

    def quick(connection: Any) -> None:
        if storage.sa.inspect(connection).get_table_names():
            migrate(connection)
            return
        kind = connection.dialect.name, schema.MIGRATIONS
        if kind in SAID:
            for statement, given in SAID[kind]:
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
        SAID[kind] = heard

    return quick


@pytest.fixture
def databases_of_the_service(quick_databases: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines of SQLite be as the service has them."""
    monkeypatch.setattr(sys.modules[STORAGE], "_sqlite_engine", quick_databases)


def wait_for_no_disk(connection: Any, record: Any) -> None:
    """Leave it to the system when what is written comes to the disk."""
    connection.execute("PRAGMA synchronous = OFF")
