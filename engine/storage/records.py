"""Rows of the tables in SQL as Python sees them, and what is counted in them."""

from __future__ import annotations

from typing import NamedTuple


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


class Windowed(NamedTuple):
    """What windows came to in a part of a log."""

    defaults: int  # decisions whose windows closed with the default
    late: int  # rewards that came too late, and are on record
    early: int  # rewards that came before their decisions
    taken: int  # of those so many found their decisions in time
    lapsed: int  # decisions that were deferred, and not activated in time
    replaced: int  # decisions in whose place others were shown
