"""Decisions say whom they are for: it is on record, in exports, and found again by that name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.keyed import NEW, Keyed
from support.meeting import at_once
from support.old_logs import command
from support.people import SORTS, create, visit
from support.served import Served, assert_problem, assert_refused

from onearm.engine.vocabulary import DECIDE, EXTERNAL

OF_ANN = "/v1/experiments/e/units/Ann/decisions"


def told(served: Served, name: str = "Ann", query: str = "", experiment_id: str = "e") -> list[dict[str, Any]]:
    answer = served.get(f"/v1/experiments/{experiment_id}/units/{name}/decisions{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["decisions"]
    return found


@pytest.mark.parametrize("sort", SORTS)
def test_every_kind_keeps_whom_a_decision_is_for_and_tells_all_of_it(served: Served, sort: str) -> None:
    create(served, sort)
    for n, name in enumerate(["Ann", "Bob", "Ann"]):
        visit(served, sort, name, f"visit {n}", "p", rewarded=n != 2)
    for _ in range(2):
        found = told(served, experiment_id="p")
        assert [one["decision_id"] for one in found] == ["visit 0", "visit 2"]
        assert [one["reward"] is None for one in found] == [False, True]
        for one in found:
            assert one == served.record(one["decision_id"], "p").json()
            assert one["unit_id"] == one["sent"]["unit_id"] == "Ann"
        served.restart()
    rows = [event for event in served.events("p") if event.unit_id is not None]
    assert [(event.unit_id, event.decision_id) for event in rows] == [
        ("Ann", "visit 0"),
        ("Bob", "visit 1"),
        ("Ann", "visit 2"),
    ]


def test_batches_and_examples_take_it_and_rewards_do_not_repeat_it(served: Served) -> None:
    served.post("/v1/experiments/e/decisions:batch", {"decisions": [{"unit_id": "Ann"}, {}, {"unit_id": "Bob"}]})
    example = {"action_id": "a", "value": 1, "propensity": 0.5, "unit_id": "Ann"}
    served.post("/v1/experiments/e/examples:batch", {"examples": [example]})
    assert [one["number"] for one in told(served)] == [0, 3]
    assert [(event.kind, event.unit_id) for event in served.events()][-2:] == [(EXTERNAL, "Ann"), (1, None)]
    assert "unit_id" not in served.record("~1").json()


@pytest.mark.parametrize("unit_id", ["", "x" * 257, "~x", "..", "a\nb", "a/.."])
def test_it_has_the_rules_of_all_ids_and_nothing_is_written_where_it_breaks_them(served: Served, unit_id: str) -> None:
    before = served.everything()
    assert "unit_id" in assert_refused(served.decide({"unit_id": unit_id}), 422, "bad_id")["detail"]
    batch = served.post("/v1/experiments/e/decisions:batch", {"decisions": [{"unit_id": unit_id}]}).json()
    assert_problem(batch["decisions"][0], 422, "bad_id")
    example = {"action_id": "a", "value": 1, "propensity": 0.5, "unit_id": unit_id}
    learned = served.post("/v1/experiments/e/examples:batch", {"examples": [example]}).json()
    assert_problem(learned["examples"][0], 422, "bad_id")
    assert_refused(served.decide({"unit_id": 7}), 422, "bad_body")
    assert served.everything() == before


def test_the_same_decision_for_another_is_another_body(served: Served) -> None:
    assert served.decide({"decision_id": "d", "unit_id": "Ann"}).status_code == 201
    assert served.decide({"decision_id": "d", "unit_id": "Ann"}).status_code == 200
    assert_refused(served.decide({"decision_id": "d", "unit_id": "Bob"}), 409, "decision_exists")
    assert_refused(served.decide({"decision_id": "d"}), 409, "decision_exists")


def test_pages_have_every_decision_once(served: Served) -> None:
    for n in range(25):
        served.decide({"unit_id": "Ann" if n % 2 else "Bob"})
    seen: list[int] = []
    after = None
    while True:
        query = "?limit=5" + ("" if after is None else f"&after={after}")
        page = served.get(f"{OF_ANN}{query}").json()
        seen += [one["number"] for one in page["decisions"]]
        after = page["next"]
        if after is None:
            break
        assert len(page["decisions"]) == 5
    assert seen == [n for n in range(25) if n % 2]
    for query in ("limit=0", "limit=1001", "after=-1", "after=x"):
        assert served.get(f"{OF_ANN}?{query}").status_code == 422


def test_of_nobody_nothing_is_on_record_and_ids_have_slashes(served: Served) -> None:
    served.decide({"unit_id": "a/b c%2F"})
    assert told(served, "nobody") == []
    assert [one["number"] for one in told(served, "a%2Fb%20c%252F")] == [0]
    assert_refused(served.get("/v1/experiments/e/units/~x/decisions"), 422, "bad_id")
    assert_refused(served.get("/v1/experiments/none/units/Ann/decisions"), 404, "unknown_experiment")


def test_decisions_on_their_way_are_told_once_they_are_committed(served: Served) -> None:
    async def ask(client: httpx.AsyncClient) -> Any:
        decide = client.post("/v1/experiments/e/decisions", json={"unit_id": "Ann"})
        return [answer.json() for answer in await asyncio.gather(*[decide, client.get(OF_ANN)])]

    made, found = at_once(served, ask)
    assert [one["number"] for one in found["decisions"]] in ([], [0]) and made["decision_id"] == "~0"
    assert [one["number"] for one in told(served)] == [0]


def test_two_tenants_may_mean_different_people_by_one_id(tmp_path: Path) -> None:
    with Keyed(tmp_path) as keyed:
        shop, news = (keyed.asking("admin", tenant=tenant) for tenant in ("shop", "news"))
        for client, n in ((shop, 1), (news, 2)):
            assert client.post("/v1/experiments", json={"experiment_id": "mine", **NEW}).status_code == 201
            for _ in range(n):
                client.post("/v1/experiments/mine/decisions", json={"unit_id": "Ann"})
        assert len(shop.get("/v1/experiments/mine/units/Ann/decisions").json()["decisions"]) == 1
        assert len(news.get("/v1/experiments/mine/units/Ann/decisions").json()["decisions"]) == 2
        writer = keyed.asking("write", tenant="shop")
        assert writer.get("/v1/experiments/mine/units/Ann/decisions").status_code == 403


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_it_is_in_the_log_and_comes_back_with_it(served: Served, tmp_path: Path, form: str) -> None:
    visits = [{"decision_id": "d0", "unit_id": "Ann"}, {"unit_id": "Bob"}, {}]
    for body in visits:
        served.decide(body)
    file = tmp_path / f"log.{form}"
    file.write_bytes(served.get(f"/v1/experiments/e/log?format={form}").content)
    if form == "parquet":
        file = tmp_path / "log.jsonl"
        assert command("convert", str(tmp_path / "log.parquet"), str(file))[0] == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("unit_id") for line in lines[1:]] == ["Ann", "Bob", None]
    answer = served.client.post("/v1/experiments:import?experiment_id=again", content=file.read_bytes())
    assert answer.status_code == 201, answer.text
    assert [one["decision_id"] for one in told(served, experiment_id="again")] == ["d0"]
    kept = [event.unit_id for event in served.events("again") if event.kind == DECIDE]
    assert kept == ["Ann", "Bob", None]
    lines[1]["unit_id"] = "~x"
    bad = "\n".join(map(json.dumps, lines)).encode()
    assert_refused(served.client.post("/v1/experiments:import?experiment_id=bad", content=bad), 422, "bad_id")
    assert command("convert", str(file), str(tmp_path / "log.csv"))[0] == 0
    assert (tmp_path / "log.csv").read_text().splitlines()[0].startswith("decision_id,unit_id,time,")
    to_vw = ["convert", str(file), str(tmp_path / "log.vw"), "--to", "vw"]
    assert command(*to_vw)[0] != 0
    assert command(*to_vw, "--lossy")[1]["left_out"]["unit_id"] == 2
