"""Hot requests that another node answers: no task waits for it, and clients notice nothing of that."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import psycopg
import pytest
from support.nodes import ListeningNode, Nodes, until

from onearm.api.cluster.nodes import EPOCH
from onearm.api.cluster.peers import Line, Peers, Reply, without

DECIDE = "/v1/experiments/e1/decisions"


def connected(nodes: Nodes) -> Nodes:
    """Let one of two nodes have a connection to the other that is open."""
    asked = nodes.other("e1")
    asked.create("e1")
    assert asked.ask("POST", DECIDE, {"decision_id": "first"}).status_code in (200, 201)
    return nodes


@pytest.fixture
def two(nodes: Nodes) -> Nodes:
    """Return the two nodes of all tests that leave them at work."""
    return connected(nodes)


@pytest.fixture
def own_two(own_nodes: Nodes) -> Nodes:
    """Return two of one test."""
    return connected(own_nodes)


@pytest.fixture
def no_task(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(self: Peers, *given: Any) -> Reply:
        raise AssertionError("a task waits")

    monkeypatch.setattr(Peers, "ask", ask)


def keep_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing arrive that an owner answers."""
    monkeypatch.setattr(Line, "data_received", lambda self, data: None)


def counted(node: ListeningNode) -> Counter[tuple[str, str, int]]:
    """Return how many requests a node answered, by method, path and status."""
    node.client.get("/health/live")  # an answer is counted once it left, and before the next request is looked at
    return Counter({(*route, status): n for (route, status), n in node.service.requests.answered.items() if n})


def in_background(node: ListeningNode, **more: Any) -> Callable[[], httpx.Response]:
    """Ask for a decision in a thread; return what waits for the answer."""
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(node.client.post(DECIDE, json={}, **more)))
    thread.start()

    def answer() -> httpx.Response:
        thread.join(20)
        return answers[0]

    until(lambda: bool(node.opened.nodes._asked))
    return answer


@pytest.mark.usefixtures("no_task")
def test_answers_errors_and_headers_are_those_of_the_owner(two: Nodes) -> None:
    asked, owner = two.other("e1"), two.owner("e1")
    before, counts = asked.opened.nodes.passed, counted(asked)
    decisions = owner.client.get("/v1/experiments/e1").json()["decisions"]
    made = asked.client.post(DECIDE, json={}, headers={"idempotency-key": "k", "x-request-id": "mine"})
    again = asked.client.post(DECIDE, json={}, headers={"idempotency-key": "k"})
    assert (made.status_code, again.status_code) == (201, 200) and made.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert made.headers.get_list("x-request-id") == ["mine"] and len(again.headers["x-request-id"]) == 16
    assert EPOCH.decode() not in made.headers and len(made.headers.get_list("date")) == 1
    reward = asked.client.post(f"{DECIDE}/k/reward", json={"value": 1.0}, headers={"x-request-timeout": "30"})
    assert reward.json() == {"status": "accepted"}
    bad = asked.client.post(DECIDE, json={"decision_id": 7})
    assert bad.status_code == 422 and bad.headers["content-type"] == "application/problem+json"
    assert asked.opened.nodes.passed == before + 4
    further = counted(asked) - counts
    assert further["POST", "/v1/experiments/{experiment_id}/decisions/{decision_id}/reward", 200] == 1
    assert further["POST", "/v1/experiments/{experiment_id}/decisions", 422] == 1
    assert owner.client.get("/v1/experiments/e1").json()["decisions"] == decisions + 1


