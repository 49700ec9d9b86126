"""Log-barrier mirror descent: its steps against a known one and another solver, its estimates, what hints are worth."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import brentq

from onearm.engine import loop
from onearm.engine.draws import POLICY, normal, run_key
from onearm.engine.elementary import cos_turns
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.protocol import probability, register_env
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import (
    Array,
    Decision,
    Environment,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.arms.log_barrier_omd import barrier_step

RUN = run_key(1, 0, POLICY)


def step(eta: float, weight: Array, loss: Array) -> Array:
    out = np.zeros(len(weight))
    barrier_step(eta, weight, loss.copy(), out)
    return out


def solved(eta: float, weight: Array, loss: Array) -> Array:
    """Return the same by a bracketing solver."""
    poles = loss + 1.0 / (eta * weight)
    high = min(loss.max(), float((poles - 1.0 / eta).min()))

    def excess(nu: float) -> float:
        return float((1.0 / (1.0 / weight + eta * (loss - nu))).sum()) - 1.0

    nu = loss.min() if excess(high) <= 0.0 else brentq(excess, loss.min(), high, xtol=1e-300, rtol=1e-15)
    return np.asarray(1.0 / (1.0 / weight + eta * (loss - nu)))


def learned(
    policy: Policy, k: int, *events: tuple[int, float, float], available: Array | None = None, context: Any = ()
) -> Any:
    """Return the state after events of (arm, propensity, reward)."""
    context = np.array(context, dtype=np.float64)
    state = policy.init(policy.params, Problem(k, context.shape))
    instance = Instance(0, context, np.ones(k, np.bool_) if available is None else available)
    for arm, propensity, reward in events:
        feedback = Feedback(reward, np.zeros(0))
        loop.learn(policy.params, state, instance, Decision(arm, propensity), feedback, Key(RUN, 0))
    return state


def law_of(policy: Policy, state: Any, available: Array, context: Any = ()) -> Array:
    instance = Instance(9, np.array(context, dtype=np.float64), available)
    return np.array([probability(policy.params, state, instance, a) for a in range(len(available))])


def test_a_step_that_is_known_to_the_digit() -> None:
    found = step(0.5, np.array([0.5, 0.3, 0.2]), np.array([1.0, 0.0, 2.0]))
    assert found == pytest.approx([0.47881115, 0.34225016, 0.1789387], abs=1e-8)


@pytest.mark.parametrize("seed", range(60))
def test_a_step_is_that_of_a_bracketing_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 30))
    weight = np.maximum(rng.dirichlet(np.full(k, 0.3)), 1e-9)
    weight /= weight.sum()
    loss = rng.normal(size=k)
    drawn = int(rng.integers(k))
    loss[drawn] += rng.normal() / weight[drawn]
    eta = 10 ** rng.uniform(-3, 0)
    found = step(eta, weight, loss)
    assert found.sum() == pytest.approx(1.0, abs=1e-14)
    assert found == pytest.approx(solved(eta, weight, loss), rel=1e-7, abs=1e-12)


def test_steps_along_very_large_and_very_small_losses_stay_on_the_simplex() -> None:
    weight = np.array([1.0 - 2e-12, 1e-12, 1e-12])
    for drawn in range(3):
        for size in (-1e12, -1.0, -1e-12, 1e-12, 1.0, 1e12):
            found = step(1.0, weight, np.where(np.arange(3) == drawn, size, 0.0))
            assert (found > 0.0).all()
            assert found.sum() == pytest.approx(1.0, abs=1e-14)
            assert (found[drawn] - weight[drawn]) * size <= 1e-12


def test_a_constant_added_to_all_losses_changes_nothing() -> None:
    weight, loss = np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.0, 1.0])
    assert step(0.5, weight, loss + 8.0).tolist() == step(0.5, weight, loss).tolist()


def test_the_estimate_is_the_hint_and_what_was_not_expected_over_the_propensity() -> None:
    policy = catalog.make("log_barrier_omd", eta=0.25)
    state = learned(policy, 3, (1, 0.125, 0.75), (1, 0.25, 0.25), (0, 0.5, 0.5))
    weight = np.full(3, 1 / 3)
    for estimate in ([0.0, 0.25 / 0.125, 0.0], [0.0, 0.25 + 0.5 / 0.25, 0.0], [0.5 / 0.5, 0.75, 0.0]):
        weight = solved(0.25, weight, np.array(estimate))
    assert state.weight == pytest.approx(weight, abs=1e-13)
    assert state.last.tolist() == [0.5, 0.75, 0.0]


def test_the_mean_of_the_estimates_is_the_loss_of_every_arm() -> None:
    law, hint, loss = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.1, 0.9]), np.array([0.2, 1.0, 0.6])
    policy = catalog.make("log_barrier_omd", eta=1e-3)
    mean = np.zeros(3)
    for arm in range(3):
        state = policy.init(policy.params, Problem(3))
        state.weight[:] = law
        state.last[:] = hint
        instance = Instance(0, np.zeros(0), np.ones(3, np.bool_))
        decision = Decision(arm, float(law[arm]))
        loop.learn(policy.params, state, instance, decision, Feedback(1.0 - loss[arm], np.zeros(0)), Key(RUN, 0))
        # What the step went along, but for the constant nu: (1 / w - 1 / w') / eta.
        along = (1.0 / state.weight - 1.0 / law) / 1e-3
        other = (arm + 1) % 3
        mean += law[arm] * (along - along[other] + hint[other])
    assert mean == pytest.approx(loss, abs=1e-8)


def test_the_step_follows_what_was_not_foreseen() -> None:
    policy = catalog.make("log_barrier_omd", hint="zero")
    weight, steps = np.array([0.5, 0.5]), []
    for t in range(80):
        steps.append(min(0.5, math.sqrt(2 * math.log(2 * (t + 2)) / (1 + 0.81 * t))))
        weight = solved(steps[-1], weight, np.where(np.arange(2) == t % 2, 0.9 / 0.5, 0.0))
    state = learned(policy, 2, *((t % 2, 0.5, 0.1) for t in range(80)))
    assert state.weight == pytest.approx(weight, abs=1e-12)
    assert steps[0] == 0.5 > steps[-1]


def test_what_a_hint_foresaw_does_not_shrink_the_steps() -> None:
    policy = catalog.make("log_barrier_omd")
    weight, last, wrong = np.array([0.5, 0.5]), np.zeros(2), 0.0
    events = [(t % 2, 0.5, 0.3 + 0.1 * (t % 3)) for t in range(90)]
    for t, (arm, propensity, reward) in enumerate(events):
        eta = min(0.5, math.sqrt(2 * math.log(2 * (t + 2)) / (1 + wrong)))
        off = 1.0 - reward - last[arm]
        estimate = last.copy()
        estimate[arm] += off / propensity
        weight = solved(eta, weight, estimate)
        last[arm], wrong = 1.0 - reward, wrong + off * off
    state = learned(policy, 2, *events)
    assert state.weight == pytest.approx(weight, abs=1e-11)
    assert state.wrong[0] == pytest.approx(wrong, rel=1e-12)
    assert wrong < 3.0


def test_the_propensity_is_that_of_the_arms_that_are_available() -> None:
    policy = catalog.make("log_barrier_omd")
    state = learned(policy, 3, (0, 0.5, 0.0), (1, 0.5, 1.0))
    mask = np.array([True, False, True])
    law = law_of(policy, state, mask)
    for t in range(20):
        action, propensity = loop.decide(policy.params, state, Instance(9, np.zeros(0), mask), Key(RUN, t))
        assert propensity == law[action]


def test_the_correction_is_that_of_the_paper() -> None:
    policy = catalog.make("log_barrier_omd", eta=0.25, correction=6.0, hint="zero")
    state = learned(policy, 2, (1, 0.5, 0.25))
    estimate = 0.75 / 0.5
    expected = solved(0.25, np.array([0.5, 0.5]), np.array([0.0, estimate + 6.0 * 0.25 * 0.5 * estimate**2]))
    assert state.weight == pytest.approx(expected, abs=1e-13)


def test_rewards_count_below_the_largest_and_within_1_of_it() -> None:
    moved = learned(catalog.make("log_barrier_omd", reward_max=3.0), 2, (0, 0.5, 2.5), (1, 0.5, -9.0), (0, 0.5, 7.0))
    plain = learned(catalog.make("log_barrier_omd"), 2, (0, 0.5, 0.5), (1, 0.5, 0.0), (0, 0.5, 1.0))
    assert moved.weight.tolist() == plain.weight.tolist()
    assert moved.last.tolist() == [0.0, 1.0]


def test_hints_lean_the_law_towards_what_is_foreseen() -> None:
    everything = np.ones(3, np.bool_)
    events = ((0, 0.5, 0.25), (2, 0.25, 0.5))
    by_arm = catalog.make("log_barrier_omd", eta=0.3)
    state = learned(by_arm, 3, *events)
    expected = solved(0.3, state.weight, np.array([0.75, 0.0, 0.5]))
    assert law_of(by_arm, state, everything) == pytest.approx(expected, abs=1e-13)
    for hint in ("common", "zero"):
        policy = catalog.make("log_barrier_omd", hint=hint)
        state = learned(policy, 3, *events)
        assert state.last.tolist() == ([0.5] * 3 if hint == "common" else [0.75, 0.0, 0.5])
        assert law_of(policy, state, everything) == pytest.approx(state.weight, abs=1e-15)


def test_a_common_hint_is_subtracted_from_every_loss() -> None:
    common = learned(catalog.make("log_barrier_omd", eta=0.3, hint="common"), 2, (0, 0.5, 0.25), (1, 0.5, 0.25))
    first = solved(0.3, np.array([0.5, 0.5]), np.array([0.75 / 0.5, 0.0]))
    assert common.weight == pytest.approx(first, abs=1e-13)  # the second loss was foreseen


def test_a_context_forecasts_the_reward_of_each_arm_or_of_all() -> None:
    policy = catalog.make("log_barrier_omd", eta=0.3, hint="context")
    everything = np.ones(2, np.bool_)
    state = learned(policy, 2, (0, 0.5, 0.25), context=[0.5, 1.0])
    expected = solved(0.3, np.array([0.5, 0.5]), np.array([0.5 + 0.25 / 0.5, 0.0]))
    assert state.weight == pytest.approx(expected, abs=1e-13)
    law = law_of(policy, state, everything, [1.5, -3.0])
    assert law == pytest.approx(solved(0.3, state.weight, np.array([0.0, 1.0])), abs=1e-13)
    single = learned(policy, 2, (0, 0.5, 0.25), context=[0.25])
    assert single.weight == pytest.approx([0.5, 0.5], abs=1e-15)
    assert law_of(policy, single, everything, [0.25]) == pytest.approx([0.5, 0.5], abs=1e-15)


def test_the_others_share_what_an_arm_leaves_that_is_not_available() -> None:
    policy = catalog.make("log_barrier_omd")
    state = learned(policy, 4, (0, 0.25, 0.0), (1, 0.25, 0.5))
    full = law_of(policy, state, np.ones(4, np.bool_))
    mask = np.array([True, False, True, True])
    assert law_of(policy, state, mask) == pytest.approx(np.where(mask, full, 0.0) / full[mask].sum(), abs=1e-15)


def test_a_propensity_of_almost_0_spoils_no_state() -> None:
    state = learned(catalog.make("log_barrier_omd"), 3, (1, 5e-324, 0.0), (1, 5e-324, 1.0), (2, 1e-300, 0.0))
    assert np.isfinite(state.weight).all()
    assert state.weight.min() > 0.0
    assert state.weight.sum() == pytest.approx(1.0, abs=1e-14)


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "arm, common, zero, context"),
        ({"eta": 0.0}, "eta is 0.0"),
        ({"eta": math.nan}, "eta is nan"),
        ({"correction": -1.0}, "correction is -1.0"),
        ({"reward_max": math.inf}, "reward_max is inf"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("log_barrier_omd", **params)
    policy = catalog.make("log_barrier_omd", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[2\]: a forecast has \[3\], .* or \[1\]"):
        policy.init(policy.params, Problem(3, (2,)))


class LevelParams(NamedTuple):
    level: float  # how far the common level of all rewards swings
    noise: float  # standard deviation


class LevelState(NamedTuple):
    """Nothing changes but time."""

    nothing: Array


K, PERIOD, GAP = 8, 2000.0, 0.1


def tide(level: float, noise: float) -> Environment:
    """Rewards around a level that all arms share and that moves slowly; the first arm pays GAP more."""
    return Environment("tide", LevelParams(level, noise), _still, Problem(K), "the best arm")


def _still(params: LevelParams, problem: Problem, run: np.uint64) -> LevelState:
    return LevelState(np.zeros(1))


@kernel
def _respond(
    params: LevelParams, state: LevelState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    mean = 0.5 + params.level * cos_turns(instance.t / PERIOD) + (GAP if action == 0 else 0.0)
    return mean + params.noise * normal(key, action), 0


@kernel
def _regret(params: LevelParams, state: LevelState, instance: Instance, action: int) -> float:
    return 0.0 if action == 0 else GAP


_kernels: dict[str, Any] = {"respond": _respond, "regret": _regret}
register_env(LevelParams, **_kernels)


def regret_in(env: Environment, name: str = "log_barrier_omd", horizon: int = 20_000, **params: Any) -> float:
    policy = catalog.make(name, **params)
    return float(simulate(policy, env, horizon=horizon, replications=10, seed=1).regret[:, -1].mean())


@pytest.mark.filterwarnings("ignore::onearm.engine.errors.RewardWarning")  # the noise takes some a little above 1
@pytest.mark.jit
@pytest.mark.parametrize("hint", ["arm", "common"])
def test_under_a_level_that_moves_slowly_hints_are_worth_3_times_what_theory_has_without(hint: str) -> None:
    env = tide(level=0.3, noise=0.05)
    without = regret_in(env, hint="zero", eta=math.sqrt(K * math.log(20_000) / 20_000))
    assert 3.0 * regret_in(env, hint=hint) < min(without, regret_in(env, "exp3_ix"))
    # At steps of their own choice they are worth less: without hints this level is no worse than noise.
    assert 1.8 * regret_in(env, hint=hint) < regret_in(env, hint="zero")


@pytest.mark.jit
@pytest.mark.parametrize("hint", ["arm", "common"])
def test_against_an_adversary_of_phases_hints_are_worth_3_times_none(hint: str) -> None:
    env = envs.make("adversarial")
    assert 3.0 * regret_in(env, hint=hint, horizon=35_000) < regret_in(env, hint="zero", horizon=35_000)


@pytest.mark.jit
@pytest.mark.parametrize("hint", ["arm", "common", "zero"])
def test_where_losses_are_noise_regret_still_grows_like_the_logarithm(hint: str) -> None:
    env = envs.make("bernoulli", mean=[0.6] + [0.5] * 7)
    early, late = (regret_in(env, hint=hint, horizon=horizon) for horizon in (20_000, 200_000))
    assert late < 2.2 * early  # sqrt(T) would make it 3.2 times as much
    assert early < 0.9 * regret_in(env, "tsallis_inf")
