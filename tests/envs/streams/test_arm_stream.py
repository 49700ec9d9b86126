"""Arm stream: laws of means and of sums, what regret is charged, what is held, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.problem import PULLS_MAX
from onearm.engine.protocol import observe, register_policy, regret, respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Decision, Environment, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog
from onearm.envs.streams import arm_stream as world

RUN = run_key(1, 0, NATURE)
PULL, READ = 0, 1


class Stream:
    """A stream by hand."""

    def __init__(self, horizon: int = 10**6, run: np.uint64 = RUN, **params: Any) -> None:
        self.env: Environment = catalog.make("arm_stream", **params)
        self.problem = Problem(self.env.problem.n_arms, horizon=horizon, slots=self.env.problem.slots)
        self.run = run
        self.state = self.env.init(self.env.params, self.problem, run)
        self.t = 0
        self.detail = np.zeros(2)

    def make(self, *move: int) -> tuple[float, list[float], float]:
        """Make a move; return the reward, what else is revealed, and the regret."""
        instance = Instance(self.t, np.zeros(0), np.array(self.available()))
        action = np.array(move)
        key = Key(self.run, self.t)
        reward, delay = respond(self.env.params, self.state, instance, action, self.detail, key)
        assert delay == 0
        self.t += 1
        return reward, self.detail.tolist(), regret(self.env.params, self.state, instance, action)

    def available(self) -> list[bool]:
        mask = np.zeros(self.problem.n_choices, np.bool_)
        observe(self.env.params, self.state, self.t, np.zeros(0), mask, Key(self.run, self.t))
        return mask.tolist()

    def means(self) -> Array:
        arms = range(self.problem.n_arms)
        return np.array([world.mean_of(self.env.params, self.state, self.run, arm) for arm in arms])


def distance(sample: Array, law: Callable[[float], float]) -> float:
    """Return Kolmogorov's distance of a sample from a law, times sqrt(n): above 1.63 in 1 of 100 samples."""
    n = len(sample)
    expected = np.array([law(x) for x in np.sort(sample)])
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()) * math.sqrt(n))


def cut_normal(x: float) -> float:
    low, high, at = (0.5 * (1.0 + math.erf((y - 0.5) / 0.1 / math.sqrt(2.0))) for y in (0.0, 0.8, x))
    return (at - low) / (high - low)


def test_uniform_means_are_uniform_and_the_best_is_the_largest() -> None:
    stream = Stream(arms=2000)
    means = stream.means()
    assert distance(means, lambda x: x) < 1.63
    assert stream.state.best[0] == means.max()


def test_clear_means_are_a_cut_normal_and_one_at_082() -> None:
    stream = Stream(arms=5000, means="clear")
    means = stream.means()
    assert np.flatnonzero(means == 0.82).tolist() == stream.state.special.tolist()
    others = means[means != 0.82]
    assert distance(others, cut_normal) < 1.63
    assert others.mean() == pytest.approx(0.4996, abs=4.0 * 0.1 / math.sqrt(5000))
    assert others.std() == pytest.approx(0.0993, abs=4.0 * 0.1 / math.sqrt(10_000))
    assert 0.0 <= others.min() < 0.25
    assert 0.75 < others.max() <= 0.8
    assert stream.state.best[0] == 0.82


@pytest.mark.parametrize("gap", [0.5, 2.0])
def test_one_arm_of_a_hard_stream_is_better_by_the_gap(gap: float) -> None:
    stream = Stream(arms=100, horizon=100_000, means="hard", gap=gap)
    better = 0.5 + gap * 0.1
    means = stream.means()
    assert sorted(means)[:99] == [0.5] * 99
    assert means.max() == stream.state.best[0] == pytest.approx(better, abs=1e-15)


