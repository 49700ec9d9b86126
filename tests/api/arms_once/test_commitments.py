"""What a stream says of itself: its commitment, how sure that is, its status, and a plan beforehand."""

from __future__ import annotations

import io
import math
import sys

import pytest
from support.stream_rules import RULES, SLOTS, coins, fixed, judged, shuffled

from onearm.api import arms_once as stream
from onearm.api.arms_once import Record, Stream
from onearm.engine.errors import Conflict, InvalidInput


def test_a_commitment_by_hand() -> None:
    """Hoeffding's interval, for both sides, 2 arms and all numbers of pulls; sqrt(ln 2 / (2 s)) may be missed."""
    asked = judged()
    found = asked.commit()
    assert (found.arm, found.record) == ("first", Record(0, 0.5, 334))
    width = math.sqrt(math.log(2 * 2 * 334 * 335 / 0.05) / (2 * 334))
    assert found.low == pytest.approx(0.5 - width)
    assert found.high == pytest.approx(0.5 + width)
    assert found.missed == pytest.approx(math.sqrt(math.log(2) / (2 * 334)))
    assert found.trials == 334
    assert asked.commit() == found


def test_what_may_be_missed_depends_on_the_pulls_that_were_made() -> None:
    """A king that could be pulled only a part of what was planned is known by that part."""
    asked = Stream(trials=8000, arms=8, rule="game_of_coins")
    asked.offer("first")
    asked.offer("second")
    assert (asked.commit().arm, asked.commit().missed) == ("first", 1.0)
    while asked.commit().record.pulls == 0:
        asked.tell(asked.ask()[0], 20.0, 40)
    found = asked.commit()
    assert (found.record.pulls, found.missed) == (40, pytest.approx(math.sqrt(math.log(2) / 80)))
    assert found.record.pulls < stream.plan(8000, 8, "game_of_coins").pulls


def test_the_interval_holds_for_all_arms_at_once() -> None:
    """The best of 200 arms that are all alike looks better than it is: its mean lies within in 95 % of all runs."""
    inside = 0
    for seed in range(40):
        found = stream.run([0.3] * 200, coins(seed), trials=40_000, arms=200, rule="naive_commit")
        inside += found.low <= 0.3 <= found.high
    assert inside == 40


def test_before_the_first_arm_there_is_nothing_to_commit_to_and_before_the_first_pull_little_is_known() -> None:
    asked = Stream(trials=1000, arms=10)
    with pytest.raises(Conflict, match="no arm has come yet"):
        asked.commit()
    assert asked.status().king is None and asked.status().record is None
    asked.offer("a")
    found = asked.commit()
    assert found.arm == "a" and math.isnan(found.record.mean)
    assert (found.low, found.high, found.missed) == (0.0, 1.0, 0.0)
    assert asked.status().regret == 0.0


def test_a_status_by_hand() -> None:
    asked = judged()
    asked.tell("second", 8.0, 8)  # stays: the interval reaches above the record
    status = asked.status()
    assert (status.arms_seen, status.arms, status.held, status.peak) == (2, 8, 2, 2)
    assert (status.trials_used, status.trials_left) == (342, 7658)
    assert (status.explored, status.explored_share) == (342, 342 / 8000)
    assert status.explored_projected == 342 * 4
    assert (status.king, status.king_since, status.crownings) == ("first", 1, 1)
    assert status.record == Record(0, 0.5, 334)
    assert status.regret == 0.5 * 342 - (167.0 + 8.0)
    while not asked.ready:
        _, n = asked.ask()
        asked.tell("second", float(n), n)
    status = asked.status()
    assert (status.king, status.king_since, status.crownings) == ("second", 2, 2)
    assert not status.done and status.held == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_plan_says_about_what_a_run_takes(rule: str) -> None:
    """Where all arms are alike; where each is better than those before, only one rule takes plainly more."""
    found = stream.plan(10**7, 1000, rule, slots=SLOTS)
    assert found.eps == pytest.approx(0.046415888)
    assert found.handles == SLOTS + 1 and found.state_bytes > 0
    assert found.pulls >= 1.0 and 0.0 < found.explored <= 1.0
    assert found.regret <= 10**7
    alike, rising = (
        stream.run(means, fixed, trials=10**7, arms=1000, rule=rule, slots=SLOTS).status.explored_share
        for means in ([0.5] * 1000, [0.3 + i / 2500 for i in range(1000)])
    )
    assert alike == pytest.approx(found.explored, rel=0.25)
    assert rising < (4.0 if rule == "record_ladder" else 1.25) * found.explored


def test_plans_by_hand() -> None:
    """For T = 1000 K, u = 100 and eps = 0.1."""
    found = stream.plan(10**6, 1000, 'uniform_exploration:{"pulls":"unit"}')
    assert (found.eps, found.pulls, found.explored) == (pytest.approx(0.1), 100.0, pytest.approx(0.1))
    assert found.missed == pytest.approx(math.sqrt(math.log(1000) / 200))
    assert found.regret == pytest.approx(10**5 + 9 * 10**5 * found.missed)
    assert found.warnings == () and "26 %" in found.notes[0]
    wide = stream.plan(10**6, 1000, 'uniform_exploration:{"pulls":"unit"}', reward_range=(0.0, 10.0))
    assert (wide.eps, wide.pulls, wide.regret) == (pytest.approx(1.0), 100.0, pytest.approx(10.0 * found.regret))
    assert stream.plan(1000, 1).missed == 0.0
    assert stream.plan(1, 1).pulls == 1.0
    assert "exploring can take 62 %" in stream.plan(500_000, 500, "naive_commit").warnings[0]
    theory = stream.plan(10**9, 1000, 'levels:{"constants":"theory"}', slots=SLOTS)
    assert "the constants of the theory pay where there are 1e+13 trials for each arm" in theory.warnings[-1]
    for missing in ((None, 3), (3, None)):
        with pytest.raises(InvalidInput, match="a plan needs both"):
            stream.plan(*missing)  # type: ignore[arg-type]


def test_a_bar_shows_how_many_arms_came(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with_bar = stream.run(shuffled(30), fixed, trials=3000, arms=30, progress=True)
    assert "reading" in screen.getvalue() and "arms" in screen.getvalue()
    assert with_bar == stream.run(shuffled(30), fixed, trials=3000, arms=30)
