"""Lists through the client: ids, tries, the queue, and a list that was shown while the service was away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.both_doors import InProcess
from support.faulty import LOST, UNANSWERED, Faulty
from support.listening import Listening
from support.served import Served, log_of

from onearm.client import Client, move_queue
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.vocabulary import DECIDE, LEARN

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")
NOWHERE = "http://127.0.0.1:9"  # nobody answers there


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


@pytest.fixture
def way(served: Served) -> Faulty:
    return Faulty(served)


@pytest.fixture
def client(way: Faulty) -> Iterator[Client]:
    with Client("http://service", transport=way, away_ms=50) as client:
        client.open("shelf", "ucb1", ["a", "b", "c"], slots=2)
        yield client


def kinds(served: Served) -> list[int]:
    return [event.kind for event in log_of(served.store, "shelf")[1]]


@pytest.mark.parametrize("fault", [LOST, UNANSWERED])
def test_what_is_tried_again_is_one_list_and_one_reward(
    client: Client, way: Faulty, served: Served, fault: str
) -> None:
    way.faults = [fault]
    shelf = client.lists("shelf").decide(["top", "side"], decision_id="page")
    way.faults = [fault]
    shelf.reward({"side": 1.0})
    way.faults = [fault]
    shelf.reward({"top": 0.0})
    shelf.reward({"top": 0.0})
    assert kinds(served) == [DECIDE, DECIDE, LEARN, LEARN]
    with pytest.raises(Conflict) as other:
        client.lists("shelf").learn("page", {"top": 1.0})
    assert other.value.code == "reward_exists"


def test_a_block_tells_at_its_end(client: Client, served: Served) -> None:
    with client.lists("shelf").decide(["top", "side"]) as shelf:
        shelf.reward({"side": 1.0})
        assert LEARN not in kinds(served)
    with pytest.raises(ZeroDivisionError), client.lists("shelf").decide() as broken:
        broken.reward(1.0)
        raise ZeroDivisionError
    assert kinds(served).count(LEARN) == 1
    assert "ListChoice(" in repr(shelf) and "top" in repr(shelf)


def test_windows_reasons_and_arms_are_as_those_of_arms(client: Client) -> None:
    shown = client.open("later", "linucb", ["a", "b"], slots=1, context=1, reward={"wait_time": "1h"})
    shelf = shown.decide(["top"], [1.0], deferred=True, explain=True, excluded=["a"])
    assert shelf.action_ids == ["b"]
    assert shelf.answer.slots[0].ranking
    assert shown.activate(shelf).status == "activated"
    shelf.reward({"top": 1.0}, reward_id="x")
    assert [one.value for one in shown.record(shelf).slots[0].outcomes] == [1.0]
    assert shown.add_arm("c").arm_id == "c"
    assert shown.retire_arm("a").retired


def test_rewards_wait_in_the_queue(tmp_path: Path) -> None:
    file = tmp_path / "rewards.db"
    with Listening(tmp_path) as service:
        with Client(service.url) as client:
            shelf = client.open("shelf", "ucb1", ["a", "b", "c"], slots=2)
            made = [shelf.decide(decision_id=f"p{number}") for number in range(3)]
        with Client(NOWHERE, queue=file) as away:
            away.lists("shelf").learn(made[0], 1.0)
            away.lists("shelf").learn("p1", {"1": 0.5})
            away.lists("shelf").learn("p2", {"nobody": 0.5})
        move_queue(file, service.url)
        with Client(service.url, queue=file) as client:
            assert client.queue is not None and client.queue.flush(20.0)
            assert [(one.decision_id, one.code) for one in client.queue.refused()] == [("p2", "unknown_slot")]
            assert client.lists("shelf").about().rewards == 3


def test_a_list_of_the_caller_is_taken_while_the_service_is_away(client: Client, way: Faulty) -> None:
    shelf = client.lists("shelf")
    way.away = True
    taken = shelf.decide(["top", "side"], fallback=["b", "c"])
    assert (taken.action_ids, list(taken.slots), taken.is_fallback) == (["b", "c"], ["top", "side"], True)
    assert math.isnan(taken.propensity)
    assert list(shelf.decide(fallback=["b", "c"]).slots) == ["0", "1"]
    drawn = shelf.decide(fallback=lambda context, eligible: {"x": eligible[0]}, eligible=["a"])
    assert {slot_id: slot.action_id for slot_id, slot in drawn.slots.items()} == {"x": "a"}
    way.away = False
    assert not shelf.decide(fallback=["b", "c"]).is_fallback


@pytest.mark.parametrize("wrong", [5, "b", [], ["b"], ["b", "b"], ["b", 5], {"top": ""}, {"top": None}, [None, "a"]])
def test_what_is_no_list_is_refused_before_it_is_needed(client: Client, way: Faulty, wrong: Any) -> None:
    asked = len(way.asked)
    with pytest.raises(InvalidInput) as refused:
        client.lists("shelf").decide(["top", "side"], fallback=wrong)
    assert len(way.asked) == asked
    assert refused.value.code in ("bad_fallback", "bad_id")


def test_of_a_list_that_the_service_made_as_it_was_shown_all_is_learned(
    client: Client, way: Faulty, served: Served
) -> None:
    way.faults = [UNANSWERED] * 50
    shown = client.lists("shelf").decide(["top", "side"], fallback=["a", "b"])
    way.faults = []
    shown.reward({"side": 1.0})
    assert client.lists("shelf").record(shown).slots[1].reward.value == 1.0
    assert client.lists("shelf").about().rewards == 1


def test_of_another_list_nothing_can_be_learned_and_that_is_said(client: Client, way: Faulty) -> None:
    shelf = client.lists("shelf")
    way.faults = [UNANSWERED] * 50
    other = shelf.decide(["top", "side"], fallback=["c", "a"])
    way.faults = []
    with pytest.raises(InvalidInput, match="filled it with a, b") as refused:
        other.reward(1.0)
    assert refused.value.code == "no_examples"
    way.away = True
    unheard = shelf.decide(["top", "side"], fallback=["c", "a"])
    way.away = False
    with pytest.raises(InvalidInput, match="never heard of it"):
        unheard.reward(1.0)
    assert shelf.about().rewards == 0


def test_a_list_that_was_shown_waits_in_the_queue_with_its_reward(tmp_path: Path) -> None:
    file = tmp_path / "rewards.db"
    with Listening(tmp_path) as service:
        with Client(service.url) as client:
            client.open("shelf", "ucb1", ["a", "b", "c"], slots=2).decide(["top", "side"], decision_id="same")
        with Client(NOWHERE, queue=file, away_ms=20) as away:
            away.lists("shelf").decide(["top", "side"], fallback=["a", "b"], decision_id="same").reward({"top": 1.0})
            away.lists("shelf").decide(["top", "side"], fallback=["a", "b"], decision_id="other").reward(1.0)
        move_queue(file, service.url)
        with Client(service.url, queue=file) as client:
            assert client.queue is not None and client.queue.flush(20.0)
            assert [(one.decision_id, one.code) for one in client.queue.refused()] == [("other", "no_examples")]
            assert client.lists("shelf").about().rewards == 1


def test_who_asks_an_experiment_of_lists_for_an_arm_is_told_what_it_decides(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create("shelf", problem={"kind": "lists", "slots": {"max": 2}})
        with Client("http://service", transport=InProcess(served)) as client:
            with pytest.raises(InvalidInput, match=r"its answer has .*slots.*client\.lists") as told:
                client.decide("shelf")
            assert told.value.code == "other_decisions"
