"""Decisions that are vectors go through the loop and the log as arms do: simulated, replayed, exported and folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from onearm.engine import loop, snapshot
from onearm.engine.actions import pack_action, unpack_actions
from onearm.engine.columns import empty
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import normal
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.problem import check_fit, check_problem
from onearm.engine.protocol import register_env
from onearm.engine.replay.matching import match
from onearm.engine.simulation import Simulation
from onearm.engine.storage.formats import jsonl, parquet
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import LEARN, Array, Columns, Environment, Instance, Key, Policy, Problem
from onearm.policies import catalog

DIMENSION = 3


class BowlParams(NamedTuple):
    delay_max: int


class BowlState(NamedTuple):
    centre: Array  # float64[d]


def bowl(domain: Domain, delay_max: int = 0) -> Environment:
    """Losses |x - c|^2 / 2 around a point that is drawn anew each time."""
    problem = Problem(0, domain=domain, feedback="gradient")
    return Environment("bowl", BowlParams(delay_max), init, problem, None, delay_max)


def init(params: BowlParams, problem: Problem, run: np.uint64) -> BowlState:
    return BowlState(np.zeros(problem.dimension))


@kernel
def respond(
    params: BowlParams, state: BowlState, instance: Instance, action: Array, detail: Array, key: Key
) -> tuple[float, int]:
    loss = 0.0
    for j in range(len(action)):
        detail[j] = 0.3 + normal(key, j) - action[j]
        loss += 0.5 * detail[j] * detail[j]
    return -loss, instance.t % (params.delay_max + 1)


_kernels: dict[str, Any] = {"respond": respond}
register_env(BowlParams, **_kernels)


def simulated(delay_max: int = 0, steps: int = 60) -> tuple[Policy, Simulation, Columns]:
    policy = catalog.make("gradient_descent", gradient_max=4.0)
    run = Simulation(policy, bowl(product(ball(2), box([0.0], [0.2])), delay_max), horizon=steps, seed=3)
    return policy, run, run.advance_logged(steps)


@pytest.mark.parametrize("delay_max", [0, 3])
def test_every_vector_is_decided_again_to_the_last_bit(delay_max: int) -> None:
    policy, run, columns = simulated(delay_max)
    decided = columns.kind != LEARN
    assert len(np.unique(columns.action[decided], axis=0)) > 20
    state = policy.init(policy.params, run.problem)
    assert loop.replay(policy.params, state, run.run, columns) == -1
    assert snapshot.digest(state) == snapshot.digest(run.state)
    folded = policy.init(policy.params, run.problem)
    loop.fold(policy.params, folded, run.run, columns, None, None)
    assert snapshot.digest(folded) == snapshot.digest(run.state)


def test_a_vector_that_differs_in_one_bit_is_found() -> None:
    policy, run, columns = simulated()
    columns.action[40, 1] = np.nextafter(columns.action[40, 1], 1.0)
    state = policy.init(policy.params, run.problem)
    assert loop.replay(policy.params, state, run.run, columns) == 40


@pytest.mark.parametrize("form", [jsonl, parquet])
def test_an_export_gives_back_every_bit(form: Any, tmp_path: Path) -> None:
    _, run, columns = simulated(delay_max=3)
    path = tmp_path / "log"
    with form.Writer(path, run.problem, {"policy": {}, "seed": "3"}) as out:
        out.write(columns)
    read = form.read(path)
    assert read.problem == run.problem
    assert read.bad_lines.lines == {}
    assert read.events.action.tobytes() == columns.action.tobytes()
    assert read.events.detail[columns.kind == LEARN].tobytes() == columns.detail[columns.kind == LEARN].tobytes()


def test_bytes_of_another_length_are_no_vector() -> None:
    problem = Problem(0, domain=ball(2), feedback="gradient")
    packed = pack_action(np.array([0.25, -0.5]))
    assert unpack_actions([packed, None], (), problem).tolist() == [[0.25, -0.5], [0.0, 0.0]]
    with pytest.raises(Damaged, match="not a vector of 16 bytes"):
        unpack_actions([packed[:8]], (), problem)


def test_what_does_not_fit_is_refused_by_name() -> None:
    descent = catalog.make("gradient_descent")
    for policy, problem, words in (
        (descent, Problem(3), "decides on vectors in a domain, but this problem has arms"),
        (catalog.make("ucb1"), Problem(0, domain=ball(2)), "but this problem has vectors in a domain"),
        (descent, Problem(0, domain=ball(2)), "learns from the gradient of the loss, but .* the reward"),
        (descent, Problem(0, domain=ball(2), feedback="example"), r"but this problem reveals an example"),
    ):
        with pytest.raises(InvalidInput, match=words):
            check_fit(policy, problem)
    with pytest.raises(InvalidInput, match="and there are 3 arms"):
        check_problem(Problem(3, domain=ball(2)))
    with pytest.raises(InvalidInput, match="the log is of vectors"):
        match(descent, Problem(0, domain=ball(2), feedback="gradient"), empty(1, Problem(1)))


def test_a_domain_says_what_is_wrong_with_it() -> None:
    for body, words in (
        ({"kind": "ball"}, "no 'dimension'"),
        ({"kind": "ball", "dimension": 0}, "dimension is 0"),
        ({"kind": "ball", "dimension": 2, "radius": 0}, "radius is 0"),
        ({"kind": "ball", "dimension": 2, "radius": float("nan")}, "radius is nan"),
        ({"kind": "ball", "dimension": 2, "centre": [1]}, "centre has 1 numbers"),
        ({"kind": "ball", "dimension": 2, "low": 1}, "'low', which it does not take"),
        ({"kind": "box", "low": [1], "high": [0]}, "the box is empty"),
        ({"kind": "box", "low": [1], "high": [1]}, "the box is a point"),
        ({"kind": "box", "low": [1], "high": [1, 2]}, "as many"),
        ({"kind": "box", "low": [], "high": []}, "low is"),
        ({"kind": "box", "low": [0], "high": ["x"]}, "high is"),
        ({"kind": "simplex", "dimension": True}, "dimension is True"),
        ({"kind": "product", "parts": []}, "one or more"),
        ({"kind": "torus"}, "must be an object like"),
        (3, "must be an object like"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Domain.from_json(body)


def test_projections_are_the_nearest_points() -> None:
    domain = product(ball(2, 0.5, [1.0, 0.0]), box([-1.0], [0.5]), simplex(4, 2.0))
    region = domain.region()
    rng = np.random.default_rng(1)
    for _ in range(200):
        x = rng.normal(size=7) * 3
        nearest = x.copy()
        project(region, nearest)
        inside = [rng.normal(size=7) for _ in range(20)]
        for other in inside:
            project(region, other)
            assert (x - nearest) @ (other - nearest) < 1e-9  # what characterises the projection onto a convex set
        again = nearest.copy()
        project(region, again)
        assert np.abs(again - nearest).max() < 1e-12
    x = np.array([0.9, 0.5, -0.2, 0.4])
    project(simplex(4).region(), x)
    assert np.allclose(x, [0.63333333, 0.23333333, 0.0, 0.13333333], atol=1e-8)
