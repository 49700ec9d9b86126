"""Any node takes any request: the one that has the experiment answers, and what is asked is the same everywhere."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.nodes import LEASE, ListeningNode, Nodes, until
from support.served import ARMS, RANDOM, folded, log_of

from onearm.api.access.keys import new_key
from onearm.api.cluster.membership import LEAVE_SECONDS
from onearm.api.cluster.nodes import EPOCH, SECRET
from onearm.api.cluster.peers import Peers, Reply, without
from onearm.engine.storage.access import Access, Deed
from onearm.engine.storage.shards import SHARDS, shard_of

OF_NODES = re.compile("onearm_(node|shards|requests_passed)(?!.*_created)")
NAMES = [f"e{number}" for number in range(12)]


def test_whoever_is_asked_the_owner_decides_and_learns_once(nodes: Nodes) -> None:
    a, b = nodes.all
    names = [nodes.name_at(node.name, "asked") for node in nodes.all]
    for name in names:
        assert a.create(name).status_code == 201
        assert b.create(name).status_code == 200
        first = a.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "d"})
        again = b.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "d"})
        assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
        path = f"/v1/experiments/{name}/decisions/d/reward"
        assert b.ask("POST", path, {"value": 1.0}).json() == {"status": "accepted"}
        assert a.ask("POST", path, {"value": 1.0}).json() == {"status": "duplicate"}
        assert a.ask("GET", f"/v1/experiments/{name}").json() == b.ask("GET", f"/v1/experiments/{name}").json()
    for name in names:
        row, events = log_of(a.opened.store, name)
        assert len(events) == 2
        assert folded(row, events) == b.ask("GET", f"/v1/experiments/{name}").json()["digest"]


def test_errors_headers_and_ids_pass_through_as_they_are(nodes: Nodes) -> None:
    name = "errors"
    asked = nodes.other(name)
    assert asked.ask("GET", f"/v1/experiments/{name}").json()["code"] == "unknown_experiment"
    asked.create(name)
    bad = asked.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": 7})
    assert bad.status_code == 422 and bad.headers["content-type"] == "application/problem+json"
    found = asked.ask("POST", f"/v1/experiments/{name}/decisions", {}, headers={"x-request-id": "mine"})
    assert found.headers["x-request-id"] == "mine" and found.headers.get_list("x-request-id") == ["mine"]
    assert EPOCH.decode() not in found.headers
    again = [asked.ask("POST", f"/v1/experiments/{name}/decisions", {}, headers={"idempotency-key": "k"}) for _ in "ab"]
    assert again[1].headers["idempotency-replayed"] == "true"
    assert asked.client.head(f"/v1/experiments/{name}").status_code == 200
    assert asked.ask("GET", f"/experiments/{name}").headers["content-type"].startswith("text/html")


def test_a_batch_goes_whole_and_a_log_comes_in_parts(nodes: Nodes) -> None:
    asked = nodes.other("whole")
    asked.create("whole")
    batch = {"decisions": [{"decision_id": f"d{number}"} for number in range(500)]}
    answer = asked.ask("POST", "/v1/experiments/whole/decisions:batch", batch)
    assert len(answer.json()["decisions"]) == 500
    log = asked.ask("GET", "/v1/experiments/whole/log", params={"format": "jsonl"})
    assert log.text == nodes.owner("whole").ask("GET", "/v1/experiments/whole/log", params={"format": "jsonl"}).text
    assert log.text.count("\n") > 500
    copied = asked.client.post("/v1/experiments:import", params={"experiment_id": "copied"}, content=log.content)
    assert copied.status_code == 201 and copied.json()["decisions"] == 500
    digests = {
        node.ask("GET", f"/v1/experiments/{name}").json()["digest"]
        for node in nodes.all
        for name in ("whole", "copied")
    }
    assert len(digests) == 1


def test_lists_show_the_experiments_of_all_nodes_in_one_order(nodes: Nodes) -> None:
    a, b = nodes.all
    names = [nodes.name_at(node, begin) for begin in ("listed-z", "listed-a") for node in "ab"]

    def listed(node: ListeningNode) -> list[dict[str, Any]]:
        found = node.ask("GET", "/v1/experiments").json()["experiments"]
        return [one for one in found if one["experiment_id"].startswith("listed")]

    for name, asked in zip(names, (a, a, b, b), strict=True):
        asked.create(name)
        a.ask("POST", f"/v1/experiments/{name}/decisions", {})
    both = [listed(node) for node in nodes.all]
    assert [[one["experiment_id"] for one in some] for some in both] == [names, names]
    assert {one["decisions"] for some in both for one in some} == {1}
    assert not any("recovering" in one for some in both for one in some)
    gone = names[1]
    assert a.ask("DELETE", f"/v1/experiments/{gone}", params={"confirm": gone}).status_code == 200
    for node in nodes.all:
        assert [one["experiment_id"] for one in listed(node)] == [name for name in names if name != gone]
        assert node.create(gone).json()["code"] == "experiment_deleted"


def test_free_ids_of_different_nodes_are_different(nodes: Nodes) -> None:
    body = {"arms": ARMS, "policy": RANDOM}
    made = [node.ask("POST", "/v1/experiments", body).json()["experiment_id"] for node in nodes.all * 6]
    assert len(set(made)) == 12
    for name, node in zip(made, nodes.all * 6, strict=True):
        assert nodes.owner(name) is node


def test_the_key_is_checked_by_the_node_that_is_asked_and_who_asks_is_passed_on(
    own_nodes: Nodes, postgres_url: str
) -> None:
    keys = {tenant: new_key("me", tenant, ["admin"], now=time.time_ns() // 1000) for tenant in (None, "shop")}
    access = Access.open(postgres_url)
    for tenant, key in keys.items():
        access.add_key(key.row, Deed(None, 1, None, tenant, "keys.create", key.row.id, "test"))
    access.close()
    until(lambda: all(len(node.service.keyring.rows) == 2 for node in own_nodes.all))
    shop = {"authorization": f"Bearer {keys['shop'].text}"}
    name = next(one for one in NAMES if own_nodes.owner(f"~shop~{one}").name == "b")
    asked = own_nodes.all[0]
    body = {"experiment_id": name, "arms": ARMS, "policy": RANDOM}
    assert asked.ask("POST", "/v1/experiments", body, headers=shop).status_code == 201
    assert asked.ask("POST", f"/v1/experiments/{name}/decisions", {}, headers=shop).status_code == 201
    assert asked.client.post(f"/v1/experiments/{name}/decisions", json={}).status_code == 401
    deeds = asked.ask("GET", "/v1/audit", headers=shop).json()["deeds"]
    assert (deeds[0]["action"], deeds[0]["key"], deeds[0]["origin"]) == (
        "experiments.create",
        keys["shop"].row.id,
        "127.0.0.1",
    )
    forged = {SECRET.decode(): "guess", "x-onearm-caller": json.dumps([None, None, ["admin", "open"], "*", 2**62])}
    assert own_nodes.all[1].client.get(f"/v1/experiments/~shop~{name}", headers=forged).status_code == 503
    assert asked.client.get("/v1/cluster", headers=shop).json()["code"] == "operator_needed"


def test_the_cluster_is_shown_to_the_operator(nodes: Nodes) -> None:
    found = [node.ask("GET", "/v1/cluster").json() for node in nodes.all]
    assert [one["node"] for one in found] == ["a", "b"]
    assert found[0]["shards"] == found[1]["shards"] and len(found[0]["shards"]) == SHARDS
    assert [(one["name"], one["shards"], one["leaves"]) for one in found[0]["nodes"]] == [
        ("a", 8, False),
        ("b", 8, False),
    ]
    assert all(0 <= one["lag_seconds"] < 2 for one in found[0]["nodes"])
    assert {one["owner"] for one in found[0]["shards"]} == {"a", "b"}


def test_a_node_that_comes_gets_its_share_and_one_that_ends_gives_its_own(own_nodes: Nodes) -> None:
    a, b = own_nodes.all
    told: dict[str, Any] = {}
    for name in NAMES:
        a.create(name)
        told[name] = a.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "d"}).json()
    digests = {name: a.ask("GET", f"/v1/experiments/{name}").json()["digest"] for name in NAMES}
    own_nodes.add("c")
    own_nodes.settle()
    b.close()
    own_nodes.all.remove(b)
    own_nodes.settle()
    for name in NAMES:
        for node in own_nodes.all:
            again = node.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "d"})
            assert (again.status_code, again.json()) == (200, told[name])
        assert a.ask("GET", f"/v1/experiments/{name}").json()["digest"] == digests[name]


def test_a_node_that_ends_does_not_wait_for_one_that_leaves_too(own_nodes: Nodes) -> None:
    a, b = own_nodes.all
    leaving, staying = b.opened.nodes.membership, a.opened.nodes.membership
    leaving.node = leaving.node._replace(leaves=True)
    until(lambda: len(a.has) == SHARDS and staying.view.nodes["b"].leaves)
    begun = time.monotonic()
    a.close()
    assert time.monotonic() - begun < LEAVE_SECONDS and not a.thread.is_alive()


def further(told: dict[str, Any], count: int) -> None:
    """Wait until so many more are told."""
    before = len(told)
    until(lambda: len(told) >= before + count)


def test_moves_lose_nothing_that_clients_are_told_meanwhile(own_nodes: Nodes) -> None:
    a = own_nodes.all[0]
    for name in NAMES:
        a.create(name)
    over = threading.Event()
    told: dict[str, Any] = {}

    def decide() -> None:
        number = 0
        while not over.is_set():
            name, number = NAMES[number % len(NAMES)], number + 1
            told[f"{name}/{number}"] = a.ask(
                "POST", f"/v1/experiments/{name}/decisions", {"decision_id": str(number)}
            ).json()
            time.sleep(0.01)

    client = threading.Thread(target=decide)
    client.start()
    try:
        for name in "cd":
            further(told, 5)
            own_nodes.add(name)
            own_nodes.settle()
        further(told, 5)
    finally:
        over.set()
        client.join()
    for key, answer in told.items():
        name, number = key.split("/")
        found = own_nodes.all[-1].ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": number})
        assert (found.status_code, found.json()) == (200, answer)


def test_times_are_those_of_the_database_whatever_the_date_of_a_node(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + 3_600_000_000_000)
    with Nodes(postgres_url, "a") as nodes:
        [a] = nodes.all
        a.create("w", reward={"wait_time": "30m", "default": 0})
        a.ask("POST", "/v1/experiments/w/decisions", {})
        _, events = log_of(a.opened.store, "w")
        assert abs(events[0].time - right() // 1000) < 30_000_000


def test_an_owner_that_is_none_any_more_writes_nothing_and_others_go_on(own_nodes: Nodes) -> None:
    """Its shards are given to the other one behind its back."""
    name = "e1"
    mine, other = own_nodes.owner(name), own_nodes.other(name)
    mine.create(name)
    mine.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "d"})
    with psycopg.connect(own_nodes.database) as connection:
        sql = "UPDATE shard SET owner = %s, epoch = epoch + 1 WHERE number = %s"
        connection.execute(sql, (other.name, shard_of(name, SHARDS)))
    answer = mine.client.post(f"/v1/experiments/{name}/decisions", json={"decision_id": "e"})
    assert answer.status_code in (201, 503)  # 201 where it had noticed, and passed it on
    for node in own_nodes.all:
        assert node.ask("POST", f"/v1/experiments/{name}/decisions", {"decision_id": "e"}).status_code in (200, 201)
    _, events = log_of(mine.opened.store, name)
    assert [event.decision_id for event in events] == ["d", "e"]


def test_an_answer_of_an_earlier_epoch_is_dropped(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that an owner gave before it was paused, and lost its shards."""
    asked = nodes.other("epoch")
    asked.create("epoch")
    ask = Peers.ask

    async def late(self: Peers, *given: Any) -> Reply:
        reply = await ask(self, *given)
        return reply._replace(head=without(reply.head, EPOCH) + b"\r\n%b: 0" % EPOCH)

    assert asked.client.get("/v1/experiments/epoch").status_code == 200
    monkeypatch.setattr(Peers, "ask", late)
    answer = asked.client.get("/v1/experiments/epoch")
    assert answer.status_code == 503 and answer.json()["code"] == "moving"


