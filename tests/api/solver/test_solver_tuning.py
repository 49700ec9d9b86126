"""A tuner by hand: what it proposes, what it learns of good and of failed solves, what it refuses, how it is saved."""

from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onearm.api import saving
from onearm.api.solver import Tuner, solving
from onearm.api.solver.arm_costs import MEDIAN_OF, ArmCosts
from onearm.engine import loop, snapshot
from onearm.engine.columns import take
from onearm.engine.draws import NATURE, POLICY, run_key
from onearm.engine.errors import Conflict, Damaged, InvalidInput, OnearmError
from onearm.engine.kernel import KERNELS
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.envs.solvers.shifted_laplacian import draw_right
from onearm.policies import catalog as policies

VALUES = [1.0, 1.3, 1.6, 1.9]
COSTS = dict(zip(VALUES, (90, 50, 30, 70), strict=True))
LOW, HIGH = -0.15, 0.65


def drive(tuner: Tuner, rounds: int) -> list[Any]:
    """Let a tuner work with known costs; return what it proposed."""
    proposed = []
    for t in range(rounds):
        proposal = tuner.ask(0.01 * (t % 40) if tuner.settings.context else None)
        tuner.tell(proposal, COSTS[proposal.value] + t % 3)
        proposed.append((proposal.value, proposal.propensity))
    return proposed


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
    b = np.zeros(side * side)
    for t in range(rounds):
        shift = float(decided.context[t, 0])
        draw_right(b, Key(nature, t))
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
@pytest.mark.parametrize("variance", ["low", "high"])
@pytest.mark.parametrize("name", ["tsallis_inf_binned"])  # each takes 10 s to compile
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


def means_of(tuner: Tuner) -> list[float]:
    """What a UCB1 tuner learned of each arm, as costs."""
    return (-tuner._state.mean).tolist()


def test_what_does_not_converge_is_learned_at_ten_times_the_median() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost in (30, 50):
        tuner.propose()
        tuner.observe(cost)
    assert tuner.budget == 300.0  # ten times 30, the lower of the two in the middle
    tuner.propose()
    tuner.observe(10_000, converged=False)
    tuner.propose()
    tuner.observe(3, converged=False)  # it broke down early, and that is not cheap
    assert means_of(tuner) == [30.0, 50.0, 300.0, 500.0]
    report = tuner.report()
    assert (report.censored, report.capped, report.mean_cost) == (2, 0, (30 + 50 + 10_000 + 3) / 4)
    digest = tuner.digest()
    tuner.propose()
    tuner.observe(0, converged=False)  # it broke down before the first iteration, and that is not a solve of 0
    assert tuner.digest() != digest and tuner.report().rounds == 5


def test_what_converges_late_is_learned_at_ten_times_the_median() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost in (30, 299, 2000, 20):
        tuner.propose()
        tuner.observe(cost)
    assert means_of(tuner) == [30.0, 299.0, 300.0, 20.0]
    assert (tuner.report().censored, tuner.report().capped) == (0, 1)


def test_without_a_backstop_all_is_learned_as_told() -> None:
    tuner = Tuner("ucb1", values=VALUES, backstop=None)
    for cost, converged in ((1, True), (5000, True), (10_000, False), (7, False)):
        assert tuner.budget == math.inf
        tuner.propose()
        tuner.observe(cost, converged)
    assert means_of(tuner) == [1.0, 5000.0, 10_000.0, 7.0]


def test_a_first_cost_that_is_too_low_does_not_stop_all_solves_for_good() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    spent = []
    for needed in (1, 40, 40, 40, 40, 40):
        tuner.propose()
        done = needed if needed <= tuner.budget else int(tuner.budget)
        tuner.observe(done, converged=done == needed)
        spent.append(done)
    assert spent == [1, 10, 10, 40, 40, 40]


def test_what_might_have_been_spent_is_learned_where_there_is_no_limit_and_not_counted_as_spent() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    for cost, converged, cap in ((3, False, 700), (0, False, 800), (30, True, 900), (4, False, 900)):
        tuner.propose()
        tuner.observe(cost, converged, cap=cap)
    assert means_of(tuner) == [700.0, 800.0, 30.0, 900.0]  # failures come first in the median, so there is none
    assert tuner.report().mean_cost == (3 + 0 + 30 + 4) / 4
    for _ in range(3):
        tuner.propose()
        tuner.observe(20, cap=500)
    tuner.propose()
    tuner.observe(4, converged=False, cap=999)
    assert means_of(tuner)[2] == (30 + 3 * 20 + 300) / 5 and tuner.budget == 300.0  # there is a median now
    with pytest.raises(InvalidInput, match="the cost is -1"):
        tuner.propose()
        tuner.observe(4, converged=False, cap=-1)


