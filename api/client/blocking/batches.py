"""Calls of one experiment that go to the service together."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..gathering import MOST, Answers, Items, ThreadGatherer
from .connection import Connection

BYTES_MAX = 2_000_000  # of one call


class DecisionsRaw(msgspec.Struct):
    """The answers to decisions, as they came."""

    decisions: list[msgspec.Raw]


class RewardsRaw(msgspec.Struct):
    """The answers to rewards, as they came."""

    rewards: list[msgspec.Raw]


class Batches:
    """Decisions and rewards of one experiment in batches; `seconds` is how long calls are gathered."""

    def __init__(self, connection: Connection, path: str, seconds: float) -> None:
        self._connection = connection
        self._path = path
        self.decisions = ThreadGatherer(seconds, self.decide)
        self.rewards = ThreadGatherer(seconds, self.reward)

    def decide(self, items: Items) -> Answers:
        """Return the answers to bodies of decisions, in their order."""
        answers: Answers = []
        for some in in_parts(items):
            body = b'{"decisions":[' + b",".join(some) + b"]}"
            told = self._connection.ask("POST", f"{self._path}/decisions:batch", DecisionsRaw, body)
            answers += told.decisions
        return answers

    def reward(self, items: Items) -> Answers:
        """Return the answers to bodies of rewards, in their order."""
        answers: Answers = []
        for some in in_parts(items):
            body = b'{"rewards":[' + b",".join(some) + b"]}"
            told = self._connection.ask("POST", f"{self._path}/rewards:batch", RewardsRaw, body)
            answers += told.rewards
        return answers


def in_parts(items: Items) -> Iterator[Items]:
    """Yield items in lots that one call takes."""
    some: Items = []
    size = 0
    for item in items:
        if some and (len(some) == MOST or size + len(item) > BYTES_MAX):
            yield some
            some, size = [], 0
        some.append(item)
        size += len(item)
    if some:
        yield some
