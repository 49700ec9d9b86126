"""What connections keep takes the same room after hours: statements over many rows have few lengths, pages are few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.stored import add, decide, new_database

from onearm.engine.storage.buckets import HOUR
from onearm.engine.storage.connections import Connections
from onearm.engine.storage.drivers import READER_CACHE_KB
from onearm.engine.storage.statements import KEYS_MAX, ROWS_MAX, in_lists, in_runs
from onearm.engine.storage.store import Store

N = 24
LENGTHS = 6  # powers of two up to the first that is not below N


@contextmanager
def texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Collect the statements over several rows that are written meanwhile."""
    heard: set[str] = set()
    written = Connections._in_dialect

    def hear(store: Connections, sql: str) -> str:
        heard.add(sql)
        return written(store, sql)

    with monkeypatch.context() as patch:
        patch.setattr(Connections, "_in_dialect", hear)
        yield heard


def append(store: Store, key: int, n: int) -> None:
    first = store.last(key)[1]
    hour = HOUR * 1_000_000
    decided = [
        decide(key, 1 + number, number, decision_id=f"d{number}", time=number * hour)
        for number in range(first, first + n)
    ]
    store.append(decided)


def read(store: Store, key: int, n: int) -> None:
    found = store.find(key, range(n), [f"d{number}" for number in range(n, 2 * n)])
    assert [event.number for event in found] == [*range(2 * n)], "each is there once"


def count(store: Store, key: int, n: int) -> None:
    until = store.counted_to(key) + n
    store.put_part(key, store.next_part(key, 0, closed=until))
    assert store.counted_to(key) == until


def erase(store: Store, key: int, n: int) -> None:
    store.erase(key, range(n))
    assert (store.erased(key), store.counted(key, range(n)).decisions) == (n, n)


WORK = {  # how many statements there may be for any number of rows: those of each length, and others
    "append": (append, LENGTHS),
    "read": (read, 2 * LENGTHS),
    "count": (count, 2 * LENGTHS + 4),
    "erase": (erase, 2 * LENGTHS + 1),
}


@pytest.mark.parametrize("name", WORK)
def test_any_number_of_rows_goes_by_a_few_statements(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    work, most = WORK[name]
    key = add(store)
    if name != "append":
        append(store, key, sum(range(N + 1)))
    with texts(monkeypatch) as heard:
        for n in range(1, N + 1):
            work(store, key, n)
    assert len(heard) <= most, sorted(map(len, heard))


def test_a_reader_keeps_few_pages(tmp_path: Path) -> None:
    """What it keeps is empty after each commit, so it grows to its limit whenever there is nothing to write."""
    store = Store.open(new_database(tmp_path / "run.db"))
    ((kept,),) = store._read("PRAGMA cache_size", ())
    store.close()
    assert kept == -READER_CACHE_KB and READER_CACHE_KB <= 256, "that is KB; above 0 it were pages"


@pytest.mark.parametrize("n", [0, 1, 2, 3, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 200])
def test_runs_hold_all_rows_in_their_order(n: int) -> None:
    runs = [*in_runs(range(n))]
    assert [row for run in runs for row in run] == [*range(n)]
    assert {len(run) for run in runs} <= {1 << i for i in range(7)} and ROWS_MAX == 1 << 6


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, KEYS_MAX, KEYS_MAX + 1])
def test_lists_hold_all_keys_and_the_last_one_again(n: int) -> None:
    lists = [*in_lists(range(n))]
    assert sorted({key for some in lists for key in some}) == [*range(n)]
    assert {len(some) for some in lists} <= {1 << i for i in range(11)} and KEYS_MAX == 1 << 10
