"""River: the rows are those of its generators, and their classes change their meaning where it is said."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from river.datasets import synth

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog

SIZES = {"sea": (2, 3), "led": (10, 24), "agrawal": (2, 9), "hyperplane": (2, 10), "random_rbf": (4, 10)}
BOUNDS = (8.0, 9.0, 7.0, 9.5)


def table(stream: str, **params: Any) -> tuple[Any, Any]:
    """Return the rows of a stream and their labels."""
    env = catalog.make("river", stream=stream, **params)
    return env.params.features, env.params.label


@pytest.mark.parametrize("stream", SIZES)
def test_a_stream_has_its_size_and_every_class_in_every_quarter(stream: str) -> None:
    env = catalog.make("river", stream=stream, rows=2000)
    k, d = SIZES[stream]
    assert (env.problem.n_arms, env.problem.context_shape, env.problem.horizon) == (k, (d,), 2000)
    assert env.params.features.shape == (2000, d)
    assert all(set(part) == set(range(k)) for part in np.split(env.params.label, 4))
    assert len(np.unique(env.params.features, axis=0)) > 1990
    assert (env.name, env.spec["params"]) == ("river", {"stream": stream, "rows": 2000, "seed": 0})


@pytest.mark.parametrize("stream", SIZES)
def test_a_seed_draws_the_same_rows_and_another_one_others(stream: str) -> None:
    (features, label), again = table(stream, rows=400, seed=5), table(stream, rows=400, seed=5)
    np.testing.assert_array_equal(features, again[0])
    np.testing.assert_array_equal(label, again[1])
    seen = {tuple(row) for row in features}
    assert all(len(seen & {tuple(row) for row in table(stream, rows=400, seed=other)[0]}) < 4 for other in (0, 4, 6))


def test_a_class_that_no_row_is_of_is_an_arm_all_the_same() -> None:
    env = catalog.make("river", stream="led", rows=4)
    assert env.problem.n_arms == 10 > env.params.label.max() + 1


def test_rows_are_paid_in_their_order_in_every_replication() -> None:
    env = catalog.make("river", rows=10)
    for replication in range(2):
        run = run_key(1, replication, NATURE)
        found = played(env, run, 12)
        assert [row for row, _ in found] == [*env.params.features.tolist(), *env.params.features[:2].tolist()]
        assert [label for _, label in found] == [*env.params.label, *env.params.label[:2]]


def played(env: Environment, run: np.uint64, steps: int) -> list[tuple[list[float], int]]:
    """Return the context and the one arm that pays, of each decision."""
    state = env.init(env.params, env.problem, run)
    context, available, found = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_), []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(run, t))
        instance, arms = Instance(t, context, available), range(env.problem.n_arms)
        paid = [respond(env.params, state, instance, a, np.zeros(0), Key(run, t))[0] for a in arms]
        assert [regret(env.params, state, instance, a) for a in arms] == [1.0 - reward for reward in paid]
        found.append((context.tolist(), paid.index(1.0)))
    return found


def test_the_bound_of_sea_changes_in_each_quarter() -> None:
    features, label = table("sea", rows=8000)
    for quarter, bound in enumerate(BOUNDS):
        part = slice(2000 * quarter, 2000 * (quarter + 1))
        wrong = [(label[part] != (features[part, :2].sum(axis=1) > other)).mean() for other in BOUNDS]
        assert np.argmin(wrong) == quarter
        assert 0.08 < wrong[quarter] < 0.12, bound


def test_lights_that_mean_nothing_take_the_places_of_those_that_do() -> None:
    """A light tells something of the digit where its share of ones differs between the digits."""
    features, label = table("led", rows=20_000)
    moved = []
    for quarter in range(4):
        part = slice(5000 * quarter, 5000 * (quarter + 1))
        shares = np.array([features[part][label[part] == digit].mean(axis=0) for digit in range(10)])
        telling = np.flatnonzero(np.ptp(shares, axis=0) > 0.4)
        assert len(telling) == 7
        moved.append(int((telling >= 7).sum()))
    assert moved == [0, 3, 5, 7]


def test_loans_are_granted_by_another_function_in_each_quarter() -> None:
    features, label = table("agrawal", rows=800, seed=3)
    for quarter in range(4):
        rows = list(synth.Agrawal(classification_function=quarter, perturbation=0.05, seed=12 + quarter).take(200))
        part = slice(200 * quarter, 200 * (quarter + 1))
        assert features[part].tolist() == [list(row.values()) for row, _ in rows]
        assert label[part].tolist() == [found for _, found in rows]


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "least"), [("hyperplane", 0.07), ("random_rbf", 0.5)])
def test_what_was_true_in_the_beginning_is_less_so_at_the_end(stream: str, least: float) -> None:
    """Neighbours among the first rows tell the class of those that follow, and less of those at the end."""
    features, label = table(stream, rows=20_000)

    def right(part: slice) -> float:
        distance = (features[part, None] - features[None, :1500]) ** 2
        near = label[:1500][np.argsort(distance.sum(axis=2), axis=1)[:, :15]]
        return float(np.mean([np.bincount(row).argmax() for row in near] == label[part]))

    assert right(slice(1500, 2000)) > right(slice(19_500, 20_000)) + least


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"stream": "SEA"}, "agrawal, hyperplane, led, random_rbf, sea"),
        ({"stream": 3}, "stream is 3"),
        ({"stream": ["sea"]}, "stream is"),
        ({"rows": 3}, "rows is 3: it must be a whole number from 4 to 10000000"),
        ({"rows": 100.0}, "rows is 100.0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("river", **params)


def test_a_missing_river_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    catalog.factory("river")
    module = importlib.import_module("onearm.envs.contexts.river")
    monkeypatch.setattr(module, "importlib", SimpleNamespace(import_module=missing))
    with pytest.raises(InvalidInput, match=r"river, which is not installed: say .* '\.\[examples\]'"):
        catalog.make("river")
