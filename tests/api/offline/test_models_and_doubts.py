"""What an evaluation says of methods that lean on a model, and of logs without propensities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from support.pictures import leave_empty
from support.reported import evaluation, hostile_rows

import onearm
from onearm.api.offline.candidates import candidate
from onearm.api.offline.evenness import said_uneven
from onearm.api.offline.judging import Facts
from onearm.api.offline.report.findings import find
from onearm.engine.storage.rows import Rows
from onearm.engine.vocabulary import Problem

NAMES = np.array(["a", "b", "c"])
LEANING = ["dm", "switch-dr", "dros"]
ASKED: dict[str, Any] = {"action": "banner", "reward": "clicked"}
FITTED: dict[str, Any] = {**ASKED, "propensity": "p", "features": ["age"]}


def banners(seed: int, means: tuple[float, ...], law: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> polars.DataFrame:
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, 1000, p=law)
    return polars.DataFrame(
        {
            "banner": NAMES[shown],
            "clicked": rng.random(1000) < np.array(means)[shown],
            "p": np.array(law)[shown],
            "age": rng.integers(18, 80, 1000),
            "country": np.where(rng.random(1000) < 0.5, "de", "fr"),
        }
    )


def test_methods_that_lean_on_a_model_cover_as_dr_does_and_call_no_equals_different() -> None:
    covered, different = dict.fromkeys([*LEANING, "dr"], 0), dict.fromkeys([*LEANING, "dr"], 0)
    asked = {**FITTED, "method": [*covered], "diagnostics": False}
    for seed in range(20):
        good = onearm.evaluate(banners(seed, (0.05, 0.05, 0.15)), "action:c", **asked)
        for each in good.to_dict()["estimates"]:
            covered[each["method"]] += each["low"] <= 0.15 <= each["high"]
        log = banners(seed, (0.1, 0.1, 0.1))
        alike = onearm.evaluate(log, ["action:c", "action:b"], baseline="action:b", **asked)
        for each in alike.to_dict()["differences"]:
            different[each["method"]] += not each["low"] <= 0.0 <= each["high"]
    assert min(covered.values()) == covered["dr"] >= 17
    assert max(different.values()) == different["dr"] <= 3


def test_segments_the_ranking_and_the_reports_curves_contain_what_dr_says() -> None:
    candidates = [candidate("action:1"), candidate("action:3")]
    asked: dict[str, Any] = {"intervals": ("normal",), "model": "mean"}
    by_dr = evaluation(hostile_rows(), candidates, methods=("dr",), **asked)
    by_dm = evaluation(hostile_rows(), candidates, methods=("dm",), **asked)
    assert len(by_dm.segments) == len(by_dr.segments) > 2
    for sure, found in zip([*by_dr.segments, *by_dr.ranking], [*by_dm.segments, *by_dm.ranking], strict=True):
        assert (found.low <= sure.low and found.high >= sure.high) or np.isnan(sure.low)
    for true, shown in zip(find(by_dr).rows, find(by_dm).rows, strict=True):
        known = ~np.isnan(true.curve.low)
        assert known.any()
        assert (shown.curve.low <= true.curve.low)[known].all()
        assert (shown.curve.high >= true.curve.high)[known].all()


def test_without_propensities_a_model_has_a_value_and_no_interval_and_a_note_says_why() -> None:
    asked = {**FITTED, "propensity": None}
    found = onearm.evaluate(banners(1, (0.1, 0.1, 0.1)).drop("p"), "action:c", method=["dm"], **asked)
    (each,) = found.to_dict()["estimates"]
    assert 0.0 < each["value"] < 0.3
    assert (each["low"], each["high"]) == (None, None)
    assert each["note"].startswith("dm is as wrong as what it assumes, and only dr can tell how wrong that is")


def test_a_log_without_propensities_whose_counts_prove_that_it_was_not_drawn_evenly_says_so() -> None:
    notes = {}
    for law in ((0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3)):
        log = banners(1, (0.1, 0.1, 0.1), law).drop("p", "age", "country")
        (each,) = onearm.evaluate(log, "uniform", method=["match"], **ASKED).to_dict()["estimates"]
        notes[law[0]] = each["note"]
    counts = banners(1, (0.1,) * 3, (0.8, 0.1, 0.1))["banner"].value_counts().sort("banner")["count"].to_list()
    shares = "/".join(f"{count / 10:.3g}" for count in counts)
    assert notes[0.8] == (
        f"propensities are unknown, and the log was not drawn evenly ({shares} %): do not use this value"
    )
    assert notes[1 / 3] == "propensities are unknown: this holds if the log was drawn uniformly"


@pytest.mark.parametrize(
    ("written", "note"),
    [
        (0.33, None),
        (0.333333, None),
        (1 / 3, None),
        (0.3, "the log was not drawn uniformly: trust snips"),
        (1.0, "the log was not drawn uniformly: trust snips"),
        ([0.33, 0.34], "the log was not drawn uniformly: trust snips"),
    ],
)
def test_propensities_that_are_equal_up_to_rounding_are_those_of_a_uniform_log(written: Any, note: str | None) -> None:
    log = banners(1, (0.1, 0.1, 0.1)).with_columns(p=polars.Series(np.resize(written, 1000)))
    asked = {**ASKED, "propensity": "p"}
    (each,) = onearm.evaluate(log, "uniform", method=["match"], **asked).to_dict()["estimates"]
    assert each["note"] == note


def test_values_that_are_not_to_be_used_are_marked_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that took what it thought best with .999, as the usual policy does, hardly tells of another rule."""
    leave_empty(monkeypatch)
    log = banners(1, (0.1, 0.1, 0.1)).with_columns(banner=polars.lit("a"), p=polars.lit(0.999))
    for place, banner in enumerate("bcde"):
        log[place, "banner"] = banner
    asked = {**ASKED, "propensity": "p", "method": ["snips", "match"], "report": tmp_path / "page.html"}
    found = onearm.evaluate(log, ["logged", "uniform"], **asked)
    usable = {(each["target"], each["method"]): each["usable"] for each in found.to_dict()["estimates"]}
    assert usable == {
        ("logged", "snips"): True,
        ("logged", "match"): True,
        ("uniform", "snips"): False,
        ("uniform", "match"): True,
    }
    ranking = found.to_frame("ranking")
    assert dict(zip(ranking["target"], ranking["usable"], strict=True)) == {"logged": True, "uniform": False}
    assert repr(found).count(" NO ") == 2
    page = (tmp_path / "page.html").read_text()
    assert page.count('<td class="name">uniform <b>do not use</b></td><td>snips</td>') == 1
    assert page.count("<b>do not use</b>") == 1
    sound = onearm.evaluate(banners(1, (0.1,) * 3), ["logged", "uniform"], **{**ASKED, "propensity": "p"})
    assert " use " not in repr(sound) and all(each["usable"] for each in sound.to_dict()["ranking"])
    assert "places compare two targets" in repr(sound)


