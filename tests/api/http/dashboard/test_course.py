"""The curves of an experiment's page are drawn at once, from the newest of its log, by the numbers of decisions."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.corrected import Correcting
from support.served import Served

from onearm.api.http.dashboard import course

LIVE = "/experiments/x/live"


def plots(served: Served) -> list[dict[str, Any]]:
    """Return what the page of the experiment draws, as it is now: the reward, if any came, and the shares."""
    served.service.glances.clear()
    return [json.loads(html.unescape(plot)) for plot in re.findall('data-plot="([^"]*)"', served.get(LIVE).text)]


def learned(served: Served, n: int, every: int = 1) -> tuple[list[str], list[float]]:
    """Let the experiment decide, with a reward of every so many decisions; return actions and rewards."""
    made = served.decide_all([{}] * n, "x")
    values = {one["decision_id"]: float(i % 3) for i, one in enumerate(made) if i % every == 0}
    served.reward_all(values, "x")
    return [one["action_id"] for one in made], list(values.values())


def line(plot: dict[str, Any], label: str) -> list[float]:
    found: list[float] = next(one["y"] for one in plot["series"] if one["label"] == label)
    return found


def test_what_nobody_watched_is_drawn_at_once(served: Served) -> None:
    served.create("x")
    actions, values = learned(served, 100)
    rewards, shares = plots(served)
    assert rewards["x"] == shares["x"] == list(range(1, 101)) and rewards["counts"] is True
    assert line(rewards, "mean so far") == pytest.approx([sum(values[:n]) / n for n in range(1, 101)], rel=1e-5)
    assert line(rewards, "lately")[-1] == pytest.approx(sum(values[80:]) / 20, rel=1e-5)
    assert line(shares, "a")[-1] == pytest.approx(100 * actions[80:].count("a") / 20, abs=0.01)
    assert [sum(shares) for shares in zip(*(one["y"] for one in shares["series"]), strict=True)] == pytest.approx(
        [100.0] * 100, abs=0.05
    )


def test_more_decisions_go_on_with_the_same_curve(served: Served) -> None:
    served.create("x")
    learned(served, 50)
    before = plots(served)[0]
    served.service.pace.follow([served.service.live("x")])
    learned(served, 30)
    after = plots(served)[0]
    assert after["x"] == list(range(1, 81))
    assert line(after, "mean so far")[:50] == line(before, "mean so far")


def test_without_rewards_there_are_shares_alone(served: Served) -> None:
    served.create("x")
    served.decide_all([{}] * 30, "x")
    (shares,) = plots(served)
    assert shares["unit"] == " %" and shares["x"][-1] == 30
    assert served.get(LIVE).text.count("Not enough yet") == 1


def test_a_reward_counts_where_its_decision_does(served: Served) -> None:
    served.create("x")
    learned(served, 10, every=10)
    late = served.decide_all([{}] * 10, "x")[-1]["decision_id"]
    served.reward(late, 3.0, "x")
    rewards, _ = plots(served)
    assert line(rewards, "mean so far") == [0.0] * 19 + [1.5]


def test_of_an_experiment_without_decisions_nothing_is_drawn(served: Served) -> None:
    served.create("x")
    assert plots(served) == [] and served.get(LIVE).text.count("Not enough yet") == 2


def test_it_is_there_after_a_restart(served: Served) -> None:
    served.create("x")
    learned(served, 60)
    before = plots(served)
    served.restart()
    assert plots(served) == before


def test_of_a_long_log_the_newest_are_read_and_means_are_those_of_all(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "NEWEST", 40)
    served.create("x")
    _, values = learned(served, 70, every=2)
    rewards, shares = plots(served)
    assert rewards["x"] == list(range(31, 71))
    assert line(rewards, "mean so far")[-1] == pytest.approx(sum(values) / 35, rel=1e-5)
    assert line(rewards, "mean so far")[0] == pytest.approx(sum(values[:16]) / 16, rel=1e-5)
    low, high = line(rewards, "from")[-1], line(rewards, "to")[-1]
    interval = served.get("/v1/experiments/x/report").json()["interval"]
    assert low < interval[0] < interval[1] < high, "at all looks is less sure than at one"
    assert shares["x"][-1] == 70


def test_what_came_before_the_newest_is_drawn_from_the_moments_that_were_seen(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "NEWEST", 40)
    served.create("x")
    _, values = learned(served, 25)
    served.service.pace.follow([served.service.live("x")])
    learned(served, 75)
    rewards, _ = plots(served)
    assert rewards["x"] == [25, *range(61, 101)]
    assert line(rewards, "mean so far")[0] == pytest.approx(sum(values) / 25, rel=1e-5)


def test_a_corrected_reward_is_drawn_as_it_is_now(tmp_path: Path) -> None:
    with Correcting(tmp_path) as served:
        served.create("x")
        made = served.decide_all([{}] * 4, "x")
        served.reward_all({one["decision_id"]: 1.0 for one in made}, "x")
        first, second, *_ = (f"/v1/experiments/x/decisions/{one['decision_id']}/reward" for one in made)
        assert served.client.put(first, content=b'{"value": 4.0}').status_code == 200
        assert served.client.delete(second).status_code == 200
        rewards, _ = plots(served)
        assert line(rewards, "mean so far") == [4.0, 4.0, 2.5, 2.0]


def test_what_is_quick_in_open_windows_is_in_no_mean(served: Served) -> None:
    """Else clicks, which come at once, would count before the silence of those who do not click."""
    window = {"range": [0, 1], "wait_time": "1h", "default": 0, "learn": "at_once"}
    answer = served.create("x", reward=window)
    assert answer.status_code == 201, answer.text
    made = served.decide_all([{}] * 6, "x")
    served.reward_all({made[3]["decision_id"]: 1.0}, "x")
    (shares,) = plots(served)
    assert shares["x"][-1] == 6
