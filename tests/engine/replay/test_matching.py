"""Matching: a policy on somebody else's log, against hand-worked rows and the simulated truth."""

from __future__ import annotations

import math
from typing import Any

import golden
import numpy as np
import pytest
from support.witness import witness
from support.worlds import squall

from onearm.engine import estimate, loop
from onearm.engine.columns import empty, rewarded, take
from onearm.engine.draws import EVALUATION, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.interval import Z95
from onearm.engine.replay.matching import Contender, Even, match
from onearm.engine.replay.targets import Fixed, Logged, at
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.snapshot import digest
from onearm.engine.vocabulary import Columns, Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

MEAN = [0.3, 0.5, 0.7]
EVEN = [name for name in golden.names("arm") if golden.specimen(name).even]


def rows(actions: list[int], rewards: list[float], n_arms: int = 2) -> Columns:
    table = empty(len(actions), Problem(n_arms))
    table.action[:], table.reward[:] = actions, rewards
    return table


def stderr(terms: estimate.Terms) -> float:
    found = estimate.normal(terms)
    return (found.high - found.low) / 2 / Z95


def uniform_log(steps: int) -> Columns:
    env = envs.make("bernoulli", mean=MEAN)
    return rewarded(Simulation(policies.make("uniform"), env, horizon=steps, seed=11).advance_logged(steps))


