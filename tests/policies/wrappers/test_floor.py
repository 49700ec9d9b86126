"""The floor: its law is the mixture and is drawn from, the inner policy learns, and what cannot be mixed is refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import typeof
from numba.core.registry import cpu_target
from support.witness import witness

from onearm.engine import loop, protocol, snapshot
from onearm.engine.compiled.entries import EntryCache
from onearm.engine.draws import POLICY, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import KERNELS
from onearm.engine.protocol import probability
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.arms.ucb1 import ucb1
from onearm.policies.wrappers.floor import FloorParams

RUN = run_key(1, 0, POLICY)
THREE_OF_FOUR = np.array([True, False, True, True])


def instance(t: int, available: Array) -> Instance:
    return Instance(t, np.zeros(0), available)


def law_of(policy: Policy, state: Any, at: Instance) -> Array:
    return np.array([probability(policy.params, state, at, a) for a in range(len(at.available))])


def decide(policy: Policy, state: Any, at: Instance) -> Decision:
    return Decision(*loop.decide(policy.params, state, at, Key(RUN, at.t)))


def after_feedback(policy: Policy, k: int) -> Any:
    """Return a state that has seen every arm once, the last one being the best."""
    state = policy.init(policy.params, Problem(k))
    for arm in range(k):
        feedback = Feedback(arm / k, np.zeros(0))
        at = instance(arm, np.ones(k, np.bool_))
        loop.learn(policy.params, state, at, Decision(arm, 0.5), feedback, Key(RUN, arm))
    return state


def test_the_law_of_a_greedy_inner_policy_is_a_hand_worked_one() -> None:
    policy = catalog.make("floor", policy="ucb1", minimum=0.1)
    state = after_feedback(policy, 4)
    assert law_of(policy, state, instance(9, np.ones(4, np.bool_))) == pytest.approx([0.1, 0.1, 0.1, 0.7], rel=1e-15)
    assert law_of(policy, state, instance(9, THREE_OF_FOUR)) == pytest.approx([0.1, 0.0, 0.1, 0.8], rel=1e-15)
    assert law_of(policy, state, instance(9, np.arange(4) == 1)) == pytest.approx([0, 1, 0, 0], rel=1e-15)


@pytest.mark.parametrize("inner", ["thompson_beta", "thompson_normal", "epsilon_greedy", "exp3_ix"])
def test_the_law_is_the_mixture(inner: str) -> None:
    policy = catalog.make("floor", policy=inner, minimum=0.06)
    state = after_feedback(policy, 4)
    for available, k in ((np.ones(4, np.bool_), 4), (THREE_OF_FOUR, 3)):
        at = instance(9, available)
        law = law_of(policy, state, at)
        within = np.array([probability(policy.params.inner, state.inner, at, a) for a in range(4)])
        assert law == pytest.approx(np.where(available, 0.06 + (1 - 0.06 * k) * within, 0.0), rel=1e-14)
        assert law.sum() == pytest.approx(1.0, abs=1e-14)


def test_one_uniform_chooses_the_branch_and_the_arm() -> None:
    """Below 3 x 0.2 it names an available arm, above it the inner policy decides: UCB1 takes the last one."""
    policy = catalog.make("floor", policy="ucb1", minimum=0.2)
    state = after_feedback(policy, 4)
    digest = snapshot.digest(state)
    for t in range(4, 204):
        u = uniform(Key(RUN, t), 2**32 - 1)
        arm = 0 if u < 0.2 else 2 if u < 0.4 else 3
        decision = decide(policy, state, instance(t, THREE_OF_FOUR))
        assert decision.action == arm
        assert decision.propensity == pytest.approx(0.6 if arm == 3 else 0.2, rel=1e-14)
    assert snapshot.digest(state) == digest


@pytest.mark.parametrize("inner", ["ucb1", "epsilon_greedy"])
def test_frequencies_are_the_law_and_propensities_are_its_values(inner: str) -> None:
    policy = catalog.make("floor", policy=inner, minimum=0.15)
    state = after_feedback(policy, 4)
    draws, count = 1000, np.zeros(4)
    law = law_of(policy, state, instance(4, THREE_OF_FOUR))
    for t in range(draws):
        # UCB1's law depends on the clock, which must stand still here: the draws come from the key.
        decision = Decision(*loop.decide(policy.params, state, instance(4, THREE_OF_FOUR), Key(RUN, t)))
        assert decision.propensity == law[decision.action]
        count[decision.action] += 1
    assert (np.abs(count / draws - law) <= 4 * np.sqrt(law * (1 - law) / draws)).all()


def test_a_minimum_of_1_over_k_is_the_uniform_law() -> None:
    for k in (1, 3, 10, 49):
        policy = catalog.make("floor", policy="ucb1", minimum=1 / k)
        state = policy.init(policy.params, Problem(k))
        at = instance(0, np.ones(k, np.bool_))
        assert law_of(policy, state, at) == pytest.approx([1 / k] * k, rel=1e-14)
        assert decide(policy, state, at).propensity == pytest.approx(1 / k, rel=1e-14)


def test_the_inner_policy_learns_with_the_logged_propensity() -> None:
    """Exp3-IX divides by the propensity that it's given."""
    alone, policy = catalog.make("exp3_ix"), catalog.make("floor", policy="exp3_ix", minimum=0.1)
    expected, state = alone.init(alone.params, Problem(3)), policy.init(policy.params, Problem(3))
    for params, learner in ((alone.params, expected), (policy.params, state)):
        at, feedback = instance(3, np.ones(3, np.bool_)), Feedback(0.25, np.zeros(0))
        loop.learn(params, learner, at, Decision(1, 0.125), feedback, Key(RUN, 3))
    assert state.inner.loss.tolist() == expected.loss.tolist()
    assert expected.loss[1] > 0.75 / 0.5


