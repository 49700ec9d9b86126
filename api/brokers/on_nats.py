"""NATS JetStream: a stream keeps messages by their subject, STREAM.EXPERIMENT, and refuses an id that it has.

Each message names the one that must lie before it (`Nats-Expected-Last-Msg-Id`), so that where one is lost none behind
it is stored: the order of a stream is that of the log, whatever fails. Only the first message names none after a
connection was made, and after another sender's message came between. Each names its stream (`Nats-Expected-Stream`):
none is stored in another one that takes its subject.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError

from ...engine.errors import InvalidInput, Unavailable
from .broker import Address, Message, Received, Receiver, Sender

PATIENCE = 5.0  # seconds in which a server answers
ID, BEFORE, STREAM = "Nats-Msg-Id", "Nats-Expected-Last-Msg-Id", "Nats-Expected-Stream"
PENDING = 64 << 20  # bytes that wait to be sent; a page of the log is smaller
ACK_WAIT = 60.0  # seconds after which a message that nobody is done with comes again
OTHER_BEFORE = 10070  # the code where another message is the last one
NEVER = frozenset({10074})  # codes of what never gets better, though no 400: replicas on a server that stands alone
NO_PEERS = 10005  # too few servers of a cluster are there to keep copies: others come back
Done = TypeVar("Done")


def sender(address: Address) -> Sender:
    """Open a stream to send; it is made where it is not there."""
    return _Sender(address)


def receiver(address: Address, group: str) -> Receiver:
    """Open a stream to receive, under the name of a durable consumer."""
    return _Receiver(address, group)


class _Answer(msgspec.Struct):
    """What JetStream says of a message: nothing else where it stored it."""

    error: dict[str, Any] | None = None


class _Batch:
    """Messages that were sent together, and what is said of them."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first  # the number of the first one, of all that were ever sent
        self.unanswered = count
        self.stored = [False] * count
        self.refused: list[APIError] = []
        self.settled = asyncio.Event()  # set once all are answered, and where the connection is gone

    def hear(self, number: int, answer: bytes) -> None:
        """Hear what is said of a message; an earlier batch's is nobody's any more."""
        place = number - self.first
        if not 0 <= place < len(self.stored):
            return
        try:
            error = _answer(answer).error
            self.stored[place] = error is None
            if error is not None:
                self.refused.append(_refused(error))
        except msgspec.DecodeError:  # nobody is there who stores it, which the server says without a word
            pass
        self.unanswered -= 1
        if not self.unanswered:
            self.settled.set()


_answer = msgspec.json.Decoder(_Answer).decode


def refusal(stream: str, error: APIError, what: str = "what was asked") -> InvalidInput | Unavailable:
    """Return what JetStream refuses: what never gets better is no matter of waiting."""
    said = f"{stream} refuses {what} ({error.description or error})"
    never = isinstance(error, BadRequestError) and error.err_code != NO_PEERS
    if never or error.err_code in NEVER:
        return InvalidInput("bad_stream", f"{said}: mend the stream or its server, or name another stream")
    return Unavailable("no_broker", f"{said}: look at the server of NATS")


class _Connected:
    """A connection, and the loop of events that it needs. A lost one is never mended: it is made anew."""

    def __init__(self, address: Address) -> None:
        check_settings(address)
        self._address = address
        self._runner = asyncio.Runner()
        try:
            self._client: Client = self._run(self._connect())
        except BaseException:
            self._runner.close()
            raise
        try:
            self._jetstream: JetStreamContext = self._client.jetstream(timeout=PATIENCE)
            self._run(self._find_stream())
        except BaseException:
            _Connected.close(self)
            raise

    def close(self) -> None:
        """End the connection."""
        with suppress(Unavailable):  # it may be gone already
            self._run(self._client.close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, Done]) -> Done:
        try:
            return self._runner.run(work)
        except APIError as error:
            raise refusal(self._address.name, error) from None
        except (NatsError, OSError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise Unavailable(
                "no_broker", f"{self._address.name} does not answer ({said}): see that NATS runs there, with JetStream"
            ) from None

    async def _connect(self) -> Client:
        address = self._address
        self._batch = _Batch(0, 0)

        async def closed() -> None:
            self._batch.settled.set()

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
            error_cb=self._failed,
            closed_cb=closed,
            **address.settings,
        )

    async def _failed(self, error: Exception) -> None:
        """Hear what goes wrong: it shows where something is sent."""

    async def _find_stream(self) -> None:
        """Look for the stream, and make it where it is not there."""
        name = self._address.stream
        try:
            found = await self._jetstream.stream_info(name)
        except NotFoundError:
            made = StreamConfig(name=name, subjects=[f"{name}.>"], num_replicas=self._address.replicas)
            found = await self._jetstream.add_stream(made)
        self.subjects = found.config.subjects or []
        self.empty = found.state.last_seq == 0


