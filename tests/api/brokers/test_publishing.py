"""The log as a stream: every event, in order, once after dedupe, whatever happens to broker and publisher."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import BadRequestError
from prometheus_client.parser import text_string_to_metric_families
from support.direct import Direct
from support.nats_server import NatsCluster, NatsServer
from support.rewarded import NAMES, more

from onearm.api.brokers import publishing
from onearm.api.brokers.broker import Address, Message, address_of
from onearm.api.brokers.on_nats import refusal
from onearm.api.brokers.publishing import Publisher, open_publisher
from onearm.api.http.app import create_app
from onearm.engine.errors import InvalidInput, Unavailable
from onearm.engine.storage.records import Experiment
from onearm.engine.storage.store import Store


def opened(url: str, address: str, pattern: str = "*") -> Publisher:
    return open_publisher(url, address_of(address), pattern, lambda text: None)


def experiment(url: str, name: str = "e") -> Experiment:
    with closing(Store.open(url, write=False)) as store:
        return next(row for row in store.experiments() if row.id == name)


def received(address: str, count: int) -> list[dict[str, Any]]:
    """Return what is in a stream, and be sure that there is no more."""
    receiver, found = address_of(address).receiver("test"), []
    while messages := receiver.receive(500, 1.0 if len(found) < count else 0.3):
        found += [json.loads(message.body) for message in messages]
        receiver.done(messages)
    receiver.close()
    return found


def received_of(three: NatsCluster, count: int) -> list[dict[str, Any]]:
    """Return at least so many events of a stream, once three servers have agreed who hands them out."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        with suppress(Unavailable), closing(address_of(three.address()).receiver("test")) as receiver:
            while messages := receiver.receive(500, 2.0):
                found.extend(json.loads(message.body) for message in messages)
                receiver.done(messages)
        return len({event["id"] for event in found}) >= count

    wait_until(is_there)
    return found


def assert_whole(events: list[dict[str, Any]], last: int) -> None:
    """Check that after dedupe each log is there from its first event to its last, in order."""
    once = list({event["id"]: event for event in events}.values())
    for name in NAMES:
        source = f"/v1/experiments/{name}"
        data = [event["data"] for event in once if event["source"] == source]
        assert [line["seq"] for line in data] == list(range(1, last + 1))


def test_events_come_as_cloud_events_with_the_lines_of_an_export(database: str, nats: NatsServer) -> None:
    opened(database, nats.address()).run(0.0, lambda: False, once=True)
    events = received(nats.address(), 160)
    assert len(events) == 160
    assert_whole(events, 80)
    first = next(event for event in events if event["source"] == "/v1/experiments/e")
    assert first == {
        "specversion": "1.0",
        "id": f"{experiment(database).created_at}-2-1",
        "source": "/v1/experiments/e",
        "type": "onearm.decide",
        "time": "2001-09-09T01:46:40Z",
        "datacontenttype": "application/json",
        "sequence": "0000000000000000001",
        "data": {"kind": "decide", "seq": 1, "number": 0, "action": 1, "propensity": 0.5, "time": 10**15},
    }


def test_a_publisher_goes_on_where_the_last_one_ended(database: str, nats: NatsServer) -> None:
    opened(database, nats.address()).run(0.0, lambda: False, once=True)
    more(database, 10)
    again = opened(database, nats.address())
    assert again.behind() == 40
    again.run(0.0, lambda: False, once=True)
    assert (again.tally.sent, again.behind()) == (40, 0)
    events = received(nats.address(), 200)
    assert len(events) == 200
    assert_whole(events, 100)


def test_a_pattern_chooses_experiments(database: str, nats: NatsServer) -> None:
    opened(database, nats.address(), "two*").run(0.0, lambda: False, once=True)
    assert {event["source"] for event in received(nats.address(), 80)} == {"/v1/experiments/two.words"}


