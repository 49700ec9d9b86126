"""Any node takes any request: what is not its own it passes on to the node that has the experiment, by the same route.

The caller's key is checked once, by the node that was asked. It shows the other one that one's secret, which is in the
database, and says who asks. An answer says in which epoch of the shard it was made: one from before the newest that is
known comes from an owner who is none any more, and is dropped.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

import msgspec
from starlette.types import Scope

from ...engine.errors import Conflict, OnearmError, Unavailable
from ...engine.storage.records import Node
from ..access.caller import Caller
from ..http.call import Call
from ..http.deadline import TIMEOUT, seconds_left, too_late
from ..service.service import Service
from ..service.whose import Elsewhere
from .membership import Membership
from .peers import Line, Peers, Reply, Waiting, field_of, without

SECRET, CALLER, ORIGIN, EPOCH = b"x-onearm-node", b"x-onearm-caller", b"x-onearm-origin", b"x-onearm-epoch"
REQUEST_ID, PARENT = b"x-request-id", b"traceparent"
NOT_PASSED_ON = frozenset(
    b"connection content-length transfer-encoding expect authorization cookie keep-alive te trailer upgrade"
    b" accept accept-encoding accept-language content-type user-agent".split()  # which no handler reads
).union((SECRET, CALLER, ORIGIN, REQUEST_ID, TIMEOUT))
NOT_PASSED_BACK = frozenset(
    (b"connection", b"content-length", b"transfer-encoding", b"content-type", b"date", EPOCH, REQUEST_ID, PARENT)
)
CALLERS_KEPT = 1024  # how many are kept as they are sent
_caller = msgspec.json.Decoder(tuple[str | None, str | None, frozenset[str], str, int])


class Nodes:
    """This node, as its application asks it. Its methods belong to the event loop's thread."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self._peers = Peers()
        self._service: Service
        self._asked: set[Asked] = set()  # that others are at work on
        self.passed = 0  # requests that others were given

    async def start(self, service: Service) -> None:
        """Become a node."""
        self._service = service
        self.membership.changed = self._end_those_of_others
        await self.membership.start(service)

    async def leave(self) -> None:
        """Give all experiments to other nodes."""
        await self.membership.leave()
        for asked in list(self._asked):
            asked.end()
        self._peers.close()

    # -- requests of other nodes ---------------------------------------------------------------------------------------

    def is_passed_on(self, fields: Mapping[bytes, bytes]) -> bool:
        """Tell whether a request says that another node passed it on."""
        return SECRET in fields

    def let_in(self, scope: Scope) -> None:
        """Take over who asks, from the node that checked it; raises `Unavailable` where it is none of ours."""
        fields = scope["fields"]
        if not hmac.compare_digest(fields[SECRET], self.membership.node.secret.encode()):
            raise Unavailable("moving", "a node passed this on to another process than it meant: ask again in a second")
        scope["caller"] = Caller(*_caller.decode(fields[CALLER]))
        scope["client"] = (fields.get(ORIGIN, b"").decode("latin-1"), 0)

    # -- answers -------------------------------------------------------------------------------------------------------

    async def settled(self, call: Call) -> tuple[tuple[bytes, bytes], ...]:
        """Wait until what an answer tells of is committed, and return what another node must know of it.

        Raises `Elsewhere` where it was read from a state that may be an old one by now, and `Unavailable` where it will
        never be committed.
        """
        name = call.path.get("experiment_id")
        if name is None:
            return ()
        if call.scope["method"] in ("GET", "HEAD"):
            await self._service.committed(name)
            self.membership.holding.check(name)
        return ((EPOCH, b"%d" % self.membership.epoch(name)),) if SECRET in call.fields else ()

    async def pass_on(self, elsewhere: Elsewhere, call: Call) -> Reply:
        """Return the answer of the node that has an experiment; raises `Unavailable` where none can be had in time."""
        name, meant = elsewhere.name, call.path.get("experiment_id")
        owner = self.elsewhere(name)
        if owner is None or SECRET in call.fields:
            raise elsewhere
        if meant is not None and meant != name:
            raise Conflict(
                "other_node",
                f"{meant!r} and {name!r} are at different nodes, and this needs both at one: name experiments by a "
                "policy of their own, or run one process",
            )
        epoch, left = self.membership.epoch(name), seconds_left(call.scope)
        try:
            async with asyncio.timeout(left) as limit:
                asked = Limited(name, owner, epoch, limit)
                self._asked.add(asked)
                self.passed += 1
                try:
                    reply = await self._peers.ask(owner.address, _head(owner, call, left), call.body)
                finally:
                    self._asked.discard(asked)
        except TimeoutError:
            seconds_left(call.scope)  # it is over, or else the other node has the experiment no more
            raise elsewhere from None
        self.check(reply, asked)
        return reply

    def elsewhere(self, name: str) -> Node | None:
        """Return the other node that has an experiment, None where there is none."""
        owner = self.membership.owner(name)
        return None if owner is None or owner.name == self.membership.node.name else owner

    def pass_on_now(self, owner: Node, name: str, call: Call, waiting: Waiting) -> bool:
        """Pass a request about an experiment on to its owner, for whom no task waits.

        Return False, and do nothing, where that one cannot be asked at once, as no connection to it is free. Raises
        `Unavailable` where the time of the request is over.
        """
        left = seconds_left(call.scope)
        line = self._peers.free(owner.address)
        if line is None:
            return False
        asked = Passing(self, name, owner, self.membership.epoch(name), line, waiting)
        if left is not None:
            asked.timer = asyncio.get_running_loop().call_later(left, asked.stop, too_late())
        self._asked.add(asked)
        self.passed += 1
        line.ask(_head(owner, call, left), call.body, asked)
        return True

    def forget(self, asked: Asked) -> None:
        """Wait for a request no more."""
        self._asked.discard(asked)

    def check(self, reply: Reply, asked: Asked) -> None:
        """Raise `Elsewhere` where an answer comes from an owner who is none any more."""
        said = field_of(reply.head, EPOCH)
        if (asked.epoch if said is None else int(said)) < self.membership.epoch(asked.name):
            raise Elsewhere(asked.name)

    def _end_those_of_others(self) -> None:
        """Wait no more for nodes that have the experiments no more."""
        for asked in list(self._asked):
            now = self.membership.owner(asked.name)
            if now is None or now.life != asked.owner.life or self.membership.epoch(asked.name) != asked.epoch:
                asked.end()


