"""Points outside their domain and details too large are refused, by one rule, wherever they are decided or revealed."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from support.bowl import Bowl
from support.leaping import leaping
from support.vector_worlds import tide

import onearm
from onearm.api import gym
from onearm.api.kinds.vectors.points import Points
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.engine.limits import Limits, are_small, check_detail, limits_of
from onearm.engine.replay.rehearsal import rehearse
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Problem
from onearm.policies import catalog

DOMAINS: dict[str, Domain] = {
    "ball": ball(3, 0.5, [1.0, -2.0, 0.25]),
    "box": box([-1.0, 0.0, 2.0], [1.0, 0.5, 2.0]),
    "simplex": simplex(4, 3.0),
    "a number": simplex(1, 2.0),
    "product": product(box([0.0], [1.0]), simplex(2), ball(2), simplex(3, 0.1), ball(1, 4.0)),
}


def lies_within(domain: Domain, point: Array) -> bool:
    """Tell the same by another hand: part by part, with NumPy's norms and sums."""
    first = 0
    for part in domain.parts:
        x = point[first : first + len(part.low)]
        first += len(part.low)
        low, high = np.array(part.low), np.array(part.high)
        if part.kind == "ball":
            good = np.linalg.norm(x - low) <= part.size + 1e-9 * max(part.size, np.abs(low).max())
        else:
            slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
            good = bool(((x >= low - slack) & (x <= high + slack)).all())
            if part.kind == "simplex":
                good &= abs(x.sum() - part.size) <= 1e-9 * part.size
        if not good:
            return False
    return True


def points_about(domain: Domain, n: int) -> Array:
    """Return n points near the domain: nearest ones, and those moved off by 0.5e-9 to 1, in one coordinate or all."""
    rng = np.random.default_rng(3)
    space = Points(domain)
    points = space.project(rng.normal(size=(n, domain.dimension)) * 3.0)
    off = rng.normal(size=points.shape) * 10.0 ** rng.uniform(-10.0, 0.0, (n, 1))
    off[rng.random(n) < 0.4] = 0.0
    one = rng.random(n) < 0.3
    off[one] *= np.arange(domain.dimension) == rng.integers(0, domain.dimension, (int(one.sum()), 1))
    return np.asarray(points + off)


@pytest.mark.parametrize("name", DOMAINS)
def test_points_within_are_those_that_keep_every_limit(name: str) -> None:
    domain = DOMAINS[name]
    points = points_about(domain, 300)
    expected = [lies_within(domain, point) for point in points]
    assert 60 < sum(expected) < 240
    assert Limits(domain).within(points).tolist() == expected


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("name", DOMAINS)
def test_compiled_limits_are_the_same(name: str) -> None:
    domain = DOMAINS[name]
    points = points_about(domain, 20_000)
    assert Limits(domain).within(points).tolist() == [lies_within(domain, point) for point in points]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", DOMAINS)
def test_what_is_not_finite_is_within_nothing(name: str, bad: float) -> None:
    domain = DOMAINS[name]
    limits = Limits(domain)
    for j in range(domain.dimension):
        point = domain.start
        assert limits.within(point[np.newaxis]).all()
        point[j] = bad
        assert not limits.within(point[np.newaxis]).any()
        assert limits.why_outside(point) == f"coordinate {j} is {bad}; all must be finite"


@pytest.mark.parametrize("size", [1e-200, 1e-9, 1.0, 1e100])
def test_limits_hold_in_every_size(size: float) -> None:
    """Squares of such numbers are 0 or infinite."""
    limits = Limits(product(ball(2, size), simplex(1)))
    for huge in (1e300, 1.7e308):
        assert not limits.within(np.array([[huge, huge, 1.0], [0.0, 0.0, -huge]])).any()
    for share, inside in ((0.0, True), (1.0, True), (1.0 + 1e-6, False), (2.0, False), (1e7, False)):
        assert limits.within(np.array([[0.6 * size * share, -0.8 * size * share, 1.0]])).tolist() == [inside]