def test_a_broker_that_is_killed_and_comes_back_has_every_event_in_order(database: str, nats: NatsServer) -> None:
    publisher, ended = opened(database, nats.address()), threading.Event()
    worker = threading.Thread(target=publisher.run, args=(0.05, ended.is_set))
    worker.start()
    try:
        for _ in range(3):
            more(database, 100)
            time.sleep(0.2)
            nats.kill()
            more(database, 50)
            time.sleep(0.3)
            nats.start()
        deadline = time.monotonic() + 120
        while publisher.behind():
            assert time.monotonic() < deadline and worker.is_alive()
            time.sleep(0.1)
    finally:
        ended.set()
        worker.join()
    assert publisher.tally.failures
    last = 2 * (40 + 3 * (100 + 50))
    assert_whole(received(nats.address(), 2 * last), last)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path)
    yield cluster
    cluster.kill()


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lag(url: str) -> dict[str, float]:
    """Return by how many events streams are behind, as the metrics of a service tell it."""
    with Direct(create_app(Store.open(url))) as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        told = next(family for family in families if family.name == "onearm_publish_lag_events")
        return {sample.labels["stream"]: sample.value for sample in told.samples}


def test_of_three_servers_the_one_that_orders_is_killed_and_every_event_is_there_in_order(
    database: str, three: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "BATCH", 400)  # so that it is killed with some sent, and some not
    publisher, ended = opened(database, three.address()), threading.Event()
    worker = threading.Thread(target=publisher.run, args=(0.05, ended.is_set))
    worker.start()
    try:
        wait_until(lambda: publisher.behind() == 0)
        killed = []
        for _ in range(2):
            leader = three.leader()
            before = publisher.tally.sent
            more(database, 500)
            wait_until(lambda before=before: publisher.tally.sent > before)
            three.servers[leader].kill()
            killed.append(leader)
            wait_until(lambda: publisher.behind() == 0)
            three.servers[leader].start()
        first, second = list(three.servers.values())[:2]
        for server in (first, second):  # one alone keeps nothing
            server.kill()
        more(database, 10)
        wait_until(lambda: publisher.behind() == 40)
        assert lag(database) == {publisher.address.name: 40}
        for server in (first, second):
            server.start()
        wait_until(lambda: publisher.behind() == 0)
    finally:
        ended.set()
        worker.join()
    assert publisher.tally.failures and len(killed) == 2
    last = 2 * (40 + 2 * 500 + 10)
    assert_whole(received_of(three, 2 * last), last)


class Forgetful:
    """A sender whose answers are lost after so many messages, though the broker has them."""

    empty = False

    def __init__(self, address: Address, known: int) -> None:
        self.inside, self.known = address.sender(), known

    def send(self, messages: list[Message]) -> int:
        stored = self.inside.send(messages)
        return min(stored, self.known)

    def close(self) -> None:
        self.inside.close()


def test_answers_that_are_lost_make_no_gap_and_no_disorder(database: str, nats: NatsServer) -> None:
    publisher = opened(database, nats.address())
    for known in (7, 0, 33):
        publisher._sender = Forgetful(publisher.address, known)
        with pytest.raises(Unavailable, match=r"of 7. messages|of 80 messages"):
            publisher.round()
        publisher._drop()
    publisher.run(0.0, lambda: False, once=True)
    assert_whole(received(nats.address(), 160), 80)


def test_a_broker_that_is_away_is_named_and_loses_nothing(database: str) -> None:
    said: list[str] = []
    publisher = open_publisher(database, address_of("nats://127.0.0.1:1/onearm"), "*", said.append)
    publisher.run(0.0, lambda: bool(said), once=True)
    assert said[0].startswith("nats://127.0.0.1:1/onearm does not answer")
    assert "160 events wait; trying again in 0.5 s" in said[0] and publisher.outbox.published() == []


@pytest.mark.parametrize(
    ("address", "settings", "code"),
    [
        ("http://here/x", (), "bad_address"),
        ("nats:///x", (), "bad_address"),
        ("nats://h/a.b", (), "bad_address"),
        ("nats://h/a?replicas=x", (), "bad_address"),
        ("nats://h/a?copies=3", (), "bad_address"),
        ("kafka://h/a", ("acks",), "bad_setting"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, settings: tuple[str, ...], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        address_of(address, settings)
    assert caught.value.code == code


def test_a_setting_that_nats_does_not_know_is_refused(nats: NatsServer) -> None:
    with pytest.raises(InvalidInput, match="NATS has no setting 'acks'"):
        address_of(nats.address(), ["acks=all"]).sender()


def test_too_few_servers_of_a_cluster_are_waited_for() -> None:
    """As others come back; what is wrong for ever is refused."""
    few = BadRequestError(code=400, err_code=10005, description="no suitable peers for placement")
    assert isinstance(refusal("onearm", few), Unavailable)
    wrong = BadRequestError(code=400, err_code=10025, description="invalid JSON")
    assert isinstance(refusal("onearm", wrong), InvalidInput)
