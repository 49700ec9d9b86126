"""`onearm evaluate` counts units: of a database and of exports, and says how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import Served

E = "/v1/experiments/e"
UNITS, VISITS = 6, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database with units that are paid alike each time, a decision without one at the end, and exports of it."""
    folder = tmp_path_factory.mktemp("units")
    with Served(folder) as served:
        assert served.create(policy={"name": "uniform"}).status_code == 201
        for visit in range(VISITS):
            for unit in range(UNITS):
                made = served.decide({"unit_id": f"u{unit}"}).json()["decision_id"]
                served.reward(made, float(unit % 2 == 0 or visit == unit))
        served.reward(served.decide().json()["decision_id"], 1.0)
        for form in ("jsonl", "parquet"):
            (folder / f"log.{form}").write_bytes(served.get(f"{E}/log?format={form}").content)
    yield folder


def evaluated(onearm: Any, folder: Path, log: str, *asked: str) -> Any:
    place = ("--experiment", "e", f"sqlite:///{folder}/run.db") if log == "database" else (str(folder / log),)
    intervals = ("--interval", "normal", "--interval", "confidence-sequence", "--reward-range", "0:1")
    targets = ("--target", "logged", "--target", "uniform", "--target", "action:1", "--baseline", "logged")
    done = onearm("evaluate", *place, *targets, *intervals, *asked, "--json")
    assert done.code == 0, done.err
    return done.json


@pytest.mark.parametrize("log", ["database", "log.jsonl", "log.parquet"])
def test_intervals_count_units_and_the_output_says_how_many(onearm: Any, folder: Path, log: str) -> None:
    found = evaluated(onearm, folder, log)
    assert found["units"] == {"units": UNITS, "decisions": UNITS * VISITS, "alone": 1}
    note = "intervals count 6 units, not their 30 decisions; decisions without a unit count as one each: 1"
    assert found["notes"] == [note]
    rows = {(each["target"], each["interval"]): each for each in found["estimates"]}
    own = rows["logged", "normal"]
    rewards = [[float(unit % 2 == 0 or visit == unit) for visit in range(VISITS)] for unit in range(UNITS)] + [[1.0]]
    n = sum(map(len, rewards))
    value = sum(map(sum, rewards)) / n
    error = sum(sum(reward - value for reward in unit) ** 2 for unit in rewards) ** 0.5 / n
    assert own["value"] == pytest.approx(value)
    reach = 1.959963984540054 * error
    assert (own["low"], own["high"]) == pytest.approx((value - reach, value + reach))


def test_what_cannot_count_units_says_so(onearm: Any, folder: Path) -> None:
    found = evaluated(onearm, folder, "log.jsonl")
    for each in (*found["estimates"], *found["differences"]):
        if each["interval"] == "confidence-sequence":
            assert each["low"] is None and "normal, bootstrap, empirical-likelihood count units" in each["note"]
        else:
            assert each["low"] is not None or each["value"] == 0.0


def test_a_log_of_which_no_unit_has_two_decisions_is_as_before(onearm: Any, tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create(policy={"name": "uniform"})
        for unit in range(12):
            made = served.decide({"unit_id": f"u{unit}"} if unit % 2 else {}).json()["decision_id"]
            served.reward(made, unit % 3 / 2)
    found = evaluated(onearm, tmp_path, "database")
    assert "units" not in found and found["notes"] == []
    assert all(each["low"] is not None for each in found["estimates"] if each["target"] == "logged")
