"""King: its rounds against the program of the paper's experiments, the thinned stream, a reference's figures."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import pytest
from support import stream_runs
from support.passing import NO_KEY

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import PULLS_MAX
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog


def pseudo_code(
    arms: int, trials: int, gap: float | None = None, *, known: bool = True, thinned: bool = False
) -> Generator[tuple[int, float], float, None]:
    """Yield the arms to pull and how often, and take the sums of their rewards. Thinned, all arms are taken twice.

    Where the number of arms is not known, the arm that arrived counts as the last.
    """

    def now(arm: int) -> tuple[float, float, float]:
        k = arms if known else arm + 1
        return round((trials / k) ** (2 / 3), 9), (k / trials) ** (1 / 3), math.log(k)

    u, eps, log_arms = now(0)
    king, record, budget = 0, eps / 2.0, 1.2 * u
    if thinned:
        yield 0, math.ceil(u * log_arms)
    for arm in range(1, arms):
        u, eps, log_arms = now(arm)
        rounds = max(1, math.floor(10.0 * math.log(log_arms)))
        budget += u
        crowned = True
        for level in range(rounds):
            batch = 2.0**level * u
            if budget < batch:
                break
            budget -= batch
            n = math.ceil(batch)
            if (yield arm, n) / n <= record - eps / 5.0:
                crowned = False
                break
        if crowned:
            n = math.ceil(1.2 * u)
            king, budget = arm, 1.2 * u
            record = min(1.0, max((yield arm, n) / n, record + (gap or eps) / 2.0))
        if thinned:
            yield arm, math.ceil(u * log_arms)
    while True:
        yield king, math.inf


@pytest.mark.parametrize("gap", [None, 0.02])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("arms", [1, 2, 3, 40])
def test_rounds_are_those_of_the_program(arms: int, seed: int, gap: float | None) -> None:
    """T / K = 1000, so u = 100 and eps = 0.1."""
    run = stream_runs.run(catalog.make("king", gap=gap), 1000 * arms, arms=arms, slots=1, seed=seed)
    stream_runs.follow(run, pseudo_code(arms, 1000 * arms, gap), 1000 * arms)
    assert run.peak == min(arms, 2)


@pytest.mark.parametrize("seed", range(5))
def test_the_thinned_stream_takes_all_of_few_arms(seed: int) -> None:
    """1.5 / ln 4 is more than 1."""
    run = stream_runs.run(catalog.make("king", thinned=True), 4000, arms=4, slots=2, seed=seed)
    stream_runs.follow(run, pseudo_code(4, 4000, thinned=True), 4000)


def test_of_unknown_arms_the_last_counts_as_the_last() -> None:
    """Later arms pay in less than the first ones did, so there are several rounds, and a last one."""
    policy, most = stream_runs.without(catalog.make("king"), arms=True), 0
    for seed in range(10):
        run = stream_runs.run(policy, 10**6, arms=100, slots=1, seed=seed)
        stream_runs.follow(run, pseudo_code(100, 10**6, known=False), 10**6)
        arms = [arm for arm, *_ in run.batches[:-1]]
        most = max(most, *(arms.count(arm) for arm in arms))
    assert most > 2
    run = stream_runs.run(policy, 10**6, means=[0.0, 0.0, 1.0, 0.5], slots=1)
    stream_runs.follow(run, pseudo_code(4, 10**6, known=False), 10**6)
    assert [arm for arm, *_ in run.batches[:3]] == [1, 2, 2]  # 10 ln ln 3 is less than 1: one round, and a crown


@pytest.mark.parametrize(("slots", "thinned", "peak"), [(1, False, 2), (2, True, 3), (8, True, 3)])
def test_the_thinned_stream_needs_a_second_slot(slots: int, thinned: bool, peak: int) -> None:
    assert stream_runs.peak(catalog.make("king", thinned=thinned), 300_000, arms=300, slots=slots) == peak


def test_the_thinned_stream_takes_one_arm_in_ln_k_and_a_half() -> None:
    arms, trials = 1000, 10**6
    run = stream_runs.run(catalog.make("king", thinned=True), trials, means="uniform", arms=arms, slots=2)
    taken = sum(n == math.ceil(100.0 * math.log(arms)) for _, n, _ in run.batches)
    share = 1.5 / math.log(arms)
    assert abs(taken - share * arms) < 4.0 * math.sqrt(arms * share * (1.0 - share))


def test_the_best_of_the_thinned_stream_is_kept() -> None:
    """Arm 1 is crowned, which lifts the record to 1, out of reach of the better arm 2."""
    env = envs.make("arm_stream", means=[0.25, 0.5, 0.75, 0.0], slots=2)
    run = Simulation(catalog.make("king", gap=2.0, thinned=True), env, horizon=4000)
    run.advance(4000)
    kept = run.world.state.arm
    assert [kept[run.state.king[0]], kept[run.state.thin[0]]] == [1, 2]
    assert run.state.thin_record[1] == math.ceil(100.0 * math.log(4))


def test_the_best_of_the_thinned_stream_is_taken_where_the_full_one_is_given_up() -> None:
    policy = catalog.make("king", thinned=True)
    state = policy.init(policy.params, Problem(100, horizon=10**6, slots=2))
    recommend = loop.recommendation
    state.king[0], state.thin[0] = 1, 0
    assert recommend(policy.params, state, NO_KEY) == 1
    state.spent[0] = 10 * 100 * 465
    assert recommend(policy.params, state, NO_KEY) == 0
    state.thin[0] = -1
    assert recommend(policy.params, state, NO_KEY) == 1  # the program pulls an arm that is not there


@pytest.mark.parametrize("means", [[1.0] * 50, [0.5] * 50, [i / 50 for i in range(50)], [i % 2 for i in range(50)]])
def test_the_full_stream_is_never_given_up(means: list[float]) -> None:
    """It costs 2.2 K u at the most."""
    run = stream_runs.run(catalog.make("king"), 50_000 * 1000, means=means)
    u = 10_000.0
    assert sum(n for _, n, _ in run.batches[:-1]) <= 2.2 * 50 * u


def test_an_arm_that_wins_every_round_is_crowned() -> None:
    """There is one round, for 10 ln ln 3 is less than 1; the program would stop with an error."""
    run = stream_runs.run(catalog.make("king"), 3000, means=[0.0, 1.0, 0.0])
    assert [(arm, n) for arm, n, _ in run.batches] == [(1, 100), (1, 120), (2, 100), (1, 2680)]


@pytest.mark.parametrize(
    "means", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
)
@pytest.mark.parametrize("thinned", [False, True])
def test_arms_that_always_or_never_pay_are_told_apart(means: list[float], thinned: bool) -> None:
    run = stream_runs.run(catalog.make("king", thinned=thinned), 5000, means=means)
    assert means[run.recommended] == max(means)
    assert run.regret == sum(n for arm, n in run.pulls.items() if means[arm] < max(means))


@pytest.mark.parametrize("trials", [1, 4])
def test_fewer_trials_than_arms_end_on_an_arm_that_was_read(trials: int) -> None:
    run = stream_runs.run(catalog.make("king"), trials, means=[0.0, 1.0, 0.5, 0.25, 0.0, 0.5])
    assert 0 <= run.recommended <= trials


def test_the_unit_of_the_rewards_changes_nothing() -> None:
    runs = [
        stream_runs.run(
            catalog.make("king", scale=scale),
            10**6,
            means=[scale * m for m in (0.25, 0.5, 0.125, 0.75, 0.5, 0.625)],
            rewards="two_point",
            sd=scale / 4,
        )
        for scale in (1.0, 4.0)
    ]
    assert [batch[:2] for batch in runs[0].batches] == [batch[:2] for batch in runs[1].batches]
    assert all(n <= PULLS_MAX for _, n, _ in runs[0].batches)


@pytest.mark.parametrize("params", [{"gap": 0}, {"thinned": 1}, {"thinned": "yes"}, {"scale": 0}])
def test_params_out_of_their_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(params))} is"):
        catalog.make("king", **params)


def test_a_thinned_stream_without_a_second_slot_is_refused() -> None:
    policy = catalog.make("king", thinned=True)
    with pytest.raises(InvalidInput, match="needs 2 slots, and this problem has 1") as refused:
        policy.init(policy.params, Problem(10, horizon=100, slots=1))
    assert refused.value.code == "policy_does_not_fit"


MIX = {10**6: (6.161e4, 7e2), 10**8: (1.252e6, 1e4), 10**9: (5.393e6, 5e4)}
HARD = {0.5: (0.490, 0.007), 1.0: (0.901, 0.03), 2.0: (0.634, 0.09), 4.0: (0.040, 0.0005)}


@pytest.mark.jit
def test_regret_is_that_of_the_reference() -> None:
    policy = catalog.make("king")
    for trials, (mean, error) in MIX.items():
        assert stream_runs.agree(stream_runs.regrets(policy, trials, arms=1000, means="uniform"), mean, error), trials


@pytest.mark.jit
def test_regret_with_the_thinned_stream_is_that_of_the_reference() -> None:
    """Ratios to uniform exploration of 1.134 on uniform streams and 1.30 on clear ones, at K = 500, T = 5e5."""
    policy = catalog.make("king", thinned=True)
    for means, mean, error in (("uniform", 1.134 * 5.974e4, 6e2), ("clear", 1.30 * 4.133e4, 2e3)):
        assert stream_runs.agree(stream_runs.regrets(policy, 500_000, arms=500, means=means), mean, error), means


@pytest.mark.jit
def test_the_worst_case_is_that_of_the_reference() -> None:
    policy, scale = catalog.make("king"), stream_runs.hard_scale(1000, 10**9)
    for gap, (mean, error) in HARD.items():
        found = stream_runs.regrets(policy, 10**9, arms=1000, means="hard", gap=gap) / scale
        assert stream_runs.agree(found, mean, error), gap
    assert stream_runs.agree(stream_runs.regrets(policy, 10**9, arms=1000, means="stair") / scale, 0.554, 0.024)