@pytest.mark.parametrize("means", ["clear", "hard"])
def test_the_better_arm_is_anywhere(means: str) -> None:
    places = [Stream(arms=10, means=means, run=run_key(1, r, NATURE)).state.special[0] for r in range(1000)]
    counts = np.bincount(places, minlength=10)
    assert len(counts) == 10
    assert ((counts - 100) ** 2 / 100).sum() < 21.7  # chi-square of 9 degrees: above in 1 of 100


def test_a_stair_rises_evenly() -> None:
    stream = Stream(arms=5, means="stair")
    assert stream.means() == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert stream.state.best[0] == stream.means()[-1]
    assert Stream(arms=1, means="stair").means().tolist() == [0.3]


def test_a_table_is_taken_in_order() -> None:
    stream = Stream(means=[0.25, 1.0, 0.5])
    assert stream.problem.n_arms == 3
    read = [stream.make(READ, 1) for _ in range(4)]
    assert [detail for _, detail, _ in read] == [[0, 0], [0, 1], [0, 2], [0, -1]]
    assert stream.means().tolist() == [0.25, 1.0, 0.5]
    assert catalog.make("arm_stream", means=[0.5] * 3, arms=3).problem.n_arms == 3
    assert catalog.make("arm_stream").problem.n_arms == 1000


@pytest.mark.parametrize("means", ["uniform", "clear", "hard"])
def test_runs_differ_and_repeat(means: str) -> None:
    first, again, other = (Stream(arms=50, means=means, run=run_key(1, r, NATURE)) for r in (0, 0, 1))
    assert first.means().tolist() == again.means().tolist()
    assert first.means().tolist() != other.means().tolist()


SUMS = [
    ("bernoulli", 1),
    ("bernoulli", 50),
    ("bernoulli", 10**10),
    ("bernoulli", 10**10 + 1),
    ("bernoulli", 10**15),
    ("normal", 1),
    ("normal", 10**12),
    ("two_point", 1),
    ("two_point", 1000),
    ("two_point", 10**12),
]


@pytest.mark.parametrize(("rewards", "n"), SUMS)
@pytest.mark.parametrize("mean", [0.3, 0.9])
def test_sums_of_rewards_have_their_mean_and_variance(rewards: str, n: int, mean: float) -> None:
    draws, sd = 1000, 0.5 if rewards != "bernoulli" else math.sqrt(mean * (1.0 - mean))
    stream = Stream(means=[mean], rewards=rewards, horizon=10**18)
    stream.make(READ, 8)
    sums = np.array([stream.make(PULL, 8, n)[0] for _ in range(draws)])
    z = (sums - n * mean) / (sd * math.sqrt(n))
    assert abs(z.mean()) < 4.0 / math.sqrt(draws)
    assert abs((z * z).mean() - 1.0) < 4.0 * (z * z).std() / math.sqrt(draws) + 1e-9
    if rewards == "bernoulli":
        assert (sums == np.floor(sums)).all()
        assert 0.0 <= sums.min() <= sums.max() <= n
    if rewards == "two_point" and n == 1:
        assert set(sums.round(9)) == {round(mean - 0.5, 9), round(mean + 0.5, 9)}


@pytest.mark.parametrize("mean", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 1000, 10**10, 10**12, PULLS_MAX])
def test_what_always_or_never_pays_does_so_exactly(mean: float, n: int) -> None:
    stream = Stream(means=[mean], horizon=2**60)
    stream.make(READ, 8)
    assert stream.make(PULL, 8, n)[:2] == (n * mean, [n, -1])


def test_no_more_pulls_are_made_than_trials_are_left() -> None:
    stream = Stream(means=[1.0], horizon=10)
    stream.make(READ, 8)
    assert [stream.make(PULL, 8, 6)[:2] for _ in range(2)] == [(6.0, [6, -1]), (4.0, [4, -1])]


def test_a_move_has_no_more_pulls_than_floats_count() -> None:
    stream = Stream(means=[1.0], horizon=2**60)
    stream.make(READ, 8)
    assert stream.make(PULL, 8, 2**60)[1] == [PULLS_MAX, -1]


