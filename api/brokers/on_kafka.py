"""Kafka: a topic keeps messages by their key, the id of an experiment, each key in a partition of its own order.

The producer is idempotent: what it sends again by itself is stored once, and in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from ...engine.errors import InvalidInput, Unavailable
from .broker import Address, Message, Received, Receiver, Sender

PATIENCE = 10.0  # seconds in which a broker answers
ID = "ce_id"  # the header of CloudEvents
NEVER = frozenset(  # codes of what never gets better
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)


def sender(address: Address) -> Sender:
    """Open a topic to send."""
    return _Sender(address)


def receiver(address: Address, group: str) -> Receiver:
    """Open a topic to receive, as a member of a consumer group."""
    return _Receiver(address, group)


def _settings(address: Address) -> dict[str, Any]:
    login = {} if address.user is None else {"sasl.username": address.user, "sasl.password": address.password or ""}
    return {"bootstrap.servers": address.hosts, "log_level": 0, **login, **address.settings}


def _away(address: Address, error: object) -> Unavailable:
    return Unavailable("no_broker", f"{address.name} does not answer ({error}): see that Kafka runs there")


class _Sender:
    """Sends to a topic."""

    def __init__(self, address: Address) -> None:
        self._address = address
        ordered = {
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": int(PATIENCE * 1000),
            "linger.ms": 5,
        }
        try:
            self._producer = Producer(_settings(address) | ordered)
            self._producer.list_topics(address.stream, PATIENCE)
            self.empty = _is_empty(address)
        except KafkaException as error:
            raise _away(address, error) from None

    def send(self, messages: Sequence[Message]) -> int:
        """Return how many of the messages, from the first on, are stored."""
        failed: list[KafkaError | None] = [None] * len(messages)
        waiting = [True] * len(messages)

        def told(place: int, error: KafkaError | None, _: object) -> None:
            failed[place], waiting[place] = error, False

        for place, message in enumerate(messages):
            about: Any = {"key": message.key, "headers": {ID: message.id}, "on_delivery": partial(told, place)}
            try:
                self._producer.produce(self._address.stream, message.body, **about)
            except BufferError:  # it is full: the others wait
                break
            except KafkaException as error:
                failed[place] = error.args[0]
                break
            self._producer.poll(0)
        self._producer.flush(2 * PATIENCE)
        lost = (place for place in range(len(messages)) if failed[place] is not None or waiting[place])
        stored = next(lost, len(messages))
        if not stored and (refused := failed[0]) is not None and refused.code() in NEVER:
            raise InvalidInput(
                "bad_stream",
                f"{self._address.name} refuses message {messages[0].id} ({refused.str()}): mend the topic, or the "
                "settings of its brokers and of this client (--setting), or name another topic",
            )
        return stored

    def close(self) -> None:
        """Forget what was not sent."""
        self._producer.purge()
        self._producer.flush(1.0)


class _Receiver:
    """Receives from a topic."""

    def __init__(self, address: Address, group: str) -> None:
        self._address = address
        once = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        try:
            self._consumer = Consumer(_settings(address) | once)
            self._consumer.list_topics(address.stream, PATIENCE)
            self._consumer.subscribe([address.stream])
        except KafkaException as error:
            raise _away(address, error) from None

    def receive(self, most: int, seconds: float) -> list[Received]:
        """Return the next messages."""
        try:
            found = self._consumer.consume(most, seconds)
        except KafkaException as error:
            raise _away(self._address, error) from None
        if bad := [message.error() for message in found if message.error() is not None]:
            raise _away(self._address, bad[0])
        return [Received(_id_of(message), message.value() or b"", message) for message in found]

    def done(self, messages: Sequence[Received]) -> None:
        """Commit the places behind messages."""
        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            place = message.token.topic(), message.token.partition()
            ends[place] = max(ends.get(place, 0), message.token.offset() + 1)
        try:
            self._consumer.commit(
                offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False
            )
        except KafkaException as error:
            raise _away(self._address, error) from None

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def _is_empty(address: Address) -> bool:
    """Whether nothing was ever in a topic: its offsets begin at 0, and go on where messages were deleted."""
    looking = Consumer(_settings(address) | {"group.id": "onearm-looking", "enable.auto.commit": False})
    try:
        topic = looking.list_topics(address.stream, PATIENCE).topics[address.stream]
        places = [TopicPartition(address.stream, partition) for partition in topic.partitions]
        return all(looking.get_watermark_offsets(place, PATIENCE)[1] == 0 for place in places)
    finally:
        looking.close()


def _id_of(message: Any) -> str:
    """Return the id that the sender gave to a message, or else its place in the topic."""
    own = next((value for name, value in message.headers() or [] if name == ID), None)
    with suppress(UnicodeDecodeError):  # one that is no text is none
        if own:
            return str(own.decode())
    return f"{message.topic()}/{message.partition()}/{message.offset()}"
