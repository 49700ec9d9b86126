"""Examples whose propensity nobody knows: they are learned, and no estimate weighs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exported import EXPORTS
from support.served import Served, assert_problem

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.experiment_log import opened_log
from onearm.engine.storage.rows import Rows, Wanted
from onearm.engine.storage.source import Source


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


def read_by(form: str, served: Served, folder: Path) -> Rows:
    """Return the rows of the experiment from its database, or from an export of the service."""
    if form == "database":
        with opened_log(served.url, "e") as log:
            return log.rows(Wanted())
    file = folder / f"e.{form}"
    file.write_bytes(served.get(f"/v1/experiments/e/log?format={form}").content)
    rows: Rows = EXPORTS[form].read_rows(Source(file), Wanted())
    return rows


@pytest.mark.parametrize("form", ["database", *EXPORTS])
def test_they_are_left_out_where_decisions_are_weighed_and_that_is_said(
    served: Served, tmp_path: Path, form: str
) -> None:
    served.create()
    for number in range(6):
        served.decide({"decision_id": f"own {number}"})
        served.reward(f"own {number}", 0.5)
        learned(served, decision_id=f"given {number}", propensity=0.25 if number == 0 else None)
    with read_by(form, served, tmp_path) as rows:
        columns = rows.columns()
        assert (len(rows), rows.decisions) == (7, 7)
        assert sorted(columns.reward.tolist()) == [0.5] * 6 + [1.0]
        assert not np.isnan(columns.propensity).any()
        drawn = rows.drawn()
        assert drawn is not None and len(drawn[0]) == 7
        assert rows.notes == ["left out: 5 decisions made by somebody else, as nobody knows with which propensity"]


@pytest.mark.parametrize("form", ["database", *EXPORTS])
def test_where_no_propensity_is_known_nothing_is_left_out(served: Served, tmp_path: Path, form: str) -> None:
    served.create()
    for number in range(3):
        learned(served, decision_id=f"given {number}")
    with read_by(form, served, tmp_path) as rows:
        assert (len(rows), rows.decisions, rows.notes) == (3, 3, [])
