"""Nodes that err on purpose: what checks the answers of nodes must notice each of these.

`early` answers before the commit, `stale` goes on to tell what it knew when its shards were another's already, and
`mixed` gives now and then somebody the answer that was another one's.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from onearm.api.cluster.holding import Holding
from onearm.api.cluster.peers import Peers, Reply
from onearm.api.service.service import Service
from onearm.api.service.writer import Writer

MIXED = 0.02  # of the answers of other nodes
_append, _ask, _has = Writer.append, Peers.ask, Holding.has
_give_up_all = Service.give_up
_had: set[str] = set()  # experiments
_last: list[Reply] = []


def early() -> None:
    """Answer before the commit, which comes some time later."""
    Writer.append = _append_early  # type: ignore[method-assign, assignment]


def stale() -> None:
    """Have for ever what was had once, unless it was given to another node."""
    Holding.has = _has_for_ever  # type: ignore[method-assign]
    Service.abandon = _abandon_nothing  # type: ignore[method-assign]
    Service.give_up = _give_up  # type: ignore[method-assign]


def mixed() -> None:
    """Give an answer twice."""
    Peers.ask = _ask_and_mix  # type: ignore[method-assign]


SEEDED = {"early": early, "stale": stale, "mixed": mixed}


def _append_early(self: Any, live: Any, *events: Any, base: Any = None) -> asyncio.Future[None]:
    _append(self, live, *events, base=base)
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def _has_for_ever(self: Holding, name: str) -> bool:
    if _has(self, name):
        _had.add(name)
    return name in _had


async def _abandon_nothing(self: Service, names: Any) -> None:
    list(names)


async def _give_up(self: Service, names: Any) -> None:
    some = list(names)
    _had.difference_update(some)
    await _give_up_all(self, some)


async def _ask_and_mix(self: Peers, *given: Any) -> Reply:
    reply = await _ask(self, *given)
    if reply.status == 201:
        _last.append(reply)
        if random.random() < MIXED:
            return random.choice(_last)
    return reply
