"""Decisions that move a state, over HTTP: said, on record, learned, refused, the same after a restart."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.old_logs import verified as verified_file
from support.served import Served, assert_refused

from onearm.api.cli.verify import has_fault, verified, verify_file
from onearm.api.log_files import ROWS
from onearm.engine.storage.formats import jsonl
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source

E = "/v1/experiments/e"
HOUSE = {"states": {"factors": {"length": 10, "class": 2}}}
DOOR = {"states": {"ids": ["open", "shut"]}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def create(served: Served, problem: dict[str, Any], policy: str = "ucb1", **more: Any) -> Any:
    asked = {"experiment_id": "e", "seed": 5, "arms": [{"id": "refuse"}, {"id": "accept"}], "policy": policy}
    return served.post("/v1/experiments", asked | {"problem": problem} | more)


def decide(served: Served, **body: Any) -> str:
    answer = served.post(f"{E}/decisions", body)
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["decision_id"]
    return name


def test_a_state_and_the_next_one_are_on_record_in_the_clients_words(served: Served) -> None:
    made = create(served, HOUSE)
    assert made.status_code == 201, made.text
    assert made.json()["problem"] == {"kind": "arms", **HOUSE}
    name = decide(served, state={"class": 1, "length": 3}, begins=True)
    assert served.reward(name, {"value": 0.25, "next_state": 4}).json() == {"status": "accepted"}
    record = served.record(name).json()
    assert (record["state"], record["begins"], record["context"]) == ({"length": 3, "class": 1}, True, None)
    assert record["reward"]["next_state"] == {"length": 2, "class": 0}
    last = decide(served, state=19)
    assert served.reward(last, {"value": 1.0, "ended": True}).json() == {"status": "accepted"}
    record = served.record(last).json()
    assert record["state"] == {"length": 9, "class": 1}
    assert "begins" not in record and "next_state" not in record["reward"]
    assert record["reward"]["ended"] is True


def test_the_same_again_is_a_duplicate_and_another_next_state_is_not(served: Served) -> None:
    create(served, DOOR)
    one, two = decide(served, state="open"), decide(served, state="shut")
    for status in ("accepted", "duplicate"):
        assert served.reward(one, {"value": 1.0, "next_state": "shut"}).json() == {"status": status}
        assert served.reward(two, {"value": 1.0, "ended": True}).json() == {"status": status}
    assert served.reward(one, {"value": 1.0, "next_state": 1}).json() == {"status": "duplicate"}
    for name, body in (
        (one, {"value": 1.0, "next_state": "open"}),
        (one, {"value": 1.0, "ended": True}),
        (two, {"value": 1.0, "next_state": "open"}),
    ):
        assert_refused(served.reward(name, body), 409, "reward_exists")


@pytest.mark.parametrize("policy", ["ucb1", "uniform"])
def test_a_log_with_states_is_folded_exported_imported_and_verified(
    served: Served, tmp_path: Path, policy: str
) -> None:
    create(served, HOUSE, policy)
    state = 0
    for n in range(60):
        name = decide(served, state=state, begins=n == 0)
        state = (7 * state + 3 * n) % 20
        if n % 3:
            served.reward(name, {"value": n % 4 / 4, **({"ended": True} if n % 10 == 7 else {"next_state": state})})
    example = {"action_id": "accept", "value": 1.0, "propensity": 0.5, "state": 3, "next_state": 5}
    told = served.post(f"{E}/examples:batch", {"examples": [example, {**example, "next_state": 20}]}).json()["examples"]
    assert told[0]["status"] == "accepted" and told[1]["code"] == "unknown_state"
    digest, log = served.digest(), served.get(f"{E}/log").content
    assert served.post("/v1/experiments:import?experiment_id=f", log).status_code == 201
    for form, rows in product(("jsonl", "parquet"), ROWS):
        name = f"e.{form}"
        (tmp_path / name).write_bytes(served.get(f"{E}/log?format={form}&rows={rows}").content)
        assert not any(map(has_fault, verified_file(str(tmp_path / name)).values()))
    served.restart()
    assert (served.digest(), served.digest("f")) == (digest, digest)
    assert not any(map(has_fault, verified(served.url)))


@pytest.mark.parametrize("detail", [None, [1.0, 2.0]])
def test_a_reward_on_a_log_that_says_not_what_came_next_is_refused_by_its_line(
    served: Served, tmp_path: Path, detail: list[float] | None
) -> None:
    create(served, DOOR)
    for state in (0, 1, 0):
        served.reward(decide(served, state=state), {"value": 0.5, "next_state": 1 - state})
    lines = [json.loads(line) for line in served.get(f"{E}/log").content.splitlines()]
    assert lines[4]["kind"] == "learn"
    lines[4]["detail"] = detail
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    refused = assert_refused(served.post("/v1/experiments:import?experiment_id=f", content), 422, "bad_line")
    assert "line 5 is bad (missing_next_state)" in refused["detail"]
    file = tmp_path / "e.jsonl"
    file.write_bytes(content)
    assert verify_file(file, None)["bad_lines"] == {"missing_next_state": 1}
    assert jsonl.read_rows(Source(file), Wanted()).bad_lines.lines == {"missing_next_state": [5]}
    table = pq.read_table(io.BytesIO(served.get(f"{E}/log?format=parquet").content))
    details = [
        json.dumps(detail) if row == 3 and detail else None if row == 3 else text
        for row, text in enumerate(table["detail"].to_pylist())
    ]
    pq.write_table(table.set_column(table.schema.get_field_index("detail"), "detail", [details]), file)
    assert verify_file(file, "parquet")["bad_lines"] == {"missing_next_state": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_state"),
        ({"state": 2}, "unknown_state"),
        ({"state": -1}, "unknown_state"),
        ({"state": "ajar"}, "unknown_state"),
        ({"state": {"length": 1}}, "bad_state"),
        ({"state": True}, "bad_body"),
        ({"state": 1.5}, "bad_body"),
        ({"state": "open", "context": [1.0]}, "unexpected_context"),
    ],
)
def test_a_decision_that_is_in_no_state_is_refused(served: Served, body: dict[str, Any], code: str) -> None:
    create(served, DOOR)
    before = served.get(E).json()["seq"]
    assert_refused(served.post(f"{E}/decisions", body), 422, code)
    told = served.post(f"{E}/decisions:batch", {"decisions": [body, {"state": "open"}]}).json()["decisions"]
    assert told[0]["code"] == code and told[1]["action_id"] in ("refuse", "accept")
    assert served.get(E).json()["seq"] == before + 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"value": 1.0}, "missing_next_state"),
        ({"value": 1.0, "next_state": 2}, "unknown_state"),
        ({"value": 1.0, "next_state": "ajar"}, "unknown_state"),
        ({"value": 1.0, "next_state": "open", "ended": True}, "bad_next_state"),
        ({"value": 1.0, "next_state": "open", "cost": 1.0}, "unexpected_cost"),
        ({"value": 1.5, "next_state": "open"}, "bad_reward"),
    ],
)
def test_a_reward_that_leads_nowhere_is_refused(served: Served, body: dict[str, Any], code: str) -> None:
    create(served, DOOR, reward={"range": [0, 1]})
    name = decide(served, state="open")
    assert_refused(served.reward(name, body), 422, code)
    assert served.record(name).json()["reward"] is None
    rewards = [{"decision_id": name, **body}, {"decision_id": name, "value": 1.0, "next_state": "shut"}]
    told = served.post(f"{E}/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert (told[0]["code"], told[1]) == (code, {"status": "accepted"})


def test_states_where_there_are_none_are_refused(served: Served) -> None:
    create(served, {})
    assert_refused(served.post(f"{E}/decisions", {"state": 0}), 422, "unexpected_state")
    assert_refused(served.post(f"{E}/decisions", {"begins": True}), 422, "unexpected_state")
    name = decide(served)
    assert_refused(served.reward(name, {"value": 1.0, "next_state": 0}), 422, "unexpected_next_state")
    assert_refused(served.reward(name, {"value": 1.0, "ended": True}), 422, "unexpected_next_state")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"problem": {"states": {"count": 0}}}, "bad_states"),
        ({"problem": {"states": {"count": 2, "ids": ["a", "b"]}}}, "bad_states"),
        ({"problem": {"states": {}}}, "bad_states"),
        ({"problem": {"states": {"ids": ["a", "a"]}}}, "bad_states"),
        ({"problem": {"states": {"ids": ["~a"]}}}, "bad_id"),
        ({"problem": {"states": {"factors": {"a": 0}}}}, "bad_states"),
        ({"problem": {"states": {"count": 1500}}}, "bad_states"),
        ({"problem": {"states": {"number": 3}}}, "unknown_field"),
        ({"problem": {"states": {"count": 3}, "context": {"kind": "dense", "length": 2}}}, "bad_states"),
        ({"problem": {"states": {"count": 3}, "feedback": "cost"}}, "bad_feedback"),
        ({"problem": {"states": {"count": 3}}, "policy": "linucb"}, "policy_does_not_fit"),
        ({"problem": {"states": {"count": 3}}, "reward": {"wait_time": "1m", "aggregation": "sum"}}, "bad_window"),
        ({"problem": {"kind": "vector", "states": {"count": 3}}}, "unknown_field"),
    ],
)
def test_bad_states_are_refused_at_creation(standing: Served, fields: dict[str, Any], code: str) -> None:
    asked = {"experiment_id": "e", "arms": [{"id": "a"}, {"id": "b"}], "policy": "ucb1"} | fields
    told = assert_refused(standing.post("/v1/experiments", asked), 422, code)
    assert told["detail"]


def test_retired_arms_are_closed_in_every_state(served: Served) -> None:
    create(served, DOOR, "uniform")
    assert served.post(f"{E}/arms/refuse:retire", {}).status_code == 200
    assert {served.record(decide(served, state=n % 2)).json()["action_id"] for n in range(12)} == {"accept"}


def test_an_explanation_and_a_report_tell_the_plan(served: Served) -> None:
    """Two states: in the shut one nothing is earned, and accepting opens; in the open one refusing keeps it so."""
    create(served, DOOR, "half_visit", reward={"range": [0, 2]})
    where = "shut"
    for n in range(60):
        name = decide(served, state=where, begins=n == 0)
        action = served.record(name).json()["action_id"]
        value = 2.0 if where == "open" and action == "refuse" else 0.0
        where = "open" if (where == "open") == (action == "refuse") else "shut"
        served.reward(name, {"value": value, "next_state": where})
    plan = served.get(f"{E}/report").json()["plan"]
    assert [(one["state"], one["action_id"]) for one in plan["states"]] == [("open", "refuse"), ("shut", "accept")]
    assert 1.5 < plan["gain"] <= 2.2
    assert plan["states"][1]["worth"] == 0.0
    assert plan["states"][0]["q"]["refuse"] == pytest.approx(plan["states"][0]["worth"], abs=0.02)
    assert sum(sum(one["decisions"].values()) for one in plan["states"]) == 60
    told = served.post(f"{E}/decisions", {"state": "shut", "explain": True}).json()
    assert told["action_id"] == "accept"
    assert told["plan"]["plans"] == plan["plans"] > 2
    assert told["plan"]["worth"] == 0.0
    assert [one["action_id"] for one in told["ranking"]] == ["accept", "refuse"]
    assert told["explanation"][0]["features"] == []
    assert served.record(told["decision_id"]).json()["plan"] == told["plan"]
    served.restart()
    assert served.get(f"{E}/report").json()["plan"] == plan


def test_the_default_learns_states_and_goes_on_after_a_restart(served: Served) -> None:
    made = served.post("/v1/experiments", {"experiment_id": "e", "arms": [{"id": "a"}], "problem": DOOR})
    assert made.json()["policy"]["name"] == "half_visit"
    for n in range(5):
        served.reward(decide(served, state=n % 2), {"value": 0.5, "next_state": (n + 1) % 2})
    digest = served.digest()
    served.restart()
    assert served.digest() == digest
    assert served.post(f"{E}/arms", {"id": "b"}).status_code in (200, 201)
    taken = []
    for _ in range(4):
        taken.append(served.record(name := decide(served, state=0)).json()["action_id"])
        served.reward(name, {"value": 0.5, "next_state": 0})
    assert "b" in taken, "what was never tried is hoped for"
    assert not any(map(has_fault, verified(served.url)))


def test_other_policies_are_refused(served: Served) -> None:
    create(served, DOOR, "half_visit")
    told = assert_refused(served.post(f"{E}/policies", {"policy": "ucrl2", "role": "shadow"}), 422, "states_move")
    assert "it would have met other states" in told["detail"]


def test_a_correction_leaves_where_a_decision_led(served: Served) -> None:
    create(served, DOOR, "half_visit")
    name = decide(served, state="open")
    served.reward(name, {"value": 1.0, "next_state": "shut"})
    assert served.client.put(f"{E}/decisions/{name}/reward", json={"value": 0.25}).json() == {"status": "accepted"}
    served.restart()
    record = served.record(name).json()
    assert (record["reward"]["next_state"], record["corrections"][0]["value"]) == ("shut", 0.25)
    assert not any(map(has_fault, verified(served.url)))


def test_the_warning_of_equal_rewards_advises_what_can_be_done(served: Served) -> None:
    create(served, DOOR)
    made = served.decide_all([{"state": n % 2} for n in range(100)])
    told = [{"decision_id": one["decision_id"], "value": 1.0, "next_state": 0} for one in made]
    assert served.post(f"{E}/rewards:batch", {"rewards": told}).json() == {"rewards": [{"status": "accepted"}] * 100}
    (warning,) = served.get(f"{E}/report").json()["warnings"]
    assert "send zeros where nothing came of a decision" in warning and "wait_time" not in warning
