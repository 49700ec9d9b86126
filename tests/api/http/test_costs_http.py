"""What a decision has cost comes with its reward: on record, learned, and the same after a restart and an import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.query_service import TASK
from support.served import RANDOM, Served, assert_refused

from onearm.api.cli.verify import has_fault, verified

PACED = {
    "name": "paced_budget",
    "params": {"policy": {"name": "squarecb", "params": {}}, "cost": [1.0, 2.0, 8.0], "limit": 2.0},
}
E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def create(served: Served, **fields: Any) -> None:
    answer = served.create(policy=PACED, problem={"feedback": "cost"}, **fields)
    assert answer.status_code == 201, answer.text


def spent(served: Served, name: str = "e") -> float:
    value: float = served.get(f"/v1/experiments/{name}/diagnostics").json()["constants"]["spent"]["value"]
    return value


def listed(served: Served, name: str) -> float:
    """Return what the action of a decision is said to cost."""
    costs: list[float] = PACED["params"]["cost"]  # type: ignore[index,assignment]
    return costs["abc".index(served.record(name).json()["action_id"])]


def test_a_cost_corrects_what_was_charged(served: Served) -> None:
    create(served)
    assert served.get(E).json()["problem"]["feedback"] == "cost"
    one, two = (served.decide().json()["decision_id"] for _ in range(2))
    charged = listed(served, one), listed(served, two)
    assert spent(served) == sum(charged)
    assert served.reward(one, {"value": 1.0, "cost": 0.1 + 0.2}).json() == {"status": "accepted"}
    assert spent(served) == pytest.approx(charged[1] + 0.3)
    assert served.record(one).json()["reward"]["cost"] == 0.1 + 0.2
    assert served.reward(two, 0.5).json() == {"status": "accepted"}, "as listed"
    assert spent(served) == pytest.approx(charged[1] + 0.3)
    assert "cost" not in served.record(two).json()["reward"]


def test_the_same_again_is_a_duplicate_and_another_cost_is_not(served: Served) -> None:
    create(served)
    one, two = (served.decide().json()["decision_id"] for _ in range(2))
    for status in ("accepted", "duplicate"):
        assert served.reward(one, {"value": 1.0, "cost": 3}).json() == {"status": status}
        assert served.reward(two, 1.0).json() == {"status": status}
    for name, body in ((one, {"value": 1.0, "cost": 4}), (one, {"value": 1.0}), (two, {"value": 1.0, "cost": 3})):
        assert_refused(served.reward(name, body), 409, "reward_exists")


def test_a_log_with_costs_is_folded_exported_imported_and_verified(served: Served) -> None:
    create(served)
    for n in range(30):
        name = served.decide().json()["decision_id"]
        if n % 3:
            served.reward(name, {"value": n % 2, **({"cost": n / 7} if n % 5 else {})})
    example = {"action_id": "b", "value": 1.0, "propensity": 0.5, "cost": 2.5}
    told = served.post(f"{E}/examples:batch", {"examples": [example, {**example, "cost": -1}]}).json()["examples"]
    assert told[0]["status"] == "accepted" and told[1]["code"] == "bad_cost"
    digest, sums = served.digest(), spent(served)
    log = served.get(f"{E}/log").content
    assert b'"detail":[2.5]' in log and b"NaN" not in log
    assert served.post("/v1/experiments:import?experiment_id=f", log).status_code == 201
    served.restart()
    assert (served.digest(), served.digest("f")) == (digest, digest)
    assert (spent(served), spent(served, "f")) == (sums, sums)
    assert not any(map(has_fault, verified(served.url)))
    assert served.get(f"{E}/log?format=parquet").status_code == 200


@pytest.mark.parametrize(
    ("cost", "code"), [(-1, "bad_cost"), (1e200, "bad_cost"), ("2", "bad_body"), (True, "bad_body")]
)
def test_what_is_no_cost_is_refused(served: Served, cost: Any, code: str) -> None:
    create(served)
    name = served.decide().json()["decision_id"]
    assert_refused(served.reward(name, {"value": 1.0, "cost": cost}), 422, code)
    assert served.record(name).json()["reward"] is None
    rewards = [{"decision_id": name, "value": 1.0, "cost": cost}, {"decision_id": name, "value": 1.0, "cost": 2}]
    told = served.post(f"{E}/rewards:batch", {"rewards": rewards}).json()["rewards"]
    assert (told[0]["code"], told[1]) == (code, {"status": "accepted"})


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"policy": RANDOM}, {"value": 1.0}),
        ({"policy": None, "arms": [], "problem": {"kind": "queries", "horizon": 10, **TASK}}, {"value": 1.0}),
    ],
)
def test_a_cost_where_none_is_told_is_refused(served: Served, fields: dict[str, Any], body: dict[str, Any]) -> None:
    said = {name: value for name, value in fields.items() if value is not None}
    asked = {"experiment_id": "e", "seed": 5, "arms": [{"id": "a"}, {"id": "b"}]} | said
    assert served.post("/v1/experiments", asked).status_code == 201
    name = served.decide().json()["decision_id"]
    told = assert_refused(served.reward(name, body | {"cost": 1.0}), 422, "unexpected_cost")
    assert 'problem.feedback "cost"' in told["detail"]
    assert served.reward(name, body).status_code == 200
