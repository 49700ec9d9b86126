"""Requests to other nodes: as much of HTTP as a node answers with, over connections that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from onearm.api.cluster import peers
from onearm.api.cluster.peers import Peers
from onearm.engine.errors import Unavailable

HEAD = (b"POST /v1/x HTTP/1.1", b"host: localhost")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the same bytes, and keeps what it was asked."""

    def __init__(self, answer: bytes, closes: bool = False) -> None:
        self.answer, self.closes = answer, closes
        self.asked: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.asked.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            if self.closes:
                break
        writer.close()


def talk(server: Server, work: Callable[[Peers, str], Awaitable[None]]) -> None:
    async def all() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        some = Peers()
        await work(some, address)
        some.close()
        listening.close()
        await asyncio.sleep(0.01)

    asyncio.run(all())


def test_connections_stay_open_and_bodies_are_as_they_were_sent() -> None:
    server = Server(OK)

    async def work(some: Peers, address: str) -> None:
        for body in (b"", b"{}", b"x" * 300_000):
            reply = await some.ask(address, HEAD, body)
            assert (reply.status, reply.body, reply.kind, reply.parts) == (200, b"{}", b"application/json", None)
            assert server.asked[-1].endswith(b"content-length: %d\r\n\r\n" % len(body) + body)
        await asyncio.gather(*(some.ask(address, HEAD, b"") for _ in range(5)))

    talk(server, work)
    assert len(server.asked) == 8 and server.connections == 5


def test_an_answer_without_a_length_comes_in_parts_and_leaves_its_connection_for_others() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    server = Server(answer)

    async def work(some: Peers, address: str) -> None:
        for _ in range(2):
            reply = await some.ask(address, HEAD, b"")
            assert reply.parts is not None
            assert [part async for part in reply.parts] == [b"abc", b"0123456789"]

    talk(server, work)
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", b"nonsense\r\n\r\n", b"HTTP/1.1 200", b"x" * 600_000],
)
def test_what_is_no_answer_is_a_node_that_cannot_be_reached(answer: bytes) -> None:
    async def work(some: Peers, address: str) -> None:
        with pytest.raises(Unavailable) as refused:
            await some.ask(address, HEAD, b"")
        assert refused.value.code == "node_unreachable"

    talk(Server(answer, closes=True), work)


def test_an_answer_that_breaks_off_says_so() -> None:
    async def work(some: Peers, address: str) -> None:
        reply = await some.ask(address, HEAD, b"")
        assert reply.parts is not None
        with pytest.raises(Unavailable):
            [part async for part in reply.parts]

    talk(Server(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", closes=True), work)


def test_nobody_at_an_address_and_connections_that_were_closed_or_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(OK, closes=True)

    async def work(some: Peers, address: str) -> None:
        for _ in range(3):  # each was closed by the other side, which is seen before it is used
            assert (await some.ask(address, HEAD, b"")).status == 200
            await asyncio.sleep(0.05)
        server.closes = False
        monkeypatch.setattr(peers, "IDLE_SECONDS", 0.0)
        for _ in range(2):
            await some.ask(address, HEAD, b"")
        with pytest.raises(Unavailable):
            await some.ask("http://127.0.0.1:1", HEAD, b"")

    talk(server, work)
    assert server.connections == 5
