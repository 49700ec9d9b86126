"""Experiments: create, list, read, archive, restore, delete; their arms and their health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from ...engine import snapshot
from ...engine.changes.turning import check_turns
from ...engine.changes.worlds import changes_of, leader_of
from ...engine.compiled import background
from ...engine.errors import InvalidInput, NotFound
from ...engine.storage.records import Counts, Experiment
from ...engine.storage.store import Store
from ...engine.vectors.constants import constants_of
from ..access.caller import Caller
from ..experiment.explanation import notes_on, wrapped
from ..experiment.ids import in_url
from ..experiment.report import warnings_of
from ..experiment.unknown import or_null
from ..experiment.worlds import as_found
from ..service.alarms import alarms_of
from ..service.lag import Lag
from ..service.live import Live
from ..service.policies import shadows_without_growth
from ..service.read_state import read_state
from ..service.refusals import no_stream
from ..service.service import Service
from . import schemas
from .bodies import LARGE, read, read_object
from .call import Call
from .endpoint import Answer
from .requests import iso, time_of, whole_number

PAGE = 100
PAGE_MAX = 1000
ARMS_LISTED = 5  # of each experiment
_object = msgspec.json.Decoder(dict[str, object])
_said = msgspec.json.Decoder(schemas.WorldSaid)
_compact = msgspec.json.Decoder(schemas.Compact)
_created = msgspec.json.Decoder(schemas.Created)


async def create(service: Service, call: Call) -> Answer:
    """Create an experiment; it answers at once, and its kernels are compiled in the background."""
    if len(call.body) <= LARGE:
        said = read(_object, call.body, "the experiment")
    else:
        async with service.lanes.large.turn():
            said = await read_object(_object, "arms", call.body, "the experiment")
    tenant, body = call.caller.placed(said)
    live, new = await service.create(body, tenant)
    return Answer(201 if new else 200, describe(live, call.caller))


async def list_all(service: Service, call: Call) -> Answer:
    """List the experiments, a page at a time."""
    after = call.parameter("after") or None
    await service.look_around()
    mine = listed(service, call)
    names = list(mine)
    start = 0
    if after is not None:
        if (last_seen := call.caller.named(after)) not in mine:
            raise NotFound("unknown_experiment", f"there is no experiment {after!r} to list after")
        start = names.index(last_seen) + 1
    page = names[start : start + whole_number("limit", call.parameter("limit") or str(PAGE), PAGE_MAX)]
    last = call.caller.called(page[-1]) if page and page[-1] != names[-1] else None
    found = await shown(service, [mine[name] for name in page], call.caller)
    return Answer(200, schemas.Experiments(found, last))


def listed(service: Service, call: Call) -> Mapping[str, Live | Experiment]:
    """Return the experiments that a caller may see, by name, in the order of their creation."""
    caller = call.caller
    return {name: one for name, one in service.listed(caller.tenant).items() if caller.sees(name)}


async def read_one(service: Service, call: Call) -> Answer:
    """Read one experiment, its counters, and the digest of its state, once all of that is committed."""
    live = service.live(call.path["experiment_id"])
    digest = await read_state(live, service.pools.states, lambda: snapshot.digest)
    found = describe(live, call.caller)  # behind it: what the state has learned is what is counted
    found.digest = digest
    await live.committed()
    return Answer(200, found)


async def archive(service: Service, call: Call) -> Answer:
    """Close an experiment; it stays readable, and can be restored."""
    live = service.live(call.path["experiment_id"])
    await live.turns.take(lambda: live.archive(live.now()))
    return Answer(200, describe(live, call.caller))


async def restore(service: Service, call: Call) -> Answer:
    """Open an archived experiment again, as it was when it was archived."""
    live = service.live(call.path["experiment_id"])
    await live.turns.take(lambda: live.restore(live.now()))
    return Answer(200, describe(live, call.caller))


async def delete(service: Service, call: Call) -> Answer:
    """Delete an experiment and all that is on record of it, for good; its id is never used again."""
    name = call.path["experiment_id"]
    experiment_id = call.caller.called(service.row(name).id)
    if (confirmed := call.parameter("confirm")) != experiment_id:
        said = "the query has no confirm" if confirmed is None else f"confirm is {confirmed[:80]!r}"
        raise InvalidInput(
            "not_confirmed",
            f"{said}: a deletion is for good, so say the id twice, ?confirm={in_url(experiment_id)}; or archive it",
        )
    return Answer(200, schemas.Deleted(experiment_id, iso(await service.delete(name))))


async def compact(service: Service, call: Call) -> Answer:
    """Fold the log from its state at an event on; what lies before goes to an archive, and gets slim here."""
    live = service.live(call.path["experiment_id"])
    body = read(_compact, call.body or b"{}", "the compaction")
    before = _instant(body.before) if isinstance(body.before, str) else body.before
    base, events = await service.compactions.compact(live, before, archive=body.archive)
    kept = (base.archive, base.archive_bytes, base.archive_sha256)
    called = call.caller.called(live.row.id)
    return Answer(200, schemas.Compacted(called, base.seq, events, *kept, base.digest, iso(base.time)))


def _instant(text: str) -> datetime:
    """Return a time that says where it is."""
    if (found := time_of(text)) is None:
        raise InvalidInput(
            "bad_before", f"before is {text[:40]!r}: it must be a seq, or a time such as 2026-01-31T00:00:00Z"
        )
    return found


async def add_arm(service: Service, call: Call) -> Answer:
    """Let an arm join an experiment at work, or take part again; where arms come once, offer it."""
    live = service.live(call.path["experiment_id"])
    arm = read(_object, call.body, "the arm")
    turn = live.turns.alone if live.is_large or shadows_without_growth(live) else live.turns.take

    async def join() -> tuple[Any, bool]:
        await service.policies.make_way(live, arm)
        return await live.change("join", arm, live.now())

    answer, new = await turn(join)
    return Answer(201 if new else 200, answer)


async def retire_arm(service: Service, call: Call) -> Answer:
    """Choose an arm no more, until it is added again; its number stays its own."""
    live = service.live(call.path["experiment_id"])
    answer, _ = await live.turns.take(lambda: live.change("retire", call.path["arm_id"], live.now()))
    return Answer(200, answer)


async def close(service: Service, call: Call) -> Answer:
    """Say that no more arms will be offered to a stream."""
    live = service.live(call.path["experiment_id"])
    await live.turns.take(lambda: live.change("close", None, live.now()))
    return Answer(200, describe(live, call.caller))


async def commit(service: Service, call: Call) -> Answer:
    """Commit to what is recommended: from now on no other arm is pulled, or no query asked."""
    live = service.live(call.path["experiment_id"])
    answer, _ = await live.turns.take(lambda: live.change("commit", None, live.now()))
    return Answer(200, answer)


async def say(service: Service, call: Call) -> Answer:
    """Say that the world is another one now, or that a change which was found is none."""
    live = service.live(call.path["experiment_id"])
    check_turns(live.spec.policy)
    said = read(_said, call.body, "what is said")
    answer, new = await live.turns.take(lambda: live.change("say", said, live.now()))
    return Answer(201 if new else 200, answer)


async def recommend(service: Service, call: Call) -> Answer:
    """Read which arm or hypothesis a commit would choose now, or has chosen."""
    live = service.live(call.path["experiment_id"])
    if live.kind.recommend is None:
        raise no_stream(live.spec)
    async with live.keeping.awake():
        return Answer(200, await live.turns.take(_recommended, live))


async def _recommended(live: Live) -> Any:
    live.check_usable()
    assert live.kind.recommend is not None
    return live.kind.recommend(live)


async def diagnostics(service: Service, call: Call) -> Answer:
    """Tell the health of one experiment."""
    live = service.live(call.path["experiment_id"])
    async with service.lanes.reports.turn(), live.keeping.awake():
        return Answer(200, await live.turns.take(_diagnostics, live, service.lag))


async def _diagnostics(live: Live, lag: Lag) -> schemas.Diagnostics:
    live.check_usable()
    proof = None if live.kind.certificate is None else live.kind.certificate(live)
    constants, leader = constants_of(live.spec.policy, live.state), leader_of(live.spec.policy, live.state)
    return schemas.Diagnostics(
        decisions=live.number,
        rewards=live.rewards,
        pending=live.number - live.rewards,
        seq=live.seq,
        base=live.base or UNSET,
        reward_share=live.rewards / live.number if live.number else None,
        unknown_propensity_share=live.tally.unknown / live.number if live.number else None,
        state_bytes=live.state_bytes,
        repairs=_repairs(live),
        compiling=_compiling(live),
        loop_lag_ms=round(lag.worst_ms, 3),
        certificate=UNSET if proof is None else or_null(proof.bound),
        certificate_supposes=(proof and live.spec.policy.supposes) or UNSET,
        variation=UNSET if proof is None else or_null(proof.variation),
        model=UNSET if leader is None else leader,
        changes=UNSET if leader is None else as_found(changes_of(live.spec.policy, live.state)),
        constants={name: schemas.Constant(or_null(value), source) for name, (value, source) in constants.items()}
        or UNSET,
        notes=notes_on(live.spec) or UNSET,
        warnings=_warnings(live) or UNSET,
    )


def _warnings(live: Live) -> list[str]:
    return live.spec.warnings + warnings_of(live.tally.all, live.spec) if live.kind.has_rewards else []


def _repairs(live: Live) -> int | None:
    """Return how often the policy's models broke down numerically and were rebuilt; None where they do not count it."""
    counts = list(snapshot.fields_named("repairs", live.state))
    return sum(int(count.sum()) for count in counts) if counts else None


