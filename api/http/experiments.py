"""Experiments: create, list, read, archive; their arms and their health."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import msgspec

from onearm.api.http import schemas
from onearm.api.http.decisions import iso, read
from onearm.api.http.endpoint import Answer, Call
from onearm.api.live import Live
from onearm.api.service import Service
from onearm.engine.errors import InvalidInput, NotFound

PAGE = 100
PAGE_MAX = 1000
_object = msgspec.json.Decoder(dict[str, object])


async def create(service: Service, call: Call) -> Answer:
    """Create an experiment; its kernels are compiled before the answer."""
    live, new = await service.create(read(_object, call.body, "the experiment"))
    return Answer(201 if new else 200, describe(live))


async def list_all(service: Service, call: Call) -> Answer:
    """List the experiments, a page at a time."""
    query = parse_qs(call.query.decode("latin-1"))
    after = query.get("after", [None])[0]
    lives = service.lives()
    start = 0
    if after is not None:
        ids = [live.spec.id for live in lives]
        if after not in ids:
            raise NotFound("unknown_experiment", f"there is no experiment {after!r} to list after")
        start = ids.index(after) + 1
    page = lives[start : start + _limit(query.get("limit", [str(PAGE)])[0])]
    last = page[-1].spec.id if page and page[-1] is not lives[-1] else None
    return Answer(200, schemas.Experiments([describe(live) for live in page], last))


async def read_one(service: Service, call: Call) -> Answer:
    """Read one experiment, its counters, and the digest of its state."""
    live = service.live(call.path["experiment_id"])
    digest = await live.digest()
    found = describe(live)  # behind it: what the state has learned is what is counted
    found.digest = digest
    return Answer(200, found)


async def archive(service: Service, call: Call) -> Answer:
    """Close an experiment for good; it stays readable."""
    live = service.live(call.path["experiment_id"])
    await live.archive(service.clock())
    return Answer(200, describe(live))


async def add_arm(service: Service, call: Call) -> Answer:
    """Let an arm join an experiment at work."""
    live = service.live(call.path["experiment_id"])
    arm = read(_object, call.body, "the arm")
    new = await live.add_arm(arm, service.clock())
    return Answer(201 if new else 200, _status(live, str(arm["id"])))


async def retire_arm(service: Service, call: Call) -> Answer:
    """Never choose an arm again; its number stays its own."""
    live = service.live(call.path["experiment_id"])
    await live.retire_arm(call.path["arm_id"], service.clock())
    return Answer(200, _status(live, call.path["arm_id"]))


async def diagnostics(service: Service, call: Call) -> Answer:
    """Tell the health of one experiment; this reads its whole log."""
    live = service.live(call.path["experiment_id"])
    unknown = await asyncio.to_thread(service.store.unknown_propensities, live.row.key)
    live.check_usable()
    return Answer(
        200,
        schemas.Diagnostics(
            decisions=live.number,
            rewards=live.rewards,
            pending=live.number - live.rewards,
            seq=live.seq,
            reward_share=live.rewards / live.number if live.number else None,
            unknown_propensity_share=unknown / live.number if live.number else None,
            state_bytes=live.state_bytes,
            repairs=live.repairs,
        ),
    )


def _status(live: Live, label: str) -> schemas.ArmStatus:
    return schemas.ArmStatus(label, label in live.roster.retired)


def describe(live: Live) -> schemas.Experiment:
    """Return an experiment as the service shows it."""
    spec = live.spec.to_json() | {"arms": list(live.roster.arms)}
    return schemas.Experiment(
        **spec,
        retired_arms=[label for label in live.roster.labels if label in live.roster.retired],
        created_at=iso(live.row.created_at),
        archived=live.archived,
        decisions=live.number,
        rewards=live.rewards,
        pending=live.number - live.rewards,
        seq=live.seq,
    )


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= PAGE_MAX:
        raise InvalidInput("bad_limit", f"limit is {text[:20]!r}: it must be a whole number from 1 to {PAGE_MAX}")
    return int(text)
