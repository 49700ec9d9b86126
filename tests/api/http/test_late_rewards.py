"""Rewards that come after their window closed with the default, where they are learned instead of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.corrected import folded
from support.served import ARMS, assert_refused, log_of
from support.windowed import Windowed

from onearm.api.cli.verify import has_fault, verified

LEARN_LATE = {"wait_time": "10s", "default": 0, "late": "learn", "aggregation": "sum"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Windowed]:
    with Windowed(tmp_path) as served:
        assert served.create(reward=LEARN_LATE | {"range": [0, 5]}).status_code == 201
        assert served.client.portal is not None
        served.client.portal.call(served.service.correcting.stop)
        yield served


def decide(served: Windowed) -> str:
    name: str = served.decide().json()["decision_id"]
    return name


def value(served: Windowed, name: str) -> float | None:
    record = served.record(name).json()
    found: float | None = record.get("corrections", [record["reward"]])[-1]["value"]
    return found


def assert_right(served: Windowed) -> None:
    assert served.client.portal is not None
    served.client.portal.call(served.service.correcting.correct_all, 1.0)
    row, events = log_of(served.store, "e")
    assert served.digest() == folded(row, events)
    assert not any(map(has_fault, verified(served.url)))


def test_a_late_reward_takes_the_place_of_the_default(served: Windowed) -> None:
    name, silent = decide(served), decide(served)
    served.pass_time(20)
    assert served.reward(name, 1.0).json() == {"status": "late"}
    assert served.reward(name, {"value": 0.5, "reward_id": "more"}).json() == {"status": "late"}
    assert served.reward(name, 1.0).json() == {"status": "duplicate"}
    assert (value(served, name), value(served, silent)) == (1.5, 0.0)
    report = served.report()
    assert (report["rewards"], report["reward_mean"], report["closed_by_default"]) == (2, 0.75, 2)
    assert_refused(served.reward(name, {"value": 4.5, "reward_id": "too much"}), 422, "bad_reward")
    assert_right(served)


def test_what_was_learned_of_rewards_in_time_stays(served: Windowed) -> None:
    name = decide(served)
    served.reward(name, 1.0)
    served.pass_time(20)
    assert served.reward(name, {"value": 0.5, "reward_id": "more"}).json() == {"status": "late"}
    assert value(served, name) == 1.0
    assert_right(served)


def test_a_late_reward_before_a_closer_that_lags_is_learned_when_it_comes(served: Windowed) -> None:
    name = decide(served)
    served.pass_time(20, close=False)
    assert served.reward(name, 1.0).json() == {"status": "late"}
    served.close_due()
    assert value(served, name) == 1.0
    assert "corrections" not in served.record(name).json()
    assert_right(served)


def test_a_default_before_the_base_stays(served: Windowed) -> None:
    name = decide(served)
    served.pass_time(20)
    assert served.post("/v1/experiments/e:compact", {"archive": False}).status_code == 200
    assert served.reward(name, 1.0).json() == {"status": "late"}
    assert value(served, name) == 0.0
    assert_right(served)


def test_there_must_be_a_default(served: Windowed) -> None:
    answer = served.create("f", arms=ARMS, reward={"wait_time": "10s", "late": "learn"})
    assert_refused(answer, 422, "bad_window")


def test_a_default_that_not_all_who_decide_can_learn_again_stays(served: Windowed) -> None:
    """Who was promoted behind it is not in the base before it."""
    names = [decide(served), decide(served)]
    served.pass_time(20)
    base = len(served.events())
    shadow = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.2}}, "role": "shadow", "start": "log"}
    assert served.post("/v1/experiments/e/policies", shadow).status_code == 201
    names += [decide(served), decide(served)]
    served.pass_time(20)
    assert served.post("/v1/experiments/e/policies/1:promote").status_code == 200
    assert served.post("/v1/experiments/e:compact", {"archive": False, "before": base}).status_code == 200
    names.append(decide(served))
    served.pass_time(20)
    for name in names:
        assert served.reward(name, 1.0).json() == {"status": "late"}
    assert [value(served, name) for name in names] == [0.0] * 4 + [1.0]
    served.client.portal.call(served.service.correcting.correct_all, 1.0)
    assert "corrections_left" not in served.get("/v1/experiments/e").json()
    assert not any(map(has_fault, verified(served.url)))
