"""Streams of arms for people: the rules' own moves, a memory that holds, and what streams are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.every_run import every_run
from support.stream_rules import ONE_SLOT, RULES, SLOTS, Watched, coins, eighths, fixed, play, shuffled

from onearm.api import arms_once as stream
from onearm.api.arms_once import Stream
from onearm.engine import snapshot
from onearm.engine.actions import PULL, READ
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog


def simulated(rule: str, trials: int, seed: int) -> tuple[Simulation, Any]:
    """Return a simulation of 40 arms, made to its end, and its log."""
    simulation = Simulation(
        catalog.parse(rule), envs.make("arm_stream", arms=40, slots=SLOTS), horizon=trials, seed=seed
    )
    return simulation, simulation.advance_logged(10**4)


def replayed(rule: str, trials: int, seed: int) -> tuple[Stream, Simulation]:
    """Give a run the arms and rewards of a simulation; it has to ask for them."""
    simulation, log = simulated(rule, trials, seed)
    moves, learned = log.action[log.kind == DECIDE].tolist(), log.kind == LEARN
    feedback = iter(zip(moves, log.reward[learned].tolist(), log.detail[learned].tolist(), strict=True))

    def arms() -> Iterator[int]:
        for (what, _, _), _, (_, arm) in feedback:
            assert what == READ
            if arm < 0:
                return
            yield int(arm)

    def pull(arm: int, n: int) -> tuple[float, int]:
        (what, _, pulls), reward, (done, _) = next(feedback)
        assert (what, pulls) == (PULL, n)
        return reward, int(done)

    asked = Stream(trials=trials, arms=40, rule=rule, slots=SLOTS, seed=seed)
    # The simulation reads once more to find that there is nothing; here the number of arms is known.
    rest = iter(arms())
    asked.run(rest, lambda arm, n: pull(arm, n) if asked.status().arms_seen < 40 else last(pull, arm, n))
    return asked, simulation


def last(pull: Any, arm: int, n: int) -> tuple[float, int]:
    """Pull, past the read that found nothing."""
    try:
        return pull(arm, n)
    except AssertionError:
        return pull(arm, n)


@pytest.mark.parametrize("rule", RULES)
def test_a_run_makes_the_moves_of_a_simulation_to_the_same_bits(rule: str) -> None:
    for seed, trials in enumerate((30, 400, 20_000)):
        asked, simulation = replayed(rule, trials, seed)
        assert asked.digest() == snapshot.digest(simulation.state)
        assert asked.status().trials_used == trials == simulation.trials


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("rule", every_run(["early_drop", "game_of_coins"], []))
def test_a_compiled_run_makes_the_moves_of_a_simulation(rule: str) -> None:
    """Every run tries it as Python, and compiled a stream with one event after another: parity/test_interfaces.py."""
    asked, simulation = replayed(rule, 20_000, 3)
    assert asked.digest() == snapshot.digest(simulation.state)


@pytest.mark.parametrize("rule", RULES)
def test_asking_and_telling_by_hand_is_what_run_does(rule: str) -> None:
    by_hand, run = (Stream(trials=9000, arms=30, rule=rule, slots=SLOTS, seed=5) for _ in range(2))
    play(by_hand, iter(shuffled(30)), coins(1))
    run.run(shuffled(30), coins(1))
    assert by_hand.digest() == run.digest()
    assert by_hand.commit() == run.commit()


@pytest.mark.parametrize("arms", [1, 2, 3, 60])
@pytest.mark.parametrize("trials", [1, 7, 60, 5000])
@pytest.mark.parametrize("rule", RULES)
def test_memory_trials_and_reading_keep_their_limits(rule: str, trials: int, arms: int) -> None:
    slots = 1 if rule in ONE_SLOT else SLOTS
    watched = Watched(shuffled(arms), slots, trials)
    asked = Stream(trials=trials, arms=arms, rule=rule, slots=slots, on_evict=watched.evict)
    found = asked.run(watched.arms(), watched.pull)
    assert watched.made == trials == found.trials == found.status.trials_used
    assert watched.here == {found.arm} and asked.done and asked.held == 1
    assert found.status.trials_left == 0
    assert asked.peak == watched.peak <= slots + 1
    assert watched.read == found.status.arms_seen <= arms
    assert len(watched.gone) == watched.read - 1
    assert set(watched.gone.values()) <= {"dropped", "replaced", "over"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("place", [0, 17, 39])
def test_the_only_arm_that_pays_is_chosen(rule: str, place: int) -> None:
    means = [float(i == place) for i in range(40)]
    found = stream.run(means, fixed, trials=10**6, arms=40, rule=rule, slots=SLOTS)
    assert found.arm == 1.0
    assert found.record.number == place
    assert found.record.mean == 1.0


@pytest.mark.parametrize("known", [{}, {"arms": 50}, {"trials": 40_000}])
@pytest.mark.parametrize("rule", RULES)
def test_arms_and_trials_may_be_unknown(rule: str, known: dict[str, int]) -> None:
    """Without trials a run ends once the rule has chosen."""
    means = [0.5] * 10 + [0.2] * 20 + [0.9] + [0.1] * 19
    watched = Watched(means, SLOTS, known.get("trials", 10**9))
    found = stream.run(watched.arms(), watched.pull, rule=rule, slots=SLOTS, on_evict=watched.evict, **known)
    assert found.status.done and watched.here == {found.arm}
    assert found.status.arms_seen == 50
    assert found.status.trials_used == known.get("trials", watched.made)
    assert found.status.trials_left == (0 if known.get("trials") else None)
    assert 0.0 <= found.missed <= 1.0
    if "trials" in known and rule in ("early_drop", "uniform_exploration", "naive_commit"):
        assert means[found.arm] == 0.9


def test_a_budget_stands_for_trials_of_which_only_those_that_explore_are_made() -> None:
    """T = K (E / K)^1.5: a budget of 50 000 for 500 arms is right for 500 000 trials."""
    arms = shuffled(500)
    asked, whole = Stream(budget=50_000, arms=500), Stream(trials=500_000, arms=500)
    found, of_whole = asked.run(arms, fixed), whole.run(arms, fixed)
    assert found.arm == of_whole.arm
    assert found.trials == of_whole.status.explored == found.status.explored < 50_000
    assert found.status.trials_left is None
    assert asked.done


def test_a_stream_that_is_longer_than_said_is_left_unread() -> None:
    arms = iter([0.1, 0.2, 0.3, 0.9])
    assert stream.run(arms, fixed, trials=1000, arms=3).arm == 0.3
    assert next(arms) == 0.9


def test_a_stream_may_end_early_or_at_once() -> None:
    assert stream.run([0.1, 0.2], fixed, trials=1000, arms=50).arm == 0.2
    with pytest.raises(Conflict, match="no arm has come yet"):
        stream.run([], fixed, trials=1000)
    empty = Stream()
    empty.close()
    assert empty.done and not empty.ready
    with pytest.raises(Conflict, match="all is done"):
        empty.ask()


def test_without_trials_all_arms_that_are_kept_are_compared_at_the_end() -> None:
    asked, compared = Stream(rule="levels", slots=SLOTS, arms=60), []
    means = shuffled(60)
    arms = iter(means)
    while not asked.done:
        if asked.ready:
            asked.offer(next(arms))
            continue
        arm, n = asked.ask()
        if asked._holding.over:
            compared.append(arm)
            places = asked._holding.places
            kept = {places[place].arm for place in asked._holding.state.place if place >= 0}
        asked.tell(arm, *fixed(arm, n))
    assert len(kept) > 1 and set(compared) == kept
    assert asked.commit().arm == max(kept)


def test_arms_may_be_anything() -> None:
    """They are told apart as objects; texts and numbers also by what they are."""
    arms = [np.zeros(3), np.zeros(3), [1], {}, None]
    asked = Stream(trials=1000, arms=5)
    for arm in arms:
        asked.offer(arm)
        while not asked.ready and not asked.done and asked.status().arms_seen < 6:
            held, n = asked.ask()
            if held is not arm:
                break
            other = np.zeros(3)
            with pytest.raises(Conflict):
                asked.tell(other, 0.0, n)
            asked.tell(held, 0.0, n)
    assert asked.status().arms_seen == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 0}, r"trials is 0: it must be a whole number from 1 to 2\^62"),
        ({"trials": -1}, "trials is -1"),
        ({"trials": 1e6}, "trials is 1000000.0"),
        ({"trials": True}, "trials is True"),
        ({"trials": 2**62 + 1}, "trials is"),
        ({"arms": 0}, r"arms is 0: it must be a whole number from 1 to 2\^53"),
        ({"arms": 2.5}, "arms is 2.5"),
        ({"slots": 0}, "slots is 0: it must be a whole number from 1 to 64"),
        ({"slots": 65}, "slots is 65"),
        ({"slots": None}, "slots is None"),
        ({"seed": -1}, "the seed is -1"),
        ({"budget": 100.0}, "needs to know the arms"),
        ({"budget": 100.0, "arms": 3, "trials": 10}, "takes the place of the trials"),
        ({"budget": math.nan, "arms": 3}, "budget is nan"),
        ({"budget": 0, "arms": 3}, "budget is 0"),
        ({"rule": "early_dorp"}, "try early_drop"),
        ({"rule": 'early_drop:{"reach":-1}'}, "reach is -1"),
        ({"rule": "ucb1"}, "decides on arms that are all there, but this problem has arms that stream past"),
        ({"rule": 7}, "rule is 7"),
        ({"rule": {}}, "policy is {}"),
        ({"rule": "levels", "arms": 10_000}, "allow 3 slots"),
        ({"reward_range": (1.0, 1.0)}, "the second must be larger"),
        ({"reward_range": (1.0, 0.0)}, "the second must be larger"),
        ({"reward_range": (0.0, math.inf)}, r"reward_range\[1\] is inf"),
        ({"reward_range": 3}, "reward_range is 3"),
        ({"reward_range": "01"}, r"reward_range\[0\] is '0'"),
        ({"on_evict": 3}, "on_evict is 3: it must be a function"),
    ],
)
def test_streams_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Stream(**given)


def test_fewer_trials_than_arms_are_used_up_and_planning_says_so() -> None:
    found = stream.run(shuffled(50), fixed, trials=20, arms=50)
    assert found.trials == 20 and found.status.arms_seen < 50
    assert "there are fewer trials than arms: 30 arms cannot be pulled once" in stream.plan(20, 50).warnings[-1]


def test_rewards_of_another_range_are_the_same_but_for_the_unit() -> None:
    """A shift changes nothing, and the range sets the rule's scale, unless the rule says another."""
    plain, shifted = Stream(trials=9000, arms=30), Stream(trials=9000, arms=30, reward_range=(-2.0, -1.0))
    plain.run(eighths(30), fixed)
    found = shifted.run(eighths(30), lambda arm, n: ((arm - 2.0) * n, n))
    assert shifted.digest() == plain.digest()
    assert found.record.mean == plain.commit().record.mean - 2.0
    assert (found.low, found.high) == (pytest.approx(plain.commit().low - 2.0), -1.0)
    wide = Stream(trials=9000, arms=30, reward_range=(0.0, 5.0))
    assert wide._policy.spec["params"]["scale"] == 5.0
    said = Stream(trials=9000, arms=30, reward_range=(0.0, 5.0), rule='early_drop:{"scale":2.0}')
    assert said._policy.spec["params"]["scale"] == 2.0
