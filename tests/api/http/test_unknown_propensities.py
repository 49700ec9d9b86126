"""Examples whose propensity nobody knows: they are learned, and no estimate weighs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import Served, assert_problem

from onearm.api.cli.verify import has_fault, verified


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def learned(served: Served, **fields: Any) -> Any:
    body = {"examples": [{"action_id": "b", "value": 1.0, "decision_id": "d", "propensity": None} | fields]}
    return served.post("/v1/experiments/e/examples:batch", body).json()["examples"][0]


def test_an_example_of_unknown_propensity_is_learned_once_and_marked(served: Served) -> None:
    served.create()
    assert learned(served) == {"decision_id": "d", "status": "accepted"}
    assert learned(served) == {"decision_id": "d", "status": "duplicate"}
    record = served.record("d").json()
    assert (record["given"], record["propensity"], record["reward"]["value"]) == (True, None, 1.0)
    assert served.get("/v1/experiments/e/diagnostics").json()["unknown_propensity_share"] == 1.0
    served.restart()
    served.assert_consistent()
    assert not any(map(has_fault, verified(served.url)))


def test_a_policy_that_divides_by_propensities_needs_one(served: Served) -> None:
    served.create(policy={"name": "exp3_ix"})
    assert_problem(learned(served), 422, "missing_propensity")
    assert served.events() == []
    assert learned(served, propensity=1.0)["status"] == "accepted"
