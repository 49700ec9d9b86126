"""What goes on in the background reads what it changes, and not all that lies before: the plans of SQLite say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.stored import add, decide, learn

from onearm.engine.storage.records import Base
from onearm.engine.storage.store import Store

BOUNDED = {  # of the tables that grow with a log: what a step may look for in them
    "event": {"experiment=? AND seq>? AND seq<?", "experiment=? AND number=?"},
    "erased": {"experiment=? AND number=?"},
}
LEFT = "erased_left"  # an index that has no more than what is not blank
SEARCH = re.compile(r"(SEARCH|SCAN) (\w+)(?: USING .*?INDEX (\w+))?(?:.*\((.*)\))?")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/run.db")
    yield opened
    opened.close()


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements, with their values, that are executed meanwhile."""
    heard: list[tuple[str, Any]] = []

    def hear(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
            heard.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)


def searches(store: Store, heard: list[tuple[str, Any]]) -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yield statement, table, index and what is looked for, of each place where a plan reads a table that grows."""
    for statement, values in heard:
        aliases = dict(re.findall(r"\b(event|erased) AS (\w+)", statement))
        tables = {alias: table for table, alias in aliases.items()} | {table: table for table in BOUNDED}
        with store._reader.connect() as connection:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        for line in plan:
            found = SEARCH.match(line)
            if found is not None and found[2] in tables:
                yield statement, tables[found[2]], found[3], found[4]


def filled(store: Store) -> int:
    key = add(store)
    events = [decide(key, n + 1, n, unit_id="ann", context=b"seen") for n in range(100)]
    store.append(events + [learn(key, 101 + n, n) for n in range(100)])
    store.put_base(Base(key, 200, 100, "digest", "{}", 9, 0))
    return key


def slim(store: Store, key: int) -> None:
    while store.slim(key, 200, 10):
        pass


def blank(store: Store, key: int) -> None:
    store.erase(key, range(100))
    while store.blank(key, 10):
        pass


@pytest.mark.parametrize(("step", "number"), [(slim, 20), (blank, 10)])
def test_no_statement_of_a_step_reads_what_others_did(
    sqlite: Store, step: Callable[[Store, int], None], number: int
) -> None:
    key = filled(sqlite)
    with statements() as heard:
        step(sqlite, key)
    found = list(searches(sqlite, heard))
    assert len(heard) > 3 * number and len(found) > 2 * number, "the statements of all steps were heard"
    for statement, table, index, wanted in found:
        assert wanted in BOUNDED[table] or index == LEFT, (statement, table, index, wanted)


def test_what_is_left_to_blank_is_found_without_what_is_blank(sqlite: Store) -> None:
    key = filled(sqlite)
    sqlite.erase(key, [3])
    with statements() as heard:
        assert sqlite.unblanked() == {key: [3]}
    assert [index for _, _, index, _ in searches(sqlite, heard)] == [LEFT]


def test_changes_are_found_without_the_events_between_them(sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start asks for them, of every experiment: with an order by seq SQLite walked through the whole log."""
    key, heard, read = filled(sqlite), list[tuple[str, Any]](), sqlite._read
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_read", lambda *asked: (heard.append(asked), read(*asked))[1])
        assert sqlite.changes(key) == []
        sqlite.counts_at(key, 200)
    found = [wanted for statement, _, _, wanted in searches(sqlite, heard) if "number IS NULL" in statement]
    assert found == ["experiment=? AND number=?"] * 2
