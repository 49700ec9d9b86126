"""Experience: counts as NumPy counts them, in any order, and what teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import snapshot
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_problem, state_problem
from onearm.engine.rewards import UNIT
from onearm.engine.states.counts import (
    Experience,
    count,
    experience,
    is_tried,
    learn,
    mean_following,
    mean_reward_of,
    n_open,
    no_visits,
    reward_variance,
    variance_following,
    visits_of,
    write_shares,
)
from onearm.engine.states.transitions import transitions
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, RewardRange

STATES, ARMS = 4, 3
OPEN = np.ones(ARMS, np.bool_)
Row = tuple[int, int, float, float, int]  # state, action, reward, next state, whether a unit begins


def rows(n: int, seed: int = 3) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        (
            int(rng.integers(STATES)),
            int(rng.integers(ARMS)),
            float(rng.integers(9)) / 8,
            float(rng.integers(STATES + 1)),
            int(rng.random() < 0.2),
        )
        for _ in range(n)
    ]


def taught(told: list[Row], rewards: RewardRange = UNIT) -> Experience:
    seen = experience(state_problem(STATES, ARMS))
    for s, a, reward, after, begins in told:
        tell(seen, s, a, reward, after, begins, rewards=rewards)
    return seen


def tell(
    seen: Experience,
    s: int,
    a: int,
    reward: float,
    after: float,
    begins: int = 0,
    available: Array = OPEN,
    rewards: RewardRange = UNIT,
) -> tuple[int, int]:
    instance = Instance(0, np.array([float(s), float(begins)]), available)
    return learn(seen, instance, Decision(a, 1.0), Feedback(reward, np.array([after])), rewards)


def test_counts_and_sums_are_those_of_numpy() -> None:
    told = rows(300)
    seen = taught(told)
    state, arm, after = (np.array([row[i] for row in told], np.int64) for i in (0, 1, 3))
    reward, begins = np.array([row[2] for row in told]), np.array([row[4] for row in told])
    following = np.zeros((STATES, ARMS, STATES + 1))
    np.add.at(following, (state, arm, after), 1)
    assert seen.following.tolist() == following.tolist()
    assert seen.visits.tolist() == following.sum(axis=2).tolist()
    assert seen.learned[0] == 300
    assert seen.begun.tolist() == np.bincount(state[begins == 1], minlength=STATES).tolist()
    value = np.array([0.5, -2.0, 4.0, 0.0, 1.5])
    for s, a in np.ndindex(STATES, ARMS):
        pair = (state == s) & (arm == a)
        assert seen.successor[s, a, : seen.successors[s, a]].tolist() == np.unique(after[pair]).tolist()
        assert mean_reward_of(seen, s, a) == pytest.approx(reward[pair].mean(), abs=1e-13)
        assert reward_variance(seen, s, a) == pytest.approx(reward[pair].var(), abs=1e-13)
        assert mean_following(seen, s, a, value) == pytest.approx(value[after[pair]].mean(), abs=1e-13)
        assert variance_following(seen, s, a, value) == pytest.approx(value[after[pair]].var(), abs=1e-13)


def test_visits_are_those_of_an_experience() -> None:
    told, seen = rows(100), no_visits(state_problem(STATES, ARMS))
    for s, a, _, after, begins in told:
        instance = Instance(0, np.array([float(s), float(begins)]), OPEN)
        count(seen, instance, Decision(int(a), 1.0), Feedback(0.5, np.array([float(after)])))
    whole = taught(told)
    assert all(getattr(seen, name).tolist() == getattr(whole, name).tolist() for name in seen._fields)
    assert seen.visits.any() and seen.begun.any() and seen.ended[0]


def test_late_feedback_in_any_order_gives_the_same_bytes() -> None:
    told = rows(200)
    first = snapshot.digest(taught(told))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(200)
        assert snapshot.digest(taught([told[i] for i in order])) == first
    assert snapshot.digest(taught(told[1:])) != first


def test_a_transition_without_a_next_state_teaches_nothing() -> None:
    seen = taught(rows(20))
    before = snapshot.digest(seen)
    assert tell(seen, 1, 2, 1.0, np.nan, 1, np.array([True, False, True])) == (-1, -1)
    assert snapshot.digest(seen) == before
    assert tell(seen, 1, 2, 1.0, 0.0) == (1, 2)
    assert snapshot.digest(seen) != before


def test_rewards_are_parts_of_their_range_and_the_nearest_end_outside() -> None:
    seen = experience(state_problem(STATES, ARMS))
    for reward in (0.0, 5.0, 99.0, -99.0):
        tell(seen, 0, 0, reward, 1.0, rewards=RewardRange.of(-10.0, 10.0))
    assert (seen.total[0, 0], seen.square[0, 0]) == (0.5 + 0.75 + 1.0 + 0.0, 0.25 + 0.5625 + 1.0)


def test_what_is_open_is_what_was_open_last_and_before_that_everything() -> None:
    seen = experience(state_problem(STATES, ARMS))
    assert seen.open.all()
    tell(seen, 2, 0, 0.0, 1.0, available=np.array([True, False, False]))
    tell(seen, 2, 1, 0.0, 1.0, available=np.array([False, True, True]))
    assert seen.open.tolist() == [[True] * 3, [True] * 3, [False, True, True], [True] * 3]
    assert seen.met.tolist() == [False, False, True, False]


def test_that_a_unit_ended_is_noted() -> None:
    seen = experience(state_problem(STATES, ARMS))
    tell(seen, 2, 0, 0.0, 3.0)
    assert not seen.ended[0]
    tell(seen, 2, 0, 0.0, 4.0)
    assert seen.ended[0]
    assert seen.following[2, 0].tolist() == [0, 0, 0, 1, 1]


def test_shares_are_written_as_laws() -> None:
    seen, laws = experience(state_problem(STATES, ARMS)), transitions(STATES, ARMS)
    for after in (3.0, 0.0, 3.0, 4.0):
        tell(seen, 1, 2, 0.0, after)
    for _ in range(2):  # written anew, not added to
        write_shares(laws, seen, 1, 2)
    assert laws.successors[1, 2] == 3
    assert laws.successor[1, 2, :3].tolist() == [0, 3, 4]
    assert laws.chance[1, 2, :3].tolist() == [0.25, 0.5, 0.25]
    write_shares(laws, seen, 0, 0)
    assert laws.successors[0, 0] == 0


def test_a_state_is_tried_once_each_action_that_is_open_there_was_learned() -> None:
    seen = experience(state_problem(STATES, ARMS))
    tell(seen, 2, 0, 0.0, 1.0)
    tell(seen, 2, 0, 0.0, 1.0)
    assert (n_open(seen, 2), visits_of(seen, 2), is_tried(seen, 2)) == (3, 2, False)
    tell(seen, 2, 2, 0.0, 1.0, available=np.array([True, False, True]))
    assert (n_open(seen, 2), visits_of(seen, 2), is_tried(seen, 2)) == (2, 3, True)
    assert (n_open(seen, 1), visits_of(seen, 1), is_tried(seen, 1)) == (3, 0, False)


def test_more_cells_than_are_counted_are_refused_with_their_number() -> None:
    with pytest.raises(InvalidInput, match="4008004 transitions"):
        check_problem(state_problem(1001, 4))
    check_problem(state_problem(1000, 4))
