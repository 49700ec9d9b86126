"""Fourier softmax: a law worked by hand, freedom from units, rewards that come late, and a log that can be judged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.growth import grown
from onearm.engine.oracles import fourier_root
from onearm.engine.oracles.fourier_ridge import FourierRidge
from onearm.engine.problem import fitted
from onearm.engine.protocol import appraise, probability
from onearm.engine.simulation import simulate
from onearm.engine.vectors.constants import constants_of
from onearm.engine.vocabulary import Array, Constant, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = np.uint64(7)


def law_of(policy: Policy, state: Any, instance: Instance) -> list[float]:
    return [float(probability(policy.params, state, instance, a)) for a in range(len(instance.available))]


def play(contexts: Array, rewards: Array) -> list[tuple[int, float]]:
    """Return arms and propensities on float64[n, d] contexts and float64[n, k] rewards."""
    policy = catalog.make("fourier_softmax", temperature=1.0)
    n, k = rewards.shape
    state = policy.init(policy.params, Problem(k, contexts.shape[1:]))
    found = []
    for t in range(n):
        instance = Instance(t, contexts[t], np.ones(k, np.bool_))
        arm, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))[:2]
        found.append((int(arm), float(propensity)))
        feedback = Feedback(float(rewards[t, arm]), np.zeros(0))
        loop.learn(policy.params, state, instance, Decision(int(arm), propensity), feedback, Key(RUN, t))
    return found


def test_without_contexts_the_law_by_hand() -> None:
    """A ridge of one intercept, on rewards less the first: mean = sum / (n + 0.3), width = 1 / sqrt(n + 0.3)."""
    policy = catalog.make("fourier_softmax", temperature=0.5, robust=False)
    state = policy.init(policy.params, Problem(3))
    total, count, square, seen = np.zeros(3), np.zeros(3), 0.0, []
    rewards = np.random.default_rng(1).normal([101.0, 101.5, 101.2], 0.3, (40, 3))
    for t in range(40):
        mean, width = total / (count + 0.3), 1 / np.sqrt(count + 0.3)
        low, high = (min(seen), max(seen)) if seen else (0.0, 0.0)
        sd = math.sqrt((square + (0.5 * (high - low)) ** 2) / (len(seen) + 1.0))
        alpha = 1.0
        if sd > 0.0:
            alpha = max(min(1.5 * sd, *((0.3 * low + 0.7 * high - mean) / width)), 0.2 * sd)
        index = mean + alpha * width
        weight = np.exp((index - index.max()) / (0.5 * alpha * width[np.argmax(index)]))
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        assert law_of(policy, state, instance) == pytest.approx(weight / weight.sum(), rel=1e-6)
        arm = t % 3
        loop.learn(
            policy.params,
            state,
            instance,
            Decision(arm, 1.0),
            Feedback(float(rewards[t, arm]), np.zeros(0)),
            Key(RUN, t),
        )
        reward = rewards[t, arm] - rewards[0, 0]
        square += (reward - mean[arm]) ** 2 / (1 + width[arm] ** 2)
        seen.append(reward)
        total[arm], count[arm] = total[arm] + reward, count[arm] + 1


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize(("scale", "offset"), [(4096.0, 0.0), (2.0**-20, 0.0), (1.0, 2.0**20), (0.5, -(2.0**20))])
def test_units_of_contexts_and_of_rewards_do_not_change_a_bit(scale: float, offset: float) -> None:
    random = np.random.default_rng(2)
    contexts, rewards = random.normal(size=(48, 3)), random.integers(0, 5, size=(48, 3)).astype(float)
    plain = play(contexts, rewards)
    assert len({arm for arm, _ in plain}) == 3
    assert play(contexts * [1024.0, 1.0, 2.0**-20], scale * rewards + offset) == plain


def test_a_law_has_the_same_bits_where_a_log_fills_the_mask_up_to_a_width() -> None:
    """A call brings 7 actions, and its row of a log has room for 20: `verify` compares the propensities."""
    policy = catalog.make("fourier_softmax")
    state = policy.init(policy.params, Problem(20, (20, 3)))
    random = np.random.default_rng(1)
    for t in range(30):
        rows = np.zeros((20, 3))
        rows[:7] = random.normal(size=(7, 3))
        call = Instance(t, rows[:7], np.ones(7, np.bool_))
        padded = law_of(policy, state, Instance(t, rows, np.arange(20) < 7))
        assert padded == law_of(policy, state, call) + [0.0] * 13
        feedback = Feedback(float(random.normal()), np.zeros(0))
        loop.learn(policy.params, state, call, Decision(t % 7, 1.0), feedback, Key(RUN, t))


def test_what_follows_from_the_number_of_arms_stands_in_the_spec() -> None:
    policy = catalog.make("fourier_softmax")
    settled = fitted(policy, Problem(1000, (64,)))
    assert settled.spec["params"] == {
        "temperature": 0.464,
        "regularisation": 1.39,
        "half_life": None,
        "robust": True,
        "coordinates": 80,
        "widest": 1.5,
        "second_order": True,
        "compared": True,
    }
    again = fitted(catalog.from_spec(settled.spec), Problem(3000, (64,)))
    assert (again.params, again.spec) == (settled.params, settled.spec)
    for problem in (Problem(1000), Problem(1000, (1000, 4)), Problem(1000, (1000, 64), nonzeros=9)):
        params = fitted(policy, problem).spec["params"]
        settled = (0.003, 2.0) if problem.context_kind == "named" else (0.1, 0.3)
        assert (params["temperature"], params["regularisation"], params["coordinates"]) == (*settled, None)


@pytest.mark.parametrize(("name", "more"), [("floor", {"minimum": 1e-4}), ("budget", {"cost": [1] * 400, "limit": 1})])
def test_inside_a_wrapper_it_stands_in_the_spec_as_well(name: str, more: dict[str, Any]) -> None:
    policy = catalog.make(name, policy={"name": "fourier_softmax", "params": {}}, **more)
    settled = fitted(policy, Problem(300, (8,)))
    assert settled.spec["params"]["policy"]["params"]["coordinates"] == 160
    assert settled.params.inner.coordinates == 160
    assert set(settled.spec["params"]) == {"policy", *more}
    again = fitted(catalog.from_spec(settled.spec), Problem(300, (8,)))
    assert again.spec == settled.spec
    assert fitted(catalog.make(name, policy={"name": "squarecb", "params": {}}, **more), Problem(300)).resolve is None


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize("settle", [True, False])
def test_arms_that_join_have_as_many_coordinates_as_the_others(settle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fourier_root, "MOST", 32)
    monkeypatch.setattr(fourier_root, "BUDGET", fourier_root.bytes_of(3, 32))
    policy = catalog.make("fourier_softmax")
    if settle:
        policy = fitted(policy, Problem(3, (2,)))
    state = policy.init(policy.params, Problem(3, (2,)))
    before = snapshot.digest(state)
    larger = grown(policy, state, Problem(5, (2,)))
    assert larger.model.ridge.theta.shape == (5, 32)
    assert snapshot.digest(state) == before
    assert fourier_root.coordinates_for(5, 2) < 32
    if settle:  # what a service does with a snapshot that was taken after arms had joined
        like = policy.init(policy.params, Problem(5, (2,)))
        assert snapshot.digest(snapshot.unpack(snapshot.parts(larger), like)) == snapshot.digest(larger)


def test_it_tells_its_coordinates_and_their_memory() -> None:
    policy = fitted(catalog.make("fourier_softmax"), Problem(1000, (4,)))
    state = policy.init(policy.params, Problem(1000, (4,)))
    told = constants_of(policy, state)
    assert told == {"coordinates": Constant(80.0, "problem"), "model_bytes": Constant(28_800_000.0, "problem")}
    assert constants_of(policy, policy.init(policy.params, Problem(1000))) == {}


@pytest.mark.parametrize(
    ("name", "more"), [("floor", {"minimum": 0.001}), ("budget", {"cost": [1.0] * 200, "limit": 2.0}), ("adaptive", {})]
)
def test_a_wrapper_tells_them_too(name: str, more: dict[str, Any]) -> None:
    alone, wrapped = catalog.make("fourier_softmax"), catalog.make(name, policy="fourier_softmax", **more)
    found = []
    for policy in (alone, wrapped):
        settled = fitted(policy, Problem(200, (4,)))
        found.append(constants_of(settled, settled.init(settled.params, Problem(200, (4,)))))
    assert found[0]["coordinates"].value == 192.0
    assert found[1] == found[0]
    plain = fitted(catalog.make(name, policy="ucb1", **more), Problem(200))
    assert constants_of(plain, plain.init(plain.params, Problem(200))) == {}


@pytest.mark.usefixtures("few_cosines")
def test_zero_coordinates_are_the_model_of_the_first_version() -> None:
    policy = catalog.make("fourier_softmax", temperature=0.1, regularisation=0.3, coordinates=0)
    settled = fitted(policy, Problem(200, (4,)))
    assert settled.params == policy.params
    assert isinstance(settled.init(settled.params, Problem(200, (4,))).model, FourierRidge)


@pytest.mark.parametrize("context", [(0,), (4,), (3, 2)])
def test_a_spec_of_the_first_version_stays_as_it_is(context: tuple[int, ...]) -> None:
    stored = {"name": "fourier_softmax", "params": {"temperature": 0.1, "regularisation": 0.3, "half_life": None}}
    settled = fitted(catalog.from_stored(stored), Problem(3, context))
    assert (settled.spec, settled.version) == (stored, 1)


@pytest.mark.parametrize("context", [(0,), (2,), (3, 2)])
def test_predictions_are_told_in_units_of_the_reward(context: tuple[int, ...]) -> None:
    policy = catalog.make("fourier_softmax", regularisation=1e-9)
    state = policy.init(policy.params, Problem(3, context))
    instance = Instance(0, np.ones(context), np.ones(3, np.bool_))
    for t in range(9):
        feedback = Feedback(1000.0 + t % 3, np.zeros(0))
        loop.learn(policy.params, state, instance, Decision(t % 3, 1.0), feedback, Key(RUN, t))
    scores, widths = np.zeros(3), np.zeros(3)
    appraise(policy.params, state, instance, scores, widths)
    expected = [1001.0] * 3 if context == (3, 2) else [1000.0, 1001.0, 1002.0]  # there the rows of actions are alike
    assert scores == pytest.approx(expected, abs=0.02)
    assert ((widths > 0.0) & (widths < 3.0)).all()


@pytest.mark.parametrize("far", [1e50, 1e200])
def test_a_context_far_from_all_others_does_not_spoil_it(far: float) -> None:
    """Its prediction was off by 1e200: the square of that is infinite, and no law was one ever after."""
    policy = catalog.make("fourier_softmax")
    state = policy.init(policy.params, Problem(2, (2, 3)))
    rows, action = np.random.default_rng(5).normal(size=(60, 2, 3)), 0
    rows[20, :, 1] = [far, -far]
    for t in range(60):
        instance = Instance(t, rows[t], np.ones(2, np.bool_))
        if t != 20:
            action = int(np.argmax(rows[t, :, 0]))
        reward = float(rows[t, action, 0] > 0.0)
        loop.learn(policy.params, state, instance, Decision(action, 0.5), Feedback(reward, np.zeros(0)), Key(RUN, t))
    plain = Instance(60, np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0]]), np.ones(2, np.bool_))
    law = law_of(policy, state, plain)
    assert sum(law) == pytest.approx(1.0, rel=1e-12)
    assert law[0] > 0.9


@pytest.mark.jit
def test_late_rewards_do_not_stall_it() -> None:
    """Digits, each reward 400 decisions late: of those of `fourier_ucb`, which repeats itself, .26 are right."""
    digits = {"name": "classification", "params": {"dataset": "digits"}}

    def share(delay: int) -> float:
        env = envs.make("delayed", env=digits, delay=delay)
        n: Any = env.problem.horizon
        return float(
            simulate(catalog.make("fourier_softmax"), env, horizon=n, replications=2, seed=0).reward[:, -1].mean() / n
        )

    assert share(400) > 0.62
    assert share(1) > 0.86, "what comes one decision late is as good as at once"
