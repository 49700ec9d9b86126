"""A client that nobody should disturb: it decides and rewards at a fixed pace on many connections, and keeps the times.

Run: python benchmarks/bystander.py URL [--connections 64] [--rate 400] [--seconds 10] [--experiment ID]... It prints
one line of JSON. A request is due at a moment that does not depend on the answers before it, and its time counts from
then: where the service stands still, all that was due meanwhile waited. Each connection goes round the experiments.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE_SECONDS = 120.0


class Seen(NamedTuple):
    """What the requests of a while met: seconds each, and how many were not answered with 2xx."""

    times: list[float]
    refused: dict[int, int]


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes) -> tuple[int, bytes]:
    """Post a body on an open connection; return the status and the answer."""
    writer.write(
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
    return status, await reader.readexactly(length)


async def connection(
    host: str, port: int, experiments: Iterator[str], begin: float, every: float, end: float, seen: Seen
) -> None:
    """Decide and reward in turn, one request `every` so many seconds from `begin` to `end`."""
    reader, writer = await asyncio.open_connection(host, port)
    path, open_decision, due = "", None, begin
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if open_decision is None:
            path = f"/v1/experiments/{next(experiments)}/decisions"
            status, answer = await ask(reader, writer, path, b"{}")
            if status == 201:
                open_decision = json.loads(answer)["decision_id"]
        else:
            status, answer = await ask(reader, writer, f"{path}/{open_decision}/reward", b'{"value": 1.0}')
            if status == 200:
                open_decision = None
        seen.times.append(time.monotonic() - due)
        if status >= 300:
            seen.refused[status] = seen.refused.get(status, 0) + 1
        due += every
    writer.close()


def summary(seen: Seen) -> dict[str, object]:
    """Return how many requests there were and their latencies, in milliseconds."""
    ms = sorted(1e3 * one for one in seen.times)
    return {
        "requests": len(ms),
        "refused": seen.refused,
        "p50_ms": round(ms[len(ms) // 2], 2),
        "p99_ms": round(ms[math.ceil(0.99 * len(ms)) - 1], 2),
        "max_ms": round(ms[-1], 2),
    }


async def measure(
    url: str, experiments: Sequence[str], connections: int, rate: float, seconds: float
) -> dict[str, object]:
    """Ask at so many requests a second on all connections together."""
    place = urlsplit(url)
    seen = Seen([], {})
    begin, every = time.monotonic() + 0.2, connections / rate
    asking = [
        connection(
            place.hostname or "127.0.0.1",
            place.port or 80,
            itertools.cycle(experiments[i % len(experiments) :] + experiments[: i % len(experiments)]),
            begin + i / rate,
            every,
            begin + seconds,
            seen,
        )
        for i in range(connections)
    ]
    async with asyncio.timeout(seconds + PATIENCE_SECONDS):
        await asyncio.gather(*asking)
    return summary(seen) | {"per_second": round(len(seen.times) / (time.monotonic() - begin), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url")
    parser.add_argument("--experiment", action="append", default=[], help="by default bystander")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    experiments = given.experiment or ["bystander"]
    print(json.dumps(asyncio.run(measure(given.url, experiments, given.connections, given.rate, given.seconds))))


if __name__ == "__main__":
    main()
