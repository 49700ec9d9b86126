"""Nodes have leases by the database's clock, shards have owners and epochs, and who lost a shard writes nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.stored import decide, run_sql

from onearm.api.cluster.holding import Holding, ShardFence
from onearm.engine.errors import InvalidInput, OnearmError, Unavailable
from onearm.engine.storage.access import Access, deed_by_command
from onearm.engine.storage.connections import Connections
from onearm.engine.storage.files import IN_USE, UNUSED
from onearm.engine.storage.records import Node
from onearm.engine.storage.schema import DIGITS, VERSION_TABLE, newest
from onearm.engine.storage.shards import SHARDS, Shards, shard_of
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import NODE

LEASE = 30.0


def node(name: str, life: str = "1") -> Node:
    return Node(name, life, f"http://{name}:1", "secret", 0, 0, 0, False)


class One:
    """A node by hand: its holding, its store, and the shards as it sees them."""

    def __init__(self, url: str, name: str, life: str = "1", idle: float = LEASE) -> None:
        self.holding = Holding(name)
        self.store = Store.open_among(url, ShardFence(self.holding, idle))
        self.shards = Shards(self.store.url, write=True)
        self.node = node(name, life)
        self.joined = self.shards.join(self.node, LEASE)
        self.holding.shards = SHARDS

    def take(self, most: int = SHARDS) -> set[int]:
        self.shards.take(self.node.name, most)
        seen = self.shards.renew(self.node, LEASE)
        assert seen is not None
        self.holding.epochs = {one.number: one.epoch for one in seen.shards if one.owner == self.node.name}
        return set(self.holding.epochs)

    def lapse(self) -> None:
        """Let its lease end, as if it had not been heard of for long enough."""
        with self.shards._transaction() as connection:
            connection.execute(sa.update(NODE).where(NODE.c.name == self.node.name).values(until=0))

    def close(self) -> None:
        self.store.close()
        self.shards.close()


@pytest.fixture
def make(url: str) -> Iterator[Callable[..., One]]:
    made: list[One] = []

    def one(*given: object, **named: object) -> One:
        made.append(One(url, *given, **named))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_an_experiment_has_the_same_shard_for_good() -> None:
    assert [shard_of(name, 16) for name in ("hello", "~shop~hello", "e1", "e2")] == [14, 8, 2, 10]
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(f"e{number}", 16)] += 1
    assert min(counts) > 900 and max(counts) < 1100


def test_nodes_share_the_shards_and_nobody_takes_what_another_has(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    assert a.joined and b.joined
    assert len(a.take(8)) == 8
    assert b.take() == set(range(SHARDS)) - set(a.holding.epochs)
    assert a.take() == set(a.holding.epochs)


def test_a_lease_ends_by_the_clock_of_the_database_and_its_shards_get_a_new_epoch(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    assert len(a.take()) == SHARDS and b.take() == set()
    before = a.holding.epochs
    a.lapse()
    assert len(b.take()) == SHARDS
    assert b.holding.epochs == {number: epoch + 1 for number, epoch in before.items()}


def test_an_owner_whose_shard_is_anothers_by_now_writes_nothing(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    a.take()
    experiment = a.store.add_experiment("e", "{}", b"", "{}", 0)
    for one in (a, b):
        one.holding.know(experiment.key, "e")
    a.store.append([decide(experiment.key, 1, 0)])
    a.lapse()
    b.take()
    told: list[str] = []
    a.holding.fenced = lambda: told.append("fenced")
    writes: list[Callable[[], object]] = [
        lambda: a.store.append([decide(experiment.key, 2, 1)]),
        lambda: a.store.bury(experiment.key, 1),
        lambda: a.store.purge(experiment.key, 1),
        lambda: a.store.erase(experiment.key, [0]),
        lambda: a.store.add_experiment("f", "{}", b"", "{}", 0),
    ]
    for write in writes:
        with pytest.raises(Unavailable) as refused:
            write()
        assert refused.value.code == "lease_lost"
    assert told == ["fenced"] * len(writes)
    assert a.store.last(experiment.key) == (1, 1)
    assert [one.id for one in b.store.experiments()] == ["e"]
    b.store.append([decide(experiment.key, 2, 1)])


class Leaving(dict[int, int]):
    """Shards each of which is lost as soon as somebody has looked for it, as by the event loop's thread."""

    def __contains__(self, number: object) -> bool:
        there = super().__contains__(number)
        self.clear()
        return there

    def get(self, number: int, default: Any = None) -> Any:
        epoch = super().get(number, default)
        self.clear()
        return epoch