def test_each_coordinate_of_a_box_has_limits_of_its_own() -> None:
    """What is rounding beside a million is far outside beside a millionth."""
    limits = Limits(box([-1e6, 0.0], [1e6, 1e-6]))
    assert limits.within(np.array([[1e6 + 1e-4, 0.0], [0.0, 1e-6 + 1e-4], [0.0, -1e-12]])).tolist() == [
        True,
        False,
        False,
    ]
    assert Limits(box([-1e6], [0.0])).within(np.array([[-1e6 - 1e-4], [1e-4], [1e-2]])).tolist() == [True, True, False]
    assert limits.why_outside(np.array([0.0, 2e-6])) == "coordinate 1 is 2e-06, 1e-06 beyond its limits 0 and 1e-06"


@pytest.mark.parametrize(
    ("name", "point", "words"),
    [
        ("ball", [1.0, -2.0, 1.75], "it lies 1 farther from the centre of the ball than its radius 0.5"),
        ("box", [1.5, 2.5, 2.0], "coordinate 1 is 2.5, 2 beyond its limits 0 and 0.5"),
        ("box", [1.5, 0.0, 1.75], "coordinate 0 is 1.5, 0.5 beyond its limits -1 and 1"),
        ("simplex", [5.0, 5.0, 5.0, 5.0], "the coordinates of the simplex add up to 20, 17 off 3"),
        ("simplex", [0.0, 1.0, 0.0, 0.0], "the coordinates of the simplex add up to 1, 2 off 3"),
        ("simplex", [-0.5, 1.5, 1.0, 1.0], "coordinate 0 is -0.5, 0.5 beyond its limits 0 and 3"),
        ("product", [1.0, 0.5, 0.5, 0, 0, 0, 0, 0.5, 4], "coordinate 7 is 0.5, 0.4 beyond its limits 0 and 0.1"),
        (
            "product",
            [1.0, 0.5, 0.5, 0, 0, 0, 0, 0.1, 6],
            "it lies 2 farther from the centre of the ball than its radius 4",
        ),
        ("product", [0.0, 0.5, 0.5, 3.0, 4.0, 9, 9, 9, 9], "it lies 4 farther from the centre of the ball than its"),
    ],
)
def test_it_is_said_how_far_outside_and_of_which_limit(name: str, point: list[float], words: str) -> None:
    assert Limits(DOMAINS[name]).why_outside(np.array(point)).startswith(words)


def test_limits_survive_copies() -> None:
    limits = Limits(ball(1), points=2)
    for other in (copy.deepcopy(limits), pickle.loads(pickle.dumps(limits))):
        assert other.points == 2
        assert other.within(np.array([[1.0], [2.0]])).tolist() == [True, False]


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
def test_rows_that_lie_anyhow_in_memory_are_read_as_they_are() -> None:
    limits = Limits(box([0.0, 0.0], [1.0, 9.0]))
    points = np.array([[0.5, 8.0], [8.0, 0.5]])
    for given in (np.asfortranarray(points), np.repeat(points, 2, axis=0)[::2], points.astype(np.float32)):
        assert limits.within(given).tolist() == [True, False]
    strided = np.array([0.5, 70.0, 8.0, 70.0])[::2]
    limits.check_decided("a", strided, 0)
    strided[:] = 8.0, 0.5
    with pytest.raises(OnearmError, match="coordinate 0 is 8, 7 beyond"):
        limits.check_decided("a", strided, 0)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ([0.0, 0.0, 0.0, 5.0], r"it lies 4 farther"),
        ([5.0, 0.0, 0.0, 0.0], r"it lies 4 farther"),
        ([0.0, 0.0, math.nan, 0.0], r"coordinate 0 is nan"),
        ([0.0, 0.0], r"it is float64\[2\], and must be float64\[4\]"),
        ([[0.0, 0.0], [0.0, 0.0]], r"it is float64\[2, 2\], and must be"),
        ([0, 0, 0, 0], r"it is int64\[4\], and must be"),
    ],
)
def test_what_a_policy_decided_outside_is_refused_with_its_name(action: Any, words: str) -> None:
    limits = limits_of(Problem(0, domain=ball(2), feedback="two_rewards"))
    limits.check_decided("careful", np.array([0.6, 0.8, -1.0, 0.0]), 7)
    with pytest.raises(OnearmError, match="policy 'careless' decided a point .* at decision 7: " + words) as found:
        limits.check_decided("careless", np.array(action), 7)
    assert found.value.code == "impossible_point"