def test_what_a_safe_value_took_counts_for_the_median_before_the_failure_is_learned() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    tuner.propose()
    assert tuner.budget == math.inf
    tuner.observe(10_000, converged=False, fallback=40)
    assert means_of(tuner)[0] == 400.0
    report = tuner.report()
    assert (report.fallbacks, report.censored, report.mean_cost) == (1, 1, 10_040.0)


def test_the_median_is_that_of_the_newest_costs_with_failures_above_all() -> None:
    rng = np.random.default_rng(1)
    arm_costs, costs = ArmCosts(1), []
    for _ in range(3 * MEDIAN_OF):
        cost, converged = float(rng.integers(1, 50)), bool(rng.random() < 0.7)
        arm_costs.add(0, 1.0, cost, cost, converged)
        costs.append(cost if converged else math.inf)
        newest = sorted(costs[-MEDIAN_OF:])
        assert arm_costs.median == newest[(len(newest) - 1) // 2]


def test_the_safe_value_is_the_cheapest_of_those_that_always_converged() -> None:
    tuner = Tuner("ucb1", values=VALUES, default=1.3)
    assert tuner.safe == 1.3
    tuner.propose()
    tuner.observe(5, converged=False)
    assert tuner.safe == 1.3  # nothing converged yet
    for cost in (50, 40, 60):
        tuner.propose()
        tuner.observe(cost)
    assert tuner.safe == 1.6


def test_a_value_that_failed_is_safe_only_where_none_has_always_converged() -> None:
    arm_costs = ArmCosts(3)
    assert arm_costs.safe(2) == 2
    arm_costs.add(0, None, 9.0, 9.0, False)
    assert arm_costs.safe(2) == 2
    for cost, converged in ((5.0, True), (50.0, False)):
        arm_costs.add(1, None, cost, cost, converged)
    assert arm_costs.safe(2) == 1  # it did converge once
    arm_costs.add(0, None, 900.0, 900.0, True)
    assert arm_costs.safe(2) == 1
    arm_costs.add(2, None, 100.0, 100.0, True)
    assert arm_costs.safe(2) == 2  # though it is the dearer one


def test_a_held_tuner_proposes_one_value_and_learns_nothing() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    drive(tuner, 9)
    digest, law = tuner.digest(), tuner.law().tolist()
    tuner.hold(1.9)
    for _ in range(5):
        assert tuner.propose() == 1.9
        tuner.observe(500)
    assert (tuner.digest(), tuner.law().tolist(), tuner.report().rounds) == (digest, law, 9)
    with pytest.raises(InvalidInput, match=r"1.23 is not one of the values"):
        tuner.hold(1.23)
    tuner.withdraw(tuner.ask())
    assert tuner.law().tolist() == law  # the clock stands while a value is held
    tuner.hold()
    assert tuner.propose() == tuner.safe
    loaded = Tuner.load(tuner.save())
    loaded.observe(30)
    assert loaded.propose() == tuner.safe
    loaded.observe(30)
    loaded.release()
    drive(loaded, 5)
    assert loaded.report().rounds == 14


@pytest.mark.parametrize(
    "name",
    ["tsallis", "chebcb", "squarecb", "ucb1", "fixed", "maillard_chain", "tsallis, context", "maillard_chain, context"],
)
def test_a_saved_tuner_goes_on_bit_for_bit(name: str) -> None:
    context = (0.0, 0.4) if name == "chebcb" or "context" in name else None
    tuner = Tuner(name.partition(",")[0], values=VALUES, context=context, seed=4, backstop=3.5, default=1.6)
    drive(tuner, 25)
    waiting = tuner.ask(0.3 if context else None)
    tuner.propose(0.7 if context else None)
    saved = tuner.save()
    loaded = Tuner.load(saved)
    assert loaded.save() == saved
    for each in (tuner, loaded):
        each.observe(44)
        each.tell(waiting.token, 10_000, converged=False, fallback=31)
    assert drive(loaded, 25) == drive(tuner, 25)
    assert loaded.digest() == tuner.digest() and loaded.report() == tuner.report()
    assert loaded.save() == tuner.save()


def test_a_tuner_goes_on_in_another_process() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=4)
    drive(tuner, 25)
    program = """
import sys
from onearm.api.solver import Tuner
tuner = Tuner.load(bytes.fromhex(sys.stdin.read()))
proposed = []
for _ in range(20):
    proposed.append(tuner.propose())
    tuner.observe(30)
print(tuner.digest(), proposed)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=tuner.save().hex(), capture_output=True, text=True, check=True
    )
    proposed = []
    for _ in range(20):
        proposed.append(tuner.propose())
        tuner.observe(30)
    assert done.stdout.strip() == f"{tuner.digest()} {proposed}"


def test_every_bit_that_changed_in_a_saved_tuner_is_found() -> None:
    tuner = Tuner("ucb1", values=[1.0, 1.5])
    tuner.propose()
    saved = tuner.save()
    for place in range(len(saved)):
        for bit in range(8):
            damaged = bytearray(saved)
            damaged[place] ^= 1 << bit
            with pytest.raises(Damaged):
                Tuner.load(bytes(damaged))
    for length in range(0, len(saved), 7):
        with pytest.raises(Damaged, match="no saved tuner, or not all of it"):
            Tuner.load(saved[:length])
    with pytest.raises(Damaged):
        Tuner.load(saved + b"\0")


def crafted(tuner: Tuner, **changes: Any) -> bytes:
    """What a tuner saves, with other things in its head and a digest that fits them."""
    head, state = saving.unpack("tuner", tuner.save())
    for place, value in changes.items():
        *outer, name = place.split("__")
        part = head
        for each in outer:
            part = part[each]
        part[name] = value
    return saving.pack("tuner", head, state)


@pytest.mark.parametrize(
    "changes",
    [
        {"open": [[0, 0, 10**7, 0.5, None]]},
        {"open": [[0, 0, -1, 0.5, None]]},
        {"open": [[0, 0, 1.0, 0.5, None]]},
        {"open": [[0, 0, 1, 0.0, None]]},
        {"open": [[0, 0, 1, 1.5, None]]},
        {"open": [[0, 0, 1, "0.5", None]]},
        {"open": [[0, 0, 1, 0.5, 0.5]]},
        {"open": [[0, -2, 1, 0.5, None]]},
        {"open": [[0, 2, 1, 0.5, None]]},
        {"open": [[0, 10**30, 1, 0.5, None]]},
        {"open": [[9, 0, 1, 0.5, None]]},
        {"open": [[0, 0, 1, 0.5, None]] * 2},
        {"open": [[0, 0, 1, 0.5]]},
        {"open": {"0": 1}},
        {"open": None},
        {"held": 4},
        {"held": -1},
        {"held": True},
        {"proposed": 7},
        {"proposed": []},
        {"clock": -5},
        {"clock": 99},
        {"clock": 2.0},
        {"number": -1},
        {"number": 2**80},
        {"number": None},
        {"course": None},
        {"course__played": [0]},
        {"course__played": [0, 0, 0, -1]},
        {"course__cost": [0.0, 0.0, 0.0, math.nan]},
        {"course__odds": [0.0, 0.0, 0.0, 10**400]},
        {"course__estimated": [0.0, 0.0, 0.0, math.inf]},
        {"course__rounds": 1.5},
        {"course__spent": -1.0},
        {"course__weighed": 1},
        {"course__newest": [1.0] * (MEDIAN_OF + 1)},
        {"course__newest": ["1"]},
        {"settings": 3},
        {"settings__policy": {"name": "tsallis_inf", "params": {"estimator": []}}},
        {"settings__values": [1.0, 1.0]},
        {"settings__values": None},
        {"settings__default": 7.7},
        {"settings__context": [1.0, 0.0]},
        {"settings__seed": "x"},
        {"settings__cost": ["iterations"]},
        {"settings__backstop": 0.5},
    ],
)
def test_bytes_that_were_written_by_hand_are_refused_though_their_digest_fits(changes: dict[str, Any]) -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    tuner.ask()
    tuner.tell(tuner.ask(), 30)
    assert Tuner.load(crafted(tuner)).save() == tuner.save()
    with pytest.raises(Damaged, match=r"load others|of this problem"):
        Tuner.load(crafted(tuner, **changes))


def test_a_context_out_of_range_and_a_head_that_is_none_are_refused_in_saved_bytes() -> None:
    tuner = Tuner("chebcb", values=VALUES, context=(0.0, 1.0))
    tuner.ask(0.5)
    for context in (None, 7.0, "0.5"):
        with pytest.raises(Damaged, match="a context is"):
            Tuner.load(crafted(tuner, open=[[0, 0, 1, 0.25, context]]))
    with pytest.raises(Damaged, match="head is"):
        Tuner.load(saving.pack("tuner", [1], b""))  # type: ignore[arg-type]
    for given in ("text", None, 7):
        with pytest.raises(InvalidInput, match="is no saved tuner"):
            Tuner.load(given)  # type: ignore[arg-type]
    assert Tuner.load(bytearray(tuner.save())).save() == Tuner.load(memoryview(tuner.save())).save() == tuner.save()


def test_a_tuner_is_copied_and_pickled_by_what_it_saves() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=4)
    drive(tuner, 25)
    tuner.propose()
    for other in (pickle.loads(pickle.dumps(tuner)), copy.deepcopy(tuner)):
        assert other is not tuner and other.save() == tuner.save()


def test_a_tuner_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Tuner("ucb1", values=VALUES).save()
    made = policies.make("ucb1")

    def newer(spec: Any) -> Policy:
        return Policy("ucb1", made.params, made.init, version=made.version + 1)

    monkeypatch.setattr(policies, "from_spec", newer)
    with pytest.raises(Conflict, match="saved by version 1 of 'ucb1', and it is version 2 now"):
        Tuner.load(saved)


def test_a_policy_that_was_made_by_hand_works_and_says_that_it_cannot_be_saved() -> None:
    made = policies.make("ucb1")
    tuner = Tuner(Policy("mine", made.params, made.init), values=VALUES)
    drive(tuner, 9)
    with pytest.raises(InvalidInput, match="policy 'mine' does not know its params, so it cannot be saved"):
        tuner.save()


def histories(costs: list[dict[int, float]], law: Callable[[int], list[float]]) -> Any:
    """Yield every arm_costs of rounds with its probability: exact expectations over a law that depends on the round."""
    for arms in itertools.product(range(2), repeat=len(costs)):
        arm_costs, probability = ArmCosts(2), 1.0
        for t, arm in enumerate(arms):
            probability *= law(t)[arm]
            arm_costs.add(arm, law(t)[arm], costs[t][arm], costs[t][arm], True)
        yield arm_costs, probability


def test_what_an_arm_would_have_cost_is_estimated_without_bias_and_its_variance_too() -> None:
    costs = [{0: 10.0, 1: 30.0}, {0: 12.0, 1: 25.0}, {0: 80.0, 1: 5.0}, {0: 11.0, 1: 28.0}, {0: 9.0, 1: 31.0}]

    def law(t: int) -> list[float]:
        return [0.2 + 0.1 * t, 0.8 - 0.1 * t]

    for arm in (0, 1):
        moments = np.zeros(4)
        for arm_costs, probability in histories(costs, law):
            estimate = arm_costs.total(arm)
            moments += probability * np.array([1.0, estimate, estimate**2, arm_costs.variance[arm]])
            assert not arm_costs.estimate(arm)[1] ** 2 < arm_costs.variance[arm] * (1.0 - 1e-12)
        total, mean, square, variance = moments.tolist()
        assert total == pytest.approx(1.0)
        assert mean == pytest.approx(
            sum(cost[arm] for cost in costs[1:]), rel=1e-12
        )  # before the first nothing was known
        assert variance == pytest.approx(square - mean**2, rel=1e-9)


def test_a_rare_value_that_looks_cheap_has_an_error_that_grows_while_it_is_not_played() -> None:
    arm_costs = ArmCosts(2)
    for t in range(100):
        cost = 48.0 if t == 50 else 50.0
        arm_costs.add(int(t == 50), 0.001 if t == 50 else 0.999, cost, cost, True)
    estimate, error = arm_costs.estimate(1)
    assert estimate == pytest.approx(99 * 50.0 - 2.0 / 0.001 - 49 * 2.0)  # of the first round nothing was known
    assert error == pytest.approx(math.sqrt(4.0 * 0.999) / 0.001)
    for _ in range(9900):
        arm_costs.add(0, 0.999, 50.0, 50.0, True)
    passed = [*range(50), *range(9949)]  # rounds since it was played, in each round after the first
    assert arm_costs.estimate(1)[1] == pytest.approx(math.sqrt(4.0 * sum(passed)))  # and not as after 100 rounds
    arm_costs.add(1, 0.001, 50.0, 50.0, True)
    assert arm_costs.odds[1] == sum(passed) + 9949


def test_the_rounds_since_an_arm_was_played_stand_for_its_odds_without_bias() -> None:
    p, odds = 0.2, []
    for seed in range(300):
        rng, arm_costs = np.random.default_rng(seed), ArmCosts(2)
        for _ in range(200):
            arm = int(rng.random() < p)
            arm_costs.add(arm, (1.0 - p, p)[arm], 50.0, 50.0, True)
        waited = arm_costs.compared - arm_costs.since[1]
        odds.append(arm_costs.odds[1] + waited * (waited - 1) / 2)
    wanted = 199 * (1.0 - p) / p - sum((1.0 - p) ** (t + 1) / p for t in range(199))  # less what was before the first
    assert abs(np.mean(odds) - wanted) < 3.0 * np.std(odds) / math.sqrt(300)


def test_costs_that_are_all_equal_have_no_regret_and_no_doubt() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    for _ in range(30):
        tuner.propose()
        tuner.observe(7)
    report = tuner.report()
    assert (report.regret, report.regret_error, report.mean_cost) == (0.0, 0.0, 7.0)
    assert {arm.estimated_cost for arm in report.arms if arm.rounds} == {7.0}


def test_what_was_passed_over_with_certainty_has_no_estimate_and_what_was_always_played_an_exact_one() -> None:
    always = Tuner("fixed", values=VALUES, default=1.3)
    drive(always, 7)
    fixed = always.report()
    assert (fixed.best, fixed.regret_error) == (1.3, 0.0) and fixed.regret == pytest.approx(0.0)
    arm_costs = ArmCosts(2)
    for arm, p in ((0, 0.5), (1, 0.5), (0, 1.0), (0, 0.5)):
        arm_costs.add(arm, p, 5.0, 5.0, True)
    assert math.isnan(arm_costs.estimate(1)[0]) and arm_costs.estimate(0)[0] == 15.0
    arm_costs.add(1, None, 5.0, 5.0, True)
    assert math.isnan(arm_costs.estimate(0)[0])


def test_the_law_is_asked_for_only_by_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = Tuner("maillard_chain", grid=(1.0, 1.9, 80), seed=1)
    asked: list[int] = []
    kernels = KERNELS[type(tuner.settings.policy.params)]
    if not hasattr(kernels["probability"], "py_func"):
        known = kernels["probability"]

        def counted(*args: Any) -> float:
            asked.append(args[-1])
            return float(known(*args))

        monkeypatch.setitem(kernels, "probability", counted)
    for _ in range(5):
        tuner.propose()
        tuner.observe(40)
    assert asked == []
    report = tuner.report()
    assert report.regret is not None and sum(arm.probability or 0.0 for arm in report.arms) == pytest.approx(1.0)
    assert len(asked) == 80


def test_the_estimated_regret_is_off_by_about_its_standard_error_and_rather_less() -> None:
    off, errors = [], []
    for seed in range(60):
        tuner = Tuner("tsallis", values=VALUES, seed=seed)
        truth, rng = 0.0, np.random.default_rng(seed)
        for _ in range(150):
            cost = {value: COSTS[value] + int(rng.integers(0, 20)) for value in VALUES}
            value = tuner.propose()
            tuner.observe(cost[value])
            truth += cost[value] - cost[1.6] if tuner.report().rounds > 1 else 0.0  # of all rounds but the first
        report = tuner.report()
        assert report.best == 1.6 and report.regret is not None and report.regret_error is not None
        off.append(report.regret - truth)
        errors.append(report.regret_error)
    assert abs(np.mean(off)) < 2.5 * np.std(off) / math.sqrt(len(off))
    assert 0.6 < np.sqrt(np.mean(np.square(off)) / np.mean(np.square(errors))) < 1.1


def test_a_report_is_a_table_and_a_dict() -> None:
    tuner = Tuner("tsallis", values=VALUES, seed=1)
    empty = tuner.report()
    assert (empty.rounds, empty.mean_cost, empty.best, empty.regret) == (0, None, None, None)
    drive(tuner, 50)
    report = tuner.report()
    said = json.loads(json.dumps(report.to_dict()))
    assert said["rounds"] == 50 and said["best"] == 1.6
    assert sum(arm["rounds"] for arm in said["arms"]) == 50
    assert sum(arm["share"] for arm in said["arms"]) == pytest.approx(1.0)
    assert [arm["probability"] for arm in said["arms"]] == tuner.law().tolist()
    assert sum(arm["share"] * (arm["mean_cost"] or 0.0) for arm in said["arms"]) == pytest.approx(said["mean_cost"])
    text = str(report)
    assert "tsallis_inf: 50 rounds" in text and "best value: 1.6" in text and "regret against it" in text
    assert all(f"{value:g}" in text for value in VALUES)


def test_a_policy_that_does_not_draw_has_no_estimated_regret() -> None:
    tuner = Tuner("ucb1", values=VALUES)
    drive(tuner, 20)
    report = tuner.report()
    assert (report.best, report.regret, report.regret_error) == (1.6, None, None)
    assert report.arms[2].estimated_cost is None and "regret" not in str(report)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"grid": (1.9, 1.0, 5)}, "the second must be larger"),
        ({"grid": (1.0, 1.5, 1.9)}, "a grid of 1.9 values"),
        ({"grid": (1.0, 1.9, 0)}, "a grid of 0 values"),
        ({"grid": (1.0, math.nan, 3)}, r"grid\[1\] is nan"),
        ({"grid": 5}, "it must be"),
        ({"grid": (1.0, 1.9, 3), "values": [1.0]}, "give one of them"),
        ({"values": []}, "there are 0 values"),
        ({"values": [1.0, 1.0]}, "the value 1.0 is there twice"),
        ({"values": [1.0, math.inf]}, "a value is inf"),
        ({"values": [1.0, None]}, "a value is None"),
        ({"values": "abc"}, "it must be a list"),
        ({"values": ["jacobi", "ilu"], "default": "amg"}, "it must be one of 'jacobi', 'ilu'"),
        ({"default": math.nan}, "default is nan"),
        ({"context": 3.0}, "it must be the range"),
        ({"context": (1.0, 1.0)}, "the second must be larger"),
        ({"context": (0.0, math.inf)}, r"context\[1\] is inf: it must be one finite number"),
        ({"policy": "young", "values": [1.0, 1.2, 1.7]}, "policy 'young' takes its arms for equally spaced omegas"),
        ({"policy": "young", "values": ["a", "b"]}, "policy 'young' takes its arms for equally spaced omegas"),
        ({"policy": 'young:{"omega_max":1.8}'}, r"give grid=\(low, high, how many\)"),
        ({"policy": 'floor:{"policy":"fixed_omega"}', "grid": (1.0, 1.9, 10)}, "policy 'floor' takes its arms"),
        ({"policy": policies.make("fixed_omega"), "grid": (1.0, 1.9, 10)}, "policy 'fixed_omega' takes its arms"),
        ({"cost": "joules"}, "it must be one of iterations, seconds"),
        ({"backstop": 1.0}, "backstop is 1.0"),
        ({"seed": -1}, "the seed is -1"),
        ({"policy": "chebcb"}, r"policy 'chebcb' reads a context: give its range as context=\(low, high\)"),
        ({"policy": "nobody"}, "there is no policy 'nobody'"),
        ({"policy": "ucb1:{"}, "not JSON"),
        ({"policy": 'ucb1:{"beta":1}'}, "has no param 'beta'"),
        ({"policy": "ucb1:[1]"}, "must be an object"),
        ({"policy": 7}, "policy is 7"),
        ({"policy": {"name": "ucb1", "more": 1}}, "only name and params"),
        ({"policy": "early_drop"}, "arms that stream past"),
        ({"policy": "exp3_ix"}, "learns the same from 2 iterations as from 200"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(OnearmError, match=says):
        Tuner(**settings)


def test_any_policy_that_decides_on_arms_tunes_or_says_why_not() -> None:
    refused = {}
    for name in policies.names():
        try:
            drive(Tuner(name, values=VALUES, context=(0.0, 0.4)), 8)
        except InvalidInput as error:
            refused[name] = error.code
    assert {"squarecb", "linucb", "chebcb", "tsallis_inf_binned", "fixed_omega"}.isdisjoint(refused)
    assert set(refused.values()) <= {"policy_does_not_fit", "missing_param"}
    assert refused["exp3_ix"] == "policy_does_not_fit"


def test_params_that_a_tuner_knows_are_filled_in_and_may_be_given() -> None:
    spec = Tuner("chebcb", context=(-1.0, 2.0)).settings.policy.spec
    assert spec["params"] | {"low": -1.0, "high": 2.0, "reward_max": -1.0} == spec["params"]
    assert Tuner("chebcb", context=(-1.0, 2.0), cost="seconds").settings.policy.spec["params"]["reward_max"] == 0.0
    given = Tuner('chebcb:{"high":9,"features":3}', context=(-1.0, 2.0)).settings.policy.spec["params"]
    assert (given["low"], given["high"], given["features"]) == (-1.0, 9, 3)
    assert Tuner().settings.policy.spec["params"]["scale"] == "running_mean"


def test_policies_of_omegas_are_told_the_ends_of_the_grid() -> None:
    rule = Tuner("young", grid=(1.0, 1.9, 10), context=(-0.15, 0.45))
    assert rule.propose(0.0) == pytest.approx(1.6)  # Young's rule says 1.56
    assert Tuner('fixed_omega:{"omega":1.6}', values=[1.2, 1.4, 1.6]).propose() == 1.6
    assert Tuner("fixed_omega", values=[1.7]).propose() == 1.7
    assert Tuner(
        policies.make("fixed_omega", omega=1.3, omega_max=1.9), grid=(1.0, 1.9, 10)
    ).propose() == pytest.approx(1.3)


def test_a_chain_does_without_a_context_and_finds_the_cheap_value() -> None:
    tuner = Tuner("maillard_chain", values=VALUES, seed=1)
    drive(tuner, 100)
    assert tuner.law()[2] > 0.6 and tuner.report().best == 1.6
    assert len(tuner._state.links.moment[0]) == 1  # one number an arm: a constant


def test_whole_numbers_stay_whole_and_numbers_of_numpy_are_numbers() -> None:
    for values in ([10, 20, 30], np.array([10, 20, 30]), list(np.array([10, 20, 30]))):
        tuner = Tuner("ucb1", values=values, default=np.int64(20), seed=np.int64(3), backstop=np.float32(4.0))
        assert type(tuner.propose()) is int and type(tuner.safe) is int and tuner.safe == 20
        tuner.observe(3)
        assert Tuner.load(tuner.save()).values == (10, 20, 30)
    few = Tuner("chebcb", grid=(np.float32(1.0), 2, np.int64(3)), context=(np.float32(0.0), np.int64(1)))
    assert few.values == (1.0, 1.5, 2.0) and few.settings.context == (0.0, 1.0)
    assert type(Tuner("ucb1", values=[np.str_("a"), "b"]).propose()) is str


def test_the_grid_of_the_paper_is_the_default_and_labels_and_lists_will_do() -> None:
    assert np.allclose(Tuner("ucb1").values, np.linspace(1.0, 1.95, 20)) and Tuner("ucb1").safe == pytest.approx(1.5)
    assert Tuner("ucb1", values=np.geomspace(1e-6, 1e-2, 3)).safe == pytest.approx(1e-6)
    kinds = Tuner("ucb1", values=["jacobi", "ilu"], default="ilu")
    assert (kinds.safe, kinds.propose()) == ("ilu", "jacobi")
    assert Tuner("ucb1", grid=(1.2, 1.2, 1)).propose() == 1.2


@pytest.mark.parametrize("values", [VALUES, ["a", "b", "c"], [1e-6, 1e-2], [1.7]])
def test_fixed_always_takes_the_default(values: list[Any]) -> None:
    for default in values:
        tuner = Tuner("fixed", values=values, default=default)
        assert [tuner.ask().value for _ in range(3)] == [default] * 3


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
