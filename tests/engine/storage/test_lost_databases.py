"""Databases that stop: a killed writer, a full disk, a lost connection or lock, an address that leads nowhere."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import psycopg
import pytest
from support.every_run import every_run
from support.forked import Forked
from support.stored import add, decide, write

from onearm.engine.errors import InvalidInput, OnearmError, Unavailable
from onearm.engine.storage.store import Store


@pytest.mark.parametrize("acknowledged", every_run([100, 1000], [100]))
def test_after_sigkill_every_acknowledged_batch_is_there_whole(url: str, acknowledged: int) -> None:
    with tempfile.TemporaryFile("w+") as stderr:
        writer = Forked(write, [url], stderr)
        while int(writer.stdout.readline()) < acknowledged:
            pass
        writer.send_signal(signal.SIGKILL)
        told = [acknowledged, *map(int, writer.stdout.read().split())]
        writer.communicate()
    store = Store.open(url)
    [experiment] = store.experiments()
    seqs = [event.seq for event in store.read_events(experiment.key, 0, limit=1_000_000)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) % 20 == 0
    assert told[-1] <= len(seqs) <= told[-1] + 20
    store.append([decide(experiment.key, len(seqs) + 1, len(seqs))])
    store.close()


def test_a_full_disk_fails_the_commit_and_room_mends_it(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = add(store)
    assert store._writer is not None
    pages = store._writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    store._writer.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    store._writer.rollback()
    batch = [decide(key, seq, seq - 1, context=bytes(1000)) for seq in range(1, 201)]
    for _ in range(2):
        with pytest.raises(Unavailable, match="disk is full") as refused:
            store.append(batch)
        assert refused.value.code == "commit_failed"
        assert store.last(key) == (0, 0)
    store.append(batch[:1])
    assert store._writer is not None
    store._writer.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store._writer.rollback()
    store.append(batch[1:])
    assert store.last(key) == (200, 200)
    store.close()


@pytest.mark.usefixtures("databases_of_the_service")
def test_sqlite_commits_reach_the_disk(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    assert store._writer is not None
    assert store._writer.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert store._writer.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    store.close()


def test_a_lost_connection_fails_once_and_is_opened_again_with_its_lock(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    key = add(store)
    store.append([decide(key, 1, 0)])
    end_sessions(postgres_url)
    with pytest.raises(Unavailable) as refused:
        store.append([decide(key, 2, 1)])
    assert refused.value.code == "commit_failed"
    assert store.last(key) == (1, 1)
    store.append([decide(key, 2, 1)])
    with pytest.raises(Unavailable, match="in use by"):
        Store.open(postgres_url)
    store.close()


def test_a_writer_that_lost_its_lock_to_another_cannot_write(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    key = add(store)
    end_sessions(postgres_url)
    other = Store.open(postgres_url)
    with pytest.raises(Unavailable):
        store.append([decide(key, 1, 0)])
    with pytest.raises(Unavailable) as refused:
        store.append([decide(key, 1, 0)])
    assert refused.value.code == "database_in_use"
    other.append([decide(key, 1, 0)])
    other.close()
    store.append([decide(key, 2, 1)])
    store.close()


def end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def text_file(folder: Path) -> str:
    (folder / "text.db").write_text("this is not a database, " * 100)
    return f"sqlite:///{folder}/text.db"


@pytest.mark.parametrize(
    ("url_of", "code", "words"),
    [
        (lambda folder: f"sqlite:///{folder}/none/run.db", "no_folder", "there is no folder"),
        (lambda folder: f"sqlite:///{folder}", "is_folder", "name a file"),
        (lambda folder: f"sqlite:///{folder}/{'x' * 300}", "not_writable", "cannot be written"),
        (text_file, "not_a_database", "not a database"),
        (lambda folder: "sqlite://", "no_file", "sqlite:///FILE"),
        (lambda folder: "run.db", "bad_database_url", "sqlite:///FILE"),
        (lambda folder: "mysql://root@host/db", "unknown_database", "sqlite or postgresql"),
        (lambda folder: "postgresql://me:secret@127.0.0.1:1/db", "database_unavailable", "does not answer"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_words(tmp_path: Path, url_of, code: str, words: str) -> None:
    with pytest.raises(OnearmError, match=words) as refused:
        Store.open(url_of(tmp_path))
    assert refused.value.code == code
    assert "secret" not in str(refused.value)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no file"):
        Store.open(f"sqlite:///{tmp_path}/run.db", write=False)
    assert list(tmp_path.iterdir()) == []
