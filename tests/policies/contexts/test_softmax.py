"""Softmax: its law by hand, with the noise given and estimated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.vocabulary import Problem
from onearm.policies import catalog
from onearm.policies.contexts.softmax import softmax

NAMED = Problem(3, (3, 64), nonzeros=9)


@pytest.mark.parametrize("noise", [None, 2.0])
def test_the_law_by_hand(noise: float | None) -> None:
    policy = softmax(sharpness=1.5, noise=noise, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, Problem(3))
    for t, (arm, reward) in enumerate([(0, 2.0), (1, 1.0), (1, 3.0)]):
        x.learn(policy, state, x.instance(t), arm, reward)
    sd = noise or math.sqrt((2.0**2 + 1.0**2 + 2.5**2) / 3)
    weights = np.exp(1.5 * np.array([1.0, 4.0 / 3.0, 0.0]) / sd)
    assert x.law_of(policy, state, x.instance(3)) == pytest.approx(weights / weights.sum(), rel=1e-12)


def test_two_actions_are_drawn_as_vowpal_wabbit_draws_them() -> None:
    """Lambda 1 and scores 0.23942 apart: its softmax explorer gives .559575 and .440425."""
    policy = softmax(sharpness=1.0, noise=1.0, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, Problem(2))
    x.learn(policy, state, x.instance(0, k=2), 0, 2.0 * math.log(0.559575 / 0.440425))
    assert x.law_of(policy, state, x.instance(1, k=2)) == pytest.approx([0.559575, 0.440425], abs=1e-12)


def test_the_sharpness_that_is_left_out_follows_from_the_kind_of_contexts() -> None:
    policy = catalog.make("softmax")
    for problem, sharpness in ((Problem(3), 8.0), (Problem(3, (2,)), 8.0), (NAMED, 16.0)):
        settled = fitted(policy, problem)
        assert settled.params.sharpness == settled.spec["params"]["sharpness"] == sharpness
        assert settled.spec["params"].keys() == policy.spec["params"].keys()
        assert fitted(catalog.from_spec(settled.spec), NAMED).params == settled.params
    assert fitted(catalog.make("softmax", sharpness=8.0), NAMED).params.sharpness == 8.0


def test_params_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="sharpness"):
        softmax(sharpness=-1.0)
