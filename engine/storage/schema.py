"""The schema of a database: which revision it has, and how it becomes the newest.

A revision with a letter behind its number, as 0016a, only adds to what 0016 is: tables, and columns that may be NULL or
have a default. Nodes of an older version go on while it is made, and open such a database too, as long as they know its
number. Whatever else changes has a number of its own, and is made while nobody is at work: what is not needed any more
goes in a later release than the one that needs it no more. An index of a table that there is has a number too, as
nobody can write to it while it is made.
"""

from __future__ import annotations

import functools
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..errors import InvalidInput

VERSION_TABLE = "onearm_schema"
LOG = "0005"  # since this revision the log is as it is now: what only reads it needs no newer one
ACCESS = "0006"  # since this one there are keys and the audit log
DELETIONS = "0007"  # since this one experiments may be deleted
BASES = "0009"  # since this one a log may be folded from a base: tables of 0008, and a column of this one
UNITS = "0009"  # since this one decisions may name whom they are for, and be erased
POLICIES = "0013"  # since this one an experiment may have several policies
CORRECTIONS = "0014"  # since this one what was learned may be corrected
SHARDS = "0015"  # since this one several nodes may share the experiments
PUBLISHED = "0016"  # since this one it is on record how far logs were published
OUTCOMES = "0011"  # since this one rewards may be on record that are not learned, or not yet
DIGITS = 4  # of a revision: its number, before a letter
MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_version = sa.table(VERSION_TABLE, sa.column("version_num"))


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest schema, within the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")


def revision(connection: Connection, name: str) -> str | None:
    """Return the revision of the database `name`, None without one; raise where this version does not know it.

    What was only added to the newest that it knows is no matter: it may have another letter.
    """
    known = None
    if sa.inspect(connection).has_table(VERSION_TABLE):
        known = connection.scalar(sa.select(_version.c.version_num))
    added = known is not None and known > newest() and known[:DIGITS] == newest()[:DIGITS]
    if known is not None and known not in revisions() and not added:
        raise InvalidInput(
            "newer_schema",
            f"{name} has the schema {known!r}, which this version of onearm does not know (it knows "
            f"up to {newest()!r}): use the version of onearm that wrote it",
        )
    return known


def is_older(known: str | None) -> bool:
    """Tell whether a database of a revision, None without tables, lacks something that this version writes."""
    return known is None or known < newest()


def is_added_to(known: str | None) -> bool:
    """Tell whether all that a database lacks is only added to what it has, so that others may be at work meanwhile."""
    return known is not None and known[:DIGITS] == newest()[:DIGITS]


def newest() -> str:
    """Return the revision that this version of onearm writes."""
    return revisions()[-1]


@functools.cache
def revisions() -> tuple[str, ...]:
    """Return all revisions that this version of onearm knows, by the names of their files: v0001_log.py is 0001."""
    return tuple(sorted(file.stem[1:].partition("_")[0] for file in (MIGRATIONS / "versions").glob("v*.py")))
