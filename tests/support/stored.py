"""Databases, and events of an experiment as they keep them."""

from __future__ import annotations

import functools
import itertools
import tempfile
from pathlib import Path

import sqlalchemy as sa

from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN, Problem

NO_CONTEXT = Problem(n_arms=3)


def new_database(file: Path) -> str:
    """Return the URL of a database in a file, with no experiments where there is no such file yet."""
    if not file.exists():
        file.write_bytes(_migrated())
    return f"sqlite:///{file}"


def used_database(file: Path) -> str:
    """Return the same, where a service makes no `hello`: somebody deleted it, and it comes by itself only once.

    To write and to fold it is a third of what a service does that starts and ends.
    """
    if not file.exists():
        file.write_bytes(_used())
    return f"sqlite:///{file}"


@functools.cache
def _used() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(new_database(file := Path(folder, "run.db")))
        store.bury(add(store, "hello"), 7)
        store.close()
        return file.read_bytes()


@functools.cache
def _migrated() -> bytes:
    """Make a database once: the steps of the schema take as long as all else that starts a service."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.db")
        Store.open(f"sqlite:///{file}").close()
        return file.read_bytes()


def add(store: Store, id: str = "e") -> int:
    return store.add_experiment(id, '{"policy": "ucb1"}', b"hash", "{}", 7).key


def decide(experiment: int, seq: int, number: int, **fields: object) -> Event:
    return Event(experiment, seq, DECIDE, number, **{"action": 1, "propensity": 0.5, "time": seq} | fields)


def learn(experiment: int, seq: int, number: int, reward: float = 1.0, **fields: object) -> Event:
    values = {"action": 1, "propensity": 0.5, "reward": reward, "reward_id": "", "time": seq} | fields
    return Event(experiment, seq, LEARN, number, **values)


def without_units(url: str) -> None:
    """Take away what a database from before there were units does not have."""
    run_sql(url, "DROP INDEX event_outcome", "DROP INDEX erased_left", "DROP INDEX event_corrected")
    run_sql(
        url, "DROP TABLE bucket", "DROP TABLE counted", "DROP TABLE node", "DROP TABLE shard", "DROP TABLE published"
    )
    run_sql(url, "DROP INDEX event_unit_id", "ALTER TABLE event DROP COLUMN unit_id", "DROP TABLE erased")
    run_sql(url, "ALTER TABLE base DROP COLUMN whole")
    run_sql(url, "ALTER TABLE base DROP COLUMN of_change", "ALTER TABLE event DROP COLUMN policy")


def run_sql(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def write(arguments: list[str]) -> int:
    """Write 20 decisions after the other to a new database, and say how many are there, until somebody ends it."""
    (url,) = arguments
    store = Store.open(url)
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    print(0, flush=True)
    for start in itertools.count(1, 20):
        store.append([Event(key, seq, 0, seq - 1, 1, 0.5, context=b"x" * 256) for seq in range(start, start + 20)])
        print(start + 19, flush=True)
    return 0