def test_ucb1_on_hand_worked_rows() -> None:
    """It asks for arm 0, then for arm 1 until it sees it, then for the better mean: the rejected rows teach nothing."""
    table = rows([1, 0, 0, 1, 1, 0, 0], [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    found = match(policies.make("ucb1", alpha=0.01), Problem(2), table)
    assert found.agrees.tolist() == [False, True, False, True, True, False, False]
    assert found.target.tolist() == [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert estimate.match(table.reward, found.agrees).value == 2 / 3


def test_the_clock_counts_matches_and_the_draws_count_rows() -> None:
    """The draw at a row is the draw keyed by the row's number, also behind rejected rows."""
    n = 40
    table = rows([0] * n, [0.0] * n, n_arms=4)
    found = match(policies.make("uniform"), Problem(4), table, seed=5)
    run = run_key(5, 0, EVALUATION)
    assert found.agrees.tolist() == [int(uniform(Key(run, row), 0) * 4) == 0 for row in range(n)]
    assert found.target.tolist() == [0.25] * n


def test_matching_is_deciding_on_a_clock_of_matches_and_learning_where_both_agree() -> None:
    """One row at a time through the loop, with a policy whose decisions depend on its clock, context and mask."""
    log = rewarded(Simulation(policies.make("uniform"), squall(0), horizon=200, seed=8).advance_logged(200))
    policy, problem, run = witness(unknown=False), Problem(4, (2,)), run_key(6, 0, EVALUATION)
    state, matched, agrees = policy.init(policy.params, problem), 0, []
    for row in range(200):
        instance, key = Instance(matched, log.context[row], log.available[row]), Key(run, row)
        decision = Decision(*loop.decide(policy.params, state, instance, key))
        agrees.append(bool(decision.action == log.action[row]))
        if agrees[-1]:
            feedback = Feedback(log.reward[row], np.zeros(0))
            loop.learn(policy.params, state, instance, decision, feedback, key)
            matched += 1
    assert 20 < matched < 180
    assert match(policy, problem, log, seed=6).agrees.tolist() == agrees


def test_a_policy_without_a_known_law_counts_where_it_agrees() -> None:
    table = rows([0, 1] * 10, [1.0] * 20)
    found = match(witness(), Problem(2), table)
    assert 0 < found.agrees.sum() < 20
    assert found.target.tolist() == found.agrees.astype(float).tolist()


@pytest.mark.usefixtures("coarse_quadrature")
@pytest.mark.parametrize("name", golden.without_states())
def test_the_policy_that_made_a_log_agrees_with_all_of_it(name: str) -> None:
    """With prompt rewards and the keys of a replay every decision comes out again, its propensity as the target."""
    env = envs.make("bernoulli", mean=MEAN)
    run = Simulation(golden.specimen(name), env, horizon=30, seed=8)
    run.run = run_key(8, 0, EVALUATION)
    log = rewarded(run.advance_logged(30))
    found = match(golden.specimen(name), run.problem, log, seed=8)
    assert found.agrees.all()
    known = ~np.isnan(log.propensity)
    assert np.allclose(found.target[known], log.propensity[known], rtol=1e-12, atol=0)


def test_a_policy_that_is_judged_draws_apart_from_the_one_that_made_the_log() -> None:
    """Under one seed, uniform agrees with a uniform log as often as by chance, whatever it learns."""
    n = 1500
    log = rewarded(Simulation(policies.make("uniform"), envs.make("bernoulli", mean=MEAN), horizon=n).advance_logged(n))
    for learn in ("matched", "logged", "nothing", 0.5):
        found = match(policies.make("uniform"), Problem(3), log, learn=learn)
        assert abs(found.agrees.sum() - n / 3) < 4.0 * math.sqrt(n * 2 / 9), learn


def test_masks_are_honoured() -> None:
    """The log of a world whose arms come and go: the target is 1 over the number of arms that were there."""
    log = rewarded(Simulation(policies.make("uniform"), squall(0), horizon=60, seed=8).advance_logged(60))
    found = match(policies.make("uniform"), Problem(4, (2,)), log, seed=1)
    assert found.target.tolist() == (1.0 / log.available.sum(axis=1)).tolist()


def test_pages_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    log = rewarded(Simulation(policies.make("uniform"), squall(0), horizon=50, seed=8).advance_logged(50))
    whole = match(policies.make("exp3_ix"), Problem(4, (2,)), log, seed=1)
    monkeypatch.setattr("onearm.engine.replay.matching.PAGE", 7)
    done: list[int] = []
    parts = match(policies.make("exp3_ix"), Problem(4, (2,)), log, seed=1, progress=done.append)
    assert np.array_equal(whole.agrees, parts.agrees) and np.array_equal(whole.target, parts.target)
    assert done == [7] * 7 + [1]


def squalls(rows: int) -> Columns:
    return rewarded(Simulation(policies.make("uniform"), squall(0), horizon=rows, seed=8).advance_logged(rows))


def test_learning_what_was_logged_is_deciding_and_then_learning_the_logged_action_with_its_propensity() -> None:
    """One row at a time through the loop: the clock counts rows, and exp3 divides by the logged propensity."""
    log, problem, run = squalls(60), Problem(4, (2,)), run_key(6, 0, EVALUATION)
    for policy in (witness(unknown=False), policies.make("exp3_ix")):
        state, chosen = policy.init(policy.params, problem), []
        for row in range(60):
            instance, key = Instance(row, log.context[row], log.available[row]), Key(run, row)
            chosen.append(int(loop.decide(policy.params, state, instance, key).action))
            logged = Decision(int(log.action[row]), float(log.propensity[row]))
            loop.learn(policy.params, state, instance, logged, Feedback(float(log.reward[row]), np.zeros(0)), key)
        found = Contender(policy, problem, 60, learn="logged", seed=6).judge(log)
        assert found.chosen.tolist() == chosen


def test_a_policy_that_learns_nothing_decides_every_row_as_its_first() -> None:
    log = squalls(60)
    found = Contender(policies.make("linucb"), Problem(4, (2,)), 60, learn="nothing").judge(log)
    for row in range(60):
        alone = Contender(policies.make("linucb"), Problem(4, (2,)), 60).judge(take(log, slice(row, row + 1)))
        assert found.chosen[row] == alone.chosen[0]


@pytest.mark.parametrize("cuts", [[60], [7, 23, 24, 60], [24, 60]])
def test_a_share_is_learned_as_logged_and_the_rest_judged_by_what_came_of_it(cuts: list[int]) -> None:
    log, problem = squalls(60), Problem(4, (2,))
    first = Contender(policies.make("linucb"), problem, 60, learn="logged", seed=3).judge(log)
    part = Contender(policies.make("linucb"), problem, 60, learn=0.4, seed=3)
    found = [part.judge(take(log, slice(*ends))) for ends in zip([0, *cuts], cuts, strict=False)]
    chosen = np.concatenate([each.chosen for each in found])
    assert chosen[:24].tolist() == first.chosen[:24].tolist()
    policy, run = policies.make("linucb"), run_key(3, 0, EVALUATION)
    state = policy.init(policy.params, problem)
    for row in range(60):
        instance, key = Instance(min(row, 24), log.context[row], log.available[row]), Key(run, row)
        assert loop.decide(policy.params, state, instance, key).action == chosen[row]
        if row < 24:
            logged = Decision(int(log.action[row]), float(log.propensity[row]))
            loop.learn(policy.params, state, instance, logged, Feedback(float(log.reward[row]), np.zeros(0)), key)


def test_what_is_expected_is_the_mean_of_predictions_by_the_law() -> None:
    log, problem = squalls(50), Problem(4, (2,))
    predicted = np.random.default_rng(1).normal(size=(50, 4))
    uniform = Contender(policies.make("uniform"), problem, 50).judge(log, predicted)
    by_hand = [row[mask].mean() for row, mask in zip(predicted, log.available, strict=True)]
    assert np.allclose(uniform.expected, by_hand, rtol=1e-14)
    certain = Contender(policies.make("linucb"), problem, 50).judge(log, predicted)
    assert certain.expected.tolist() == at(predicted, certain.chosen).tolist()
    unknown = Contender(witness(), problem, 50).judge(log, predicted)  # it does not tell its law
    assert unknown.expected.tolist() == at(predicted, unknown.chosen).tolist()
    greedy = Contender(policies.make("epsilon_greedy", epsilon=0.2), problem, 50, learn="nothing").judge(log, predicted)
    assert not np.allclose(greedy.expected, at(predicted, greedy.chosen))


@pytest.mark.parametrize("masks", ["every", "one", "each"])
@pytest.mark.parametrize("predicts", [False, True])
@pytest.mark.parametrize("name", EVEN)
def test_what_is_drawn_evenly_at_once_is_what_an_even_policy_draws(name: str, masks: str, predicts: bool) -> None:
    log, problem = squalls(60), Problem(4, (2,))
    if masks != "each":
        mask = np.array([[True, masks == "every", True, True]])
        log = log._replace(available=mask, action=np.where(mask[0, log.action], log.action, 0))
    predicted = np.random.default_rng(1).normal(size=(60, 4)) if predicts else np.zeros((60, 0))
    plain, even = (each(policies.make(name), problem, 60, seed=5, part=2) for each in (Contender, Even))
    for page in (slice(0, 17), slice(17, 60)):
        expected, found = (each.judge(take(log, page), predicted[page]) for each in (plain, even))
        for one, other in zip(expected, found, strict=True):
            assert one.tobytes() == other.tobytes() and one.dtype == other.dtype


def test_a_fixed_action_takes_the_first_available_one_where_it_is_not() -> None:
    log = squalls(60)
    predicted = np.arange(240.0).reshape(60, 4)
    found = Fixed(2, 4).judge(log, predicted)
    for row, mask in enumerate(log.available):
        assert found.chosen[row] == (2 if mask[2] else np.flatnonzero(mask)[0])
        assert found.target[row] == (found.chosen[row] == log.action[row])
        assert found.expected[row] == predicted[row, found.chosen[row]]
    assert 0 < found.target.sum() < 60
    with pytest.raises(InvalidInput, match="there is no action 4"):
        Fixed(4, 4)


def test_the_logs_own_policy_is_what_was_logged() -> None:
    log, predicted = squalls(20), np.arange(80.0).reshape(20, 4)
    found = Logged().judge(log, predicted)
    assert (found.chosen.tolist(), found.target.tolist()) == (log.action.tolist(), log.propensity.tolist())
    assert found.expected.tolist() == [4.0 * row + action for row, action in enumerate(log.action)]


@pytest.mark.parametrize(
    ("learn", "words"),
    [(0.0, "the share is within"), (1.0, "the share is within"), ("half", "matched, logged, nothing")],
)
def test_a_way_of_learning_that_there_is_not_is_refused(learn: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Contender(policies.make("ucb1"), Problem(2), 10, learn=learn)


def test_a_row_of_unknown_propensity_is_learned_as_logged_where_the_policy_does_not_divide_by_it() -> None:
    known = rows([0, 1, 1], [1.0, 0.0, 1.0])._replace(propensity=np.full(3, 0.5))
    table = known._replace(propensity=np.array([0.5, np.nan, 0.5]))
    with pytest.raises(InvalidInput, match="the propensity of row 1 is unknown, and policy 'exp3_ix' divides by it"):
        Contender(policies.make("exp3_ix"), Problem(2), 3, learn="logged").judge(table)
    learned = [Contender(policies.make("ucb1"), Problem(2), 3, learn="logged") for _ in range(2)]
    for contender, log in zip(learned, (known, table), strict=True):
        contender.judge(log)
    assert digest(learned[0].state) == digest(learned[1].state)


@pytest.mark.parametrize("name", ["early_drop", "ucb1"])
def test_a_log_of_moves_is_not_matched(name: str) -> None:
    """What comes next depends on what was dropped before, so another policy would have met other arms."""
    run = Simulation(policies.make("early_drop"), envs.make("arm_stream", arms=5), horizon=200, seed=8)
    log = rewarded(run.advance_logged(200))
    with pytest.raises(InvalidInput, match="each move changes which are possible later") as refused:
        match(policies.make(name), run.problem, log)
    assert refused.value.code == "no_matching"


def test_an_empty_log_is_matched_without_a_word() -> None:
    found = match(policies.make("ucb1"), Problem(2), empty(0, Problem(2)))
    assert len(found.agrees) == len(found.target) == 0


@pytest.mark.jit
@pytest.mark.parametrize("name", ["ucb1", "epsilon_greedy", "exp3_ix", "moss"])
def test_match_on_a_uniform_log_is_unbiased_against_the_simulated_truth(name: str) -> None:
    """The matched rows are a run of the policy: they earn what simulated decisions earn, within 4 standard errors.

    Li et al. 2011, theorem 1; logs of 3,000 decisions each, so m is about 1,000 and the policy is still learning.
    """
    logs, horizon = 100, 3_000
    log = uniform_log(logs * horizon)
    totals, lengths = [], []
    for i in range(logs):
        part = take(log, slice(i * horizon, (i + 1) * horizon))
        found = match(golden.specimen(name), Problem(3, horizon=900), part, seed=i)
        m = int(found.agrees.sum())
        totals.append(float(part.reward[found.agrees][:900].mean()))
        lengths.append(m)
    assert min(lengths) >= 900
    truth = simulate(golden.specimen(name), envs.make("bernoulli", mean=MEAN), horizon=900, replications=400, seed=77)
    earned = truth.reward[:, -1] / 900
    error = math.sqrt(np.var(totals, ddof=1) / logs + earned.var(ddof=1) / 400)
    assert abs(np.mean(totals) - earned.mean()) < 4 * error
    assert error < 0.01


@pytest.mark.jit
def test_snips_with_a_known_law_finds_the_value_of_that_law() -> None:
    """A log drawn by (0.2, 0.3, 0.5), a target (0.25, 0.25, 0.5): closed form 0.55."""
    generator = np.random.default_rng(3)
    n = 200_000
    law = np.array([0.2, 0.3, 0.5])
    action = generator.choice(3, n, p=law)
    reward = (generator.random(n) < np.array(MEAN)[action]).astype(float)
    target = np.array([0.25, 0.25, 0.5])
    found = estimate.snips(reward, law[action], target[action])
    assert abs(found.value - float(target @ MEAN)) < 4 * stderr(found) < 0.01
    table = rows(action.tolist(), reward.tolist(), n_arms=3)._replace(propensity=law[action])
    run = match(policies.make("uniform"), Problem(3), table)
    by_run = estimate.snips(table.reward, table.propensity, run.target)
    assert abs(by_run.value - 0.5) < 4 * stderr(by_run) < 0.01
    biased = estimate.match(table.reward, run.agrees)  # as a uniform policy's, it sees the log's own mixture
    assert abs(biased.value - float(law @ MEAN)) < 4 * stderr(biased)
