"""Connections to other nodes are asked again once an answer is there."""

from __future__ import annotations

import asyncio

from onearm.api.cluster.peers import HEAD_MAX, Peers


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a request with more than is read ahead, in parts, and the next one in a word."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)  # the head comes alone
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (HEAD_MAX, bytes(HEAD_MAX)))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    writer.close()
    await writer.wait_closed()


def test_a_connection_whose_long_answer_is_taken_late_is_asked_again() -> None:
    async def asked() -> tuple[int, bytes]:
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        peers, address = Peers(), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(5):
            long = await peers.ask(address, [b"GET / HTTP/1.1"], b"")
            await asyncio.sleep(0.3)  # as where the client is slow
            assert long.parts is not None
            size = sum([len(part) async for part in long.parts])
            found = size, (await peers.ask(address, [b"GET / HTTP/1.1"], b"")).body
        server.close()
        await asyncio.sleep(0)  # the connections are closed
        return found

    assert asyncio.run(asked()) == (HEAD_MAX, b"ok")
