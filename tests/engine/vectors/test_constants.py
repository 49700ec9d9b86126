"""Constants: which numbers a policy was given, which it estimates, and what these have come to."""

from __future__ import annotations

import inspect
import math
from typing import Any

import golden
import numpy as np
import pytest
from support.courses import RUN, play

import onearm
from onearm.engine import loop, snapshot
from onearm.engine.domain import ball, simplex
from onearm.engine.vectors.constants import constants_of
from onearm.engine.vocabulary import Constant, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.arms.log_barrier_omd import _step as log_barrier_step

NAMES = [*golden.names("vector"), "log_barrier_omd"]
EXTERNAL = 0.75
GRADIENTS = [[0.3, 0.4], [-3.0, 4.0], [0.0, 1.0]]  # the longest is 5 long
PARAM, ESTIMATE, UNUSED, PROBLEM = "param", "estimate", "unused", "problem"

LEFT_OUT = {  # every param that may be None, and where its number is from then
    ("optimistic_omd", "gradient_max"): ESTIMATE,
    ("optimistic_omd", "smoothness"): ESTIMATE,
    ("optimistic_omd", "convexity"): UNUSED,
    ("optimistic_omd", "step"): ESTIMATE,
    ("optimistic_ftrl", "gradient_max"): ESTIMATE,
    ("optimistic_ftrl", "smoothness"): UNUSED,
    ("optimistic_ftrl", "convexity"): UNUSED,
    ("ftrl", "gradient_max"): ESTIMATE,
    ("gradient_descent", "gradient_max"): ESTIMATE,
    ("gradient_descent", "convexity"): UNUSED,
    ("implicit_omd", "gradient_max"): ESTIMATE,
    ("optimistic_newton", "beta"): PARAM,  # it follows from the other params
    ("optimistic_hedge", "scale"): ESTIMATE,
    ("point_gradient", "delta"): PROBLEM,  # it follows from the horizon
    ("log_barrier_omd", "eta"): ESTIMATE,
}


def build(name: str, **params: Any) -> Policy:
    return catalog.make(name, **golden.SPECIMENS.get(name, {}) | params)


def problem_of(policy: Policy) -> Problem:
    """Return a problem that a policy takes."""
    if policy.actions == ("arm",):
        return Problem(3)
    domain = simplex(3) if policy.feedbacks == ("losses",) else ball(3)
    return Problem(0, horizon=60, domain=domain, feedback=policy.feedbacks[0])


def at_first(policy: Policy) -> dict[str, Constant]:
    return constants_of(policy, policy.init(policy.params, problem_of(policy)))


def after(policy: Policy, gradients: list[list[float]]) -> dict[str, Constant]:
    """Return the constants after gradients of the reward, each learned in time, in a disc of radius 1."""
    state = policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient", horizon=60))
    for t, gradient in enumerate(gradients):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        point = loop.decide(policy.params, state, instance, Key(RUN, t)).action.copy()
        feedback = Feedback(0.0, np.array(gradient))
        loop.learn(policy.params, state, instance, Decision(point, 1.0), feedback, Key(RUN, t))
    return constants_of(policy, state)


def test_every_policy_of_vectors_tells_of_every_param_that_may_be_unknown() -> None:
    optional = set()
    for name in NAMES:
        for param in inspect.signature(catalog.factory(name)).parameters.values():
            if param.annotation == "float | None":
                optional.add((name, param.name))
    assert optional == set(LEFT_OUT)
    for name in NAMES:
        found = at_first(build(name))
        assert found, f"{name} tells nothing"
        for constant in found.values():
            assert type(constant) is Constant and type(constant.value) is float


@pytest.mark.parametrize(("name", "param"), LEFT_OUT)
def test_what_is_given_is_as_given_and_what_is_not_is_told_as_such(name: str, param: str) -> None:
    assert at_first(build(name, **{param: EXTERNAL}))[param] == (EXTERNAL, PARAM)
    value, source = at_first(build(name, **{param: None}))[param]
    assert source == LEFT_OUT[name, param]
    if name != "log_barrier_omd":  # whose eta follows from the number of arms before anything is learned
        assert math.isnan(value) == (source in (ESTIMATE, UNUSED))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "log_barrier_omd"])
def test_estimates_are_numbers_once_something_is_learned_and_reading_changes_nothing(name: str) -> None:
    policy = build(name) if name != "optimistic_hedge" else build(name, scale=None)
    problem = problem_of(policy)
    state = play(policy, problem, "even").state
    before = snapshot.digest(state)
    for value, source in constants_of(policy, state).values():
        assert math.isnan(value) if source == UNUSED else 0.0 < value < math.inf
    assert snapshot.digest(state) == before


@pytest.mark.parametrize("name", ["optimistic_omd", "optimistic_ftrl", "ftrl", "gradient_descent"])
def test_the_bound_on_gradients_is_the_longest_one_learned_or_what_was_given(name: str) -> None:
    assert after(build(name), GRADIENTS)["gradient_max"] == (5.0, ESTIMATE)
    assert after(build(name, gradient_max=6.0), GRADIENTS)["gradient_max"] == (6.0, PARAM)
    assert after(build(name, gradient_max=5.0), GRADIENTS)["gradient_max"] == (5.0, PARAM)
    trusts = name in ("ftrl", "gradient_descent")  # its steps are as they were told to be, whatever comes
    exceeded = (4.0, "exceeded") if trusts else (5.0, ESTIMATE)
    assert after(build(name, gradient_max=4.0), GRADIENTS)["gradient_max"] == exceeded