def _compiling(live: Live) -> schemas.Compiling:
    now = background.status()
    return schemas.Compiling(
        compiled=live.compiled,
        waiting=len(now.waiting),
        at_work=now.compiling,
        memory_bytes=now.memory_bytes,
        failures=now.errors,
        given_up=now.given_up,
    )


def describe(live: Live, caller: Caller) -> schemas.Experiment:
    """Return an experiment as the service shows it."""
    called = {"experiment_id": caller.called(live.row.id)}
    return schemas.Experiment(
        **live.spec.to_json() | live.kind.describe(live) | called,
        retired_arms=[label for label in live.roster.labels if label in live.roster.retired],
        created_at=iso(live.row.created_at),
        archived=live.archived,
        decisions=live.number,
        rewards=live.rewards,
        pending=live.number - live.rewards,
        seq=live.seq,
        warnings=live.spec.warnings or UNSET,
        corrections_left=live.uncorrected or UNSET,
    )


async def shown(service: Service, some: Sequence[Live | Experiment], caller: Caller) -> list[schemas.Listed]:
    """Return experiments as they are listed; of those that wait or rest what their logs count is read, in a thread.

    A row that no version wrote like this is left out: its experiment will not be opened.
    """
    waiting = [one for one in some if isinstance(one, Experiment)]
    outlines = await service.pools.lookups.run(_outlines, service.store, waiting)
    found = [outlines[one.id] if isinstance(one, Experiment) else _entry(service, one) for one in some]
    entries = [one for one in found if one is not None]
    for entry in entries:
        if entry.recovering is True and not service.waits(entry.experiment_id):  # another node has it
            entry.recovering = UNSET
        entry.experiment_id = caller.called(entry.experiment_id)
    return entries


