"""Queries over HTTP as their tests use them: which animal is it?"""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
from support.served import Served, assert_sound

from onearm.api.service.live import Live
from onearm.engine.vocabulary import DECIDE, LEARN

ANIMALS = [
    {"id": "cat", "answers": [1, 0, 1]},
    {"id": "cow", "answers": [0, 0, 1]},
    {"id": "bat", "answers": [1, 1, 0]},
]
TASK = {"task": "hypotheses", "queries": ["purrs?", "flies?", "walks?"], "hypotheses": ANIMALS}
BUDGET = 8
UNIFORM = {"name": "uniform_budget", "params": {}}
DECISIONS = "/v1/experiments/q/decisions"


def create(served: Served, experiment_id: str = "q", policy: Any = UNIFORM, **problem: Any) -> httpx.Response:
    asked = {"kind": "queries", "horizon": BUDGET} | (problem or TASK)
    body = {"experiment_id": experiment_id, "problem": asked, "seed": 5}
    return served.post("/v1/experiments", body | ({} if policy is None else {"policy": policy}))


def ask(served: Served, experiment_id: str = "q", **body: Any) -> dict[str, Any]:
    answer = served.decide(body, experiment_id)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def of_cat(made: dict[str, Any]) -> int:
    """Return what is answered about a cat."""
    return 2 * ANIMALS[0]["answers"][TASK["queries"].index(made["query_id"])] - 1  # type: ignore[index, union-attr]


def walk(served: Served, n: int, start: int = 0) -> list[str]:
    """Ask n times, and return the queries; every third is never answered."""
    asked = []
    for t in range(start, start + n):
        made = ask(served, decision_id=f"d{t}")
        asked.append(made["query_id"])
        if t % 3 < 2:
            assert served.reward(f"d{t}", of_cat(made), "q").json() == {"status": "accepted"}
    return asked


def recommendation(served: Served, experiment_id: str = "q") -> dict[str, Any]:
    before = served.everything()
    found = served.get(f"/v1/experiments/{experiment_id}/recommendation")
    assert found.status_code == 200, found.text
    assert served.everything() == before, "it only reads"
    told: dict[str, Any] = found.json()
    return told


def live(served: Served, experiment_id: str = "q") -> Live:
    return served.service.live(experiment_id)


def assert_counted(served: Served) -> None:
    """Check that the state has counted what is in the log, queries asked and answers, by another hand."""
    events = served.events("q")
    assert_sound(events)
    asked, answers = np.zeros(3, np.int64), [[] for _ in range(3)]  # type: ignore[var-annotated]
    for event in events:
        if event.kind == DECIDE:
            asked[event.action] += 1
        elif event.kind == LEARN:
            assert event.action is not None and event.reward == 0.0
            answers[event.action] += json.loads(event.detail or "")
    evidence = live(served).state.evidence
    assert evidence.asked.tolist() == asked.tolist()
    assert evidence.count.tolist() == [len(some) for some in answers]
    assert evidence.total.tolist() == [sum(some) for some in answers]