def test_a_shard_that_is_lost_while_the_writer_looks_at_it_is_written_or_refused(make: Callable[..., One]) -> None:
    a = make("a")
    a.take()
    experiment = a.store.add_experiment("e", "{}", b"", "{}", 0)
    a.holding.know(experiment.key, "e")
    a.holding.epochs = Leaving(a.holding.epochs)
    a.store.append([decide(experiment.key, 1, 0)])  # it is its own by the database
    with pytest.raises(Unavailable) as refused:
        a.store.append([decide(experiment.key, 2, 1)])
    assert refused.value.code == "lease_lost"
    assert a.store.last(experiment.key) == (1, 1)


def test_a_lease_that_ended_writes_as_long_as_nobody_took_its_shards(make: Callable[..., One]) -> None:
    a = make("a")
    a.take()
    experiment = a.store.add_experiment("e", "{}", b"", "{}", 0)
    a.holding.know(experiment.key, "e")
    a.lapse()
    a.store.append([decide(experiment.key, 1, 0)])
    assert a.store.last(experiment.key) == (1, 1)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_shard_in_which_somebody_writes_is_taken_when_that_is_written(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    a.take()
    experiment = a.store.add_experiment("e", "{}", b"", "{}", 0)
    a.holding.know(experiment.key, "e")
    mine = a.holding.shard("e")
    inside, over = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with a.store._transaction(experiment.key) as connection:
            a.store._put_events(connection, [decide(experiment.key, 1, 0)])
            inside.set()
            over.wait(20)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write_slowly)
        assert inside.wait(20)
        a.lapse()
        assert b.take() == set(range(SHARDS)) - {mine}
        over.set()
        written.result()
    assert mine in b.take()
    assert b.store.last(experiment.key) == (1, 1)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_who_sleeps_in_a_transaction_does_not_keep_its_shard(make: Callable[..., One]) -> None:
    """As a process that is paused there, or cut off."""
    a, b = make("a", idle=0.3), make("b")
    a.take()
    experiment = a.store.add_experiment("e", "{}", b"", "{}", 0)
    a.holding.know(experiment.key, "e")
    with pytest.raises(Unavailable) as refused, a.store._transaction(experiment.key) as connection:
        a.store._put_events(connection, [decide(experiment.key, 1, 0)])
        a.lapse()
        time.sleep(1.0)
        assert b.take() == set(range(SHARDS))
    assert refused.value.code == "commit_failed"
    assert b.store.last(experiment.key) == (0, 0)


