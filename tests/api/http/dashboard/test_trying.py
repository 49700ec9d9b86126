"""The lines to try an experiment are taken as they stand, whatever it decides."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import Served

ARMS = [{"id": "a"}, {"id": "b"}, {"id": "c"}]


POINT = {"policy": {"name": "point_gradient", "params": {"policy": "gradient_descent", "delta": 0.1}}}


def _vector(**fields: Any) -> dict[str, Any]:
    return {"problem": {"kind": "vector", "domain": {"kind": "simplex", "dimension": 3}} | fields}


SORTS: dict[str, dict[str, Any]] = {
    "arms": {"arms": ARMS},
    "small rewards": {"arms": ARMS, "reward": {"range": [-2, 0.5]}},
    "window": {"arms": ARMS, "reward": {"wait_time": "1h", "default": 0}},
    "numbers": {"arms": ARMS, "problem": {"context": {"kind": "dense", "length": 2}}},
    "features": {"arms": ARMS, "problem": {"context": {"kind": "features", "bits": 8}}},
    "listed": {"problem": {"context": {"kind": "features", "bits": 8}, "actions": {"kind": "listed"}}},
    "listed numbers": {
        "problem": {"context": {"kind": "dense", "length": 1}, "actions": {"kind": "listed", "length": 2}}
    },
    "states": {"arms": ARMS, "problem": {"states": {"ids": ["open", "shut"]}}},
    "factors": {"arms": ARMS, "problem": {"states": {"factors": {"size": 2, "class": 2}}}},
    "lists": {"arms": ARMS, "problem": {"kind": "lists", "slots": {"max": 2}}},
    "lists by numbers": {
        "arms": ARMS,
        "problem": {"kind": "lists", "slots": {"max": 2}, "context": {"kind": "dense", "length": 2}},
    },
    "stream": {"problem": {"kind": "arm_stream", "slots": 2, "reward_range": [0, 1], "horizon": 100}},
    "queries": {"problem": {"kind": "queries", "task": "arms", "queries": ["x", "y"], "horizon": 9}},
    "thresholds": {"problem": {"kind": "queries", "task": "thresholds", "queries": 3, "horizon": 9}},
    "gradient": _vector(feedback="gradient"),
    "losses": _vector(feedback="losses"),
    "reward": _vector(feedback="reward") | POINT,
    "two rewards": _vector(feedback="two_rewards") | POINT,
    "example": _vector(feedback="example") | {"policy": "implicit_omd"},
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def lines(served: Served, query: str = "") -> list[tuple[str, Any]]:
    """Return the paths and bodies of the lines on the page of x."""
    shown = re.search(r'<pre tabindex="0">(curl.*?)</pre>', served.get(f"/experiments/x{query}").text, re.DOTALL)
    assert shown is not None
    found = []
    for line in html.unescape(shown[1]).splitlines():
        curl, option, body, address = shlex.split(line)
        assert (curl, option) == ("curl", "-d")
        found.append((address[address.index("/v1/") :], json.loads(body)))
    return found


def run(served: Served, sent: list[tuple[str, Any]]) -> None:
    for path, body in sent:
        answer = served.post(path, body)
        assert answer.status_code in (200, 201, 202), f"{path} {body}: {answer.text}"


@pytest.mark.parametrize("name", SORTS)
def test_lines_are_taken_as_they_stand_and_so_are_those_of_the_page_afterwards(served: Served, name: str) -> None:
    made = served.post("/v1/experiments", {"experiment_id": "x"} | SORTS[name])
    assert made.status_code == 201, made.text
    for _ in range(2):
        before = lines(served)
        run(served, before)
        assert lines(served)[-1] != before[-1], "another decision is to be rewarded now"


@pytest.mark.parametrize("name", ["arms", "lists", "numbers"])
def test_the_newest_decision_that_waits_is_the_one_to_reward(served: Served, name: str) -> None:
    served.post("/v1/experiments", {"experiment_id": "x"} | SORTS[name])
    asked = lines(served)[0][1]
    del asked["decision_id"]
    made = served.decide(asked, "x").json()["decision_id"]
    shown = lines(served)
    assert shown[-1][0].endswith(f"/{made}/reward") and "decision_id" not in shown[0][1]
    run(served, shown)
