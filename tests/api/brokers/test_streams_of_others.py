"""Streams that vanish, that another publisher fills too, or that will never take our events."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import nats as nats_py
import pytest
from nats.js import JetStreamContext
from support.nats_server import NatsServer
from support.postgres_server import new_database, running
from support.rewarded import more
from support.served import Served
from test_publishing import assert_whole, opened, received

from onearm.api.brokers.broker import Message, address_of
from onearm.api.brokers.publishing import Publisher, open_publisher
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.store import Store

ONE = Message("m", "e", b"{}")


def ask(nats: NatsServer, method: str, *given: Any, **named: Any) -> Any:
    """Do something with the server that a publisher does not do."""

    async def work() -> Any:
        client = await nats_py.connect(f"nats://127.0.0.1:{nats.port}")
        try:
            jetstream: JetStreamContext = client.jetstream()
            return await getattr(jetstream, method)(*given, **named)
        finally:
            await client.close()

    return asyncio.run(work())


def publish(url: str, nats: NatsServer, said: list[str] | None = None) -> Publisher:
    """Publish all that there is."""
    say = (lambda text: None) if said is None else said.append
    publisher = open_publisher(url, address_of(nats.address()), "*", say)
    publisher.run(0.0, lambda: False, once=True)
    publisher.close()
    return publisher


def test_two_databases_lose_nothing_in_one_stream(database: str, nats: NatsServer, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with Served(folder) as served:
        for name in ("third", "fourth"):
            served.create(name)
        other = served.url
    more(other, 40, names=("third", "fourth"))
    assert publish(database, nats).tally.sent == publish(other, nats).tally.sent == 160
    events = received(nats.address(), 320)
    assert len(events) == 320 and len({event["id"] for event in events}) == 320
    assert_whole(events, 80)


def test_a_message_of_another_sender_between_two_of_ours_is_no_failure(
    database: str,
    nats: NatsServer,
) -> None:
    publisher = opened(database, nats.address())
    while publisher.round():
        pass
    ask(nats, "publish", "onearm.somebody", b"{}")
    more(database, 5)
    assert publisher.round() == 20
    publisher.close()


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_stream_that_vanished_is_filled_from_the_start(
    database: str,
    nats: NatsServer,
    made_anew: bool,
) -> None:
    publish(database, nats)
    ask(nats, "delete_stream", "onearm")
    if made_anew:
        ask(nats, "add_stream", name="onearm", subjects=["onearm.*"])
    said: list[str] = []
    publish(database, nats, said)
    assert said == [
        f"{nats.address()} is empty, though 160 events were sent to it: all logs are sent again from their start"
    ]
    assert_whole(received(nats.address(), 160), 80)


def test_a_stream_that_vanishes_at_work_is_filled_from_the_start(database: str, nats: NatsServer) -> None:
    said: list[str] = []
    publisher = open_publisher(database, address_of(nats.address()), "*", said.append)
    publisher.round()
    ask(nats, "delete_stream", "onearm")
    more(database, 5)
    publisher.run(0.0, lambda: False, once=True)
    publisher.close()
    assert any("is empty" in text for text in said)
    assert_whole(received(nats.address(), 180), 90)


def test_a_purged_stream_is_not_filled_again(database: str, nats: NatsServer) -> None:
    publish(database, nats)
    ask(nats, "purge_stream", "onearm")
    assert publish(database, nats).tally.sent == 0


def test_a_stream_with_other_subjects_ends_it(database: str, nats: NatsServer) -> None:
    ask(nats, "add_stream", name="onearm", subjects=["else.>"])
    ask(nats, "add_stream", name="wide", subjects=["onearm.>"])
    with pytest.raises(InvalidInput, match=r"takes the subjects else.>, and not onearm.EXPERIMENT: add onearm.>"):
        publish(database, nats)
    assert ask(nats, "stream_info", "wide").state.messages == 0


def test_no_message_is_stored_in_another_stream(nats: NatsServer) -> None:
    sender = address_of(nats.address()).sender()
    ask(nats, "delete_stream", "onearm")
    ask(nats, "add_stream", name="wide", subjects=["onearm.>"])
    with pytest.raises(InvalidInput, match=r"refuses message m .expected stream does not match"):
        sender.send([ONE])
    sender.close()
    assert ask(nats, "stream_info", "wide").state.messages == 0


def test_a_stream_that_cannot_be_made_ends_it(database: str, nats: NatsServer) -> None:
    ask(nats, "add_stream", name="wide", subjects=["onearm.banner"])
    with pytest.raises(InvalidInput, match="subjects overlap with an existing stream"):
        publish(database, nats)
    with pytest.raises(InvalidInput, match="replicas > 1 not supported"):
        address_of(f"{nats.address('x')}?replicas=3").sender()


def test_a_message_that_is_too_large_is_named(nats: NatsServer) -> None:
    sender = address_of(nats.address()).sender()
    large = Message("large", "e", b"x" * 1_100_000)
    assert sender.send([ONE, large]) == 1
    with pytest.raises(
        InvalidInput, match=r"refuses message large .it has 1100000 bytes, and the server's max_payload is 1048576"
    ):
        sender.send([large])
    sender.close()


def test_a_deleted_experiment_is_told_once(database: str, nats: NatsServer) -> None:
    publish(database, nats)
    with closing(Store.open(database)) as store:
        row = next(row for row in store.experiments() if row.id == "e")
        store.bury(row.key, at=2 * 10**15)
    for sent in (1, 0):
        publisher = publish(database, nats)
        assert publisher.tally.sent == sent
    last = next(event for event in received(nats.address(), 161) if event["type"] == "onearm.gone")
    assert (last["type"], last["source"], last["data"]) == ("onearm.gone", "/v1/experiments/e", {"after": 80})
    assert (last["id"], last["time"]) == (f"{row.created_at}-{row.key}-gone", "2033-05-18T03:33:20Z")


def test_a_database_that_is_away_is_waited_for(nats: NatsServer, tmp_path: Path) -> None:
    with running() as server:
        url = new_database(server.url, "published")
        with Served(tmp_path) as served:
            for name in ("e", "two.words"):
                served.create(name)
            with closing(Store.open(served.url, write=False)) as here, closing(Store.open(url)) as there:
                for row in here.experiments():
                    there.add_experiment(*row[1:6])
        more(url, 40)
        said: list[str] = []
        publisher, ended = open_publisher(url, address_of(nats.address()), "*", said.append), threading.Event()
        worker = threading.Thread(target=publisher.run, args=(0.01, ended.is_set))
        worker.start()
        try:
            waited_for(lambda: publisher.tally.sent == 160)
            server.stop()
            waited_for(lambda: said)
            server.start()
            more(url, 10)
            waited_for(lambda: publisher.tally.sent == 200)
        finally:
            ended.set()
            worker.join()
            publisher.close()
        assert publisher.tally.failures and "trying again in" in said[0]
    assert_whole(received(nats.address(), 200), 100)


def waited_for(holds: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_that_cannot_be_used_is_closed(nats: NatsServer) -> None:
    ask(nats, "add_stream", name="wide", subjects=["onearm.banner"])
    with pytest.raises(InvalidInput):
        address_of(nats.address()).sender()
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        gc.collect()
    assert not [str(each.message) for each in left if each.category is ResourceWarning]
