"""A world fitted to a log: its best policy, and what others earn, against the world that the log came from."""

from __future__ import annotations

import numpy as np
import pytest
from support.every_run import every_run

from onearm.api.offline.fitted_world import HARDLY, Worth, fit, plan, shares, worth
from onearm.api.offline.transitions import Transitions
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.states.optimum import gain_from, optimum
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import LEARN, Array
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


def logged(name: str, steps: int, seed: int, policy: str = "uniform") -> Transitions:
    simulation = Simulation(policies.make(policy), envs.make(name), horizon=steps, seed=seed)
    log = simulation.advance_logged(steps)
    rows = log.kind == LEARN
    states, arms = simulation.problem.states or 0, simulation.problem.n_arms
    place, begins = log.context[rows].T
    following = log.detail[rows, 0].astype(np.int64)
    return Transitions(
        range(states),
        range(arms),
        place.astype(np.int64),
        log.action[rows],
        log.reward[rows],
        following,
        begins == 1,
        [],
    )


def table(
    state: list[int], action: list[int], reward: list[float], following: list[int], begins: list[int]
) -> Transitions:
    n = max(state) + 1
    first = np.isin(np.arange(len(state)), begins)
    return Transitions(
        range(n), range(2), np.array(state), np.array(action), np.array(reward), np.array(following), first, []
    )


def test_a_log_by_hand_is_what_was_counted() -> None:
    """Two units: 0 -> 1 -> end, and 0 -> 0 -> end."""
    world = fit(table([0, 1, 0, 0], [0, 1, 0, 0], [1.0, 0.0, 0.5, 0.0], [1, 2, 0, 2], [0, 2]))
    assert world.visits.tolist() == [[3.0, 0.0], [0.0, 1.0]]
    assert world.reward.tolist() == [[0.5, 0.0], [0.0, 0.0]]
    assert world.law[0, 0].tolist() == pytest.approx([2 / 3, 1 / 3])  # an end leads to where units began, which is 0
    assert world.law[1, 1].tolist() == [1.0, 0.0]
    assert world.is_open.tolist() == [[True, False], [False, True]]
    assert shares(world.law, np.array([[1.0, 0.0], [0.0, 1.0]]), world.begin) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("name", every_run(["admission", "inventory", "garnet"], ["inventory", "garnet"]))
def test_the_best_policy_of_the_log_is_nearly_that_of_the_world(name: str) -> None:
    log = logged(name, 4_000, 4)
    transitions, reward, is_open = tables_of(envs.make(name))
    best = plan(fit(log), log, draws=40)
    truth = optimum(transitions, reward, is_open)
    assert gain_from(transitions, reward, best.found.policy, 0) >= truth.gain - 0.01
    assert best.worth.low <= truth.gain <= best.worth.high + 0.02
    assert best.agreement.sum(axis=1) == pytest.approx(np.ones(len(reward)))


@pytest.mark.parametrize("arm", every_run([0, 1], [1]))
def test_what_another_policy_earns_is_within_three_standard_errors(arm: int) -> None:
    """Ten logs of admission: the error of the mean, and how often the interval holds."""
    transitions, reward, _ = tables_of(envs.make("admission"))
    policy = np.repeat(np.eye(2)[[arm]], 20, axis=0)
    truth = gain_from(transitions, reward, np.full(20, arm), 0)
    found = [worth(fit(log), log, policy, draws=20) for log in (logged("admission", 1_500, seed) for seed in range(10))]
    gains = np.array([each.gain for each in found])
    assert abs(gains.mean() - truth) <= 3.0 * gains.std() / np.sqrt(10) + 1e-12
    assert sum(each.low - 1e-9 <= truth <= each.high + 1e-9 for each in found) >= 8


def test_the_logs_own_policy_is_worth_its_mean_reward() -> None:
    log = logged("service", 2_000, 2)
    world = fit(log)
    found: Worth = worth(world, log, _as_logged(world.visits), draws=20)
    assert found.gain == pytest.approx(log.reward.mean(), abs=0.01)
    assert found.by_ratios == pytest.approx(found.gain, abs=1e-6)
    assert found.effective_sample_size >= 0.95 * len(log.reward)


def _as_logged(visits: Array) -> Array:
    return np.where(visits.any(axis=1, keepdims=True), visits, 1.0)


def test_who_goes_where_the_log_hardly_was_is_told_so() -> None:
    """Speed 0 lets the queue grow to its end, where a log at random hardly ever was."""
    log = logged("service", 2_000, 1)
    slow, fast = (worth(fit(log), log, np.repeat(np.eye(4)[[a]], 20, axis=0), draws=20) for a in (0, 3))
    assert slow.hardly_seen > HARDLY > fast.hardly_seen
    never = table([0, 0, 1], [0, 0, 1], [1.0, 1.0, 0.0], [0, 1, 0], [0])
    assert worth(fit(never), never, np.array([[0.0, 1.0], [0.0, 1.0]]), draws=20).hardly_seen > 0.5


def test_a_log_of_two_parts_is_refused() -> None:
    with pytest.raises(InvalidInput, match="for ever in the states 0, and for ever in 1"):
        fit(table([0, 1, 0, 1], [0, 0, 0, 0], [0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1], [0, 1]))


def test_the_same_seed_draws_the_same_worlds() -> None:
    log = logged("backoff", 500, 1)
    first, again, other = (plan(fit(log), log, seed=seed, draws=20).worth for seed in (1, 1, 2))
    assert first == again
    assert first != other
