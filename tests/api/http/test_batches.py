"""Large requests are worked on in pieces: others are answered meanwhile, and nothing comes out otherwise."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from support.meeting import at_once
from support.served import RANDOM, Served, assert_problem, assert_refused

from onearm.api.http import bodies, experiments
from onearm.api.http.batches import AHEAD, PIECE
from onearm.api.service import writer as writer_module
from onearm.engine.storage.records import Event

E, OTHER = "/v1/experiments/e", "/v1/experiments/other"
BATCH = 1_000  # decisions: more than are made while one is committed


def written(body: Any) -> list[bytes]:
    """Return a body as JSON, without space and with."""
    texts = json.dumps(body, separators=(",", ":")), json.dumps(body, indent=1, ensure_ascii=False)
    return [text.replace("Infinity", "1e400").encode() for text in texts]


def test_during_a_batch_others_decide(served: Served) -> None:
    """They waited until it was done: 10,000 decisions took seconds."""
    served.create("other")
    live = served.service.live("e")

    async def ask(client: httpx.AsyncClient) -> tuple[list[int], httpx.Response]:
        batch = asyncio.create_task(client.post(f"{E}/decisions:batch", json={"decisions": [{}] * BATCH}))
        while live.number == 0:
            await asyncio.sleep(0)
        seen = []
        for _ in range(3):
            assert (await client.post(f"{OTHER}/decisions", json={})).status_code == 201
            seen.append(live.number)
        return seen, await batch

    seen, batch = at_once(served, ask)
    assert seen[0] < BATCH, f"{seen[0]} were decided before another one was answered"
    made = batch.json()["decisions"]
    assert [one["decision_id"] for one in made] == [f"~{i}" for i in range(BATCH)]
    rewards = [{"decision_id": one["decision_id"], "value": i} for i, one in enumerate(made)]
    assert served.post(f"{E}/rewards:batch", {"rewards": rewards}).json()["rewards"] == [{"status": "accepted"}] * BATCH
    assert [event.reward for event in served.events() if event.reward is not None] == list(range(BATCH))
    served.assert_consistent()


def test_a_batch_does_not_run_ahead_of_its_commits(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand items waited for the writer, which had no turn at Python's lock: others waited up to a second."""
    writer = served.service.writer
    waiting: list[int] = []
    append = writer.append

    def counted(*given: Any, **named: Any) -> asyncio.Future[None]:
        future = append(*given, **named)
        waiting.append(writer.waiting)
        return future

    commit = served.store.append

    def slow(*given: Any) -> None:
        time.sleep(0.02)
        commit(*given)

    monkeypatch.setattr(writer, "append", counted)
    monkeypatch.setattr(served.store, "append", slow)
    made = served.post(f"{E}/decisions:batch", {"decisions": [{}] * BATCH}).json()["decisions"]
    rewards = [{"decision_id": one["decision_id"], "value": 1.0} for one in made]
    assert served.post(f"{E}/rewards:batch", {"rewards": rewards}).json()["rewards"] == [{"status": "accepted"}] * BATCH
    assert len(waiting) == 2 * BATCH and max(waiting) <= AHEAD + PIECE
    served.assert_consistent()


def test_in_a_batch_of_several_pieces_a_bad_item_fails_alone(served: Served) -> None:
    items: list[Any] = [{"decision_id": f"d{i}"} for i in range(3 * PIECE)]
    items[PIECE] = {"decision_id": "d0", "eligible_actions": ["a"]}
    items[PIECE + 1] = {"decision_id": "d0"}
    items[2 * PIECE] = {"colour": 1}
    made = served.post(f"{E}/decisions:batch", {"decisions": items}).json()["decisions"]
    assert_problem(made[PIECE], 409, "decision_exists")
    assert made[PIECE + 1] == made[0]
    assert_problem(made[2 * PIECE], 422, "bad_body")
    assert len(served.events()) == 3 * PIECE - 3
    served.assert_consistent()


def test_bytes_that_are_no_text_fail_alone(served: Served) -> None:
    """They were 500, and in a batch all were, with what was before them decided."""
    spoilt = b'{"actions":"\xff"}'
    assert_refused(served.decide(spoilt), 422, "malformed_json")
    body = b'{"decisions":[' + b'{"decision_id":"a"},' + spoilt + b',{"decision_id":"b"}]}'
    made = served.post(f"{E}/decisions:batch", body).json()["decisions"]
    assert [one.get("code") for one in made] == [None, "malformed_json", None]
    listed = {"actions": {"kind": "listed", "length": 1, "max": 2}}
    assert served.create("listed", arms=[], policy={"name": "linear_greedy"}, problem=listed).status_code == 201
    served.post("/v1/experiments/listed/decisions", b'{"actions":[{"id":"\xff","features":[1]}]}')
    actions = b'[{"id":"\xff","features":[1]}]'
    example = b'{"examples":[{"action_id":"a","value":1,"propensity":0.5,"actions":' + actions + b"}]}"
    told = served.post("/v1/experiments/listed/examples:batch", example).json()["examples"]
    assert told[0]["code"] == "malformed_json"
    assert len(served.events()) == 2 and served.events("listed") == []


