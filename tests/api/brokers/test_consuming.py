"""Rewards from a stream: each has its effect once, and one that is poisoned keeps no other waiting."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.listening import Listening
from support.nats_server import NatsServer

from onearm.api.brokers.broker import Message, address_of
from onearm.api.brokers.consuming import Consumer, told_by
from onearm.api.cli.calling import client_of
from onearm.engine.errors import Forbidden, InvalidInput, Unavailable

TAKEN = 30


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path) as service, client_of(service.url, None) as client:
        for number in range(TAKEN):
            client.post("/v1/experiments/e/decisions", json={"decision_id": f"d{number}"}).raise_for_status()
        yield service


def told(number: int, **more: Any) -> Message:
    body = {"experiment": "e", "decision_id": f"d{number}", "value": number / TAKEN} | more
    return Message(f"m{number}", "e", json.dumps(body).encode())


def send(nats: NatsServer, messages: list[Message]) -> None:
    sender = address_of(nats.address("rewards")).sender()
    assert sender.send(messages) == len(messages)
    sender.close()


def consumer(nats: NatsServer, client: httpx.Client, folder: Path) -> Consumer:
    return Consumer(address_of(nats.address("rewards")), "onearm", client, folder / "aside.jsonl")


def rewards(client: httpx.Client) -> tuple[int, float]:
    report = client.get("/v1/experiments/e/report").json()
    return report["rewards"], report["reward_mean"]


def test_rewards_are_learned_once_and_bad_ones_are_kept_aside(
    nats: NatsServer, service: Listening, tmp_path: Path
) -> None:
    poisoned = [
        Message("no json", "e", b"{"),
        Message("no object", "e", b"[1]"),
        Message("no decision", "e", b'{"experiment": "e", "value": 1}'),
        told(0, decision_id="unknown")._replace(id="unknown"),
        told(1, value="x")._replace(id="no number"),
        told(1, experiment="elsewhere")._replace(id="elsewhere"),
        told(2, colour="red")._replace(id="unknown field"),
        told(2, value=float("nan"))._replace(id="nan"),
        told(2, decision_id="\ud800")._replace(id="half a character"),
        told(2, experiment="\ud800")._replace(id="half a name"),
        told(2, reward_id="\ud800")._replace(id="half an id"),
        Message("deep", "e", b"[" * 200_000),
        Message("deep value", "e", told(2).body[:-1] + b', "more": ' + b"[" * 700 + b"]" * 700 + b"}"),
        Message("digits", "e", told(2).body[:-1] + b', "more": ' + b"9" * 5000 + b"}"),
        Message("no utf-8", "e", b'{"experiment": "\xff"}'),
    ]
    good = [told(number) for number in range(TAKEN)]
    event = {"specversion": "1.0", "id": "c", "data": {"experiment": "e", "decision_id": "d3", "value": 0.1}}
    send(nats, [*good[:9], *poisoned, *good[9:], Message("again", "e", good[5].body)])
    send(nats, [Message("event", "e", json.dumps(event).encode())])
    with client_of(service.url, None) as client:
        found = consumer(nats, client, tmp_path)
        found.run(lambda: False, once=True)
        assert rewards(client) == (TAKEN, pytest.approx(sum(range(TAKEN)) / TAKEN**2))
    aside = [json.loads(line) for line in (tmp_path / "aside.jsonl").read_text().splitlines()]
    # a second reward of a decision has another id, and is refused
    assert {one["id"] for one in aside} == {one.id for one in poisoned} | {"again", "event"}
    assert all(one["why"] and one["code"] and one["body"] for one in aside)
    assert (found.counts.accepted, found.counts.refused) == (TAKEN, len(aside))


def test_what_was_told_and_not_acknowledged_changes_nothing_when_it_comes_again(
    nats: NatsServer, service: Listening, tmp_path: Path
) -> None:
    """The service has learned the rewards, and whoever told them ends before the broker hears of it."""
    send(nats, [told(number) for number in range(TAKEN)])
    with client_of(service.url, None) as client:
        first = consumer(nats, client, tmp_path)
        first._receiver = first.address.receiver("onearm")
        messages = first._receiver.receive(TAKEN, 5.0)
        first._tell("e", list(map(told_by, messages)))
        before = rewards(client)
        second = consumer(nats, client, tmp_path)
        second._tell("e", list(map(told_by, messages)))
        assert (second.counts.accepted, second.counts.duplicates) == (0, TAKEN)
        assert rewards(client) == before
        first._drop()


def test_a_service_and_a_broker_that_are_away_are_waited_for(
    nats: NatsServer, service: Listening, tmp_path: Path
) -> None:
    said: list[str] = []
    send(nats, [told(number) for number in range(TAKEN)])
    nats.kill()
    with client_of(service.url, None) as client:
        found, ended = consumer(nats, client, tmp_path), threading.Event()
        found.say = said.append
        found.service = httpx.Client(base_url="http://127.0.0.1:1")
        worker = threading.Thread(target=found.run, args=(ended.is_set,))
        worker.start()
        try:
            waited_for(lambda: any("nats://" in text and "does not answer" in text for text in said))
            nats.start()
            waited_for(lambda: any("http://127.0.0.1:1 does not answer" in text for text in said))
            found.service = client
            waited_for(lambda: found.counts.accepted == TAKEN, seconds=180)
        finally:
            ended.set()
            worker.join()


def waited_for(holds: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


HTML = {"text": "<html>not here</html>", "headers": {"content-type": "text/html"}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, HTML),
        (400, HTML),
        (404, {"json": {"code": "not_found", "detail": "of somebody"}}),
        (302, {"headers": {"location": "http://elsewhere"}}),
        (200, HTML),
        (200, {"json": {"rewards": []}}),
        (200, {"json": [1]}),
    ],
)
def test_what_is_no_onearm_is_waited_for_and_takes_no_message(
    nats: NatsServer, tmp_path: Path, status: int, body: dict[str, Any]
) -> None:
    """Only a stand-in answers as what is no onearm does."""
    send(nats, [told(0)])
    said: list[str] = []
    transport = httpx.MockTransport(lambda request: httpx.Response(status, **body))
    with httpx.Client(base_url="http://service", transport=transport) as client:
        found = consumer(nats, client, tmp_path)
        found.say = said.append
        found.run(lambda: bool(said))
    assert f"answers with {status}, and not as onearm does" in said[0] and "trying again" in said[0]
    assert found.counts.refused == 0 and not found.aside.exists()


def test_a_service_that_lets_nobody_in_ends_it(nats: NatsServer, tmp_path: Path) -> None:
    send(nats, [told(0)])
    refusing = httpx.MockTransport(lambda request: httpx.Response(401, json={"detail": "no key", "code": "no_key"}))
    with (
        httpx.Client(base_url="http://service", transport=refusing) as client,
        pytest.raises(Forbidden, match="no key"),
    ):
        consumer(nats, client, tmp_path).run(lambda: False, once=True)


def test_a_file_that_cannot_be_written_ends_it_before_anything_is_lost(
    nats: NatsServer, service: Listening, tmp_path: Path
) -> None:
    send(nats, [Message("bad", "e", b"{")])
    with client_of(service.url, None) as client:
        found = consumer(nats, client, tmp_path)
        found.aside = tmp_path / "none" / "aside.jsonl"
        with pytest.raises(InvalidInput, match="cannot be written"):
            found.run(lambda: False, once=True)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        address_of("nats://127.0.0.1:1/rewards").receiver("onearm")
