"""Brokers of Kafka that librdkafka plays within this process: topics, keys, groups and transactions, all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer


@contextmanager
def mock_kafka() -> Iterator[str]:
    """Yield the addresses of three brokers, which live as long as this block."""
    holder = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "mock"})
    brokers = holder.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    holder.flush(1)
