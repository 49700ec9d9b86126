"""The log and rewards over Kafka, whose brokers librdkafka plays: no broker of Kafka was tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from support.listening import Listening
from support.mock_kafka import mock_kafka
from support.rewarded import more
from support.served import Served
from test_publishing import assert_whole

from onearm.api.brokers import on_kafka
from onearm.api.brokers.broker import Message, address_of
from onearm.api.brokers.consuming import Consumer
from onearm.api.brokers.publishing import open_publisher
from onearm.api.cli.calling import client_of
from onearm.engine.errors import InvalidInput, Unavailable


@pytest.fixture
def brokers() -> Iterator[str]:
    with mock_kafka() as brokers:
        yield brokers


def received(address: str, count: int) -> list[dict[str, object]]:
    receiver, found = address_of(address).receiver("test"), []
    while len(found) < count:
        messages = receiver.receive(500, 10.0)
        assert messages, f"{len(found)} of {count} came"
        found += [json.loads(message.body) for message in messages]
        receiver.done(messages)
    assert not receiver.receive(500, 0.5)
    receiver.close()
    return found


def test_every_event_is_in_the_topic_in_the_order_of_its_log(database: str, brokers: str) -> None:
    address = f"kafka://{brokers}/onearm"
    for _ in range(2):
        publisher = open_publisher(database, address_of(address), "*", lambda text: None)
        publisher.run(0.0, lambda: False, once=True)
        assert publisher.behind() == 0
        publisher.close()
        more(database, 5)
    events = received(address, 180)
    assert len(events) == 180
    assert_whole(events, 90)


def test_rewards_of_a_topic_are_learned_once(brokers: str, tmp_path: Path) -> None:
    address = address_of(f"kafka://{brokers}/rewards")
    with Listening(tmp_path) as service, client_of(service.url, None) as client:
        client.post("/v1/experiments/e/decisions", json={"decision_id": "d0"}).raise_for_status()
        message = Message("m0", "e", json.dumps({"experiment": "e", "decision_id": "d0", "value": 1}).encode())
        sender = address.sender()
        assert sender.send([message, message, message._replace(id="m1", body=b"{")]) == 3
        sender.close()
        consumer = Consumer(address, "onearm", client, tmp_path / "aside.jsonl")
        while consumer.round() == 0:
            pass
        consumer._drop()
        counts = consumer.counts
        assert (counts.accepted, counts.duplicates, counts.refused) == (1, 1, 1)
        again = Consumer(address, "onearm", client, tmp_path / "aside.jsonl")
        again.run(lambda: False, once=True)
        assert (again.counts.accepted, again.counts.duplicates, again.counts.refused) == (0, 0, 0)


def test_brokers_that_are_away_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_kafka, "PATIENCE", 0.5)
    with pytest.raises(Unavailable, match=r"kafka://127\.0\.0\.1:1/x does not answer"):
        address_of("kafka://127.0.0.1:1/x").sender()


def test_what_the_brokers_refuse_is_not_stored(brokers: str) -> None:
    address = address_of(f"kafka://{brokers}/small", ["message.max.bytes=2000"])
    sender = address.sender()
    messages = [Message(f"m{i}", "e", b"x" * (5000 if i == 3 else 10)) for i in range(5)]
    assert sender.send(messages) == 3
    sender.close()


def test_a_mock_is_no_process_of_its_own() -> None:
    """What these tests stand on: a producer with mock brokers finds them by itself."""
    assert len(Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock"}).list_topics(timeout=10).brokers) == 1
    assert Served is not None


def test_a_topic_that_is_new_is_filled_from_the_start(database: str, brokers: str) -> None:
    said: list[str] = []
    address = address_of(f"kafka://{brokers}/onearm")
    publisher = open_publisher(database, address, "*", said.append)
    for row in publisher.store.experiments():
        publisher._keep(row.key, 80)  # as if these had been in a topic that was deleted
    publisher.run(0.0, lambda: False, once=True)
    publisher.close()
    assert said == [
        f"{address.name} is empty, though 160 events were sent to it: all logs are sent again from their start"
    ]
    assert_whole(received(f"kafka://{brokers}/onearm", 160), 80)


def test_a_message_that_is_too_large_ends_it(brokers: str) -> None:
    sender = address_of(f"kafka://{brokers}/small", ["message.max.bytes=2000"]).sender()
    with pytest.raises(InvalidInput, match="refuses message m0"):
        sender.send([Message("m0", "e", b"x" * 5000)])
    sender.close()


def test_an_id_that_is_no_text_is_none(brokers: str) -> None:
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce("rewards", b"{}", headers={"ce_id": b"\xff"})
    producer.flush(10)
    receiver = address_of(f"kafka://{brokers}/rewards").receiver("onearm")
    assert [message.id for message in receiver.receive(1, 20.0)] in ([f"rewards/{i}/0"] for i in range(9))
    receiver.close()
