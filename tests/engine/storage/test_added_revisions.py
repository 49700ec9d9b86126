"""A revision that only adds to the tables of PostgreSQL is made while others are at work, and gives way to them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import Connection
from support.stored import add, decide

from onearm.engine.errors import Unavailable
from onearm.engine.storage import connections, schema
from onearm.engine.storage.store import Store

REVISION = '''"""A column more."""

import sqlalchemy as sa
from alembic import op

revision = "{added}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("event", sa.Column("remark", sa.Text))
'''


class Open:
    """The fence of a process that may write of all experiments."""

    idle_seconds = 30.0

    def check(self, connection: Connection, experiments: Iterable[int]) -> None:
        """Let it."""

    def check_new(self, connection: Connection, id: str) -> None:
        """Let it."""


@pytest.fixture
def at_work(postgres_url: str) -> Iterator[Store]:
    """Yield a store of this version, which others may share."""
    with closing(Store.open_among(postgres_url, Open())) as store:
        yield store


@pytest.fixture
def added(at_work: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Add a revision to those that are known, as a newer version has it, and yield its name."""
    before = schema.newest()
    added = f"{before[: schema.DIGITS]}z"
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / f"v{added}_remark.py").write_text(REVISION.format(added=added, before=before))
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    schema.revisions.cache_clear()
    yield added
    monkeypatch.undo()
    schema.revisions.cache_clear()


def revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        [(known,)] = connection.execute(f"SELECT version_num FROM {schema.VERSION_TABLE}").fetchall()
    return str(known)


def test_a_table_that_is_read_for_long_leaves_the_schema_as_it_was(
    postgres_url: str, at_work: Store, added: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by pg_dump. Who writes meanwhile waits for a moment at most, and not until that has ended."""
    key = add(at_work)
    before = revision(postgres_url)
    monkeypatch.setattr(connections, "TABLES_SECONDS", 1.0)
    refusals: list[Unavailable] = []

    def newer() -> None:
        with pytest.raises(Unavailable) as refused:
            Store.open_among(postgres_url, Open())
        refusals.append(refused.value)

    with psycopg.connect(postgres_url, options="-c idle_in_transaction_session_timeout=20s") as dump:
        dump.execute("SELECT count(*) FROM event").fetchall()
        thread = threading.Thread(target=newer)
        thread.start()
        written = 0
        while thread.is_alive():
            written += 1
            at_work.append([decide(key, written, written - 1)])
        thread.join()
        [refused] = refusals
        assert refused.code == "schema_locked" and "as pg_dump does; start this again" in str(refused)
        assert written > 1 and len(at_work.read_events(key, 0)) == written
        assert revision(postgres_url) == before
    Store.open_among(postgres_url, Open()).close()
    assert revision(postgres_url) == added
    at_work.append([decide(key, written + 1, written)])


def test_a_newer_process_tries_again_until_the_table_is_not_read_any_more(
    postgres_url: str, at_work: Store, added: str
) -> None:
    dump = psycopg.connect(postgres_url, options="-c idle_in_transaction_session_timeout=20s")
    dump.execute("SELECT count(*) FROM event").fetchall()
    ending = threading.Timer(3 * connections.GIVE_WAY_MS / 1000, dump.close)
    begun = time.monotonic()
    ending.start()
    try:
        Store.open_among(postgres_url, Open()).close()
        assert time.monotonic() - begun > 2 * connections.GIVE_WAY_MS / 1000
    finally:
        ending.join()
    assert revision(postgres_url) == added
