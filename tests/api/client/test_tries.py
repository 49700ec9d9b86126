"""Calls that are tried again: nothing is made or counted twice, and what is refused for good is not tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.faulty import BROKEN_OFF, BUSY, ELSEWHERE, LOST, UNANSWERED, Faulty
from support.served import Served

from onearm.client import Client
from onearm.engine.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
Reach = Callable[..., tuple[Client, Faulty]]


@pytest.fixture
def reach(served: Served) -> Iterator[Reach]:
    """Yield what makes a client whose way to the service has faults."""
    clients = []

    def made(*faults: str, url: str = "http://service", **how: Any) -> tuple[Client, Faulty]:
        way = Faulty(served, faults)
        clients.append(Client(url, transport=way, **how))
        return clients[-1], way

    yield made
    for client in clients:
        client.close()


@pytest.mark.parametrize("fault", [LOST, UNANSWERED, BUSY, ELSEWHERE])
@pytest.mark.parametrize("batch_ms", [None, 1.0])
def test_whatever_is_lost_is_made_and_counted_once(
    reach: Reach, served: Served, fault: str, batch_ms: float | None
) -> None:
    client, way = reach(fault, batch_ms=batch_ms)
    decision = client.decide("e")
    way.faults = [fault, fault]
    decision.reward(1.0)
    about = client.experiment("e").about()
    assert (about.decisions, about.rewards) == (1, 1)
    assert served.record(decision.decision_id).json()["action_id"] == decision.action_id
    assert len(way.asked) == 6, "each was asked until it was answered, and no more"


@pytest.mark.parametrize("call", ["create", "add_arm", "add_policy", "delete", "archive", "learn_examples"])
def test_other_calls_are_safe_to_try_again_too(reach: Reach, served: Served, call: str) -> None:
    client, way = reach()
    banner, before = client.experiment("e"), len(client.experiments())
    way.faults = [UNANSWERED]
    if call == "create":
        assert client.create(arms=[{"id": "x"}]).arms == [{"id": "x"}]
        assert len(client.experiments()) == before + 1
    elif call == "add_arm":
        assert banner.add_arm("d").arm_id == "d"
        assert len(banner.about().arms) == 4
    elif call == "add_policy":
        assert banner.add_policy("ucb1").policy == 1
        assert len(banner.policies().policies) == 2
    elif call == "learn_examples":
        banner.learn_examples([{"action_id": "a", "value": 1.0, "propensity": 0.5}])
        assert banner.about().rewards == 1
    elif call == "archive":
        assert banner.archive().archived
    else:
        banner.delete()
        assert len(client.experiments()) == before - 1


@pytest.mark.parametrize("fault", [UNANSWERED, ELSEWHERE, BROKEN_OFF])
@pytest.mark.parametrize("call", ["rollback", "call"])
def test_what_would_do_more_a_second_time_is_not_tried_again_where_its_answer_is_lost(
    reach: Reach, served: Served, fault: str, call: str
) -> None:
    client, way = reach()
    client.decide("e").reward(1.0)
    path = "/v1/experiments/e/policies:rollback"
    way.faults = [BUSY, LOST, fault]
    with pytest.raises(Unavailable) as refused:
        client.experiment("e").rollback(2) if call == "rollback" else client.call("POST", path, {"to": 2})
    assert refused.value.code == "unknown_outcome"
    assert [asked for asked in way.asked if asked == ("POST", path)] == [("POST", path)] * 3
    assert client.call("GET", "/v1/experiments/e")["seq"] == (2 if fault == ELSEWHERE else 3)


def prepared(client: Client) -> Callable[[str], Any]:
    """Return what calls things of an experiment that are there."""
    banner = client.open("p", policy="epsilon_greedy", arms=["a", "b", "c"])
    banner.add_policy("ucb1", "shadow")
    banner.add_policy("uniform", "canary", 0.2)
    learned = banner.decide()
    learned.reward(1.0)
    adaptive = client.open("c", arms=["a", "b"])
    asked = client.open("q", "uniform_budget", task={"task": "arms", "queries": 2}, horizon=4)
    asked.tell(asked.ask(), 1.0)
    client.create("s", problem={"kind": "arm_stream", "slots": 1})
    stream = client.stream("s")
    window = client.open("w", arms=["a", "b"], reward={"wait_time": "1h"})
    deferred = window.decide(deferred=True)
    calls: dict[str, Callable[[], Any]] = {
        "promote": lambda: banner.promote(1).role == "live",
        "assign": lambda: banner.assign(2, "canary", 0.3).share == 0.3,
        "retire_policy": lambda: banner.retire_policy(2).policy == 2,
        "retire_arm": lambda: banner.retire_arm("c").retired,
        "correct": lambda: banner.correct(learned, 0.5),
        "retract": lambda: banner.retract(learned),
        "restore": lambda: banner.restore(),
        "world_changed": lambda: adaptive.world_changed(),
        "commit": lambda: asked.commit().committed,
        "offer": lambda: stream.offer("x").number == 0,
        "close": lambda: stream.close(),
        "activate": lambda: window.activate(deferred),
    }
    return lambda name: calls[name]()


@pytest.mark.parametrize(
    "name",
    [
        "promote",
        "assign",
        "retire_policy",
        "retire_arm",
        "correct",
        "retract",
        "restore",
        "world_changed",
        "commit",
        "offer",
        "close",
        "activate",
    ],
)
def test_calls_whose_answers_are_lost_have_the_same_answer_again(reach: Reach, name: str) -> None:
    client, way = reach()
    call = prepared(client)
    way.faults = ["none", UNANSWERED] if name == "world_changed" else [UNANSWERED]  # that one looks first
    assert call(name) is not False
    assert way.faults == []


def test_a_busy_service_is_given_the_time_that_it_asks_for(reach: Reach) -> None:
    client, way = reach(BUSY, BUSY)
    began = time.monotonic()
    client.decide("e")
    assert time.monotonic() - began >= 0.4
    assert len(way.asked) == 3


def test_it_ends_at_its_deadline_and_says_why(reach: Reach) -> None:
    client, way = reach(deadline=0.3)
    way.away = True
    began = time.monotonic()
    with pytest.raises(Unavailable) as lost:
        client.decide("e")
    assert time.monotonic() - began < 0.35
    assert lost.value.code == "no_service"
    assert "connection refused" in lost.value.seen or "connection refused" in lost.value.remedy
    way.away, way.faults = False, [BUSY] * 9
    with pytest.raises(Unavailable) as busy:
        client.decide("e")
    assert (busy.value.code, busy.value.seen, busy.value.remedy) == ("recovering", "recovering", "wait")


def test_what_is_refused_is_tried_once_and_named(reach: Reach) -> None:
    client, way = reach()
    with pytest.raises(NotFound) as unknown:
        client.decide("nobody")
    assert unknown.value.code == "unknown_experiment"
    decision = client.decide("e", decision_id="mine")
    with pytest.raises(Conflict) as exists:
        client.decide("e", eligible=["a"], decision_id="mine")
    assert exists.value.code == "decision_exists"
    with pytest.raises(InvalidInput) as bad:
        decision.reward("much")  # type: ignore[arg-type]
    assert bad.value.code == "bad_body"
    decision.reward(1.0)
    decision.reward(1.0)  # the same again
    with pytest.raises(Conflict) as again:
        decision.reward(0.5)
    assert again.value.code == "reward_exists"
    assert len(way.asked) == 7


def test_what_is_not_the_service_is_named(reach: Reach) -> None:
    client, _ = reach(*[ELSEWHERE] * 20, deadline=0.2)
    with pytest.raises(Unavailable) as elsewhere:
        client.decide("e")
    assert elsewhere.value.code == "no_service"
    assert "502" in elsewhere.value.seen


def test_a_prefix_and_a_key_go_with_every_call(reach: Reach) -> None:
    client, way = reach(url="http://host/bandit/", key="oa_secret", deadline=0.1)
    with pytest.raises((NotFound, Forbidden)):
        client.decide("a/b")
    assert way.asked == [("POST", "/bandit/v1/experiments/a%2Fb/decisions")]
    assert way.headers[0]["authorization"] == "Bearer oa_secret"


def test_in_a_block_what_is_told_is_sent_at_its_end_unless_it_fails(reach: Reach) -> None:
    client, way = reach()
    with client.decide("e") as decision:
        decision.reward(1.0)
        assert len(way.asked) == 1
    assert len(way.asked) == 2
    with pytest.raises(ZeroDivisionError), client.decide("e") as decision:
        decision.reward(1 / 1)
        decision.reward(1 / 0)
    assert client.experiment("e").about().rewards == 1
    decision.reward(0.0)
    assert client.experiment("e").about().rewards == 2


def test_arguments_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"timeout": 0},
        {"deadline": -1},
        {"batch_ms": -1},
        {"away_ms": 0},
        {"timeout": "5"},
        {"queue_max": 0},
        {"queue_max": "many"},
    ):
        with pytest.raises(InvalidInput):
            Client(**wrong)  # type: ignore[arg-type]


def test_a_service_that_no_request_can_reach_is_named_at_once() -> None:
    for wrong in ({"base_url": "localhost:8080"}, {"base_url": ""}, {"key": "oa_secret\n"}, {"key": "caf\u00e9"}):
        with pytest.raises(InvalidInput) as refused:
            Client(**wrong)  # type: ignore[arg-type]
        assert refused.value.code == "bad_client"


@pytest.mark.parametrize("name", ["..", ".", "", "a/..", "\ud800", "x" * 70_000, 5])
def test_what_is_no_id_asks_for_nothing_else(reach: Reach, name: Any) -> None:
    client, way = reach()
    banner = client.experiment("e")
    calls = (
        lambda: client.experiment(name).about(),
        lambda: client.decide("e", decision_id=name, fallback="a"),
        lambda: banner.retire_arm(name),
        *([] if name == 5 else [lambda: banner.record(name), lambda: client.reward("e", name, 1.0)]),
    )
    for call in calls:
        with pytest.raises(InvalidInput) as refused:
            call()
        assert refused.value.code == "bad_id"
    assert way.asked == []
    with pytest.raises(NotFound) as unknown:
        banner.record("~12")
    assert unknown.value.code == "unknown_decision"


def test_text_that_no_json_can_say_is_refused(reach: Reach) -> None:
    client, way = reach()
    with pytest.raises(InvalidInput, match="not Unicode"):
        client.decide("e", {"name": "\ud800"})
    assert way.asked == []


def test_all_that_is_told_in_a_block_is_sent(reach: Reach) -> None:
    client, _ = reach()
    client.create("w", arms=[{"id": "x"}], reward={"wait_time": "1h", "aggregation": "sum"})
    with client.decide("w") as decision:
        decision.reward(0.25, reward_id="view")
        decision.reward(0.5, reward_id="click")
    told = client.call("GET", f"/v1/experiments/w/decisions/{decision.decision_id}")
    assert sorted(one["value"] for one in told["outcomes"]) == [0.25, 0.5]
    with pytest.raises(Conflict), client.decide("e") as decision:
        decision.reward(0.0)
        decision.reward(1.0)


@pytest.mark.parametrize("several", [True, 2.5, "ab", None])
def test_what_is_no_number_of_decisions_is_refused(reach: Reach, several: Any) -> None:
    client, _ = reach()
    with pytest.raises(InvalidInput) as bad:
        client.experiment("e").decide_many(several)
    assert bad.value.code == "bad_context"


def test_the_service_is_told_for_how_long_it_is_waited_for(reach: Reach) -> None:
    client, way = reach(BUSY, deadline=3.0)
    client.decide("e")
    first, second = (float(headers["x-request-timeout"]) for headers in way.headers)
    assert 0 < second < first <= 3.0