@pytest.mark.parametrize("field", ["decisions", "rewards", "examples"])
def test_long_lists_are_read_as_short_ones(served: Served, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    made = served.post(f"{E}/decisions:batch", {"decisions": [{}] * 3}).json()["decisions"]
    items = {
        "decisions": [
            {"context": {'é"}],[{,': "\\"}},
            {"eligible_actions": ["a", "b"]},
            {},
            7,
            [],
            {"context": [1e400]},
        ],
        "rewards": [{"decision_id": one["decision_id"], "value": 0.25} for one in made] + [{"decision_id": "~9"}, 3],
        "examples": [{"action_id": "a", "value": 1.5, "propensity": 0.5}, {"action_id": "x"}, "text"],
    }[field]
    texts = written({field: items})
    short = served.post(f"{E}/{field}:batch", texts[0]).json()[field]
    monkeypatch.setattr(bodies, "LARGE", 1)
    monkeypatch.setattr(bodies, "SPLIT", 1)
    monkeypatch.setattr(bodies, "PIECE_S", 0.0)
    for sent in texts:
        told = served.post(f"{E}/{field}:batch", sent).json()[field]
        assert len(told) == len(short)
        for before, now in zip(short, told, strict=True):
            assert before.get("code") == now.get("code")
    served.assert_consistent()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"decisions": {}}', "bad_body"),
        (b'{"decisions": [{}], "more": 1}', "bad_body"),
        (b'{"decisions": [{}', "malformed_json"),
        (b'{"decisions": [{} {}]}', "malformed_json"),
        (b'{"decisions": [{},]}', "malformed_json"),
        (b'[{"decisions": [{}]}]', "bad_body"),
        (b'{"decisions": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "too_deep"),
        (b"{}", "bad_body"),
        (b'{"decisions": [' + b"{}," * 10_000 + b"{}]}", "batch_too_large"),
    ],
)
def test_long_lists_that_are_none_are_refused_as_short_ones(
    standing: Served, monkeypatch: pytest.MonkeyPatch, body: bytes, code: str
) -> None:
    assert_refused(standing.post(f"{E}/decisions:batch", body), 422, code)
    monkeypatch.setattr(bodies, "LARGE", 1)
    monkeypatch.setattr(bodies, "SPLIT", 1)
    assert_refused(standing.post(f"{E}/decisions:batch", body), 422, code)
    assert standing.events() == []


def test_an_experiment_with_a_long_list_of_arms_is_the_same_as_read_at_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = [{"id": f"é {i}", "price": i / 3, "tags": ["a,b", None, {"deep": [1e300, -0.0]}]} for i in range(500)]
    body = {"experiment_id": "x", "arms": arms, "policy": RANDOM, "seed": str(2**63)}
    text = json.dumps(body)
    assert served.post("/v1/experiments", text.encode()).status_code == 201
    monkeypatch.setattr(experiments, "LARGE", 1)
    for sent in written(body):
        assert served.post("/v1/experiments", sent).status_code == 200, "it is the one that exists"
    assert served.get("/v1/experiments/x").json()["arms"] == arms
    for broken in (text[:-2], text.replace('"seed"', '"seed": 1, "sed"'), text.replace('"arms": [', '"arms": [7, ')):
        assert served.post("/v1/experiments", broken.replace('"x"', '"y"').encode()).status_code == 422


def test_who_sends_much_has_a_share_of_each_commit(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of one experiment were all written before those that came later of another."""
    served.create("other")
    monkeypatch.setattr(writer_module, "SHARE_MAX", 5)
    commits: list[list[int]] = []
    append = served.store.append

    def counted(events: list[Event], *rest: Any) -> None:
        commits.append([event.experiment for event in events])
        append(events, *rest)

    monkeypatch.setattr(served.store, "append", counted)
    one, two = served.service.live("e"), served.service.live("other")

    async def ask(client: httpx.AsyncClient) -> None:
        batch = asyncio.create_task(client.post(f"{E}/decisions:batch", json={"decisions": [{}] * 60}))
        while one.number < 60:
            await asyncio.sleep(0)
        answer = await client.post(f"{OTHER}/decisions", json={})
        assert answer.status_code == 201 and not batch.done()
        await batch

    at_once(served, ask)
    assert sum(map(len, commits)) == 61
    first = next(i for i, commit in enumerate(commits) if two.row.key in commit)
    assert first < len(commits) - 1, "it did not wait for all of the others"
    for name in ("e", "other"):
        served.assert_consistent(name)


@pytest.mark.parametrize("numbers", [1, 39_999, 60_000])
def test_a_long_context_of_another_length_is_refused_before_it_is_made(
    served: Served, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    body = json.dumps({"decision_id": "d" * 10, "context": [0.5] * numbers}).encode() + b" " * bodies.LARGE
    served.create("dense", policy={"name": "uniform"}, problem={"context": {"kind": "dense", "length": 60_000}})
    for name, length in (("e", 0), ("dense", 60_000)):
        answer = served.decide(body, name)
        if numbers == length:
            assert answer.status_code == 201
        else:
            detail = assert_refused(answer, 422, "bad_context")["detail"]
            assert detail == f"the context has the shape [{numbers}]: it must have [{length}]"


def test_large_requests_go_one_at_a_time_and_too_many_are_refused(served: Served) -> None:
    served.service.lanes.large.waiting = 3
    body = b"{}" + b" " * bodies.LARGE

    async def ask(client: httpx.AsyncClient) -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with served.service.lanes.large.turn():
            asked = [asyncio.create_task(client.post(f"{E}/decisions", content=body)) for _ in range(10)]
            while sum(task.done() for task in asked) < 7:
                await asyncio.sleep(0)
            assert (await client.post(f"{E}/decisions", content=b"{}")).status_code == 201, "small ones go on"
        then = [client.post(f"{E}/decisions", content=body) for _ in range(2)]
        return [await task for task in asked], list(await asyncio.gather(*then))

    first, then = at_once(served, ask)
    assert Counter(answer.status_code for answer in first) == {201: 3, 503: 7}
    assert_problem(next(answer for answer in first if answer.status_code == 503).json(), 503, "busy")
    assert [answer.status_code for answer in then] == [201] * 2
    served.assert_consistent()
