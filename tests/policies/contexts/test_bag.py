"""Bag: Poisson counts, the law as shares of the models, and each model against one that is taught its own sample."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.draws import uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.oracles.choice import oracle
from onearm.engine.oracles.oracle import fit, predict
from onearm.engine.vocabulary import Key, Problem
from onearm.policies.contexts.bag import bag, poisson_one


def test_poisson_counts_have_their_probabilities() -> None:
    u = (np.arange(100_000) + 0.5) / 100_000
    found = Counter(poisson_one(float(v)) for v in u)
    for count in range(6):
        assert found[count] / 100_000 == pytest.approx(math.exp(-1.0) / math.factorial(count), abs=2e-5)
    assert poisson_one(1.0 - 2.0**-53) <= 18


def test_each_model_learns_its_own_sample() -> None:
    problem = Problem(3, (2,))
    policy = bag(models=4, origin=0.0)
    state = x.taught(policy, problem, 0)
    twins = [oracle(problem, regularisation=0.2) for _ in range(4)]
    rng = np.random.default_rng(1)
    for t in range(30):
        context, arm, reward = rng.normal(size=2), int(rng.integers(3)), float(rng.normal())
        x.learn(policy, state, x.instance(t, context), arm, reward)
        for b, twin in enumerate(twins):
            if (times := poisson_one(uniform(Key(x.RUN, t), 1 + b))) > 0:
                fit(twin, context, arm, reward, float(times))
    context = np.array([0.3, -0.7])
    votes = np.zeros(3)
    for b, twin in enumerate(twins):
        scores = np.zeros(3)
        predict(twin, context, np.ones(3, np.bool_), scores)
        assert np.array_equal(state.models.theta[b], twin.theta)
        votes[scores.argmax()] += 0.25
    assert x.law_of(policy, state, x.instance(30, context)).tolist() == votes.tolist()


def test_models_that_never_learned_an_arm_vote_for_it() -> None:
    policy = bag(models=8)
    state = policy.init(policy.params, Problem(4))
    assert x.law_of(policy, state, x.instance(0, k=4)) == pytest.approx([0.25] * 4, rel=1e-15)
    x.learn(policy, state, x.instance(0, k=4), 1, 1.0)
    learned = int(state.learned[:, 1].sum())
    assert 0 < learned < 8
    others = learned / 8 / 3 + (8 - learned) / 8 / 4
    expected = [others, (8 - learned) / 8 / 4, others, others]
    assert x.law_of(policy, state, x.instance(1, k=4)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("models", [0, 1001, 2.0, True])
def test_a_number_of_models_out_of_range_is_refused(models: object) -> None:
    with pytest.raises(InvalidInput, match="models"):
        bag(models=models)  # type: ignore[arg-type]