def _outlines(store: Store, waiting: list[Experiment]) -> dict[str, schemas.Listed | None]:
    return {row.id: _outline(row, store.counts(row.key)) for row in waiting}


def _entry(service: Service, live: Live) -> schemas.Listed:
    labels = live.roster.labels
    stream = live.kind.describe(live).get("stream")
    return schemas.Listed(
        experiment_id=live.row.id,
        kind=live.kind.name,
        policy=wrapped(live.spec.policy.spec),
        arms=list(labels[:ARMS_LISTED]),
        n_arms=len(labels) if stream is None else stream.arms_seen,
        created_at=iso(live.row.created_at),
        archived=live.archived,
        decisions=live.number,
        rewards=live.rewards,
        pending=live.number - live.rewards,
        seq=live.seq,
        alarms=alarms_of(live, service.writer.draws.known) or UNSET,
    )


def _outline(row: Experiment, counts: Counts) -> schemas.Listed | None:
    """Return an experiment whose log waits or rests: as it was created, with what its log counts."""
    try:
        created = _created.decode(row.spec)
        policy = wrapped(created.policy)
    except (msgspec.DecodeError, KeyError):
        return None
    labels = created.problem.queries or [arm.id for arm in created.arms]
    return schemas.Listed(
        experiment_id=row.id,
        kind=created.problem.kind,
        policy=policy,
        arms=labels[:ARMS_LISTED],
        n_arms=len(labels),
        created_at=iso(row.created_at),
        archived=row.archived_at is not None,
        decisions=counts.decisions,
        rewards=counts.rewards,
        pending=counts.decisions - counts.rewards,
        seq=counts.seq,
        recovering=True if row.archived_at is None else UNSET,
    )
