"""Recommendation: a new user rates a few items; which item is recommended?

Source: the task of Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382.
Users rate items; the first half of the users is known, and one of the others comes. An answer is the user's rating of
an item plus normal noise, in units of that noise (divided by `noise`), as ratings vary when they are asked again. The
loss is how much better the user's best item is than what is recommended, in the same units, by the user's true ratings.
Where all items can be asked it is the task of the best arm. Else each item is a hypothesis: its rating as a weighted
sum of those that can be asked, by least squares without a constant over the known users. What it says of the user is
then an approximation, and even the best hypothesis may lose.
State: the ratings of the user, drawn from nature's key. Cost: one draw an answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.answers import NORMAL, draw_answer
from ...engine.draws import NATURE, normal, run_key, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_seed, check_table, query_problem
from ...engine.protocol import register_env
from ...engine.task import NUMBERS_MAX, Task, best_arm, hypotheses
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

DIGITS = 6  # of the weights: least squares has other last bits on other machines
_USER = 2**62  # the time of the draw of the user; no decision is numbered so high
_ITEM = 2**32  # made-up items have the draws from here on


class RecommendationParams(NamedTuple):
    """Numbers fixed at creation."""

    rating: Array  # float64[users, items] of those that may come, in units of the noise
    asked: Array  # int64[n] the items that can be asked
    user: int  # the row of the one that comes; -1 to draw it


class RecommendationState(NamedTuple):
    """Written once, from nature's key."""

    mean: Array  # float64[n] of the answers
    loss: Array  # float64[items]


def recommendation(
    ratings: list[list[float]] | None = None,
    asked: list[int] | None = None,
    noise: float = 1.0,
    user: int | None = None,
    users: int | None = None,
    items: int | None = None,
    rank: int | None = None,
    seed: int = 0,
) -> Environment:
    """Recommend an item to a user of a table of `ratings`, users x items, who tells those of the items `asked`.

    Without `ratings` those of `users` (200) and `items` (30) are made up from `seed`: sums of `rank` (3) products of
    normal draws, with a standard deviation of 2. Without `asked` all items of a given table can be asked, and the first
    10 of one that is made up. `user` is the row of the one who comes, in the second half of the table; by default each
    of these is as likely.
    """
    if ratings is None:
        made = (200 if users is None else users, 30 if items is None else items, 3 if rank is None else rank)
        table = made_up(*made, seed)
    elif (users, items, rank) != (None, None, None):
        raise InvalidInput("bad_param", "ratings are given: leave users, items and rank out")
    else:
        table = check_table("ratings", ratings, low=-1e100, high=1e100)
    table = table / check_param("noise", noise, low=1e-100, high=1e100)
    if len(table) < 2 or not (np.abs(table) <= 1e100).all():
        raise InvalidInput(
            "bad_param",
            f"there are {len(table)} users, with ratings of up to {np.abs(table).max():g} times the noise: two users "
            "are needed at least, and 1e+100 is the most",
        )
    count = table.shape[1]
    chosen = list(range(count if ratings is not None else min(10, count))) if asked is None else asked
    which = np.array(_checked(chosen, count), np.int64)
    known, new = table[: len(table) // 2], table[len(table) // 2 :]
    task = task_of(known, which)
    params = RecommendationParams(new, which, _row(user, len(table), len(known)))
    return Environment("recommendation", params, init, query_problem(task, None))


def made_up(users: int, items: int, rank: int, seed: int) -> Array:
    """Return a table of ratings of low rank, float64[users, items]."""
    numbers = {"users": users, "items": items, "rank": rank}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= NUMBERS_MAX:
            raise InvalidInput(
                "bad_param", f"{name} is {as_seen(number)}: it must be a whole number from 1 to {NUMBERS_MAX}"
            )
    if max(users * items, users * rank, items * rank) > NUMBERS_MAX:
        raise InvalidInput(
            "bad_param", f"{users} users, {items} items, rank {rank}: {NUMBERS_MAX} numbers are the most"
        )
    run = run_key(check_seed(seed), 0, NATURE)
    taste, kind = np.zeros((users, rank)), np.zeros((items, rank))
    _draw(run, 0, taste)
    _draw(run, _ITEM, kind)
    total = np.zeros((users, items))
    for r in range(rank):  # not a product of matrices, whose bits differ between machines
        total += taste[:, r, None] * kind[None, :, r]
    return total * (2.0 / math.sqrt(rank))


@loop
def _draw(run: np.uint64, first: int, table: Array) -> None:
    for i in range(table.shape[0]):
        for r in range(table.shape[1]):
            table[i, r] = normal(Key(run, first + i), r)


def task_of(known: Array, asked: Array) -> Task:
    """Return the best arm, where all items are asked in order, or the items as weighted sums of what is asked."""
    items = known.shape[1]
    if asked.tolist() == list(range(items)):
        return best_arm(items, loss="simple_regret")
    weights = np.linalg.lstsq(known[:, asked], known, rcond=None)[0].T.round(DIGITS) + 0.0
    weights[asked] = np.eye(len(asked))
    return hypotheses(weights, "normal", "simple_regret")


def _checked(asked: list[int], items: int) -> list[int]:
    whole = isinstance(asked, list) and all(isinstance(i, int) and not isinstance(i, bool) for i in asked)
    if not whole or not asked or len(set(asked)) < len(asked) or not all(0 <= i < items for i in asked):
        raise InvalidInput(
            "bad_param",
            f"asked is {as_seen(asked)}: it must be a list of numbers of items, 0 to {items - 1}, each once",
        )
    return asked


def _row(user: int | None, users: int, known: int) -> int:
    if user is None:
        return -1
    if isinstance(user, bool) or not isinstance(user, int) or not known <= user < users:
        raise InvalidInput(
            "bad_param",
            f"user is {as_seen(user)}: it must be a row of the second half of the table, {known} to {users - 1}; the "
            "first half is known",
        )
    return user - known


def init(params: RecommendationParams, problem: Problem, run: np.uint64) -> RecommendationState:
    """Draw the user."""
    users = len(params.rating)
    row = min(int(uniform(Key(run, _USER), 0) * users), users - 1) if params.user < 0 else params.user
    rating = params.rating[row]
    return RecommendationState(rating[params.asked].copy(), rating.max() - rating)


@kernel
def respond(
    params: RecommendationParams, state: RecommendationState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Answer with a rating."""
    detail[0] = draw_answer(NORMAL, state.mean[action], key)
    return 0.0, 0


@kernel
def recommendation_loss(params: RecommendationParams, state: RecommendationState, recommendation: int) -> float:
    """Return how much better than this one the user's best item is."""
    return state.loss[recommendation]


register_env(RecommendationParams, respond=respond, recommendation_loss=recommendation_loss)