def test_regret_is_charged_against_the_best_of_all_arms_those_to_come_too() -> None:
    stream = Stream(means=[0.25, 0.5, 0.0, 1.0], slots=1)
    assert stream.make(READ, 1) == (0.0, [0, 0], 0.0)
    assert stream.make(PULL, 1, 8)[2] == 8 * 0.75
    assert stream.make(READ, 0) == (0.0, [0, 1], 0.0)
    assert stream.make(PULL, 1, 4)[2] == 4 * 0.5
    assert stream.make(PULL, 0, 4)[2] == 4 * 0.75
    stream.make(READ, 1)
    stream.make(READ, 1)
    assert stream.make(PULL, 1, 1000)[2] == 0.0


def test_storing_replaces_and_dropping_empties() -> None:
    stream = Stream(means=[0.125, 0.25, 0.375, 0.5, 0.625], slots=2)
    steps = []
    for slot in (2, 0, 2, 1, 0, 1):
        stream.make(READ, slot)
        steps.append((stream.state.arm.tolist(), stream.state.held.tolist(), stream.available()))
    assert steps == [
        ([-1, -1, 0], [1, 1], [False, False, True, True]),
        ([0, -1, 1], [2, 2], [True, False, True, True]),
        ([0, -1, 2], [2, 2], [True, False, True, True]),
        ([0, 2, 3], [3, 3], [True, True, True, True]),
        ([3, 2, 4], [3, 3], [True, True, True, True]),
        ([3, 4, -1], [2, 3], [True, True, False, False]),
    ]
    assert [stream.state.mean[slot] for slot in (0, 1)] == [0.5, 0.625]


@pytest.mark.parametrize("means", ["stair", "clear", "hard"])
def test_the_state_is_as_small_for_a_long_stream(means: str) -> None:
    sizes = {sum(array.nbytes for array in Stream(arms=arms, means=means, gap=0).state) for arms in (1, 10, 2**53)}
    assert len(sizes) == 1


@pytest.mark.parametrize("means", ["uniform", "clear", "hard", "stair", [0.5]])
def test_a_stream_of_one_arm_has_no_regret(means: str | list[float]) -> None:
    stream = Stream(arms=1, means=means)
    stream.make(READ, 8)
    assert stream.make(PULL, 8, 1000)[2] == 0.0
    assert stream.make(READ, 0)[1] == [0, -1]
    assert stream.make(PULL, 0, 1000)[2] == 0.0


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"arms": 0}, "arms is 0"),
        ({"arms": True}, "arms is True"),
        ({"arms": 2.5}, "arms is 2.5"),
        ({"arms": 2**53 + 1}, "arms is 9007199254740993"),
        ({"means": "table"}, "means is 'table': it must be a list, or one of uniform, clear, hard, stair"),
        ({"means": "mix"}, "means is 'mix'"),
        ({"means": []}, "list of one or more numbers"),
        ({"means": 0.5}, "list of one or more numbers"),
        ({"means": [0.5, "a"]}, "list of numbers"),
        ({"means": [0.5, math.nan]}, "finite"),
        ({"means": [0.5, 1.1]}, "outside of"),
        ({"means": [0.5, 0.6], "arms": 3}, "arms is 3, but there are 2 means"),
        ({"rewards": "beta"}, "rewards is 'beta'"),
        ({"sd": -1}, "sd is -1"),
        ({"gap": -1}, "gap is -1"),
        ({"slots": 0}, "there are 0 slots"),
        ({"slots": 65}, "there are 65 slots: a stream has 1 to 64"),
        ({"slots": True}, "slots is True"),
        ({"slots": 1.5}, "slots is 1.5"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("arm_stream", **params)


def test_means_outside_of_0_and_1_are_allowed_where_rewards_are_not_clicks() -> None:
    assert Stream(means=[-3.0, 5.0], rewards="normal").state.best[0] == 5.0


def test_a_gap_that_lifts_a_mean_above_1_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"the better arm would have the mean 1\.1: take a smaller gap") as refused:
        Stream(arms=100, horizon=100_000, means="hard", gap=6.0)
    assert refused.value.code == "bad_horizon"
    assert Stream(arms=100, horizon=100_000, means="hard", gap=6.0, rewards="normal").state.best[0] > 1.0


