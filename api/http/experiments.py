"""Experiments: create, list, read, archive."""

from __future__ import annotations

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
    found = describe(live)
    found.digest = live.digest()
    return Answer(200, found)


async def archive(service: Service, call: Call) -> Answer:
    """Close an experiment for good; it stays readable."""
    live = service.live(call.path["experiment_id"])
    await live.archive(service.clock())
    return Answer(200, describe(live))


def describe(live: Live) -> schemas.Experiment:
    """Return an experiment as the service shows it."""
    spec = live.spec.to_json()
    return schemas.Experiment(
        **spec,
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
