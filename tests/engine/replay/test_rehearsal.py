"""Policies played through a log of losses do what they would have done at work; other logs are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.columns import take
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import EVALUATION, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.replay.rehearsal import Rehearsal, rehearse
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN, Columns, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

STEPS = 60
LATE = {"env": {"name": "forecasts", "params": {}}, "delay": 5, "law": "geometric"}
WORLDS = {"in time": ("forecasts", {}), "late": ("delayed", LATE)}
NAMES = ("ftrl", "gradient_descent", "optimistic_ftrl", "optimistic_hedge", "optimistic_omd", "optimistic_ensemble")


def made(name: str) -> Any:
    return policies.make(name, **({"gradient_max": 4.0, "smoothness": 0.5} if name == "optimistic_ensemble" else {}))


def at_work(name: str, world: str) -> tuple[Simulation, Columns]:
    """Return a simulation and its log."""
    env, params = WORLDS[world]
    run = Simulation(made(name), envs.make(env, **params), horizon=STEPS, seed=6)
    return run, run.advance_logged(STEPS)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_policy_on_the_log_of_another_is_to_the_bit_what_it_is_at_work(name: str, world: str) -> None:
    run, own = at_work(name, world)
    _, log = at_work("optimistic_hedge" if name != "optimistic_hedge" else "ftrl", world)
    found = rehearse(made(name), run.problem, log, seed=6)
    assert tuple(found.certificate) == tuple(run.certificate)
    learned = own.kind == LEARN
    assert found.losses.rounds == learned.sum()
    assert found.losses.lost == pytest.approx(-own.reward[learned].sum(), rel=1e-12)
    assert found.losses.regret <= found.certificate.bound
    best = min(-own.detail[learned].sum(axis=0))
    assert found.losses.regret == pytest.approx(found.losses.lost - best, rel=1e-12)


def log_of(problem: Problem, details: Any, order: list[tuple[int, int]]) -> Columns:
    """Return a log of (kind, number) events, with the losses of each decision and points that were never good."""
    n = len(order)
    kind, number = (np.array(part) for part in zip(*order, strict=True))
    detail = np.where(kind[:, None] == LEARN, -np.array(details)[number], np.nan)
    action = np.tile(problem.domain.start, (n, 1))  # type: ignore[union-attr]
    reward = np.where(kind == LEARN, 0.0, np.nan)
    return Columns(
        kind.astype(np.int8),
        number,
        action,
        np.ones(n),
        reward,
        detail,
        np.zeros((n, *problem.context_shape)),
        np.ones((1, 1), np.bool_),
    )


@pytest.mark.parametrize("domain", [ball(2), box([-1.0, 0.0], [1.0, 2.0]), simplex(2), product(ball(1), ball(1))])
def test_points_and_losses_are_those_of_gradient_descent_by_hand(domain: Domain) -> None:
    """With G = 1 the step is D / sqrt(t) from the middle, here for one decision; the second is learned first."""
    problem = Problem(0, domain=domain, feedback="losses")
    order = [(DECIDE, 0), (DECIDE, 1), (LEARN, 1), (DECIDE, 2), (LEARN, 0), (LEARN, 2)]
    slopes = np.array([[0.01, 0.02], [0.03, -0.04], [0.05, 0.01]])
    found = rehearse(policies.make("gradient_descent", gradient_max=1.0), problem, log_of(problem, slopes, order))
    step = domain.diameter * np.array([0.03, -0.04])
    moved = step - step.mean() if domain.parts[0].kind == "simplex" else step
    third = domain.start - moved
    if domain.parts[0].kind == "box":
        third = np.clip(third, [-1.0, 0.0], [1.0, 2.0])
    lost = slopes[0] @ domain.start + slopes[1] @ domain.start + slopes[2] @ third
    assert found.losses.lost == pytest.approx(lost, abs=1e-15)
    assert found.losses.rounds == 3


def test_segments_are_of_the_rounds_that_were_learned() -> None:
    problem = Problem(0, domain=simplex(2), feedback="losses")
    slopes = np.array([[1.0, 0.0], [9.0, 9.0], [0.0, 1.0]])
    order = [(DECIDE, 0), (LEARN, 0), (DECIDE, 1), (DECIDE, 2), (LEARN, 2)]
    found = rehearse(policies.make("ftrl"), problem, log_of(problem, slopes, order), segments=2)
    assert found.losses.regret_by_segment == pytest.approx(found.losses.lost)  # corners that lose nothing
    assert found.losses.regret == pytest.approx(found.losses.lost - 1.0)


def test_forecasts_on_record_are_read_by_policies_that_read_them() -> None:
    problem = Problem(0, (2,), domain=ball(2), feedback="losses")
    order = [(kind, number) for number in range(20) for kind in (DECIDE, LEARN)]
    slopes = np.random.default_rng(3).normal(size=(20, 2))
    log = log_of(problem, slopes, order)
    log.context[:] = -slopes[log.number]
    true, none = (
        rehearse(policies.make("optimistic_omd", hint=hint), problem, log).certificate for hint in ("context", "zero")
    )
    assert true.variation == 0.0 < none.variation == pytest.approx((slopes**2).sum())


def test_the_seed_is_that_of_the_policys_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("onearm.engine.replay.rehearsal.run_key", lambda *of: seen.append(of) or run_key(*of))
    problem = Problem(0, domain=ball(2), feedback="losses")
    rehearse(policies.make("ftrl"), problem, log_of(problem, np.zeros((1, 2)), [(DECIDE, 0)]), seed=8)
    assert seen == [(8, 0, EVALUATION)]
    with pytest.raises(InvalidInput, match="the seed is -1"):
        rehearse(policies.make("ftrl"), problem, log_of(problem, np.zeros((1, 2)), [(DECIDE, 0)]), seed=-1)


def test_progress_is_told_of_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onearm.engine.replay.rehearsal._PROGRESS", 50)
    run, log = at_work("ftrl", "in time")
    told: list[int] = []
    rehearse(policies.make("ftrl"), run.problem, log, progress=told.append)
    assert told == [50, 50, 20]


def test_an_empty_log_has_lost_nothing() -> None:
    run, log = at_work("ftrl", "in time")
    found = rehearse(policies.make("ftrl"), run.problem, take(log, slice(0, 0)))
    assert isinstance(found, Rehearsal)
    assert (found.losses.rounds, found.losses.lost, found.losses.regret, found.certificate.bound) == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("feedback", "said"),
    [
        ("gradient", "the log holds gradients, which are those at the points that were decided"),
        ("reward", "the loss of the points that were decided alone"),
        ("two_rewards", "the losses of the points that were decided alone"),
        ("example", "examples, of which the log does not say what they make another point lose"),
    ],
)
def test_feedback_that_says_nothing_of_other_points_is_refused(feedback: Any, said: str) -> None:
    problem = Problem(0, domain=ball(2), feedback=feedback)
    _, log = at_work("ftrl", "in time")
    with pytest.raises(InvalidInput, match=said) as refused:
        rehearse(policies.make("ftrl"), problem, log)
    assert refused.value.code == "no_rehearsal"


def test_a_policy_that_does_not_fit_is_refused() -> None:
    run, log = at_work("ftrl", "in time")
    with pytest.raises(InvalidInput, match="policy 'ucb1' decides on arms that are all there"):
        rehearse(policies.make("ucb1"), run.problem, log)
    with pytest.raises(InvalidInput, match="learns from an example"):
        rehearse(policies.make("implicit_omd"), run.problem, log)
    assert rehearse(policies.make("ftrl"), run.problem, log).policy == {
        "name": "ftrl",
        "params": {"gradient_max": None},
    }
