"""What the report says in words: the result, numbers, and whether the log can be trusted."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from onearm.api.offline.options import INTERVALS, METHODS
from onearm.api.offline.report import words
from onearm.api.offline.report.curves import Curve
from onearm.api.offline.report.findings import Findings, Row
from onearm.api.offline.report.trust import AMBER, GREEN, RED, UNKNOWN, by_state, diagnosed
from onearm.api.offline.report.words import number, verdict
from onearm.engine.estimate import Diagnostics, diagnose

CURVE = Curve(np.array([1]), *np.zeros((3, 1)))


def row(label: str, value: float, half: float = 0.1, **others: object) -> Row:
    known = {"is_log": False, "can_be_best": True, "diagnostics": None, "sequence": None, "spread": None}
    return Row(label=label, value=value, low=value - half, high=value + half, curve=CURVE, **{**known, **others})


def findings(*rows: Row, against_log: int = 0) -> Findings:
    names, shares = ["action 0"], np.ones((1 + len(rows), 1))
    own = (0.4, (0.35, 0.45), CURVE, against_log)
    return Findings("snips", 0.9, list(rows), [], *own, None, [], names, shares, False, [], 0)


@pytest.mark.parametrize(
    ("rows", "against_log", "said"),
    [
        (
            [row("ucb1", 0.9), row("linucb", 0.1, can_be_best=False)],
            1,
            [
                "That is more than the log earned, by more than chance explains.",
                "It is better than the other target.",
            ],
        ),
        (
            [row("ucb1", 0.5), row("linucb", 0.45)],
            0,
            [
                "Chance alone may explain that it is more than the log earned: this log cannot tell.",
                "linucb may be as good as ucb1.",
            ],
        ),
        ([row("ucb1", 0.1)], -1, ["That is less than the log earned: no target is better than what made the log."]),
        (
            [row("ucb1", 0.3), *(row(f"p{i}", 0.2) for i in range(5))],
            0,
            [
                "The log itself earned no less, though chance alone may explain that: this log cannot tell.",
                "5 of the 5 other targets may be as good as ucb1.",
            ],
        ),
        ([row("ucb1", 0.5, math.nan)], 0, ["How sure that is cannot be told: what it was judged by shows no spread."]),
    ],
)
def test_the_verdict_says_who_is_best_and_how_sure_that_is(rows: list[Row], against_log: int, said: list[str]) -> None:
    first, *others = verdict(findings(*rows, against_log=against_log))
    assert first.startswith("ucb1 would have earned 0.")
    assert first.endswith("; the log earned 0.400.")
    assert others == said


def test_what_made_the_log_is_no_candidate_of_the_verdict() -> None:
    log = row("logged", 0.8, is_log=True)
    said = verdict(findings(log, row("ucb1", 0.5), row("linucb", 0.1, can_be_best=False)))
    told = "ucb1 would have earned 0.50 a decision (90\u00a0% interval 0.40 to 0.60, which holds for all targets at "
    told += "once); the log earned 0.400."
    assert said[0] == told
    assert not any("logged" in sentence for sentence in said)
    assert verdict(findings(log)) == ["The log earned 0.400 a decision (90\u00a0% interval 0.350 to 0.450)."]


def test_a_log_that_tells_nothing_is_said_to() -> None:
    nothing = row("action:7", math.nan, math.nan)
    assert verdict(findings(nothing)) == ["This log tells nothing of action:7: the log earned 0.400."]


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (0.0061234, 0.0021, "0.0061"),
        (-0.00001, 0.002, "0.0000"),
        (12345.678, 300.0, "12,346"),
        (12345.678, 3.0, "12,345.7"),
        (1.5e-20, 1e-21, "1.5e-20"),
        (0.123456, math.nan, "0.1235"),
        (0.5, 0.0, "0.5"),
        (math.nan, 1.0, "n/a"),
        (math.inf, 1.0, "inf"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_makes_worth_reading(value: float, width: float, text: str) -> None:
    assert number(value, width) == text


def test_every_method_and_interval_is_explained() -> None:
    assert set(words.METHODS) == set(METHODS)
    assert set(words.INTERVALS) == set(INTERVALS)


@cache
def diagnostics(*, false: bool = False, heavy: bool = False) -> Diagnostics:
    rng = np.random.default_rng(4)
    action = rng.choice(2, 600)
    propensity = np.full(600, 0.4 if false else 0.5)
    target = np.where(action == 0, np.where(rng.random(600) < 0.01, 1.0, 0.0) if heavy else 0.5, 0.0 if heavy else 0.5)
    return diagnose(propensity, target, action, 2)


def test_green_amber_and_red_say_whether_a_candidate_can_be_relied_on() -> None:
    good, few = row("good", 0.5, diagnostics=diagnostics()), row("few", 0.5, diagnostics=diagnostics(heavy=True))
    lights = diagnosed(findings(good, few))
    assert [(light.label, light.state) for light in lights] == [("good", GREEN), ("few", RED)]
    assert "do not use this value: one decision of 600 carries 100% of all weight" in lights[1].warnings[0]
    assert "the weights do not average 1" in lights[1].warnings[1]
    assert [labels for labels, _, _ in by_state(lights)] == [["few"], ["good"]]  # the worst first


def test_what_is_said_of_all_candidates_is_said_once_of_the_log() -> None:
    false = diagnostics(false=True)
    log, *candidates = diagnosed(findings(row("a", 0.5, diagnostics=false), row("b", 0.5, diagnostics=false)))
    assert (log.label, log.state, log.warnings) == ("the log", RED, false.warnings)
    assert [light.warnings for light in candidates] == [[], []]
    (alone,) = diagnosed(findings(row("a", 0.5, diagnostics=false)))
    assert (alone.label, alone.state, alone.warnings) == ("a", RED, false.warnings)


def alarmed(found: Diagnostics, cause: str) -> Diagnostics:
    assert found.actions is not None
    assert found.arms is not None
    calm = found._replace(warnings=["a warning"])
    return {
        "weights": calm._replace(weights=found.weights._replace(alarm_at=7)),
        "arms": calm._replace(arms=found.arms._replace(alarm_at=7)),
        "counts": calm._replace(actions=found.actions._replace(p_value=1e-9)),
        "rewards": calm._replace(rewarded=1.2),
        "overlap": calm._replace(overlap=0.0),
        "tail": calm,
    }[cause]


@pytest.mark.parametrize(
    ("cause", "of_log", "of_candidate"),
    [
        ("weights", AMBER, RED),
        ("overlap", AMBER, RED),
        ("arms", RED, GREEN),
        ("counts", RED, GREEN),
        ("rewards", RED, GREEN),
        ("tail", AMBER, GREEN),
    ],
)
def test_each_alarm_is_of_the_log_or_of_the_candidate(cause: str, of_log: str, of_candidate: str) -> None:
    found = alarmed(diagnostics(), cause)
    lights = diagnosed(findings(row("a", 0.5, diagnostics=found), row("b", 0.5, diagnostics=found)))
    assert [light.state for light in lights] == [of_log, of_candidate, of_candidate]
    (alone,) = diagnosed(findings(row("a", 0.5, diagnostics=found)))
    assert alone.state == (AMBER if cause == "tail" else RED)


def test_unknown_propensities_are_no_green_light() -> None:
    (light,) = diagnosed(findings(row("a", 0.5)))
    assert (light.state, light.warnings, light.numbers) == (AMBER, [UNKNOWN], [])


def test_a_log_that_lacks_rewards_gets_no_green_light() -> None:
    half = diagnose(np.full(600, 0.5), np.full(600, 0.5), decisions=1200, rewarded=600)
    (light,) = diagnosed(findings(row("a", 0.5, diagnostics=half)))
    assert light.state == AMBER and "a reward was seen of 50 % of the decisions" in light.warnings[0]


def test_few_decisions_are_amber() -> None:
    few = replace(row("a", 0.5), diagnostics=diagnostics()._replace(warnings=["there are few decisions"]))
    assert diagnosed(findings(few))[0].state == AMBER