def test_a_floor_that_leaves_no_room_is_refused_when_the_problem_is_known() -> None:
    policy = catalog.make("floor", policy="ucb1", minimum=0.3)
    policy.init(policy.params, Problem(3))
    with pytest.raises(InvalidInput, match=r"minimum is 0.3 and there are 4 arms: .* take a minimum up to 0.25"):
        policy.init(policy.params, Problem(4))


@pytest.mark.parametrize("minimum", [0.0, -0.1, 1.1, math.nan])
def test_what_is_not_a_minimum_is_refused(minimum: float) -> None:
    with pytest.raises(InvalidInput, match="minimum is"):
        catalog.make("floor", policy="ucb1", minimum=minimum)


@pytest.mark.parametrize("name", ["thompson_beta", "thompson_normal"])
def test_an_inner_policy_without_a_law_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"policy '{name}' does not know the probabilities"):
        catalog.make("floor", policy={"name": name, "params": {"propensities": False}})


def test_what_is_not_a_policy_is_refused() -> None:
    with pytest.raises(InvalidInput, match="there is no policy 'ucb'"):
        catalog.make("floor", policy="ucb")
    with pytest.raises(InvalidInput, match="policy is 7: it must be"):
        catalog.make("floor", policy=7)
    with pytest.raises(InvalidInput, match="needs the param 'policy'"):
        catalog.make("floor")


def test_a_floor_inside_a_floor_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has a floor already"):
        catalog.make("floor", policy={"name": "floor", "params": {"policy": "ucb1"}})


def test_the_nested_spec_is_complete() -> None:
    policy = catalog.parse('floor:{"policy": {"name": "ucb1"}}')
    inner = {"name": "ucb1", "params": {"alpha": 1.0, "wait": 0}}
    assert policy.spec == {"name": "floor", "params": {"policy": inner, "minimum": 0.01}}
    assert policy.params == FloorParams(0.01, ucb1().params)
    assert protocol.has_law(policy.params)


OUTSIDER = """
from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Policy


class OutsiderParams(NamedTuple):
    none: int


class OutsiderState(NamedTuple):
    none: np.ndarray


def outsider() -> Policy:
    return Policy("outsider", OutsiderParams(0), init)


def init(params, problem):
    return OutsiderState(np.zeros(1))


@kernel
def select(params, state, instance, key):
    return Decision(ARM, 1.0)


@kernel
def update(params, state, instance, decision, feedback, key):
    pass


@kernel
def probability(params, state, instance, action):
    return 1.0 if action == ARM else 0.0


register_policy(OutsiderParams, select=select, update=update, probability=probability)
"""
DRIVER = """
import json, sys
from pathlib import Path
import numpy as np
from onearm.engine import loop
from onearm.engine.vocabulary import Instance, Key, Problem
from onearm.policies import catalog

policy = catalog.make("floor", policy=catalog.make(catalog.add_file(Path(sys.argv[1]))))
state = policy.init(policy.params, Problem(3))
print(json.dumps(loop.decide(policy.params, state, Instance(0, np.zeros(0), np.ones(3, bool)), Key(np.uint64(1), 0))))
"""


@pytest.mark.parametrize(("inside", "kept"), [(ucb1(), True), (witness(), False)])
def test_around_a_policy_from_outside_nothing_is_kept_on_disk(inside: Policy, kept: bool) -> None:
    """No stamp covers its code."""
    signature = [typeof(FloorParams(0.01, inside.params))]
    need = EntryCache(loop.decide.python, KERNELS).need(signature, cpu_target.target_context)
    assert (need is not None) == kept


@pytest.mark.slow
@pytest.mark.jit
def test_an_edited_policy_from_outside_runs_its_new_code_inside_a_floor(tmp_path: Path) -> None:
    file = tmp_path / "outsider.py"
    environment = os.environ | {"ONEARM_CACHE_DIR": str(tmp_path / "cache")}
    for arm in (1, 2):
        file.write_text(OUTSIDER.replace("ARM", str(arm)))
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, str(file)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [arm, pytest.approx(0.98)]
