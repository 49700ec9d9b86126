"""The schema of a database: which revision it has, and how it becomes the newest."""

from __future__ import annotations

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from ..errors import InvalidInput

VERSION_TABLE = "onearm_schema"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest schema, within the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")


def revision(connection: Connection, name: str) -> str | None:
    """Return the revision of the database `name`, None without one; raise where this version does not know it."""
    options = {"version_table": VERSION_TABLE}
    known = MigrationContext.configure(connection, opts=options).get_current_revision()
    if known is not None and known not in {script.revision for script in _scripts().walk_revisions()}:
        raise InvalidInput(
            "newer_schema",
            f"{name} has the schema {known!r}, which this version of onearm does not know (it knows "
            f"up to {newest()!r}): use the version of onearm that wrote it",
        )
    return known


def newest() -> str | None:
    """Return the revision that this version of onearm writes."""
    return _scripts().get_current_head()


@functools.cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))
