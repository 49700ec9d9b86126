"""Experiments of every kind over HTTP, in which decisions are for people, who are called by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from support.query_service import TASK
from support.served import ARMS, RANDOM, Served

Body = dict[str, Any]


class Sort(NamedTuple):
    """A sort of experiment: how it is made, and what is sent of a decision about somebody, and of its reward."""

    create: Body
    decide: Callable[[str], Body]
    reward: Callable[[Body], Body]


def _nothing(name: str) -> Body:
    return {}


SORTS = {
    "arms": Sort({"arms": ARMS, "policy": RANDOM}, _nothing, lambda made: {"value": 0.5}),
    "contexts": Sort(
        {"arms": ARMS, "policy": {"name": "linucb"}, "problem": {"context": {"kind": "dense", "length": 2}}},
        lambda name: {"context": [len(name), 0.7310585786300049], "explain": True},
        lambda made: {"value": 0.5},
    ),
    "named": Sort(
        {"arms": ARMS, "policy": "squarecb", "problem": {"context": {"kind": "features", "bits": 8}}},
        lambda name: {"context": {"visitor": name}},
        lambda made: {"value": 0.5},
    ),
    "listed": Sort(
        {
            "policy": "squarecb",
            "problem": {
                "context": {"kind": "features", "bits": 8},
                "actions": {"kind": "listed", "max": 5},
            },
        },
        lambda name: {"context": {"visitor": name}, "actions": [{"id": f"call {name}"}, {"id": "wait"}]},
        lambda made: {"value": 0.5},
    ),
    "vector": Sort(
        {
            "policy": {"name": "optimistic_omd", "params": {"hint": "context"}},
            "problem": {"kind": "vector", "domain": {"kind": "ball", "dimension": 2}, "horizon": 1000},
        },
        lambda name: {"hint": [0.25, 0.5]},
        lambda made: {"detail": {"gradient": [0.5, -0.5], "value": 0.1}},
    ),
    "queries": Sort(
        {"problem": {"kind": "queries", "horizon": 1000, **TASK}, "policy": {"name": "uniform_budget"}},
        _nothing,
        lambda made: {"value": 1},
    ),
    "stream": Sort(
        {"problem": {"kind": "arm_stream", "slots": 2, "horizon": 100_000}},
        _nothing,
        lambda made: {"value": 0.5 * made["pulls"], "pulls": made["pulls"]},
    ),
}

# Of every shape of what is on record about a decision one: a context, names in features and actions, a vector, pulls.
EVERY_SHAPE = ("contexts", "listed", "vector", "stream")


def create(served: Served, sort: str, experiment_id: str = "p") -> None:
    """Make an experiment; where arms come once some are offered."""
    body = {"experiment_id": experiment_id, "seed": 5} | SORTS[sort].create
    answer = served.post("/v1/experiments", body)
    assert answer.status_code == 201, answer.text
    if sort == "stream":
        for arm in range(3):
            served.post(f"/v1/experiments/{experiment_id}/arms", {"id": f"arm {arm}"})


def visit(served: Served, sort: str, name: str, visit_id: str, experiment_id: str = "p", *, rewarded: bool) -> Body:
    """Decide for somebody, reward that where it is said, and return the answer to the decision."""
    body = SORTS[sort].decide(name) | {"decision_id": visit_id, "unit_id": name}
    answer = served.decide(body, experiment_id)
    assert answer.status_code == 201, answer.text
    made: Body = answer.json()
    if rewarded:
        told = served.reward(visit_id, SORTS[sort].reward(made) | {"reward_id": f"of {name}"}, experiment_id)
        assert told.json() == {"status": "accepted"}, told.text
    return made
