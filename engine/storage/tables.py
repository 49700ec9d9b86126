"""The tables of the log in SQL, and their rows as Python sees them. A change here needs a migration."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from ..vocabulary import CORRECTED, OUTCOME

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


class Experiment(NamedTuple):
    """A row of table experiment: an immutable spec. Those of deleted experiments have blanks and a time of deletion."""

    key: int  # the foreign key of event and snapshot
    id: str  # the public id, unique; of a tenant but the default one ~TENANT~ID
    spec: str  # JSON: policy, problem, arms, seed
    body_hash: bytes  # sha256 of its spec as JSON
    versions: str  # JSON: onearm, policy, numba, numpy, platform
    created_at: int  # microseconds since 1970 UTC
    archived_at: int | None = None  # microseconds since 1970 UTC


class Event(NamedTuple):
    """A row of table event. The fields are the columns, in their order."""

    experiment: int
    seq: int  # from 1 per experiment, without gaps
    kind: int  # as `vocabulary.py` lists them; what is said of DECIDE holds for EXTERNAL
    number: int | None = None  # of the decision, from 0 without gaps; None on CHANGE, -seq on EARLY
    action: int | None = None  # an arm; on LEARN repeated from the decision
    propensity: float | None = None  # on LEARN repeated from the decision; NaN is stored as NULL
    reward: float | None = None  # LEARN, OUTCOME, EARLY and CORRECTED only; there None where it is retracted
    context: bytes | None = None  # as `engine/contexts.py` packs it; DECIDE only, None where the problem has none
    available: bytes | None = None  # numpy.packbits of the mask; DECIDE only, None where all arms are
    detail: str | None = None  # JSON; on CHANGE what changed, on DECIDE the explanation asked for, on LEARN a
    # list, or why a window closed; on OUTCOME whether it came late or early; on EARLY the decision's id,
    # on ACTIVATION what became of it
    sent: str | None = None  # the client's JSON, for people
    decision_id: str | None = None  # the client's; DECIDE only, None where the server made it
    reward_id: str | None = None  # LEARN, OUTCOME, EARLY only: the client's, or ''; None where a window closed
    body_hash: bytes | None = None  # sha256 of the request's body
    time: int = 0  # microseconds since 1970 UTC
    actions: str | None = None  # JSON, the ids of the actions by position; DECIDE only, None where arms are fixed
    vector: bytes | None = None  # an action that is no arm, as `engine/actions.py` packs it; DECIDE only
    unit_id: str | None = None  # whom the decision is for, as the client calls them; DECIDE only
    policy: int | None = None  # the number of the one that decided; DECIDE only, None where it was number 0


class Snapshot(NamedTuple):
    """A row of table snapshot: a state at a seq, whose parts are all there. Derived from the log."""

    experiment: int
    seq: int  # the last event that the state has learned
    decisions: int  # the number of the next decision
    digest: str  # sha256 of the bytes of all parts, in hex
    versions: str  # JSON


SUMS = -1  # the part that holds what reports tell: sha256, then the sums as states are packed; earlier versions skip it
NOTE = -2  # the part of a base that is being made: the name of the archive that is written for it


class SnapshotPart(NamedTuple):
    """A row of table snapshot_part or base_part: some of the bytes of a state, written before the row of that."""

    experiment: int
    seq: int
    part: int  # from 0 without gaps; SUMS and NOTE are no parts of the state
    state: bytes


class Base(NamedTuple):
    """A row of table base: a state at a seq from which the log is folded, whose parts are all there. It is truth.

    Unless it is `whole`, decisions that were learned by then are slim: what only a fold reads is gone, or will be soon.
    """

    experiment: int
    seq: int  # the last event that the state has learned
    decisions: int  # the number of the next decision
    digest: str  # sha256 of the bytes of all parts, in hex
    versions: str  # JSON: of what it was folded with
    time: int  # when it was made, in microseconds since 1970 UTC
    slim: int  # decisions that were learned up to this seq are slim; `seq` once all are
    archive: str | None = None  # the name of the file of what lies between the base before and this one
    archive_sha256: str | None = None  # of that file, in hex
    archive_bytes: int | None = None  # of that file
    whole: bool = False  # what lies before stays as it is: an erasure made it, as no fold can go over blank events, or
    of_change: bool = False  # a change of policies did, at its own seq: so no fold but `verify` has to go over it


class StoredArtefact(NamedTuple):
    """A row of table artefact: what an experiment decides with, so that its log needs no file beside it."""

    sha256: str  # in hex, of the whole: engine/trained/artefact.py
    name: str
    arrays: bytes  # .npz
    description: bytes  # JSON


class StoredKey(NamedTuple):
    """A row of table api_key: who may do what. Rows stay for good, as those in the audit log are named by them."""

    id: str  # what stands in the key before the secret
    digest: bytes  # sha256 of the whole key: it has 256 random bits, so nothing slower is needed
    name: str  # for people
    tenant: str | None  # None: the operator's
    roles: str  # in the order of the alphabet, with commas between
    experiments: str  # a pattern of their ids, * for all
    created_at: int  # microseconds since 1970 UTC
    expires_at: int | None = None
    revoked_at: int | None = None


class Deed(NamedTuple):
    """A row of table audit: what somebody did, when, and from where."""

    seq: int | None  # from 1; None before it is written
    time: int  # microseconds since 1970 UTC
    key: str | None  # the id of the key; None where none was asked for
    tenant: str | None  # whose the subject is; None: the operator's
    action: str  # as "experiments.archive"
    subject: str  # the id of what it was done to
    origin: str  # the address that asked, or "command line"


class Bucket(NamedTuple):
    """A row of table bucket: what was decided in an hour or a day of UTC, and what came of that, whenever it came.

    Table counted says up to which seq the buckets of an experiment hold its log.
    """

    experiment: int
    span: int  # seconds: an hour, or a day
    begins: int  # microseconds since 1970 UTC
    action: int  # an arm; ALL for all decisions
    decisions: int
    rewards: int  # of these decisions
    mean: float  # of the rewards
    square: float  # the sum of their squared distances from the mean


class Node(NamedTuple):
    """A row of table node: a process that serves with others. Times are the database's."""

    name: str
    life: str  # another one at each start
    address: str  # where other nodes reach it
    secret: str  # what they show it
    until: int  # when its lease ends, in microseconds since 1970 UTC
    renewed_at: int  # when it last said that it is at work
    recovering: int  # experiments whose logs it folds
    leaves: bool  # whether it gives its shards to others, and ends


class Shard(NamedTuple):
    """A row of table shard: some of the experiments, and which node has them. There are none where no node ever was."""

    number: int  # from 0
    owner: str | None  # the name of a node, whose lease may have ended
    epoch: int  # is one more whenever another one has it
    since: int  # when that was, in microseconds since 1970 UTC, by the database's clock


class Published(NamedTuple):
    """A row of table published: how far the log of an experiment was published to a stream."""

    stream: str  # where to, as people named it, without what is secret
    experiment: int
    seq: int  # of the last event that the broker has for sure
    time: int  # when that was, in microseconds since 1970 UTC


class Counts(NamedTuple):
    """How much an experiment's log holds."""

    seq: int  # of the last event, 0 if there is none
    decisions: int
    rewards: int


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
