"""The tables of a database: what the code expects, older and newer ones, and none of ours."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.stored import add, run_sql, without_units

from onearm.engine.errors import InvalidInput
from onearm.engine.storage.records import Snapshot
from onearm.engine.storage.schema import MIGRATIONS, VERSION_TABLE, revisions
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import METADATA


def test_the_migrations_make_the_tables_that_the_code_expects(url: str) -> None:
    Store.open(url).close()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_revisions_are_those_that_alembic_finds_in_their_order() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(revisions()))


def test_a_database_of_the_newest_schema_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/run.db"
    Store.open(url).close()
    opening = f"import sys; from onearm.engine.storage.store import Store; Store.open({url!r}).close()"
    subprocess.run([sys.executable, "-c", f"{opening}; assert 'alembic' not in sys.modules"], check=True)


def test_an_older_schema_keeps_its_snapshots(url: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
    binary, state = ("BLOB", "x'6279746573'") if url.startswith("sqlite") else ("BYTEA", "'bytes'")
    without_units(url)
    run_sql(url, "ALTER TABLE event DROP COLUMN vector")
    run_sql(url, "ALTER TABLE experiment DROP COLUMN deleted_at")
    run_sql(url, "DROP TABLE snapshot_part")
    for table in ("base", "base_part", "artefact", "api_key", "audit"):
        run_sql(url, f"DROP TABLE {table}")
    run_sql(url, f"ALTER TABLE snapshot ADD COLUMN state {binary} NOT NULL DEFAULT ''")
    run_sql(url, f"INSERT INTO snapshot VALUES ({key}, 3, 2, 'digest', '{{}}', {state})")
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '0002'")
    with closing(Store.open(url)) as store:
        assert store.newest_snapshots(key) == [Snapshot(key, 3, 2, "digest", "{}")]
        assert list(store.snapshot_parts(key, 3)) == [b"bytes"]


def test_a_database_of_a_newer_schema_is_left_alone(url: str) -> None:
    Store.open(url).close()
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for write in (True, False):
        with pytest.raises(InvalidInput, match="'9999'") as refused:
            Store.open(url, write=write)
        assert refused.value.code == "newer_schema"


def test_a_database_without_our_tables_is_not_read(url: str) -> None:
    Store.open(url).close()
    run_sql(url, f"DROP TABLE {VERSION_TABLE}")
    with pytest.raises(InvalidInput, match="onearm serve") as refused:
        Store.open(url, write=False)
    assert refused.value.code == "older_schema"
    with pytest.raises(InvalidInput, match="not made by onearm") as refused:
        Store.open(url)
    assert refused.value.code == "foreign_database"
