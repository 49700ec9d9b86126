"""Which policies there are, as `onearm policies --json` lists them."""

from __future__ import annotations

import functools

import msgspec

from ..catalogue import listed_policies
from ..service.service import Service
from .call import Call
from .endpoint import Answer


async def list_policies(service: Service, call: Call) -> Answer:
    """List the policies that an experiment may have, with their params."""
    return Answer(200, await service.pools.creations.run(_encoded))


@functools.cache
def _encoded() -> bytes:
    """Return the list as it is sent: what there is, is there since the start."""
    return msgspec.json.encode({"policies": listed_policies()})