@pytest.mark.parametrize("name", ["optimistic_ensemble", "optimistic_newton"])
def test_what_a_policy_cannot_do_without_is_as_given_or_exceeded(name: str) -> None:
    assert after(build(name, gradient_max=5.0), GRADIENTS)["gradient_max"] == (5.0, PARAM)
    assert after(build(name, gradient_max=4.0), GRADIENTS)["gradient_max"] == (4.0, "exceeded")


def test_half_of_what_a_hint_was_off_counts_as_a_gradient() -> None:
    there_and_back = [[3.0, 4.0], [-9.0, -12.0]]  # 15 long, and 20 from the hint
    assert after(build("optimistic_omd"), there_and_back)["gradient_max"] == (15.0, ESTIMATE)
    assert after(build("optimistic_ftrl"), [[3.0, 4.0], [-3.0, -4.0]])["gradient_max"] == (5.0, ESTIMATE)


def test_smoothness_is_gradients_over_the_diameter_where_it_is_not_known() -> None:
    for policy in (build("optimistic_omd"), build("optimistic_ftrl", steps="sachs")):
        found = after(policy, GRADIENTS)
        assert (found["smoothness"], found["diameter"]) == ((2.5, ESTIMATE), (2.0, PROBLEM))
        given = build(policy.name, smoothness=0.0, steps="sachs") if "ftrl" in policy.name else None
        if given is not None:
            assert after(given, GRADIENTS)["smoothness"] == (0.0, PARAM)


def test_where_the_steps_are_set_otherwise_the_bounds_are_unused() -> None:
    for policy in (build("optimistic_omd", convexity=0.5, gradient_max=1.0), build("optimistic_omd", step=0.25)):
        found = after(policy, GRADIENTS)
        assert {found[name].source for name in ("gradient_max", "smoothness")} == {UNUSED}
    assert found["step"] == (0.25, PARAM)
    assert after(build("optimistic_omd", convexity=0.5), GRADIENTS)["step"] == (2.0 / (0.5 * 3.0), ESTIMATE)
    for name in ("optimistic_ftrl", "gradient_descent"):
        assert after(build(name, convexity=0.5), GRADIENTS)["gradient_max"].source == UNUSED


def test_constants_that_follow_from_other_params_are_what_the_formulas_say() -> None:
    newton = build("optimistic_newton", gradient_max=3.0, alpha=0.5)
    beta = (0.5 / (4.0 * 3.0 * 2.0), PARAM)
    assert at_first(newton) == {"diameter": (2.0, PROBLEM), "gradient_max": (3.0, PARAM), "beta": beta}
    ensemble = build("optimistic_ensemble", gradient_max=3.0, smoothness=0.5)
    told = {"diameter": (2.0, PROBLEM), "gradient_max": (3.0, PARAM), "smoothness": (0.5, PARAM)}
    assert at_first(ensemble) == told


def test_a_wrapper_tells_its_own_and_what_its_inner_policy_tells_of_gradients_that_are_estimated() -> None:
    policy = build("point_gradient")
    found = at_first(policy)
    assert set(found) == {"delta", "diameter", "gradient_max", "convexity"}
    assert found["delta"] == (min(0.5, math.sqrt(3.0) / 60.0**0.25), PROBLEM)
    learned = constants_of(policy, play(policy, problem_of(policy), "even").state)
    assert learned["gradient_max"].value > 0.0 and learned["gradient_max"].source == ESTIMATE


def test_the_scale_of_losses_is_the_largest_one() -> None:
    engine = onearm.open(
        {"name": "optimistic_hedge", "params": {"scale": None}}, domain=simplex(2, 3.0), feedback="losses"
    )
    engine.learn(engine.decide(), losses=[0.5, -2.0])
    assert engine.constants == {"scale": (6.0, ESTIMATE)}  # of the whole simplex, whose weights add up to 3


def test_implicit_steps_reckon_with_half_of_the_largest_surprise() -> None:
    engine = onearm.open("implicit_omd", domain=ball(1), feedback="example")
    assert math.isnan(engine.constants["gradient_max"].value)
    engine.learn(engine.decide(), loss=5.0, example=([3.0], 5.0))  # |3 x - 5| falls by 3 for each step to the right
    assert engine.constants["gradient_max"].value == pytest.approx(1.5)


@pytest.mark.parametrize("learned", [0, 1, 5, 200])
def test_the_eta_of_log_barriers_is_that_of_the_next_decision(learned: int) -> None:
    policy = build("log_barrier_omd")
    state = policy.init(policy.params, Problem(3))
    for t in range(learned):
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        decision = loop.decide(policy.params, state, instance, Key(RUN, t))
        reward = Feedback(float(t % 2), np.zeros(0))
        loop.learn(policy.params, state, instance, Decision(*decision), reward, Key(RUN, t))
    found = constants_of(policy, state)
    assert found["eta"].value == pytest.approx(log_barrier_step(policy.params, state), rel=1e-12)
    assert found["reward_max"] == (1.0, PARAM)


def test_the_python_doors_tell_them_and_policies_that_have_none_tell_none() -> None:
    engine = onearm.open(domain=ball(2))
    engine.learn(engine.decide(), gradient=[3.0, -4.0])
    assert engine.constants["gradient_max"] == (5.0, ESTIMATE)
    assert onearm.open("log_barrier_omd", arms=2).constants["reward_max"] == (1.0, PARAM)
    assert onearm.open("ucb1", arms=2).constants == {}
