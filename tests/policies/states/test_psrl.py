"""PSRL: the laws of what it draws, when it draws, and that it follows the best policy of that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.small_states import planned
from support.state_steps import Steps

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.states.psrl import _draw_pair

RUN = np.uint64(7)
TOLD = [(0, 0, 1.0, 1), (0, 0, 0.25, 0), (0, 0, 0.5, 1), (1, 1, 0.0, 0), (1, 1, 1.0, 2), (0, 0, 0.75, 1)]  # 2: the end
FOLLOWED = {(0, 0): ([1, 3, 0], 2.5), (1, 1): ([1, 0, 1], 1.0), (0, 1): ([0, 0, 0], 0.0)}  # and the sum of rewards


def told(**params: Any) -> Steps:
    steps = Steps(catalog.make("psrl", **params), 2, 2)
    for row in TOLD:
        steps.tell(*row)
    return steps


def drawn(steps: Steps, s: int, a: int, n: int) -> tuple[Array, Array]:
    """Return the rewards, float64[n], and the laws, float64[n, S + 1], of a pair in n worlds."""
    rewards, laws, model = np.zeros(n), np.zeros((n, 3)), steps.state.model
    for t in range(n):
        _draw_pair(steps.policy.params, steps.state, s, a, Key(RUN, t))
        there = model.laws.successors[s, a]
        rewards[t] = model.reward[s, a]
        laws[t, model.laws.successor[s, a, :there]] = model.laws.chance[s, a, :there]
    return rewards, laws


@pytest.mark.parametrize("pair", FOLLOWED)
@pytest.mark.parametrize(("params", "prior"), [({}, 0.5), ({"prior": 1}, 1.0)])
def test_worlds_are_drawn_from_what_is_believed(pair: tuple[int, int], params: dict[str, Any], prior: float) -> None:
    """Each reward is a beta draw, each law a Dirichlet draw, whose shares are beta draws of prior + counts."""
    times, total = FOLLOWED[pair]
    rewards, laws = drawn(told(**params), *pair, 500)
    assert stats.kstest(rewards, stats.beta(1 + total, 1 + sum(times) - total).cdf).pvalue > 0.005
    for after in range(3):
        law = stats.beta(prior + times[after], 2 * prior + sum(times) - times[after])
        assert stats.kstest(laws[:, after], law.cdf).pvalue > 0.005
    np.testing.assert_allclose(laws.sum(axis=1), 1.0, atol=1e-14)
    assert abs(np.corrcoef(rewards, laws[:, 0])[0, 1]) < 4 / np.sqrt(500)


def test_pairs_are_drawn_each_by_itself() -> None:
    """So that no draw of one is one of another, not even the last and the first."""
    steps = told()
    rows = [drawn(steps, s, a, 200) for s in range(2) for a in range(2)]
    together = np.corrcoef([values for rewards, laws in rows for values in (rewards, laws[:, 0], laws[:, 2])])
    of_one = np.kron(np.eye(4), np.ones((3, 3)))
    assert np.abs(together - together * of_one).max() < 4 / np.sqrt(200)


def test_an_end_can_come_only_once_one_was_seen() -> None:
    steps = Steps(catalog.make("psrl"), 2, 1)
    steps.tell(0, 0, 1.0, 1)
    assert drawn(steps, 0, 0, 20)[1][:, 2].max() == 0.0
    steps.tell(1, 0, 1.0, 2)
    assert drawn(steps, 0, 0, 20)[1][:, 2].min() > 0.0


def test_the_least_prior_makes_laws_too() -> None:
    """Gamma draws of so small a shape are all 0."""
    _, laws = drawn(Steps(catalog.make("psrl", prior=1e-6), 2, 1), 0, 0, 60)
    np.testing.assert_allclose(laws.sum(axis=1), 1.0)
    assert 15 < laws[:, 0].sum() < 45  # a coin: one state comes for sure


@pytest.mark.parametrize(("tsde", "plans"), [(False, [1, 2, 4, 8, 16, 32]), (True, [1, 2, 4, 7, 11, 16, 22, 29, 37])])
def test_a_world_is_drawn_when_a_count_has_doubled_or_was_followed_for_long(tsde: bool, plans: list[int]) -> None:
    """Of one pair, learned again and again; with tsde the epochs of 2 to 8 transitions begin before that."""
    steps = Steps(catalog.make("psrl", tsde=tsde), 2, 2)
    made = []
    for _ in range(38):
        steps.tell(0, 0, 1.0, 0)
        made.append(int(steps.state.plan.made[0]))
    assert [n for n in range(1, 39) if made[n - 1] > (made[n - 2] if n > 1 else 0)] == plans


def test_the_best_policy_of_the_world_that_was_drawn_is_followed() -> None:
    """Whatever was told, by the key of the decision that was learned last; another key draws another world."""
    worlds = []
    for t in (3, 4):
        steps = told()
        instance = Instance(t, np.zeros(2), np.array([True, False]))
        feedback = Feedback(1.0, np.array([1.0]))
        for _ in range(4):  # the eighth visit is twice the fourth
            loop.learn(steps.policy.params, steps.state, instance, Decision(0, 1.0), feedback, Key(RUN, t))
        model, plan = steps.state.model, steps.state.plan
        assert model.open.tolist() == [[True, False], [True, True]]
        exact = planned(model, 1e-11)
        assert plan.gain[0] == pytest.approx(exact.gain[0], abs=0.1 / np.sqrt(10))
        assert [steps.action(s) for s in range(2)] == exact.q.argmax(axis=1).tolist()
        worlds.append(model.reward.copy())
    assert not np.isclose(*worlds).any()


def test_what_is_known_is_drawn_as_it_is() -> None:
    """In state 0 action 1 leads on to state 1, where 0 pays .9 and stays, and 1 goes back."""
    steps = Steps(catalog.make("psrl"), 2, 2)
    for _ in range(1024):
        for row in ((0, 0, 0.5, 0), (0, 1, 0.0, 1), (1, 0, 0.9, 1), (1, 1, 0.2, 0)):
            steps.tell(*row)
    assert [steps.action(0), steps.action(1)] == [1, 0]
    assert steps.state.plan.gain[0] == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize("params", [{"prior": 0}, {"prior": "1/A"}, {"prior": True}, {"prior": None}, {"tsde": 1}])
def test_params_out_of_their_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalog.make("psrl", **params)
    assert refusal.value.code == "bad_param"


@pytest.mark.jit
@pytest.mark.parametrize(
    ("env", "params", "low", "high"),
    [
        ("river_swim", {}, 40.0, 130.0),
        ("river_swim", {"prior": 1.0}, 100.0, 300.0),
        ("inventory", {}, 185.0, 230.0),
    ],
)
def test_regret_is_that_of_an_independent_program(env: str, params: dict[str, Any], low: float, high: float) -> None:
    """Within some three standard errors of its means over 20 seeds, at 10,000 decisions."""
    curves = simulate(catalog.make("psrl", **params), envs.make(env), horizon=10_000, replications=8, seed=1)
    assert low < curves.regret[:, -1].mean() < high
