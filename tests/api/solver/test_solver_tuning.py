"""A tuner by hand: what it proposes, by which context, and what it learns of a solve and of a trial."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.compiled import compiled
from support.every_run import every_run
from support.tuned import COSTS, VALUES, drive, means_of

from onearm.api import saving
from onearm.api.solver import Tuner, solving
from onearm.engine import loop, snapshot
from onearm.engine.columns import take
from onearm.engine.draws import NATURE, POLICY, run_key
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.envs.solvers.shifted_laplacian import draw_right
from onearm.policies import catalog as policies

LOW, HIGH = -0.15, 0.65


@pytest.mark.parametrize("name", ["tsallis", "squarecb", "chebcb", "maillard_chain", "ucb1"])
def test_decisions_are_those_of_the_loop_to_the_bit(name: str) -> None:
    context = None if name == "ucb1" else (0.0, 1.0)
    tuner = Tuner(name, values=VALUES, seed=5, context=context)
    policy, problem = tuner.settings.policy, Problem(4, (0,) if context is None else (1,))
    state, run = policy.init(policy.params, problem), run_key(5, 0, POLICY)
    wanted = []
    for t in range(60):
        seen = np.zeros(0) if context is None else np.array([0.01 * (t % 40)])
        instance, key = Instance(t, seen, np.ones(4, np.bool_)), Key(run, t)
        decision = loop.decide(policy.params, state, instance, key)
        cost = COSTS[VALUES[decision.action]] + t % 3
        loop.learn(policy.params, state, instance, decision, Feedback(-float(cost), np.zeros(0)), key)
        wanted.append((VALUES[decision.action], decision.propensity))
    assert drive(tuner, 60) == wanted
    assert tuner.digest() == snapshot.digest(state)


def by_hand(policy: Policy, side: int, rounds: int, variance: str) -> tuple[Tuner, Simulation]:
    """Simulate a policy on the shifted Laplacian, and solve the same systems with a tuner and the public solver."""
    world = envs.make("shifted_laplacian", side=side, variance=variance)
    simulation = Simulation(policy, world, horizon=rounds, seed=3)
    log = simulation.advance_logged(rounds)
    decided, learned = (take(log, np.flatnonzero(log.kind == kind)) for kind in (DECIDE, LEARN))
    tuner = Tuner(policy, context=(LOW, HIGH), seed=3, backstop=None)
    half, nature = world.params.half, run_key(3, 0, NATURE)
    A = np.diag(half.diagonal)
    row = np.repeat(np.arange(side * side), np.diff(half.start))
    A[row, half.index] = A[half.index, row] = half.value
    b, draw = np.zeros(side * side), compiled(draw_right)
    for t in range(rounds):
        shift = float(decided.context[t, 0])
        draw(b, Key(nature, t))
        with tuner.trial(shift) as trial:
            assert (trial.proposal.arm, trial.proposal.propensity) == (decided.action[t], decided.propensity[t])
            solution = solving.sor(A + shift * np.eye(side * side), b, omega=trial.omega)
            trial.iterations, trial.converged = solution.iterations, solution.converged
        assert solution.iterations == -learned.reward[t]
    return tuner, simulation


@pytest.mark.parametrize("name", ["tsallis_inf_binned", "chebcb", "maillard_chain"])
def test_a_tuner_driven_by_hand_is_the_simulation_on_the_shifted_laplacian(name: str) -> None:
    tuner, simulation = by_hand(policies.make(name, low=LOW, high=HIGH), side=3, rounds=12, variance="low")
    assert tuner.digest() == snapshot.digest(simulation.state)


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("variance", ["low", "high"])
@pytest.mark.parametrize("name", every_run(["tsallis_inf_binned"], []))  # 5 s; as Python it always is
def test_a_compiled_tuner_driven_by_hand_is_the_simulation_on_the_shifted_laplacian(name: str, variance: str) -> None:
    tuner, simulation = by_hand(policies.make(name, low=LOW, high=HIGH), side=10, rounds=300, variance=variance)
    assert tuner.digest() == snapshot.digest(simulation.state)


def test_nothing_is_proposed_twice_and_nothing_observed_before() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    with pytest.raises(Conflict, match="nothing was proposed: propose a value"):
        tuner.observe(12)
    with pytest.raises(Conflict, match="nothing to withdraw"):
        tuner.withdraw()
    assert tuner.propose() == 1.0
    before = tuner.save()
    with pytest.raises(Conflict, match=r"1.0 was proposed and nothing was observed of it: observe its cost, or"):
        tuner.propose()
    assert tuner.save() == before
    tuner.observe(12)
    with pytest.raises(Conflict):
        tuner.observe(12)
    tuner.propose()
    tuner.withdraw()
    assert tuner.report().rounds == 1
    assert tuner.propose() == 1.3


def test_several_proposals_are_told_by_token_in_any_order_and_once() -> None:
    tuner = Tuner("squarecb", values=VALUES, seed=2)
    first, second, third = (tuner.ask() for _ in range(3))
    assert len({first.token, second.token, third.token}) == 3
    tuner.tell(third, 10)
    tuner.tell(first.token, 20)
    with pytest.raises(Conflict, match=f"proposal {third.token} was told or withdrawn already"):
        tuner.tell(third, 10)
    with pytest.raises(Conflict, match="there is no proposal 99: ask first"):
        tuner.tell(99, 10)
    with pytest.raises(InvalidInput, match="the token is 'a'"):
        tuner.tell("a", 10)  # type: ignore[arg-type]
    tuner.withdraw(second)
    with pytest.raises(Conflict, match="told or withdrawn"):
        tuner.tell(second, 10)
    report = tuner.report()
    assert (report.rounds, report.mean_cost) == (2, 15.0)


def test_late_costs_are_learned_with_the_propensity_of_their_proposal() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=2)
    early = tuner.ask()
    drive(tuner, 30)
    assert tuner.law()[early.arm] != pytest.approx(early.propensity)
    policy = tuner.settings.policy
    state = snapshot.unpack([snapshot.pack(tuner._state)], policy.init(policy.params, Problem(4)))
    instance = Instance(0, np.zeros(0), np.ones(4, np.bool_))
    decision, key = Decision(early.arm, early.propensity), Key(run_key(2, 0, POLICY), early.token)
    loop.learn(policy.params, state, instance, decision, Feedback(-40.0, np.zeros(0)), key)
    tuner.tell(early, 40)
    assert tuner.digest() == snapshot.digest(state)


def test_a_trial_learns_its_iterations_and_not_where_the_block_raises() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    with tuner.trial() as trial:
        assert trial.value == trial.omega == trial.proposal.value
        trial.iterations = 12
    assert (tuner.report().rounds, tuner.report().mean_cost) == (1, 12.0)
    digest = tuner.digest()
    with pytest.raises(ZeroDivisionError), tuner.trial() as trial:
        trial.iterations = 12
        raise ZeroDivisionError
    assert tuner.digest() == digest and tuner.report().rounds == 1
    with pytest.raises(InvalidInput, match="set its `iterations` in the block"), tuner.trial():
        pass
    with pytest.raises(InvalidInput, match="the cost is nan"), tuner.trial() as trial:
        trial.iterations = math.nan  # type: ignore[assignment]
    assert tuner.digest() == digest
    with pytest.raises(Conflict, match="the trial has not begun"):
        _ = tuner.trial().value
    assert saving.unpack("tuner", tuner.save())[0]["open"] == []  # all were withdrawn


def test_a_trial_is_one_solve_and_its_omega_a_number() -> None:
    tuner = Tuner("ucb1", values=["jacobi", "ilu"])
    trial = tuner.trial()
    with trial:
        trial.iterations = 12
        with pytest.raises(InvalidInput, match="the value is 'jacobi', which is no number: take `value`"):
            _ = trial.omega
        with pytest.raises(Conflict, match="this trial is of another solve"), trial:
            pass
    with pytest.raises(Conflict, match="this trial is of another solve"), trial:
        pass
    assert tuner.report().rounds == 1 and saving.unpack("tuner", tuner.save())[0]["open"] == []


def test_a_trial_that_was_told_in_its_block_keeps_the_error_of_the_block() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    with pytest.raises(ZeroDivisionError), tuner.trial() as trial:
        tuner.tell(trial.proposal, 12)
        raise ZeroDivisionError
    assert tuner.report().rounds == 1


def test_a_trial_that_failed_is_learned_at_its_cap_while_no_median_is_known() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    with tuner.trial() as trial:
        trial.iterations, trial.converged, trial.cap = 3, False, 500
    assert means_of(tuner)[0] == 500.0 and tuner.report().mean_cost == 3.0


def test_a_trial_measures_its_time_where_the_cost_is_seconds() -> None:
    tuner = Tuner("ucb1", values=VALUES, cost="seconds")
    with tuner.trial():
        sum(range(1000))
    measured = tuner.report().mean_cost
    assert measured is not None and measured > 0.0
    with tuner.trial() as trial:
        trial.seconds = 0.25
    assert tuner.report().mean_cost == (measured + 0.25) / 2
    with tuner.trial() as trial:
        trial.iterations = 0  # it was solved already
    assert (tuner.report().rounds, tuner.report().skipped) == (2, 1)


def test_a_solve_of_no_iterations_is_not_learned_and_not_counted() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    drive(tuner, 5)
    digest, law = tuner.digest(), tuner.law().tolist()
    tuner.propose()
    tuner.observe(0)
    report = tuner.report()
    assert (tuner.digest(), report.rounds, report.skipped) == (digest, 5, 1)
    assert tuner.law().tolist() == law  # the policy's clock did not move either


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        (math.nan, "the cost is nan iterations: it must be finite"),
        (math.inf, "the cost is inf"),
        (-1, "the cost is -1"),
        (12.5, "must be a whole number; for times take cost='seconds'"),
        ("12", "the cost is '12'"),
        (True, "the cost is True"),
        (None, "the cost is None"),
        (np.float64(0.5), "whole number"),
    ],
)
def test_a_cost_that_is_none_is_refused_and_changes_nothing(cost: Any, says: str) -> None:
    tuner = Tuner("ucb1", values=VALUES)
    tuner.propose()
    before = tuner.save()
    with pytest.raises(InvalidInput, match=says):
        tuner.observe(cost)
    with pytest.raises(InvalidInput, match=says):
        tuner.observe(3, converged=False, fallback=cost) if cost is not None else tuner.observe(cost)
    with pytest.raises(InvalidInput, match="converged is 1"):
        tuner.observe(3, converged=1)  # type: ignore[arg-type]
    assert tuner.save() == before
    tuner.observe(np.int32(12))
    assert tuner.report().mean_cost == 12.0


def test_a_context_outside_its_range_is_clipped_and_counted() -> None:
    outside, edge = (Tuner("squarecb", values=VALUES, context=(0.0, 1.0), seed=1) for _ in range(2))
    for tuner, contexts in ((outside, (-3.0, 0.5, 7.0)), (edge, (0.0, 0.5, 1.0))):
        for context in contexts:
            tuner.propose(context)
            tuner.observe(40)
    assert outside.digest() == edge.digest()
    assert (outside.report().clipped, edge.report().clipped) == (2, 0)
    assert outside.propose(np.float32(0.25)) in VALUES


@pytest.mark.parametrize(
    ("declared", "context", "says"),
    [
        ((0.0, 1.0), None, "the context is missing: give a number, 0 to 1 is its range"),
        ((0.0, 1.0), math.nan, "context is nan"),
        ((0.0, 1.0), math.inf, "context is inf"),
        ((0.0, 1.0), [0.5], r"context is \[0.5\]"),
        ((0.0, 1.0), "0.5", "context is '0.5'"),
        (None, 0.5, "the context is 0.5: this tuner has none"),
    ],
)
def test_a_context_that_is_none_is_refused_and_changes_nothing(declared: Any, context: Any, says: str) -> None:
    tuner = Tuner("squarecb", values=VALUES, context=declared)
    before = tuner.save()
    with pytest.raises(InvalidInput, match=says):
        tuner.propose(context)
    assert tuner.save() == before


def test_tsallis_and_chebcb_find_the_cheap_value() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    drive(tuner, 400)
    assert tuner.law()[2] > 0.6
    learned = Tuner("chebcb", grid=(0.0, 1.0, 5), context=(0.0, 1.0), seed=1)
    for t in range(300):
        context = 0.25 * (t % 5)
        value = learned.propose(context)
        learned.observe(20 + int(200 * (value - context) ** 2))
    for context in (0.0, 0.25, 0.5, 0.75, 1.0):
        law = learned.law(context)
        assert learned.values[int(np.argmax(law))] == context and law.max() > 0.8
