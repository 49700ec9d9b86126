"""What brokers of messages have in common, and which one an address names.

nats://HOST:4222/STREAM     a stream of JetStream; tls:// for one that is encrypted; ?replicas=3 where it is to be made
kafka://HOST:9092/TOPIC     a topic of Kafka; several hosts with commas between

Nothing is acknowledged before it is safe: a sender knows how many messages the broker has, a receiver says when it has
done with what it got. So messages come at least once, and their ids tell those apart that come twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from ...engine.errors import InvalidInput, Unavailable, installing

STREAM = "onearm"  # where an address names none
MODULES = {"nats": "on_nats", "tls": "on_nats", "kafka": "on_kafka"}  # by the scheme of an address
PACKAGES = {"on_nats": ("nats", "nats-py", "nats"), "on_kafka": ("confluent_kafka", "confluent-kafka", "kafka")}


class Message(NamedTuple):
    """What is sent. Messages of one key come in the order in which they were sent."""

    id: str  # no other message of the stream has it
    key: str  # the id of an experiment
    body: bytes


class Received(NamedTuple):
    """What came."""

    id: str  # the same however often it comes
    body: bytes
    token: Any  # what the broker knows it by


class Sender(Protocol):
    """Sends messages to a stream."""

    empty: bool  # whether nothing was ever in the stream when it was opened: it is new, or was made anew

    def send(self, messages: Sequence[Message]) -> int:
        """Return how many of the messages, from the first on, the broker has for sure; fewer than all where it failed.

        Raises `Unavailable` where it cannot be reached, and `InvalidInput` where it will never take the first of them.
        """
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class Receiver(Protocol):
    """Receives messages of a stream, each until it is done with."""

    def receive(self, most: int, seconds: float) -> list[Received]:
        """Return the next messages, none where none came in so many seconds; raises `Unavailable`."""
        ...

    def done(self, messages: Sequence[Received]) -> None:
        """Say that messages need not come again."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


@dataclass(frozen=True)
class Address:
    """Where a stream is."""

    scheme: str
    hosts: str
    stream: str
    user: str | None
    password: str | None
    replicas: int
    settings: Mapping[str, str]  # of the client's library, as a person gave them

    @property
    def name(self) -> str:
        """Return it as people name it, without what is secret: the place in the log is kept under it."""
        return f"{self.scheme}://{self.hosts}/{self.stream}"

    def sender(self) -> Sender:
        """Open it to send."""
        sender: Sender = self._module.sender(self)
        return sender

    def receiver(self, group: str) -> Receiver:
        """Open it to receive, as one of those that share what comes under the name of a group."""
        receiver: Receiver = self._module.receiver(self, group)
        return receiver

    @property
    def _module(self) -> Any:
        module = MODULES[self.scheme]
        needed, package, extra = PACKAGES[module]
        try:
            return importlib.import_module(f"onearm.api.brokers.{module}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != needed:
                raise
            raise Unavailable(
                "no_package",
                f"{self.name} needs the package {package}, which is missing: {installing(extra)}",
            ) from None


def address_of(text: str, settings: Sequence[str] = ()) -> Address:
    """Return what an address says; `settings` are NAME=VALUE of the client's library.

    >>> address_of("nats://me:secret@here:4222/log").name
    'nats://here:4222/log'
    """
    rule = "say nats://HOST:4222/STREAM or kafka://HOST:9092/TOPIC"
    try:
        parts = urlsplit(text)
        asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        replicas = int(asked.pop("replicas", "1"))
    except ValueError:
        raise InvalidInput("bad_address", f"{text!r} cannot be read: {rule}") from None
    stream = parts.path.strip("/") or STREAM
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    if parts.scheme not in MODULES or not hosts:
        raise InvalidInput("bad_address", f"{text.rpartition('@')[2]!r} is no address of a broker: {rule}")
    if asked or not replicas >= 1 or not stream.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(
            "bad_address",
            f"{parts.scheme}://{hosts}/{stream} asks for {asked or stream or replicas}: a stream's name is letters, "
            "digits, - and _, and ?replicas=N is all that may follow",
        )
    given = dict(one.partition("=")[::2] for one in settings)
    if bad := [name for one, name in zip(settings, given, strict=True) if "=" not in one or not name]:
        raise InvalidInput("bad_setting", f"{bad[0]!r} is no setting: say NAME=VALUE")
    return Address(parts.scheme, hosts, stream, user or None, password or None, replicas, given)
