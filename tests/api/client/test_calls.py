"""What a client asks beside decisions and rewards: policies, corrections, reports, lists, keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from support.keyed import Keyed
from support.listening import Listening

from onearm.client import AsyncClient, Client, as_frame, as_rows
from onearm.engine.errors import Conflict, Forbidden, InvalidInput, NotFound, OnearmError

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")


def test_policies_join_change_and_retire(client: Client) -> None:
    banner = client.experiment("e")
    added = banner.add_policy("ucb1", "canary", 0.5)
    assert (added.policy, added.role, added.share) == (1, "canary", 0.5)
    assert banner.assign(1, "shadow").role == "shadow"
    assert banner.promote(1).role == "live"
    assert [(one.policy, one.role) for one in banner.policies().policies] == [(0, "shadow"), (1, "live")]
    assert banner.retire_policy(0).policy == 0
    assert banner.decide().answer.policy == "ucb1"
    seq = banner.about().seq
    banner.decide().reward(1.0)
    assert banner.rollback(seq).to == seq
    assert {one.name for one in client.policies()} > {"ucb1", "uniform"}


def test_rewards_are_corrected_and_retracted(client: Client) -> None:
    banner = client.experiment("e")
    decision = banner.decide(unit_id="u")
    decision.reward(1.0)
    banner.correct(decision, 0.5)
    banner.retract(decision.decision_id)
    record = banner.record(decision)
    assert [one.value for one in record.corrections or []] == [0.5, None]
    with pytest.raises(Conflict) as refused:
        banner.correct(banner.decide(), 1.0)
    assert refused.value.code == "no_reward"


def test_arms_join_and_experiments_rest_and_go(client: Client) -> None:
    banner = client.experiment("e")
    assert banner.add_arm("d").arm_id == "d"
    assert banner.add_arm({"id": "f", "tags": ["new"]}).retired is False
    assert banner.retire_arm("a").retired
    assert banner.add_arm("a").retired is False
    assert banner.decide(eligible=["a"]).action_id == "a"
    assert banner.archive().archived
    with pytest.raises(Conflict) as resting:
        banner.decide()
    assert resting.value.code == "archived"
    assert not banner.restore().archived
    banner.delete()
    banner.delete()
    with pytest.raises(NotFound):
        banner.about()


def test_windows_are_opened_by_an_activation(client: Client) -> None:
    shown = client.open("w", arms=["a", "b"], reward={"wait_time": "1h", "aggregation": "sum"})
    decision = shown.decide(deferred=True)
    assert shown.activate(decision).status == "activated"
    decision.reward(1.0, reward_id="x")
    decision.reward(1.0, reward_id="x")
    decision.reward(2.0, reward_id="y")
    assert [one.value for one in shown.record(decision).outcomes] == [1.0, 2.0]


@pytest.mark.usefixtures("empty_database")
def test_reports_curves_and_lists_are_rows_and_frames(client: Client) -> None:
    banner = client.experiment("e")
    banner.learn_many(banner.decide_many(6), np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]))
    report = banner.report()
    frame = as_frame(report)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["arm_id"]) == ["a", "b", "c"]
    assert frame["decisions"].sum() == report.decisions == 6
    assert [row["arm_id"] for row in as_rows(report)] == ["a", "b", "c"]
    assert as_frame(banner.curve("hour"))["rewards"].tolist() == [6]
    assert as_rows(banner.policies())[0]["role"] == "live"
    assert as_frame(banner.policies())["value.low"].shape == (1,)
    assert {row["experiment_id"] for row in as_rows(client.experiments())} == {"e", "hello"}
    assert as_rows(banner.record(banner.decide()))[0]["policy"] == "epsilon_greedy"


def test_explanations_and_baselines_come_with_a_decision(client: Client) -> None:
    there = client.open("x", policy="ucb1", arms=["a", "b"])
    explained = there.decide(explain=True)
    assert [one.action_id for one in explained.answer.ranking]
    assert there.decide(baseline="b").answer.agrees in (True, False)
    client.open("own", policy="epsilon_greedy", arms=["a", "b"]).assign(0, "apprentice")
    given = client.decide("own", baseline="b", baseline_propensity=0.5)
    assert (given.action_id, given.propensity, given.answer.given) == ("b", 0.5, True)


@pytest.mark.usefixtures("empty_database")
def test_the_service_as_a_whole(client: Client) -> None:
    assert client.ready().status == "ready"
    assert client.version().onearm
    assert client.call("GET", "/v1/experiments", limit=1)["experiments"][0]["experiment_id"] == "hello"
    assert client.call("POST", "/v1/experiments/e/decisions", {})["decision_id"] == "~0"
    made = client.create(arms=[{"id": "x"}])
    assert len(made.experiment_id) == 32


@pytest.mark.usefixtures("empty_database")
def test_lists_are_read_to_their_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.api.client.blocking.client.PAGE", 2)
    for number in range(5):
        client.create(f"n{number}", arms=[{"id": "x"}])
    listed = [one.experiment_id for one in client.experiments()]
    assert sorted(listed) == ["e", "hello", *(f"n{number}" for number in range(5))]


def test_a_key_opens_what_it_may(tmp_path: Path) -> None:
    with Keyed(tmp_path) as service:
        with Client(service.url) as nobody, pytest.raises(Forbidden) as needed:
            nobody.decide("e")
        assert needed.value.code == "key_needed"
        with Client(service.url, key=service.key("write", tenant="shop")) as shop:
            shop.decide("banner").reward(1.0)
            with pytest.raises(Forbidden) as role:
                shop.experiment("banner").archive()
            assert role.value.code == "role_needed"


def test_tasks_have_the_same_calls_and_a_queue(service: Listening, tmp_path: Path) -> None:
    async def play() -> Any:
        async with AsyncClient(service.url, queue=tmp_path / "rewards.db") as client:
            async with await client.decide("e") as decision:
                await decision.reward(1.0)
            with pytest.raises(ZeroDivisionError):
                async with await client.decide("e") as decision:
                    await decision.reward(0.5)
                    raise ZeroDivisionError
            assert client.queue is not None
            assert await asyncio.to_thread(client.queue.flush, 20.0)
            return await client.experiment("e").about()

    about = asyncio.run(play())
    assert (about.decisions, about.rewards) == (2, 1)


def test_lists_of_other_lengths_are_refused_before_anything_is_sent(client: Client) -> None:
    banner = client.experiment("e")
    made = banner.decide_many(2)
    for wrong in (
        lambda: banner.decide_many(2, unit_ids=["u"]),
        lambda: banner.decide_many("ab"),
        lambda: banner.learn_many(made, [1.0]),
        lambda: banner.learn_many(made, [1.0, 1.0], ended=[True]),
    ):
        with pytest.raises(OnearmError) as refused:
            wrong()
        assert isinstance(refused.value, InvalidInput)
    assert (banner.about().decisions, banner.about().rewards) == (2, 0)


@pytest.mark.parametrize(
    ("context", "where"),
    [
        ({"user": {"age": float("nan")}}, r"context\.user\.age is nan"),
        ({"prices": [1.0, float("inf")]}, r"context\.prices\[1\] is inf"),
        (np.array([1.0, np.nan]), r"context\[1\] is nan"),
        ({"age": np.float64("nan")}, r"context\.age is nan"),
    ],
)
def test_what_is_no_finite_number_is_refused_and_does_not_become_null(client: Client, context: Any, where: str) -> None:
    client.open("named", arms=["x", "y"], context={"kind": "features"})
    with pytest.raises(InvalidInput, match=where) as refused:
        client.decide("named", context)
    assert refused.value.code == "bad_body"
    assert client.decide("named", {"user": None}).action_id in ("x", "y")
    assert client.experiment("named").about().decisions == 1
