"""What is shown while the service is away: it is told later, before its reward, and marked as somebody else's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.faulty import LOST, UNANSWERED, Faulty
from support.served import Served, log_of

from onearm.api.cli.verify import has_fault, verified
from onearm.client import Client
from onearm.engine.errors import Conflict, InvalidInput, Unavailable
from onearm.engine.vocabulary import EXTERNAL, LEARN

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
FIXED = {"policy": {"name": "epsilon_greedy", "params": {"epsilon": 0.0}}, "arms": [{"id": "a"}, {"id": "b"}]}


@pytest.fixture
def way(served: Served) -> Faulty:
    return Faulty(served)


@pytest.fixture
def client(way: Faulty) -> Iterator[Client]:
    with Client("http://service", transport=way, away_ms=50) as client:
        yield client


def answer_lost(client: Client, way: Faulty, name: str, **how: Any) -> Any:
    """Decide at a service that decides, and whose answers are lost."""
    way.faults = [UNANSWERED] * 50
    decision = client.decide(name, decision_id="d", **how)
    way.faults = []
    assert decision.is_fallback
    return decision


def test_the_action_of_the_caller_is_taken_after_a_while(client: Client, way: Faulty) -> None:
    way.away = True
    assert client.decide("e", fallback="b").action_id == "b"
    drawn = client.decide("e", fallback=lambda context, eligible: (eligible[0], 0.5), eligible=["c", "a"])
    assert (drawn.action_id, drawn.propensity, drawn.is_fallback) == ("c", 0.5, True)
    assert math.isnan(client.decide("e", fallback="b").propensity)
    way.away = False
    assert not client.decide("e", fallback="b").is_fallback
    with pytest.raises(InvalidInput):  # what is wrong stays wrong
        client.decide("e", eligible=["nobody"], fallback="b")


def test_one_that_the_service_does_not_know_is_an_example(client: Client, way: Faulty, served: Served) -> None:
    way.away = True
    decision = client.decide("e", fallback="b", eligible=["a", "b"], unit_id="u")
    way.away = False
    decision.reward(1.0)
    decision.reward(1.0)
    record = served.record(decision.decision_id).json()
    assert (record["given"], record["action_id"], record["propensity"]) == (True, "b", None)
    assert (record["eligible_actions"], record["unit_id"], record["reward"]["value"]) == (["a", "b"], "u", 1.0)
    assert client.experiment("e").about().rewards == 1
    assert client.experiment("e").diagnostics().unknown_propensity_share == 1.0


def test_of_one_whose_answer_was_lost_what_was_shown_is_learned(client: Client, way: Faulty, served: Served) -> None:
    client.create("f", **FIXED)
    decision = answer_lost(client, way, "f", fallback="b")
    decided = served.record("d", "f").json()["action_id"]
    assert decided == "a"
    decision.reward(1.0)
    decision.reward(1.0)
    assert served.record("d", "f").json()["reward"] is None
    shown = served.record("d.shown", "f").json()
    assert (shown["given"], shown["action_id"], shown["propensity"]) == (True, "b", None)
    assert [event.action for event in log_of(served.store, "f")[1] if event.kind == LEARN] == [1]
    served.stop()
    assert not any(map(has_fault, verified(served.url)))
    served.start()


def test_where_the_same_was_shown_it_is_a_reward_as_any_other(client: Client, way: Faulty, served: Served) -> None:
    client.create("f", **FIXED)
    answer_lost(client, way, "f", fallback="a").reward(1.0)
    record = served.record("d", "f").json()
    assert (record["given"], record["propensity"], record["reward"]["value"]) == (False, 1.0, 1.0)


def test_with_a_window_the_reward_says_what_was_shown(client: Client, way: Faulty, served: Served) -> None:
    client.create("w", **FIXED, reward={"wait_time": "1h", "default": 0})
    decision = answer_lost(client, way, "w", fallback=("b", 0.25))
    decision.reward(1.0, reward_id="click")
    decision.reward(1.0, reward_id="click")
    record = served.record("d", "w").json()
    assert record["activation"]["status"] == "replaced"
    external = [event for event in log_of(served.store, "w")[1] if event.kind == EXTERNAL]
    assert [(event.action, event.propensity) for event in external] == [(1, 0.25)]
    assert client.experiment("w").report().replaced == 1


@pytest.mark.parametrize("reward", [None, {"wait_time": "1h"}])
def test_a_second_reward_of_one_is_refused_and_not_taken_for_the_first(
    client: Client, way: Faulty, served: Served, reward: Any
) -> None:
    client.create("f", **FIXED, **({} if reward is None else {"reward": reward}))
    way.away = True
    decision = client.decide("f", fallback="b")
    way.away = False
    decision.reward(1.0, reward_id="click")
    decision.reward(1.0, reward_id="click")
    for other in ("order", None):
        with pytest.raises(Conflict, match=r"has the reward 1.0 \(reward_id 'click'\) already") as refused:
            decision.reward(1.0, reward_id=other)
        assert refused.value.code == "reward_exists"
    record = served.record(decision.decision_id, "f").json()["reward"]
    assert (record["value"], record["reward_id"]) == (1.0, "click")


@pytest.mark.parametrize("lost", [LOST, UNANSWERED])
@pytest.mark.parametrize("request_lost", range(3))
def test_it_is_told_once_whatever_is_lost_on_the_way(
    client: Client, way: Faulty, served: Served, lost: str, request_lost: int
) -> None:
    way.away = True
    decision = client.decide("e", fallback="b")
    way.away = False
    way.faults = ["none"] * request_lost + [lost]
    decision.reward(1.0)
    assert client.experiment("e").about().rewards == 1
    assert client.experiment("e").about().decisions == 1


def test_a_policy_that_divides_needs_the_probability(client: Client, way: Faulty) -> None:
    client.create("x", policy="exp3_ix", arms=[{"id": "a"}, {"id": "b"}])
    way.away = True
    unknown, known = client.decide("x", fallback="b"), client.decide("x", fallback=("b", 0.5))
    way.away = False
    with pytest.raises(InvalidInput) as refused:
        unknown.reward(1.0)
    assert refused.value.code == "missing_propensity"
    known.reward(1.0)
    assert client.experiment("x").about().rewards == 1


def test_without_a_fallback_it_is_an_error(client: Client, way: Faulty) -> None:
    way.away = True
    with Client("http://service", transport=way, deadline=0.1) as hasty, pytest.raises(Unavailable):
        hasty.decide("e")


@pytest.mark.parametrize(
    "wrong", [5, ("b",), ("b", 2.0), ("b", "0.5"), ("b", -0.5), ("b", 0.5, 1), "", "\ud800", [None]]
)
def test_what_is_no_fallback_is_refused_before_it_is_needed(client: Client, way: Faulty, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        client.decide("e", fallback=wrong)
    assert way.asked == []
    way.away = True
    with pytest.raises(InvalidInput):
        client.decide("e", fallback=lambda context, eligible: wrong)


def test_rewards_that_are_told_together_may_be_of_fallbacks(client: Client, way: Faulty, served: Served) -> None:
    made = [client.decide("e")]
    way.away = True
    made += [client.decide("e", fallback=("b", 0.5)), client.decide("e", fallback="a")]
    way.away = False
    client.experiment("e").learn_many(made, [1.0, 0.5, 0.25])
    records = [served.record(one.decision_id).json() for one in made]
    assert [record["reward"]["value"] for record in records] == [1.0, 0.5, 0.25]
    assert [record["given"] for record in records] == [False, True, True]


@pytest.mark.parametrize("status", [404, 409])
def test_what_stands_before_the_service_does_not_answer_for_it(tmp_path: Path, status: int) -> None:
    stands = httpx.MockTransport(lambda request: httpx.Response(status, text="<h1>no backend</h1>"))
    with Client("http://service", transport=stands, deadline=0.0) as client:
        assert client.decide("e", fallback="b").is_fallback
        with pytest.raises(Unavailable) as refused:
            client.reward("e", "d", 1.0)
        assert refused.value.code == "no_service"