def request(body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (DECIDE.encode(), len(body), body)


def test_what_is_no_post_to_a_hot_path_is_answered_and_counted_as_what_it_is(two: Nodes) -> None:
    asked = two.other("e1")
    assert asked.client.post(f"{DECIDE}/first/reward", json={"value": 1.0}).status_code == 200
    assert asked.client.put(f"{DECIDE}/first/reward", json={"value": 2.0}).status_code == 200
    with socket.create_connection(asked.listener.getsockname()) as client:
        client.settimeout(20)
        client.sendall(request(b"").replace(b"POST", b"HEAD") + request(b'{"decision_id": "behind"}'))
        answered = b""
        while b'"behind"' not in answered:
            answered += client.recv(65_536)
    heads = answered.split(b"\r\n\r\n")
    assert heads[0].startswith(b"HTTP/1.1 405 ") and heads[1].startswith(b"HTTP/1.1 201 ")
    of_rewards = "/v1/experiments/{experiment_id}/decisions/{decision_id}/reward"
    assert counted(asked)["PUT", of_rewards, 200] == 1
    assert not any((method, status) == ("POST", 405) for method, _, status in counted(asked))


@pytest.mark.usefixtures("no_task")
def test_a_body_may_come_in_pieces(two: Nodes) -> None:
    sent = request(b'{"decision_id": "one"}')
    with socket.create_connection(two.other("e1").listener.getsockname()) as client:
        client.settimeout(20)
        for piece in (sent[:-9], sent[-9:-5], sent[-5:]):
            client.sendall(piece)
            time.sleep(0.05)
        assert b'"one"' in client.recv(65_536)


def test_requests_that_do_not_wait_for_the_one_before_are_answered_in_order(two: Nodes) -> None:
    asked = two.other("e1")
    requests = [request(body) for body in (b'{"decision_id": "in order"}', b'{"decision_id": 2}', b"{}")]
    with socket.create_connection(asked.listener.getsockname()) as client:
        client.settimeout(20)
        client.sendall(b"".join(requests))
        answered = b""
        while answered.count(b"HTTP/1.1 ") < 3 or not answered.endswith(b"}"):
            answered += client.recv(65_536)
        statuses = [answer[:3] for answer in answered.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"201", b"422", b"201"]


def test_what_asks_to_go_on_is_told_to(two: Nodes) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n" % DECIDE.encode()
    with socket.create_connection(two.other("e1").listener.getsockname()) as client:
        client.settimeout(20)
        client.sendall(head)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(65_536).startswith(b"HTTP/1.1 201 ")


def test_nobody_waits_longer_than_they_said(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_silent(monkeypatch)
    begun = time.monotonic()
    answer = two.other("e1").client.post(DECIDE, json={}, headers={"x-request-timeout": "0.3"})
    assert (answer.status_code, answer.json()["code"]) == (504, "too_late")
    assert 0.3 <= time.monotonic() - begun < 20
    late = two.other("e1").client.post(DECIDE, json={}, headers={"x-request-timeout": "0"})
    assert late.json()["code"] == "too_late"


def test_the_time_of_a_request_runs_while_its_body_comes(two: Nodes) -> None:
    sent = request(b"{}").replace(b"\r\n", b"\r\nx-request-timeout: 0.2\r\n", 1)
    for node in two.all:
        with socket.create_connection(node.listener.getsockname()) as client:
            client.settimeout(20)
            client.sendall(sent[:-1])
            time.sleep(0.3)
            client.sendall(sent[-1:])
            assert client.recv(65_536).startswith(b"HTTP/1.1 504 ")


def test_nobody_waits_for_an_owner_that_is_none_any_more(own_two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_silent(monkeypatch)
    answer = in_background(own_two.other("e1"))
    with psycopg.connect(own_two.database) as connection:
        sql = "UPDATE shard SET owner = NULL, epoch = epoch + 1 WHERE owner = %s"
        connection.execute(sql, (own_two.owner("e1").name,))
    assert (answer().status_code, answer().json()["code"]) == (503, "moving")


def test_a_connection_that_breaks_says_so_and_is_not_used_again(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_silent(monkeypatch)
    asked, owner = two.other("e1"), two.owner("e1")
    answer = in_background(asked, headers={"x-request-timeout": "30"})
    loop = next(iter(owner.server.server_state.connections)).loop
    for connection in list(owner.server.server_state.connections):
        loop.call_soon_threadsafe(connection.transport.abort)
    assert (answer().status_code, answer().json()["code"]) == (503, "node_unreachable")
    assert not asked.opened.nodes._asked
    monkeypatch.undo()
    assert asked.client.post(DECIDE, json={}).status_code == 201


def test_an_answer_of_an_earlier_epoch_is_nobodys(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Line._read

    def late(self: Line) -> Reply | None:
        reply = read(self)
        return None if reply is None else reply._replace(head=without(reply.head, EPOCH) + b"\r\n%b: 0" % EPOCH)

    monkeypatch.setattr(Line, "_read", late)
    answer = two.other("e1").client.post(DECIDE, json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "moving")


def test_a_node_that_ends_answers_what_others_are_at_work_on(own_two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_silent(monkeypatch)
    asked = own_two.other("e1")
    answer = in_background(asked)
    asked.server.config.timeout_graceful_shutdown = 1
    asked.server.should_exit = True
    assert (answer().status_code, answer().headers["connection"]) == (503, "close")


def test_a_node_that_ends_waits_for_no_body(own_two: Nodes) -> None:
    asked = own_two.other("e1")
    with socket.create_connection(asked.listener.getsockname()) as client:
        client.settimeout(20)
        client.sendall(request(b"{}")[:-1])
        until(lambda: any(one.cycle is not None and one._waits for one in list(asked.server.server_state.connections)))
        asked.server.should_exit = True
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 503 ") and b'"stopping"' in answer


@pytest.mark.usefixtures("no_task")
def test_an_answer_that_was_parted_on_its_way_comes_whole(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Line._read

    async def parted(body: bytes) -> AsyncGenerator[bytes]:
        yield body[:5]
        yield body[5:]

    def in_parts(self: Line) -> Reply | None:
        reply = read(self)
        if reply is None:
            return None
        head = without(reply.head, b"content-length") + b"\r\ntransfer-encoding: chunked"
        return reply._replace(head=head, body=b"", parts=parted(reply.body))

    monkeypatch.setattr(Line, "_read", in_parts)
    answer = two.other("e1").client.post(DECIDE, json={"decision_id": "first"})
    assert (answer.status_code, answer.json()["decision_id"]) == (200, "first")


@pytest.mark.usefixtures("no_task")
def test_nobody_waits_longer_than_they_said_for_the_rest_of_an_answer(
    two: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = Line.data_received

    def without_end(self: Line, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        part = b"\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
        received(self, without(head, b"content-length") + part)

    monkeypatch.setattr(Line, "data_received", without_end)
    asked = two.other("e1")
    answer = asked.client.post(DECIDE, json={}, headers={"x-request-timeout": "0.5"}, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (504, "too_late")
    assert not asked.opened.nodes._asked


@pytest.mark.usefixtures("no_task")
def test_a_client_that_leaves_leaves_the_connection_to_the_owner_to_others(two: Nodes) -> None:
    asked = two.other("e1")
    before = asked.opened.nodes.passed
    with socket.create_connection(asked.listener.getsockname()) as client:
        client.sendall(b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}" % DECIDE.encode())
        until(lambda: asked.opened.nodes.passed > before)
    until(lambda: not asked.opened.nodes._asked)
    assert asked.client.post(DECIDE, json={}).status_code == 201