@pytest.mark.parametrize("far", [5.0, math.nan])
def test_a_policy_that_leaves_its_domain_is_stopped_in_python_before_it_decides(
    far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_outside", {"leaping": leaping})
    engine = onearm.open({"name": "leaping", "params": {"far": far}} if far == 5.0 else "leaping", domain=ball(3))
    if far != 5.0:
        select, call = engine._select, engine._select.call
        spoilt = lambda *a: call(*a)._replace(action=np.full(3, far)) if engine.number == 2 else call(*a)  # noqa: E731
        monkeypatch.setattr(select, "call", spoilt)
    for _ in range(2):
        engine.learn(engine.decide(), gradient=[1.0, 0.0, 0.0])
    digest = engine.digest()
    for _ in range(2):
        with pytest.raises(
            OnearmError, match=r"policy 'leaping' decided .* at decision 2: (it lies 4|coordinate 0 is nan)"
        ):
            engine.decide()
    assert (engine.number, engine.digest(), engine.report().decisions) == (2, digest, 2)


def test_a_policy_that_leaves_its_domain_is_stopped_in_gymnasium() -> None:
    env = Bowl(feedback="gradient")
    with pytest.raises(OnearmError, match=r"policy 'leaping' .* at decision 2: coordinate 0 is 5, 4\.3 beyond"):
        gym.run(leaping(), env, steps=5)
    assert len(env.points) == 2


def test_a_policy_that_leaves_its_domain_is_stopped_in_a_replay() -> None:
    run = Simulation(catalog.make("ftrl"), tide("losses"), horizon=5)
    log = run.advance_logged(5)
    rehearse(leaping(when=5), run.problem, log)
    with pytest.raises(OnearmError, match=r"policy 'leaping' .* at decision 2: it lies 4 farther"):
        rehearse(leaping(), run.problem, log)


def test_small_numbers_are_finite_ones_of_at_most_1e100_in_size() -> None:
    numbers = np.array([0.0, 1e100, -1e100, 1.0000001e100, -1e200, math.inf, -math.inf, math.nan])
    assert are_small(numbers).tolist() == [True] * 3 + [False] * 5
    assert check_detail("g", [1, -1e100], 2).tolist() == [1.0, -1e100]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 1e200], r"g\[1\] is 1e\+200: it must be finite, and at most 1e\+100 in size"),
        ([-math.inf, 0.0], r"g\[0\] is -inf"),
        ([0.0, math.nan], r"g\[1\] is nan"),
        ([0.0], r"g has the shape \[1\]: it must have \[2\]"),
        (["0", "1"], "g is not a list of numbers: it must be one, of 2"),
        ([1j, 0], "g is not a list"),
        ([True, False], "g is not a list"),
    ],
)
def test_a_detail_that_cannot_be_learned_from_is_refused(values: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_detail("g", values, 2)


def test_a_detail_of_someone_elses_environment_is_held_to_the_same() -> None:
    """Of 1e200 the variation would be infinite, and every later step 0."""
    for large in ([1e100, -1e100], [0.0, 1e200]):
        env = Bowl(told=large, feedback="gradient")
        if are_small(np.array(large)).all():
            assert math.isfinite(gym.run("optimistic_omd", env, steps=3).certificate.bound)
        else:
            with pytest.raises(InvalidInput, match=r"info\[.detail.\]\[1\] is 1e\+200"):
                gym.run("optimistic_omd", env, steps=3)
