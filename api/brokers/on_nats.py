"""NATS JetStream: a stream keeps messages by their subject, STREAM.EXPERIMENT, and refuses an id that it has.

Each message names the one that must lie before it (`Nats-Expected-Last-Msg-Id`), so that where one is lost none behind
it is stored: the order of a stream is that of the log, whatever fails. Only the first message after a connection was
made names none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from ...engine.errors import InvalidInput, Unavailable
from .broker import Address, Message, Received, Receiver, Sender

PATIENCE = 5.0  # seconds in which a server answers
ID, BEFORE = "Nats-Msg-Id", "Nats-Expected-Last-Msg-Id"
PENDING = 64 << 20  # bytes that wait to be sent; a page of the log is smaller
UNANSWERED = 1 << 20  # messages; who waits for room among them would not hear that the connection is gone
ACK_WAIT = 60.0  # seconds after which a message that nobody is done with comes again
Done = TypeVar("Done")


def sender(address: Address) -> Sender:
    """Open a stream to send; it is made where it is not there."""
    return _Sender(address)


def receiver(address: Address, group: str) -> Receiver:
    """Open a stream to receive, under the name of a durable consumer."""
    return _Receiver(address, group)


class _Connected:
    """A connection, and the loop of events that it needs. A lost one is never mended: it is made anew."""

    def __init__(self, address: Address) -> None:
        check_settings(address)
        self._address = address
        self._runner = asyncio.Runner()
        try:
            self._client: Client = self._run(self._connect())
            self._jetstream: JetStreamContext = self._client.jetstream(
                timeout=PATIENCE,
                publish_async_max_pending=UNANSWERED,
            )
            self._run(self._find_stream())
        except BaseException:
            self._runner.close()
            raise

    def close(self) -> None:
        """End the connection."""
        with suppress(Unavailable):  # it may be gone already
            self._run(self._client.close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, Done]) -> Done:
        try:
            return self._runner.run(work)
        except (NatsError, OSError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise Unavailable(
                "no_broker", f"{self._address.name} does not answer ({said}): see that NATS runs there, with JetStream"
            ) from None

    async def _connect(self) -> Client:
        address = self._address
        self._closed = asyncio.Event()

        async def closed() -> None:
            self._closed.set()

        scheme = "tls" if address.scheme == "tls" else "nats"
        return await nats.connect(
            [f"{scheme}://{host}" for host in address.hosts.split(",")],
            user=address.user,
            password=address.password,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # of the first connection too, which otherwise takes two minutes to fail
            reconnect_time_wait=0.1,
            connect_timeout=PATIENCE,
            pending_size=PENDING,
            error_cb=_unheard,
            closed_cb=closed,
            **address.settings,
        )

    async def _find_stream(self) -> None:
        """Look for the stream, and make it where it is not there."""
        name = self._address.stream
        try:
            await self._jetstream.stream_info(name)
        except NotFoundError:
            made = StreamConfig(name=name, subjects=[f"{name}.>"], num_replicas=self._address.replicas)
            await self._jetstream.add_stream(made)


class _Sender(_Connected):
    """Sends to a stream."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._last: str | None = None  # the id of the last message that is stored

    def send(self, messages: Sequence[Message]) -> int:
        """Return how many of the messages, from the first on, are stored."""
        return self._run(self._send(messages))

    async def _send(self, messages: Sequence[Message]) -> int:
        stream, before = self._address.stream, self._last
        answers = []
        for message in messages:
            headers = {ID: message.id} if before is None else {ID: message.id, BEFORE: before}
            subject = f"{stream}.{subject_of(message.key)}"
            answers.append(await self._jetstream.publish_async(subject, message.body, headers=headers))
            before = message.id
        await self._answered(answers)
        stored = next((place for place, answer in enumerate(answers) if not _is_stored(answer)), len(answers))
        if stored:
            self._last = messages[stored - 1].id
        return stored

    async def _answered(self, answers: Sequence[asyncio.Future[Any]]) -> None:
        """Wait for all answers, no longer than the connection lives."""
        closed = asyncio.ensure_future(self._closed.wait())
        every = asyncio.ensure_future(asyncio.wait(answers))
        await asyncio.wait({every, closed}, timeout=PATIENCE + len(answers) / 1000, return_when="FIRST_COMPLETED")
        for future in (every, closed, *answers):
            future.cancel()
        await asyncio.gather(every, closed, *answers, return_exceptions=True)  # heard, all of them


def _is_stored(answer: asyncio.Future[Any]) -> bool:
    return not answer.cancelled() and answer.exception() is None


class _Receiver(_Connected):
    """Receives from a stream."""

    def __init__(self, address: Address, group: str) -> None:
        super().__init__(address)
        self._held: dict[str, Any] = {}  # messages that nobody is done with, by their reply subjects
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_ack_pending=20_000)
        subscribed = self._jetstream.pull_subscribe(f"{address.stream}.>", group, address.stream, config)
        self._subscription = self._run(subscribed)

    def receive(self, most: int, seconds: float) -> list[Received]:
        """Return the next messages."""
        return self._run(self._receive(most, seconds))

    async def _receive(self, most: int, seconds: float) -> list[Received]:
        try:
            found = await self._subscription.fetch(most, timeout=seconds)
        except nats.errors.TimeoutError:
            if self._client.is_closed:
                raise
            return []
        self._held |= {message.reply: message for message in found}
        return [Received(_id_of(message, self._address.stream), message.data, message) for message in found]

    def done(self, messages: Sequence[Received]) -> None:
        """Acknowledge messages."""
        self._run(self._acknowledge(messages))

    async def _acknowledge(self, messages: Sequence[Received]) -> None:
        for message in messages:
            await message.token.ack()
            self._held.pop(message.token.reply, None)
        await self._client.flush(int(PATIENCE))

    def close(self) -> None:
        """Give back what nobody is done with, so that it comes again at once, and end the connection."""
        with suppress(Unavailable):
            self._run(self._give_back())
        super().close()

    async def _give_back(self) -> None:
        for message in self._held.values():
            await message.nak()
        await self._client.flush(int(PATIENCE))


def subject_of(key: str) -> str:
    """Return a key as one word of a subject.

    >>> subject_of("banner"), subject_of("shop.front *")
    ('banner', 'shop%2Efront%20%2A')
    """
    return quote(key, safe="").replace(".", "%2E").replace("~", "%7E")


def _id_of(message: Any, stream: str) -> str:
    """Return the id that the sender gave to a message, or else its place in the stream."""
    own = (message.headers or {}).get(ID)
    return own or f"{stream}/{message.metadata.sequence.stream}"


async def _unheard(error: Exception) -> None:
    """Leave to whoever sends or receives to say what went wrong."""


def check_settings(address: Address) -> None:
    """Refuse settings that the client does not know."""
    known = {"user_credentials", "nkeys_seed", "token", "name"}
    if unknown := address.settings.keys() - known:
        raise InvalidInput("bad_setting", f"NATS has no setting {min(unknown)!r}: {', '.join(sorted(known))} are known")