def facts(action: np.ndarray[Any, Any], segment: np.ndarray[Any, Any], n_arms: int) -> tuple[Rows, Facts]:
    n = len(action)
    rows = Rows()
    rows.problem, rows.decisions, rows._count = Problem(n_arms=n_arms), n, n
    rows.segments = ["de", "fr"]
    choices, unknown = np.full(n, n_arms), np.full(n, np.nan)
    return rows, Facts(np.zeros(n), unknown, action, choices, segment, np.zeros(0, np.uint64))


def test_a_log_that_is_even_as_a_whole_is_tested_in_each_segment() -> None:
    action = np.tile([0, 0, 0, 1, 1, 1, 1, 0], 50)
    rows, log = facts(action, np.tile([0, 0, 0, 0, 1, 1, 1, 1], 50), 2)
    assert said_uneven(rows, log, None) == "its segment de was not drawn evenly (75/25 %)"
    rows.segments = []
    assert said_uneven(rows, log, None) is None


def test_of_a_unit_the_first_decision_counts_and_of_many_actions_the_most_frequent_is_told() -> None:
    action = np.repeat(np.arange(400) % 4, np.where(np.arange(400) % 4 == 0, 9, 1))
    rows, log = facts(action, np.zeros(len(action), np.int64), 4)
    groups = np.repeat(np.arange(400), np.where(np.arange(400) % 4 == 0, 9, 1))
    assert said_uneven(rows, log, groups) is None
    assert said_uneven(rows, log, None) == "the log was not drawn evenly (75/8.33/8.33/8.33 %)"
    rows, log = facts(np.zeros(300, np.int64), np.zeros(300, np.int64), 20)
    told = "the log was not drawn evenly (100 % the most frequent action, where 5 % would be even)"
    assert said_uneven(rows, log, None) == told


@pytest.mark.parametrize(("n_arms", "n", "logs"), [(3, 60, 600), (40, 150, 150)])
def test_at_most_one_even_log_in_a_hundred_is_called_uneven(n_arms: int, n: int, logs: int) -> None:
    """Twice as many are those of chance; where the three counts of a log were not corrected for there are more."""
    rng = np.random.default_rng(n_arms)
    told = 0
    for _ in range(logs):
        rows, log = facts(rng.integers(0, n_arms, n), rng.integers(0, 2, n), n_arms)
        told += said_uneven(rows, log, None) is not None
    assert told <= logs / 50


def test_where_decisions_without_a_reward_are_not_on_record_or_choices_differ_nothing_is_told() -> None:
    rows, log = facts(np.zeros(300, np.int64), np.zeros(300, np.int64), 2)
    rows.decisions = 400
    assert said_uneven(rows, log, None) is None
    rows.decisions = 300
    log.choices[0] = 1
    assert said_uneven(rows, log, None) is None