class Asked(Protocol):
    """A request that another node is at work on."""

    name: str
    owner: Node
    epoch: int

    def end(self) -> None:
        """Wait no more for a node that has the experiment no more."""


class Limited(Asked):
    """A request that another node is at work on, and for which a task waits."""

    def __init__(self, name: str, owner: Node, epoch: int, limit: asyncio.Timeout) -> None:
        self.name, self.owner, self.epoch = name, owner, epoch
        self._limit = limit

    def end(self) -> None:
        """Have the time of the task be over."""
        self._limit.reschedule(0.0)  # a moment that is over


class Passing(Asked, Waiting):
    """A request that another node is at work on, and for which no task waits."""

    def __init__(self, nodes: Nodes, name: str, owner: Node, epoch: int, line: Line, waiting: Waiting) -> None:
        self.name, self.owner, self.epoch = name, owner, epoch
        self._nodes, self._line, self._waiting = nodes, line, waiting
        self.timer: asyncio.TimerHandle | None = None
        self._gathering: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Wait no more for a node that has the experiment no more."""
        self.stop(Elsewhere(self.name))

    def stop(self, error: OnearmError) -> None:
        """Wait no more, and say why."""
        if self._gathering is None:
            self._line.fail(error)
        else:
            self._gathering.cancel()
            self._line.close()
            self.failed(error)

    def told(self, reply: Reply) -> None:
        """Pass the answer on."""
        if reply.parts is not None:  # something between the nodes parted it
            self._gathering = asyncio.ensure_future(self._gather(reply, reply.parts))
            return
        self._over()
        try:
            self._nodes.check(reply, self)
        except Elsewhere as elsewhere:
            self._waiting.failed(elsewhere)
        else:
            self._waiting.told(reply)

    def failed(self, error: OnearmError) -> None:
        """Pass on why there is none."""
        self._over()
        self._waiting.failed(error)

    async def _gather(self, reply: Reply, parts: AsyncGenerator[bytes]) -> None:
        try:
            body = b"".join([part async for part in parts])
        except OnearmError as error:
            self.failed(error)
        else:
            head = without(reply.head, b"transfer-encoding") + b"\r\ncontent-length: %d" % len(body)
            self.told(reply._replace(head=head, body=body, parts=None))

    def _over(self) -> None:
        self._nodes.forget(self)
        if self.timer is not None:
            self.timer.cancel()


def in_bytes(reply: Reply) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer, as whoever asked gets them from the connection that it came by."""
    return without(reply.head, EPOCH, b"connection"), reply.body


def headers_of(reply: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of an answer that whoever asked gets too."""
    return tuple([one for one in reply.headers if one[0] not in NOT_PASSED_BACK])


def _head(owner: Node, call: Call, left: float | None) -> list[bytes]:
    """Return the lines of a request that is passed on, but for its length."""
    scope = call.scope
    method = b"GET" if scope["method"] == "HEAD" else scope["method"].encode()
    target = scope.get("root_path", "").encode() + scope["raw_path"] + (b"?" + call.query if call.query else b"")
    client = scope.get("client")
    head = [
        b"%b %b HTTP/1.1" % (method, target),
        *[b"%b: %b" % one for one in call.fields.items() if one[0] not in NOT_PASSED_ON],
        REQUEST_ID + b": " + scope["trace"][0][1],
        _whose(owner.secret, call.caller, "" if client is None else str(client[0])),
    ]
    if left is not None:
        head.append(b"%b: %.6f" % (TIMEOUT, left))
    return head


@functools.lru_cache(CALLERS_KEPT)
def _whose(secret: str, caller: Caller, origin: str) -> bytes:
    """Return the lines that tell the other node who asks, and from where."""
    said = msgspec.json.encode((caller.key, caller.tenant, sorted(caller.roles), caller.experiments, caller.until))
    named = (SECRET, secret.encode()), (CALLER, said), (ORIGIN, origin.encode("latin-1"))
    return b"\r\n".join([b"%b: %b" % one for one in named])
