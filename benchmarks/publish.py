"""The log as a stream: events a second to NATS JetStream, and what is there where a server is killed and comes back.

.venv/bin/python benchmarks/publish.py [--json] [--events 100000] [--kills 3].
Needs nats-server. The log is that of an engine of Python, a decision and its reward each; one process publishes it.
Events a second are those on the wall; those of a second of CPU of the publisher stand beside. Exits with 1 where it is
too slow, an event is missing, twice or out of order, or a kill was not felt: at least one failure for each, and each
before all was sent. The result is written to results/publish.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the server that tests start

from machine import machine
from support.nats_server import NatsServer

import onearm
from onearm.api.brokers.broker import address_of
from onearm.api.brokers.publishing import Publisher, open_publisher

WANTED = 10_000  # events a second
MOST = 5000  # messages of one read
RESULT = Path(__file__).parent / "results" / "publish.json"


def main() -> int:
    """Measure, and return 1 where something is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--events", type=int, default=100_000, help="an even number")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    asked = parser.parse_args()
    if asked.events < 2 or asked.events % 2:
        parser.error(f"--events {asked.events}: each decision has a reward, so ask for an even number, at least 2")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = f"sqlite:///{folder}/run.db"
        fill(database, asked.events)
        server = NatsServer(folder)
        try:
            quick = speed(database, server)
            killed = with_kills(database, server, asked.kills)
        finally:
            server.kill()
    result: dict[str, Any] = {"machine": machine(), "events": asked.events, "kills": asked.kills}
    result |= {"speed": quick, "killed": killed}
    result["missed"] = missed(result)
    asked.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=None if asked.json or not sys.stdout.isatty() else 1))
    return 1 if result["missed"] else 0


def missed(result: dict[str, Any]) -> list[str]:
    """Return in words what is not as it should be."""
    said = []
    events, kills, killed = result["events"], result["kills"], result["killed"]
    rate = result["speed"]["events_per_second"]
    if rate < WANTED:
        said.append(f"{rate:,.0f} events a second were sent: {WANTED:,} are asked for")
    for part in ("speed", "killed"):
        found = result[part]
        if found["events"] != events:
            said.append(f"{found['events']:,} of {events:,} events were sent ({part})")
        if not found["whole"]:
            said.append(f"what was read back is not the log, in order ({part})")
    if killed["failures"] < kills:
        said.append(f"{killed['failures']} failures were felt of {kills} kills")
    if len(killed["sent_at_kills"]) != kills or any(sent >= events for sent in killed["sent_at_kills"]):
        said.append(f"of {kills} kills some came when all was sent: {killed['sent_at_kills']} of {events} events were")
    return said


def fill(database: str, events: int) -> None:
    """Write a log."""
    with onearm.open("thompson_beta", arms=["a", "b", "c"], database=database, experiment="e", commit=1000) as engine:
        for number in range(events // 2):
            engine.learn(engine.decide(), float(number % 3 == 0))


def speed(database: str, server: NatsServer) -> dict[str, Any]:
    """Publish all of it, undisturbed."""
    publisher = opened(database, server, "speed")
    began, spent = time.perf_counter(), time.process_time()
    publisher.run(0.0, lambda: False, once=True)
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    sent = publisher.tally.sent
    publisher.close()
    return {
        "events": sent,
        "events_per_second": sent / seconds,
        "events_per_cpu_second": sent / cpu,
        **read(server, "speed", sent),
    }


def with_kills(database: str, server: NatsServer, kills: int) -> dict[str, Any]:
    """Publish all of it while the server is killed, and comes back a moment later."""
    publisher = opened(database, server, "killed")
    events = publisher.behind()
    worker = threading.Thread(target=publisher.run, args=(0.0, lambda: False), kwargs={"once": True})
    worker.start()
    sent_at_kills = []
    for number in range(kills):
        while worker.is_alive() and publisher.tally.sent < events * (number + 0.5) / kills:
            time.sleep(0.002)
        server.kill()
        sent_at_kills.append(publisher.tally.sent)
        time.sleep(0.2)
        server.start()
    worker.join()
    tally = publisher.tally
    publisher.close()
    return {
        "events": tally.sent,
        "sent_at_kills": sent_at_kills,
        "failures": tally.failures,
        **read(server, "killed", events),
    }


def opened(database: str, server: NatsServer, stream: str) -> Publisher:
    return open_publisher(database, address_of(server.address(stream)), "e", lambda text: None)


def read(server: NatsServer, stream: str, events: int) -> dict[str, Any]:
    """Return how many messages are there, and whether after dedupe they are the log, in order."""
    receiver = address_of(server.address(stream)).receiver("reader")
    ids: list[str] = []
    while messages := receiver.receive(MOST, 2.0):
        ids += [message.id for message in messages]
        receiver.done(messages)
    receiver.close()
    seqs = [int(one.rpartition("-")[2]) for one in dict.fromkeys(ids)]
    return {"messages": len(ids), "whole": seqs == list(range(1, events + 1))}


if __name__ == "__main__":
    sys.exit(main())