def test_nobody_waits_for_a_node_that_has_the_experiment_no_more(
    own_nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, owner = own_nodes.other("e1"), own_nodes.owner("e1")
    asked.create("e1")

    async def never(self: Peers, *given: Any) -> Reply:
        await asyncio.sleep(1000)
        raise AssertionError

    monkeypatch.setattr(Peers, "ask", never)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(asked.client.get("/v1/experiments/e1")))
    waiting.start()
    until(lambda: bool(asked.opened.nodes._asked))
    with psycopg.connect(own_nodes.database) as connection:
        sql = "UPDATE shard SET owner = NULL, epoch = epoch + 1 WHERE owner = %s"
        connection.execute(sql, (owner.name,))
    waiting.join(20)
    assert not waiting.is_alive() and answers[0].status_code == 503


def test_what_is_passed_on_says_what_is_left_of_the_time_and_nobody_waits_longer(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = nodes.other("timed")
    asked.create("timed")
    heads: list[list[bytes]] = []
    ask = Peers.ask

    async def noted(self: Peers, address: str, head: list[bytes], body: bytes) -> Reply:
        heads.append(head)
        return await ask(self, address, head, body)

    monkeypatch.setattr(Peers, "ask", noted)
    for headers in ({}, {"x-request-timeout": "30"}):
        assert asked.client.get("/v1/experiments/timed", headers=headers).status_code == 200
    said = [[line for line in head if line.startswith(b"x-request-timeout: ")] for head in heads]
    assert said[0] == [] and len(said[1]) == 1
    assert 0 < float(said[1][0].partition(b": ")[2]) < 30

    async def never(self: Peers, *given: Any) -> Reply:
        await asyncio.sleep(1000)
        raise AssertionError

    monkeypatch.setattr(Peers, "ask", never)
    begun = time.monotonic()
    answer = asked.client.get("/v1/experiments/timed", headers={"x-request-timeout": "0.3"})
    assert (answer.status_code, answer.json()["code"]) == (504, "too_late")
    assert 0.3 <= time.monotonic() - begun < 20


def test_the_pages_and_the_metrics_of_a_node_show_who_has_what(nodes: Nodes) -> None:
    a, b = nodes.all
    page = a.client.get("/nodes")
    assert page.status_code == 200 and "this one" in page.text and b.url in page.text
    assert page.text.count('<th scope="row">') == 2 + SHARDS
    assert '/nodes"' in a.client.get("/").text, "there is a way to it"
    shards = a.client.get("/nodes/live").text.partition('id="shards"')[2]
    assert shards and shards in page.text
    b.create("shown")
    nodes.other("shown").ask("GET", "/v1/experiments/shown")
    told = {line.split(" ")[0]: float(line.split(" ")[1]) for line in metrics(a) if not line.startswith("#")}
    assert told['onearm_node_info{node="a"}'] == 1 and told["onearm_nodes"] == 2
    assert told["onearm_node_shards"] == 8 and told["onearm_shards_without_owner"] == 0
    assert 0 < told["onearm_node_lease_seconds"] <= 2
    page = (Path(__file__).resolve().parents[3] / "docs" / "monitoring.md").read_text()
    described = page.partition("A [node](nodes.md) tells besides")[2].partition("\n\n#")[0]
    assert set(re.findall(r"^\| `(onearm_\w+)`", described, re.M)) == {
        name.partition("{")[0] for name in told if OF_NODES.match(name)
    }
    passed = [float(line.split(" ")[1]) for node in nodes.all for line in metrics(node) if "passed_on_total " in line]
    assert sum(passed) >= 1


def metrics(node: ListeningNode) -> list[str]:
    return [line for line in node.client.get("/metrics").text.splitlines() if line.startswith("onearm_")]


def test_a_node_that_has_not_started_yet_gets_nothing(own_nodes: Nodes) -> None:
    late = ListeningNode(own_nodes.database, "c")
    time.sleep(1.0)
    assert [len(node.has) for node in own_nodes.all] == [8, 8]
    own_nodes.all.append(late.start())
    own_nodes.settle()


def test_a_shard_whose_logs_are_folded_is_given_away_when_that_is_done(
    own_nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = own_nodes.all
    for number in sorted(a.has):
        a.create(next(f"n{i}" for i in range(1000) if shard_of(f"n{i}", SHARDS) == number))
    monkeypatch.setattr(a.service, "folds", lambda name: True)
    c = own_nodes.add("c")
    until(lambda: len(b.has) <= 6 and len(c.has) + len(b.has) == 8)
    time.sleep(1.0)
    assert len(a.has) == 8
    monkeypatch.undo()
    own_nodes.settle()
    assert len(a.has) <= 6


def test_a_node_that_others_cannot_reach_is_named(postgres_url: str) -> None:
    with Nodes(postgres_url, "a", "b") as nodes:
        name = nodes.name_at("b", "e")
        a, b = nodes.all
        b.create(name)
        view = a.opened.nodes.membership
        unreachable = view.view.nodes["b"]._replace(address="http://127.0.0.1:1")
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE node SET address = %s WHERE name = 'b'", (unreachable.address,))
        until(lambda: view.view.nodes["b"].address == unreachable.address)
        answer = a.client.get(f"/v1/experiments/{name}")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "node_unreachable" and "http://127.0.0.1:1" in answer.json()["detail"]


def test_what_needs_two_experiments_of_different_nodes_says_so(nodes: Nodes) -> None:
    here, there = (nodes.name_at(node, "pair") for node in "ab")
    for name in (here, there):
        nodes.all[0].create(name)
    body = {"policy": "ucb1", "start": {"experiment": there}}
    answer = nodes.all[0].ask("POST", f"/v1/experiments/{here}/policies", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "other_node"), answer.text


def test_nodes_keep_their_shards_where_the_database_was_away_for_longer_than_a_lease(postgres_url: str) -> None:
    """The first that came back took what the others had, who came back a moment later: all moved, twice."""
    with Nodes(postgres_url, "a", "b") as nodes, psycopg.connect(postgres_url) as connection:
        first, second = nodes.all
        before = {node.name: dict(node.opened.nodes.membership.holding.epochs) for node in nodes.all}
        connection.execute("SELECT FROM node WHERE name = 'b' FOR UPDATE")
        connection.execute("SAVEPOINT one_waits")
        connection.execute("LOCK TABLE node IN ACCESS EXCLUSIVE MODE")
        time.sleep(LEASE + 0.5)
        lost = time.monotonic()
        connection.execute("ROLLBACK TO SAVEPOINT one_waits")
        until(lambda: first.opened.nodes.membership.holding.holds)
        assert list(first.opened.nodes.membership.view.nodes) == ["a"]
        time.sleep(0.05)
        connection.commit()
        until(lambda: second.opened.nodes.membership.viewed > lost)
        time.sleep(LEASE)
        assert {node.name: node.opened.nodes.membership.holding.epochs for node in nodes.all} == before


def test_what_a_node_had_that_does_not_come_back_with_the_database_is_taken(postgres_url: str) -> None:
    with Nodes(postgres_url, "a", "b") as nodes, psycopg.connect(postgres_url) as connection:
        first = nodes.all[0]
        connection.execute("SELECT FROM node WHERE name = 'b' FOR UPDATE")
        connection.execute("SAVEPOINT one_waits")
        connection.execute("LOCK TABLE node IN ACCESS EXCLUSIVE MODE")
        time.sleep(LEASE + 0.5)
        connection.execute("ROLLBACK TO SAVEPOINT one_waits")
        until(lambda: len(first.has) == SHARDS)