class _Sender(_Connected):
    """Sends to a stream."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._last: str | None = None  # the id of the last message that is stored
        self._sent = 0  # messages
        if not any(takes_all(subject, address.stream) for subject in self.subjects):
            self.close()
            raise InvalidInput(
                "bad_stream",
                f"{address.name} takes the subjects {', '.join(self.subjects) or 'of no message'}, and not "
                f"{address.stream}.EXPERIMENT: add {address.stream}.> to its subjects, or name another stream",
            )
        self._inbox = self._client.new_inbox()
        try:
            self._run(self._client.subscribe(f"{self._inbox}.*", cb=self._heard))
        except BaseException:
            self.close()
            raise

    def send(self, messages: Sequence[Message]) -> int:
        """Return how many of the messages, from the first on, are stored."""
        stored = 0
        while stored < len(messages):
            more, refused = self._run(self._send(messages[stored:]))
            stored += more
            if refused is None:  # all that fits is stored, or nobody knows
                break
            if refused.err_code != OTHER_BEFORE:
                if not stored:
                    raise refusal(self._address.name, refused, f"message {messages[0].id}")
                break
            self._last = None  # another sender's message came between: every answer is here, so nothing is on its way
        return stored

    async def _send(self, messages: Sequence[Message]) -> tuple[int, APIError | None]:
        """Return how many are stored, and what was said of the first one that is not, if anything was."""
        stream, before, most = self._address.stream, self._last, self._client.max_payload
        fitting = list(takewhile(lambda message: len(message.body) <= most, messages))
        if not fitting:
            size = len(messages[0].body)
            return 0, BadRequestError(
                code=400, description=f"it has {size} bytes, and the server's max_payload is {most}"
            )
        batch = self._batch = _Batch(self._sent, len(fitting))
        for message in fitting:
            headers = {ID: message.id, STREAM: stream} | ({} if before is None else {BEFORE: before})
            reply = f"{self._inbox}.{self._sent}"
            self._sent += 1
            await self._client.publish(f"{stream}.{subject_of(message.key)}", message.body, reply, headers)
            before = message.id
        if not self._client.is_closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(batch.settled.wait(), PATIENCE + len(fitting) / 1000)
        stored = next((place for place, is_stored in enumerate(batch.stored) if not is_stored), len(fitting))
        if stored:
            self._last = fitting[stored - 1].id
        return stored, batch.refused[0] if batch.refused and not batch.unanswered else None

    async def _heard(self, message: Msg) -> None:
        """Hear what is said of a message. nats-py's own way for that takes as much CPU time as all else."""
        self._batch.hear(int(message.subject.rpartition(".")[2]), message.data)


def _refused(error: dict[str, Any]) -> APIError:
    """Return what JetStream refuses a message with."""
    try:
        APIError.from_error(error)
    except APIError as refused:
        return refused
    raise AssertionError("it raises what it is named for")


def takes_all(pattern: str, stream: str) -> bool:
    """Whether a subject of a stream takes those of all messages, STREAM.EXPERIMENT.

    >>> [takes_all(pattern, "log") for pattern in ("log.>", "*.*", ">", "log", "log.banner", "other.>")]
    [True, True, True, False, False, False]
    """
    return pattern in {">", "*.>", "*.*", f"{stream}.>", f"{stream}.*"}


class _Receiver(_Connected):
    """Receives from a stream."""

    def __init__(self, address: Address, group: str) -> None:
        super().__init__(address)
        self._held: dict[str, Any] = {}  # messages that nobody is done with, by their reply subjects
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_ack_pending=20_000)
        subscribed = self._jetstream.pull_subscribe(f"{address.stream}.>", group, address.stream, config)
        try:
            self._subscription = self._run(subscribed)
        except BaseException:
            self.close()
            raise

    def receive(self, most: int, seconds: float) -> list[Received]:
        """Return the next messages."""
        return self._run(self._receive(most, seconds))

    async def _receive(self, most: int, seconds: float) -> list[Received]:
        try:
            found = await self._subscription.fetch(most, timeout=seconds)
        except TimeoutError:  # of NATS, or a plain one, as nats-py raises where its time is over between two messages
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


def check_settings(address: Address) -> None:
    """Refuse settings that the client does not know."""
    known = {"user_credentials", "nkeys_seed", "token", "name"}
    if unknown := address.settings.keys() - known:
        raise InvalidInput("bad_setting", f"NATS has no setting {min(unknown)!r}: {', '.join(sorted(known))} are known")