def test_a_planned_move_gives_a_shard_in_a_new_epoch_and_only_once(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    a.take()
    epoch = a.holding.epochs[3]
    assert a.shards.hand_over(3, epoch, "a", "b")
    assert not a.shards.hand_over(3, epoch, "a", None)
    assert b.take() == {3} and b.holding.epochs == {3: epoch + 1}


def test_two_nodes_of_one_name_are_not_at_work_at_once(make: Callable[..., One]) -> None:
    first = make("a")
    first.take()
    second = make("a", "2")
    assert not second.joined
    first.lapse()
    assert second.shards.join(second.node, LEASE)
    assert first.shards.renew(first.node, LEASE) is None
    before = first.holding.epochs
    assert len(second.take()) == SHARDS
    assert all(epoch > before[number] for number, epoch in second.holding.epochs.items())


def test_a_node_that_leaves_is_seen_no_more(make: Callable[..., One]) -> None:
    a, b = make("a"), make("b")
    assert set(b.shards.see().nodes) == {"a", "b"}
    a.shards.leave(a.node)
    assert set(b.shards.see().nodes) == {"b"}


def test_one_process_and_several_nodes_keep_each_other_out(url: str, make: Callable[..., One]) -> None:
    alone = Store.open(url)
    with pytest.raises(OnearmError) as refused:
        make("a")
    assert refused.value.code == "database_in_use"
    alone.close()
    make("a")
    make("b")
    with pytest.raises(Unavailable) as refused:
        Store.open(url)
    assert refused.value.code == "database_in_use"


def test_a_node_of_a_newer_version_waits_until_the_older_ones_have_ended(url: str, make: Callable[..., One]) -> None:
    a = make("a")
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '0014'")
    with pytest.raises(Unavailable, match="stop them all") as refused:
        make("b")
    assert refused.value.code == "older_schema"
    assert a.shards.renew(a.node, LEASE) is not None
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(InvalidInput) as newer:
        make("b")
    assert newer.value.code == "newer_schema"


def test_a_node_begins_where_a_newer_version_only_added_something(url: str, make: Callable[..., One]) -> None:
    """Such revisions have the number of the one before, and a letter."""
    make("a")
    added = f"{newest()[:DIGITS]}z"
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '{added}'")
    assert make("b").joined
    with closing(Store.open(url, write=False)) as reading:
        assert reading.experiments() == []
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '{int(newest()[:DIGITS]) + 1:04}a'")
    with pytest.raises(InvalidInput, match="does not know") as refused:
        make("c")
    assert refused.value.code == "newer_schema"


def test_processes_take_turns_at_one_file(tmp_path: Path) -> None:
    """Who writes keys beside them takes part; whoever had to wait for SQLite's own lock would fail here."""
    url = f"sqlite:///{tmp_path}/run.db"
    some = [One(url, name) for name in "abc"]
    some[0].take()
    experiments = [some[0].store.add_experiment(f"e{number}", "{}", b"", "{}", 0) for number in range(3)]
    for one in some:
        one.holding.epochs, one.holding.node = some[0].holding.epochs, "a"
        for experiment in experiments:
            one.holding.know(experiment.key, experiment.id)
    access = Access(some[0].store.url, write=True)
    for connections in (access, *(one.store for one in some)):
        wait_for_nobody(connections)

    def write(number: int) -> None:
        for seq in range(1, 101):
            some[number].store.append([decide(experiments[number].key, seq, seq - 1)])

    def note() -> None:
        for number in range(50):
            access.note(deed_by_command(None, "keys.revoke", str(number)))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(note), *(pool.submit(write, number) for number in range(3))]:
            done.result()
    assert [some[0].store.last(one.key) for one in experiments] == [(100, 100)] * 3
    assert len(access.deeds(100)) == 50
    for each in (access, *some):
        each.close()


def wait_for_nobody(connections: Connections) -> None:
    """Let what writes to SQLite fail at once where another one does so."""
    with connections._transaction() as connection:
        connection.exec_driver_sql("SELECT 1")
    assert connections._writer is not None
    connections._writer.exec_driver_sql("PRAGMA busy_timeout = 0")
    connections._writer.rollback()


def test_the_last_process_of_a_file_marks_it_as_unused(tmp_path: Path) -> None:
    """A copy of it without the -wal file would lack commits before that."""
    file = tmp_path / "run.db"
    a, b = One(f"sqlite:///{file}", "a"), One(f"sqlite:///{file}", "b")
    assert marked(file) == IN_USE
    a.close()
    b.take()
    b.store.add_experiment("e", "{}", b"", "{}", 0)
    assert marked(file) == IN_USE
    b.close()
    assert marked(file) == UNUSED
    assert not Path(f"{file}-wal").exists()


def marked(file: Path) -> int:
    """Return the mark in the head of a file of SQLite, as SQLite reads it: to close the file itself takes its locks."""
    with closing(sqlite3.connect(file)) as connection:
        mark: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return mark
