"""The probabilities of all actions, of tables and of dsjson: with them swapped labels are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from support.pictures import leave_empty

import onearm
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

K = 4


def drawn(n: int = 300) -> tuple[Array, Array]:
    """Return laws, float64[n, 4], and actions drawn by them."""
    rng = np.random.default_rng(11)
    law = rng.dirichlet(np.ones(K), n) * 0.9 + 0.1 / K
    return law, (rng.random((n, 1)) > law.cumsum(axis=1)).sum(axis=1)


def table(law: Array, action: Array) -> polars.DataFrame:
    chance = law[np.arange(len(law)), action]
    columns: dict[str, Any] = {"action": action, "reward": action % 2, "propensity": chance}
    return polars.DataFrame(columns | {f"p_{arm}": law[:, arm] for arm in range(K)})


def dsjson(file: Path, law: Array, action: Array) -> Path:
    """Write the same as Vowpal Wabbit does, the probabilities in an order of their own."""
    lines = []
    for row, own in zip(law, action.tolist(), strict=True):
        order = np.argsort(-row)
        told: dict[str, Any] = {"_label_cost": -(own % 2), "_label_probability": row[own], "_labelIndex": own}
        told |= {"a": (order + 1).tolist(), "p": row[order].tolist(), "o": [{"v": 1, "EventId": "e"}]}
        lines.append(json.dumps(told | {"c": {"_multi": [{"i": {"id": f"offer {arm}"}} for arm in range(K)]}}))
    file.write_text("\n".join(lines) + "\n")
    return file


def found(log: Any, law: str | None) -> dict[str, Any]:
    return onearm.evaluate(log, ["uniform", "action:1"], law=law).to_dict()


def swapped(law: Array, action: Array) -> tuple[Array, Array]:
    """Return what is logged where most of the time 0 and 1 are written for each other, and 2 and 3."""
    rng = np.random.default_rng(3)
    return law, np.where(rng.random(len(action)) < 0.9, np.array([1, 0, 3, 2])[action], action)


@pytest.mark.parametrize("form", ["table", "dsjson"])
def test_labels_that_are_swapped_are_found_by_the_whole_law(form: str, tmp_path: Path) -> None:
    for law, action, alarms in ((*drawn(), False), (*swapped(*drawn()), True)):
        log = table(law, action) if form == "table" else dsjson(tmp_path / "log.dsjson", law, action)
        told = found(log, "p_*" if form == "table" else "p")
        assert told["estimates"] == found(log, None)["estimates"]
        for each in told["diagnostics"].values():
            assert (each["law"]["alarm_at"] is not None) is alarms
            assert any("columns are in the order" in text for text in each["warnings"]) is alarms
        assert [note for note in told["notes"] if "was tested exactly, on 300 decisions" in note]


@pytest.mark.parametrize("form", ["table", "dsjson"])
def test_without_the_law_nothing_is_said_of_it(form: str, tmp_path: Path) -> None:
    log = table(*drawn()) if form == "table" else dsjson(tmp_path / "log.dsjson", *drawn())
    told = found(log, None)
    assert told["diagnostics"]["uniform"]["law"] is None
    assert not [note for note in told["notes"] if "exactly" in note]


def test_all_decisions_are_tested_though_rewards_are_missing() -> None:
    law, action = drawn()
    log = table(law, action).with_columns(reward=polars.when(polars.col("action") == 0).then(None).otherwise(1.0))
    told = found(log, "p_*")
    assert told["diagnostics"]["uniform"]["law"]["alarm_at"] is None
    assert [note for note in told["notes"] if "tested exactly, on 300 decisions" in note]


def test_a_policy_that_reads_features_of_dsjson_has_the_law_too(tmp_path: Path) -> None:
    log = dsjson(tmp_path / "log.dsjson", *swapped(*drawn()))
    told = onearm.evaluate(log, "squarecb", law="p").to_dict()
    assert told["diagnostics"]["squarecb"]["law"]["alarm_at"] is not None


def test_a_law_that_is_not_that_of_the_propensities_is_refused(tmp_path: Path) -> None:
    law, action = drawn(20)
    with pytest.raises(InvalidInput, match=r"p_\* gives the action of line 1 .*, and its propensity is"):
        found(table(law, action).with_columns(propensity=0.31), "p_*")
    file = dsjson(tmp_path / "log.dsjson", law, action)
    with pytest.raises(InvalidInput, match="no columns: law is for"):
        found(file, "p_*")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:7], lines[7].replace('"p":', '"q":'), *lines[8:]]) + "\n")
    with pytest.raises(InvalidInput, match="line 8 does not have the probabilities of its 4 actions"):
        found(file, "p")


def test_the_page_says_which_tests_were_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_empty(monkeypatch)
    onearm.evaluate(table(*drawn()), "uniform", law="p_*", report=tmp_path / "report.html")
    assert "was tested exactly, on 300 decisions" in (tmp_path / "report.html").read_text()
