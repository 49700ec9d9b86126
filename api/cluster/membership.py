"""A node among others: it renews its lease, takes up shards and gives them up, and knows where the others are."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from ...engine.errors import OnearmError
from ...engine.storage.records import Experiment, Node
from ...engine.storage.shards import Shards, View
from ..service.service import Service
from ..tasks import ended
from .balance import is_settled, moves, wanted
from .clock import DatabaseClock
from .holding import Holding

log = logging.getLogger("onearm")
LEASE = 5.0  # seconds
RENEWALS = 10  # in the time of a lease, at the least
RENEW_SECONDS = 0.5  # between two, at the most
LEAVE_SECONDS = 8.0  # in which a node gives what it has to others
LOOK_SECONDS = 0.02
SAFETY = 0.9  # of a lease: two clocks do not go alike
RETURN_RENEWALS = 2  # in which others come back as this node did, before it takes what they had
Made = TypeVar("Made")


class Membership:
    """What one node does about shards. Its methods belong to the event loop's thread."""

    def __init__(self, shards: Shards, node: Node, lease: float, holding: Holding, clock: DatabaseClock) -> None:
        self.node, self.lease, self.holding = node, lease, holding
        self.view = View(0, {}, [])  # what was seen last
        self.viewed = 0.0  # when, by the monotonic clock
        self.changed: Callable[[], None] = lambda: None  # is called whenever owners are others
        self.settled: Callable[[], None] | None = None  # is called once, when all shards are where they stay
        self._shards, self._clock = shards, clock
        self._service: Service
        self._thread = ThreadPoolExecutor(1, "onearm-node")
        self._wake = asyncio.Event()
        self._lost: set[int] = set()  # shards whose experiments are still to be dropped here
        self._renewing: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._is_node = True
        self._back = -math.inf  # when it could renew its lease again that had ended, by the monotonic clock

    async def start(self, service: Service) -> None:
        """Begin to work as the node that it is, and with what it takes up."""
        self._service = service
        await service.join(self.holding)
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        self.holding.fenced, self.holding.looking = look, self.look_around
        await self._renew()
        await self.look_around()
        self._renewing = loop.create_task(self._keep_on())

    async def leave(self) -> None:
        """Give all shards to others, and be no node any more."""
        self.node = self.node._replace(leaves=True)
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self.holding.epochs and self.holding.holds and self._somebody_stays:
                    await asyncio.sleep(LOOK_SECONDS)
        await ended(self._renewing)
        if self._settling is not None:
            await asyncio.wait([self._settling])
        with suppress(OnearmError):
            for number in list(self.holding.epochs):
                await self._hand_over(number, None)
            await self._run(self._shards.leave, self.node)
        self._thread.shutdown()
        self._shards.close()

    @property
    def _somebody_stays(self) -> bool:
        """Whether there is a node that does not leave."""
        return any(not node.leaves for node in self.view.nodes.values() if node.name != self.node.name)

    def owner(self, name: str) -> Node | None:
        """Return the node that has an experiment as far as this one knows, None where none does."""
        shard = self.view.shards[self.holding.shard(name)]
        return None if shard.owner is None else self.view.nodes.get(shard.owner)

    def epoch(self, name: str) -> int:
        """Return the epoch of the shard of an experiment, as far as this node knows."""
        return self.view.shards[self.holding.shard(name)].epoch

    @property
    def lease_left(self) -> float:
        """For how many seconds more this node has what it has."""
        return max(0.0, self.holding.until - time.monotonic())

    async def look_around(self) -> None:
        """Know which experiments there are by now, of all nodes."""
        marks = await self._run(self._shards.marks)
        service, holding = self._service, self.holding
        known = service.known_rows
        fresh = [mark.key for mark in marks if mark.deleted_at is None and mark.id not in known]
        rows = {row.id: row for row in await self._run(self._shards.rows, fresh)} if fresh else {}
        rows |= service.known_rows  # with those that were made here meanwhile
        gone = [mark.id for mark in marks if mark.deleted_at is not None]
        for mark in marks:
            holding.know(mark.key, mark.id)
            if (row := rows.get(mark.id)) is None or holding.has(mark.id):
                continue
            if mark.deleted_at is not None:
                del rows[mark.id]
            elif row.archived_at != mark.archived_at:
                rows[mark.id] = row._replace(archived_at=mark.archived_at)
        service.know(sorted(rows.values(), key=_key), gone)

    async def _keep_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._renew()
            except (
                Exception
            ) as error:  # whatever it is, the next try may succeed, and without a lease nobody is answered
                unknown = not isinstance(error, OnearmError)
                log.error("the lease of node %r was not renewed: %s", self.node.name, error, exc_info=unknown)
                continue
            if self._settling is None or self._settling.done():
                self._settling = asyncio.get_running_loop().create_task(self._settle())

    @property
    def _pause(self) -> float:
        """For how long nothing need be looked at: no longer than until the lease of another node ends."""
        now = self._clock.now()
        ends = [(node.until - now) / 1e6 for node in self.view.nodes.values() if node.name != self.node.name]
        return min([self._renewal, *(end + LOOK_SECONDS for end in ends if end > 0)])

    @property
    def _renewal(self) -> float:
        """For how many seconds nothing need be renewed."""
        return min(RENEW_SECONDS, self.lease / RENEWALS)

    async def _renew(self) -> None:
        """Renew the lease, and go by what is seen then."""
        node = self.node._replace(recovering=self._service.recovering)
        before = time.monotonic()
        view = await self._run(self._shards.renew, node, self.lease)
        if view is None:
            if self._is_node:
                log.critical("another process is the node %r: this one decides nothing any more", self.node.name)
            self._is_node = await self._run(self._shards.join, self.node, self.lease)
            view = await self._run(self._shards.see)
        self._clock.set(view.now, before, time.monotonic())
        if self._is_node:
            if 0.0 < self.holding.until < before:
                self._back = time.monotonic()
            self.holding.until = before + SAFETY * self.lease
        self._take_note(view)

    def _take_note(self, view: View) -> None:
        """Go by what is seen: what was lost is not had any more from this moment on."""
        holding, others = self.holding, view.shards != self.view.shards
        holding.shards = len(view.shards)
        self.view, self.viewed = view, time.monotonic()
        for number, epoch in list(holding.epochs.items()):
            shard = view.shards[number]
            if not self._is_node or (shard.owner, shard.epoch) != (self.node.name, epoch):
                del holding.epochs[number]
                holding.moving.discard(number)
                self._lost.add(number)
        if others:
            self.changed()
        mine = {shard.number for shard in view.shards if shard.owner == self.node.name}
        works = not holding.moving and mine == holding.epochs.keys()
        if self.settled is not None and works and is_settled(view.nodes, view.shards):
            say, self.settled = self.settled, None
            say()

    # -- one thing after another, beside the renewals ------------------------------------------------------------------

    async def _settle(self) -> None:
        """Drop what was lost, take up what was given, and take and give what makes the shares fair."""
        try:
            while self._lost:
                number = next(iter(self._lost))
                log.warning("node %r lost shard %d", self.node.name, number)
                await self._service.abandon(self._names(number))
                self._lost.discard(number)
            if not self._is_node or not self.holding.holds:
                return
            await self._take_up()
            if time.monotonic() < self._back + RETURN_RENEWALS * self._renewal:
                return  # most likely the database was away, for all nodes
            count = wanted(self.node.name, self.view.nodes, self.view.shards)
            if count and any(shard.owner not in self.view.nodes for shard in self.view.shards):
                await self._run(self._shards.take, self.node.name, count)
                self._wake.set()
            else:
                await self._give_away()
        except Exception as error:  # as above
            unknown = not isinstance(error, OnearmError)
            log.error("node %r could not take or give shards: %s", self.node.name, error, exc_info=unknown)

    async def _take_up(self) -> None:
        """Work for the shards that are this node's, and were not before."""
        holding, me = self.holding, self.node.name
        new = {one.number: one.epoch for one in self.view.shards if one.owner == me and one.number not in self._lost}
        for number, epoch in new.items():
            if number not in holding.epochs:
                holding.moving.add(number)  # until it is known what is in it
                holding.epochs[number] = epoch
        fresh = {number for number in new if number in holding.moving}
        if not fresh:
            return
        await self.look_around()
        rows = [row for row in self._service.known_rows.values() if holding.shard(row.id) in fresh]
        await self._service.take_up(rows, lambda key: holding.of_keys.get(key) in fresh)
        holding.moving -= fresh

    async def _give_away(self) -> None:
        for number, to in moves(self.node.name, self.view.nodes, self.view.shards).items():
            if number in self.holding.epochs and (self.node.leaves or not self._folds(number)):
                await self._hand_over(number, to)
                self._wake.set()

    async def _hand_over(self, number: int, to: str | None) -> None:
        """Give a shard away, once all that was asked of it is answered."""
        holding = self.holding
        holding.moving.add(number)
        await self._service.give_up(self._names(number))
        if (epoch := holding.epochs.pop(number, None)) is not None:  # else it was lost meanwhile
            holding.moving.discard(number)
            await self._run(self._shards.hand_over, number, epoch, self.node.name, to)

    def _folds(self, number: int) -> bool:
        """Tell whether the logs of a shard are being folded: another node would begin anew."""
        return any(self._service.folds(name) for name in self._names(number))

    def _names(self, number: int) -> list[str]:
        return [name for name in self._service.known_rows if self.holding.shard(name) == number]

    async def _run(self, work: Callable[..., Made], *given: Any) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*given))


def _key(row: Experiment) -> int:
    return row.key