class StubbornParams(NamedTuple):
    move: Array  # int64[3], what it does after its first two reads
    slot: int  # which the first arm is stored in


class StubbornState(NamedTuple):
    moves: Array  # int64[1], made so far
    scratch_move: Array  # int64[3]


def stubborn(*move: int, slot: int = 1) -> Policy:
    """Read twice, then make the same move for ever."""
    params = StubbornParams(np.array(move), slot)
    return Policy("stubborn", params, _begin, actions=("move",))


def _begin(params: StubbornParams, problem: Problem) -> StubbornState:
    return StubbornState(np.zeros(1, np.int64), np.zeros(3, np.int64))


@kernel
def _select(params: StubbornParams, state: StubbornState, instance: Instance, key: Key) -> Decision:
    for i in range(3):
        state.scratch_move[i] = params.move[i]
    if state.moves[0] < 2:
        state.scratch_move[0] = READ
        state.scratch_move[1] = params.slot
    return Decision(state.scratch_move, 1.0)


@kernel
def _update(
    params: StubbornParams, state: StubbornState, instance: Instance, decision: Decision, feedback: Feedback, key: Key
) -> None:
    state.moves[0] += 1


register_policy(StubbornParams, select=_select, update=_update)


@pytest.mark.parametrize(
    "move",
    [
        (PULL, 0, 5),  # nothing is stored there
        (PULL, 1, 0),
        (PULL, 1, -1),
        (PULL, 2, 1),
        (PULL, -1, 1),
        (READ, 2, 0),
        (READ, -1, 0),
        (2, 1, 1),
        (-1, 1, 1),
    ],
)
def test_a_move_that_cannot_be_made_ends_a_simulation(move: tuple[int, int, int]) -> None:
    simulation = Simulation(stubborn(*move), catalog.make("arm_stream", arms=5, slots=1), horizon=100)
    with pytest.raises(InvalidInput, match="'stubborn' made at decision 2 a move that cannot be made") as refused:
        simulation.advance(100)
    assert refused.value.code == "impossible_move"
    assert simulation.trials == 0


def test_nothing_is_read_after_the_end() -> None:
    """Five arms, one after another, then the end, which can be read once."""
    simulation = Simulation(stubborn(READ, 1, 0), catalog.make("arm_stream", arms=5, slots=1), horizon=100)
    with pytest.raises(InvalidInput, match="made at decision 6 a move that cannot be made") as refused:
        simulation.advance(100)
    assert refused.value.code == "impossible_move"
    assert simulation.world.state.read[0] == 5


def test_moves_that_can_be_made_are_counted_in_trials() -> None:
    simulation = Simulation(
        stubborn(PULL, 0, 7, slot=0), catalog.make("arm_stream", means=[1.0, 0.5], slots=1), horizon=100
    )
    simulation.advance(100)
    assert (simulation.trials, simulation.t) == (100, 2 + 15)
    assert simulation.totals.reward[0] == 100.0
    assert simulation.totals.regret[0] == 0.0


@pytest.mark.parametrize("horizon", [0, -1, 2**62 + 1])
def test_trials_that_are_none_or_too_many_are_refused(horizon: int) -> None:
    with pytest.raises(InvalidInput, match="the horizon is") as refused:
        Simulation(stubborn(PULL, 1, 1), catalog.make("arm_stream", arms=5), horizon=horizon)
    assert refused.value.code == "bad_horizon"
