"""`onearm export` in formats of others: what they can hold, and what is counted because they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.served import Served

LISTED = {"context": {"kind": "features"}, "actions": {"kind": "listed", "max": 5}}
ACTIONS = [{"id": name, "features": [{"x": i}]} for i, name in enumerate("abc")]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return a database with the experiment `meals`: three decisions, two of them rewarded, one without `b`."""
    with Served(tmp_path) as served:
        served.create("meals", arms=[], problem=LISTED, policy={"name": "squarecb"})
        for n, more in enumerate([{}, {"excluded_actions": ["b"]}, {"unit_id": "u"}]):
            body = {"decision_id": f"{n}", "context": {"user": {"age": 31}}, "actions": ACTIONS, **more}
            assert served.decide(body, "meals").status_code == 201
        served.reward("0", 1.0, "meals")
        served.reward("1", {"value": 0.5, "reward_id": "r"}, "meals")
        return served.url


def test_dsjson_has_the_actions_that_could_be_chosen_and_the_rewards_that_were_learned(onearm: Any, url: str) -> None:
    done = onearm("export", "meals", "meals.dsjson", "--database", url, "--json")
    assert (done.code, done.json["events"]) == (0, 5)
    assert done.json["left_out"] == {"ids of rewards": 1, "ids of those whom decisions are for": 1}
    lines = [json.loads(line) for line in Path("meals.dsjson").read_text().splitlines()]
    assert [line["EventId"] for line in lines] == ["0", "1", "2"]
    assert [line.get("_label_cost") for line in lines] == [-1.0, -0.5, None]
    assert [action["id"] for action in lines[1]["c"]["_multi"]] == ["a", "c"]
    for line in lines:
        place = line["_labelIndex"]
        assert (line["_label_Action"], line["a"][0], sorted(line["a"])) == (
            place + 1,
            place + 1,
            list(range(1, len(line["c"]["_multi"]) + 1)),
        )
        assert line["c"]["user"] == {"age": 31} and line["c"]["_multi"][0] == {"_tag": "a"} | ACTIONS[0]


def test_what_was_exported_is_evaluated_as_the_log_itself(onearm: Any, url: str) -> None:
    onearm("export", "meals", "file.txt", "--format", "dsjson", "--database", url)
    asked = ("--target", "logged", "--method", "ips", "--json")
    found = onearm("evaluate", "file.txt", "--format", "dsjson", *asked).json
    there = onearm("evaluate", url, "--experiment", "meals", *asked).json
    assert found["estimates"] == there["estimates"]


def test_decisions_of_unknown_propensity_are_left_out_with_their_rewards(onearm: Any, tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create("own", arms=[], problem=LISTED, policy={"name": "squarecb"})
        served.post("/v1/experiments/own/policies/0:assign", {"role": "apprentice"})
        served.decide({"decision_id": "given", "actions": ACTIONS, "baseline_action": "a"}, "own")
        served.reward("given", 1.0, "own")
        served.post("/v1/experiments/own/policies/0:promote")
        served.decide({"decision_id": "free", "actions": ACTIONS}, "own")
        url = served.url
    for form in ("dsjson", "vw"):
        done = onearm("export", "own", f"own.{form}", "--database", url)
        assert done.code == 0 and "left out: decisions of unknown propensity (1)" in done.err, done.err
    (line,) = Path("own.dsjson").read_text().splitlines()
    assert json.loads(line)["EventId"] == "free"


def test_an_ending_that_says_nothing_is_refused(onearm: Any, url: str) -> None:
    done = onearm("export", "meals", "meals.log", "--database", url)
    assert done.code == 2 and "say --format" in done.err
