"""Recommendation: what a new user answers, how items follow from those that can be asked, and what a choice costs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.draws import NATURE, normal, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import recommendation_loss, respond
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RATINGS = [[1.0, 2.0, 3.0], [0.0, 4.0, 4.0], [2.0, -2.0, 0.0], [5.0, 1.0, 6.0]]  # the third is the sum of the others


def begin(env: Environment, seed: int = 1) -> object:
    return env.init(env.params, env.problem, run_key(seed, 0, NATURE))


def costs(env: Environment, seed: int = 1) -> list[float]:
    assert env.problem.task is not None
    state = begin(env, seed)
    return [recommendation_loss(env.params, state, item) for item in range(env.problem.task.n_hypotheses)]


def test_where_all_items_can_be_asked_it_is_the_best_arm() -> None:
    env = catalog.make("recommendation", ratings=RATINGS, user=3, noise=2.0)
    task = env.problem.task
    assert task is not None
    assert (task.kind, task.n_queries, task.answers, task.loss) == ("arms", 3, "normal", "simple_regret")
    assert costs(env) == [0.5, 2.5, 0.0]
    assert costs(env) == task.losses(np.array([2.5, 0.5, 3.0])).tolist()


def test_other_items_are_the_weighted_sums_that_fit_the_known_users() -> None:
    env = catalog.make("recommendation", ratings=RATINGS, asked=[0, 1], user=2)
    task = env.problem.task
    assert task is not None
    assert task.kind == "hypotheses"
    assert task.table.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert costs(env) == [0.0, 4.0, 2.0] == task.losses(np.array([2.0, -2.0])).tolist()


def test_the_loss_is_of_true_ratings_and_not_of_what_the_weights_say() -> None:
    strange = [*RATINGS[:3], [5.0, 1.0, -6.0]]
    env = catalog.make("recommendation", ratings=strange, asked=[0, 1], user=3)
    task = env.problem.task
    assert task is not None
    assert task.losses(np.array([5.0, 1.0])).argmin() == 2
    assert costs(env) == [0.0, 4.0, 11.0]


def test_weights_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    ratings = rng.normal(size=(80, 7)) @ rng.normal(size=(7, 7)) / 3
    asked = [5, 0, 2]
    task = catalog.make("recommendation", ratings=ratings.tolist(), asked=asked, noise=0.5).problem.task
    assert task is not None
    known = ratings[:40]
    left = known[:, asked]
    expected = np.linalg.solve(left.T @ left, left.T @ known).T  # the normal equations; of a user's ratings all scale
    assert task.table == pytest.approx(expected, abs=1e-6)
    assert task.table[asked].tolist() == np.eye(3).tolist()
    assert (task.table == task.table.round(6)).all()  # the same on every machine


def test_an_answer_is_a_rating_in_units_of_the_noise_and_a_normal_draw() -> None:
    env = catalog.make("recommendation", ratings=RATINGS, asked=[2, 0], user=3, noise=2.0)
    state, detail, run = begin(env), np.zeros(1), run_key(1, 0, NATURE)
    for t in range(50):
        instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
        for query, rating in ((0, 6.0), (1, 5.0)):
            assert respond(env.params, state, instance, query, detail, Key(run, t)) == (0.0, 0)
            assert detail[0] == rating / 2.0 + normal(Key(run, t), 0)


def test_the_user_is_drawn_from_the_second_half_of_the_table() -> None:
    env, runs = catalog.make("recommendation", ratings=RATINGS), 400
    found = [tuple(begin(env, seed).mean) for seed in range(runs)]  # type: ignore[attr-defined]
    assert set(found) == {(2.0, -2.0, 0.0), (5.0, 1.0, 6.0)}
    assert abs(found.count((5.0, 1.0, 6.0)) / runs - 0.5) <= 4 * 0.5 / math.sqrt(runs)


def test_made_up_ratings_are_of_low_rank_and_follow_from_the_seed() -> None:
    env, again, other = (catalog.make("recommendation", seed=seed) for seed in (0, 0, 1))
    assert env.params.rating.shape == (100, 30)
    assert env.params.rating.tolist() == again.params.rating.tolist() != other.params.rating.tolist()
    assert np.linalg.matrix_rank(env.params.rating) == 3
    assert 1.0 < env.params.rating.std() < 3.0
    task = env.problem.task
    assert task is not None
    assert (task.n_queries, task.n_hypotheses) == (10, 30)
    rating = env.params.rating
    assert np.abs(rating[:, :10] @ task.table.T - rating).max() < 1e-3  # ten items tell three tastes


def test_asking_helps() -> None:
    env = catalog.make("recommendation")
    regret = simulate(policies.make("uniform_budget"), env, horizon=40, replications=20, seed=1).regret
    assert regret[:, -1].mean() < 0.5 * regret[:, 4].mean()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ratings": RATINGS[:1]}, "1 users"),
        ({"ratings": [[1, None], [2, 3]]}, r"ratings\[0\]\[1\] is nan"),
        ({"ratings": RATINGS, "items": 3}, "leave users, items and rank out"),
        ({"ratings": RATINGS, "user": 1}, "user is 1: it must be a row of the second half of the table, 2 to 3"),
        ({"ratings": RATINGS, "asked": [0, 3]}, "numbers of items, 0 to 2"),
        ({"ratings": RATINGS, "asked": [0, 0]}, "each once"),
        ({"ratings": RATINGS, "asked": []}, "asked is"),
        ({"ratings": RATINGS, "noise": 0.0}, "noise is 0"),
        ({"ratings": [[1e100, 0.0], [0.0, 0.0]], "noise": 0.1}, "1e\\+100 is the most"),
        ({"users": 0}, "users is 0"),
        ({"rank": True}, "rank is True"),
        ({"users": 2**20, "items": 2**10}, "16777216 numbers are the most"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_what_is_no_world_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        catalog.make("recommendation", **params)
