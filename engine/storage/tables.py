"""The tables of the log in SQL. A change here needs a migration.

Their rows as Python sees them are in `records.py`, for whoever needs no SQL.
"""

from __future__ import annotations

import sqlalchemy as sa

from ..vocabulary import CORRECTED, OUTCOME
from .records import (
    Base,
    Bucket,
    Deed,
    Event,
    Experiment,
    Node,
    Published,
    Shard,
    Snapshot,
    SnapshotPart,
    StoredArtefact,
    StoredKey,
)

METADATA = sa.MetaData()
EXPERIMENT = sa.Table(
    "experiment",
    METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("archived_at", sa.BigInteger),
    sa.Column("deleted_at", sa.BigInteger),
)
EVENT = sa.Table(
    "event",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("number", sa.BigInteger),
    sa.Column("action", sa.BigInteger),
    sa.Column("propensity", sa.Double),
    sa.Column("reward", sa.Double),
    sa.Column("context", sa.LargeBinary),
    sa.Column("available", sa.LargeBinary),
    sa.Column("detail", sa.Text),
    sa.Column("sent", sa.Text),
    sa.Column("decision_id", sa.Text),
    sa.Column("reward_id", sa.Text),
    sa.Column("body_hash", sa.LargeBinary),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("actions", sa.Text),
    sa.Column("vector", sa.LargeBinary),
    sa.Column("unit_id", sa.Text),
    sa.Column("policy", sa.SmallInteger),
    sa.UniqueConstraint("experiment", "decision_id", name="event_decision_id"),
    sa.UniqueConstraint("experiment", "number", "reward_id", name="event_number_reward_id"),
)
_FOR_SOMEBODY = EVENT.c.unit_id.is_not(None)  # rows without a unit are not in its index
sa.Index(
    "event_unit_id",
    EVENT.c.experiment,
    EVENT.c.unit_id,
    EVENT.c.number,
    sqlite_where=_FOR_SOMEBODY,
    postgresql_where=_FOR_SOMEBODY,
)
_IS_BESIDE = sa.text(f"kind >= {OUTCOME}")  # OUTCOME and what came after it; other rows are not in its index
sa.Index("event_outcome", EVENT.c.experiment, EVENT.c.seq, sqlite_where=_IS_BESIDE, postgresql_where=_IS_BESIDE)
_CORRECTS = sa.text(f"kind = {CORRECTED}")
sa.Index("event_corrected", EVENT.c.experiment, EVENT.c.seq, sqlite_where=_CORRECTS, postgresql_where=_CORRECTS)
SNAPSHOT = sa.Table(
    "snapshot",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("decisions", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
)
SNAPSHOT_PART = sa.Table(
    "snapshot_part",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
BASE = sa.Table(
    "base",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("decisions", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("slim", sa.BigInteger, nullable=False),
    sa.Column("archive", sa.Text),
    sa.Column("archive_sha256", sa.Text),
    sa.Column("archive_bytes", sa.BigInteger),
    sa.Column("whole", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("of_change", sa.Boolean, nullable=False, server_default=sa.false()),
)
BASE_PART = sa.Table(
    "base_part",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
ERASED = sa.Table(
    "erased",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),  # of a decision
    sa.Column("blank", sa.Boolean, nullable=False),  # whether its rows are blank already
)
_IS_LEFT = ~ERASED.c.blank  # other rows are not in its index
sa.Index("erased_left", ERASED.c.experiment, ERASED.c.number, sqlite_where=_IS_LEFT, postgresql_where=_IS_LEFT)
ARTEFACT = sa.Table(
    "artefact",
    METADATA,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("arrays", sa.LargeBinary, nullable=False),
    sa.Column("description", sa.LargeBinary, nullable=False),
)
API_KEY = sa.Table(
    "api_key",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("experiments", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("tenant", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
)
BUCKET = sa.Table(
    "bucket",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("span", sa.Integer, primary_key=True),
    sa.Column("begins", sa.BigInteger, primary_key=True),
    sa.Column("action", sa.BigInteger, primary_key=True),
    sa.Column("decisions", sa.BigInteger, nullable=False),
    sa.Column("rewards", sa.BigInteger, nullable=False),
    sa.Column("mean", sa.Double, nullable=False),
    sa.Column("square", sa.Double, nullable=False),
)
COUNTED = sa.Table(
    "counted",
    METADATA,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
NODE = sa.Table(
    "node",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("life", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("renewed_at", sa.BigInteger, nullable=False),
    sa.Column("recovering", sa.Integer, nullable=False),
    sa.Column("leaves", sa.Boolean, nullable=False),
)
SHARD = sa.Table(
    "shard",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
)

PUBLISHED = sa.Table(
    "published",
    METADATA,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.key"), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
)


assert list(EVENT.c.keys()) == list(Event._fields)
assert list(EXPERIMENT.c.keys()) == [*Experiment._fields, "deleted_at"]
assert list(SNAPSHOT.c.keys()) == list(Snapshot._fields)
assert list(SNAPSHOT_PART.c.keys()) == list(SnapshotPart._fields)
assert list(BASE.c.keys()) == list(Base._fields)
assert list(BASE_PART.c.keys()) == list(SnapshotPart._fields)
assert list(ARTEFACT.c.keys()) == list(StoredArtefact._fields)
assert list(API_KEY.c.keys()) == list(StoredKey._fields)
assert list(BUCKET.c.keys()) == list(Bucket._fields)
assert list(NODE.c.keys()) == list(Node._fields)
assert list(SHARD.c.keys()) == list(Shard._fields)
assert list(AUDIT.c.keys()) == list(Deed._fields)
assert list(PUBLISHED.c.keys()) == list(Published._fields)
