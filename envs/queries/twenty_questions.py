"""Twenty questions: which object is meant, by answers of yes and no some of which are wrong?

Source: the game as a task of active learning in Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach",
arXiv 2010.15382; with a table of probabilities Hu et al., "Playing 20 question game with policy-based reinforcement
learning", EMNLP 2018.
The table has a row for each object and a column for each question: 1 for yes and 0 for no, or the probability of yes.
An answer is 1 for yes and -1 for no; about an attribute that is 0 or 1 it is wrong with the probability `noise`. The
hypotheses are the objects, by their likelier answers (no at 1/2); the loss is 1 where another object is named, else 0.
State: the object that is meant, drawn from nature's key. Cost: one draw an answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...engine.answers import SIGNS, draw_answer
from ...engine.draws import NATURE, run_key, uniform
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_seed, check_table, query_problem
from ...engine.protocol import register_env
from ...engine.task import NUMBERS_MAX, QUERIES_MAX, hypotheses
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

_OBJECT = 2**62  # the time of the draw of the object; no decision is numbered so high


class TwentyQuestionsParams(NamedTuple):
    """Numbers fixed at creation."""

    mean: Array  # float64[m, n] of the answers, from -1 to 1
    object: int  # the one that is meant; -1 to draw it


class TwentyQuestionsState(NamedTuple):
    """Written once, from nature's key."""

    mean: Array  # float64[n] of the answers about what is meant
    loss: Array  # float64[m]


def twenty_questions(
    table: list[list[float]] | None = None,
    objects: int | None = None,
    questions: int | None = None,
    noise: float = 0.1,
    object: int | None = None,
    seed: int = 0,
) -> Environment:
    """Ask about one object of a table: rows of 0 and 1, or of probabilities of yes; no two rows may be alike.

    Without a table `objects` (50) are made up from `seed`, each with a fair answer to each of `questions` (20), no two
    alike. `noise`, below 1/2, is the probability of a wrong answer; a probability p of yes becomes
    p + (1 - 2 p) noise. `object` is the number of the one that is meant; by default each is as likely.
    """
    if table is None:
        given = made_up(50 if objects is None else objects, 20 if questions is None else questions, seed)
    elif objects is not None or questions is not None:
        raise InvalidInput("bad_param", "a table is given: leave objects and questions out")
    else:
        given = check_table("table", table, low=0.0, high=1.0)
    check_param("noise", noise, low=0.0, high=0.5, high_open=True)
    task = hypotheses((given > 0.5).astype(np.float64))
    if object is not None and (isinstance(object, bool) or not isinstance(object, int) or not 0 <= object < len(given)):
        raise InvalidInput(
            "bad_param", f"object is {as_seen(object)}: it must be a whole number from 0 to {len(given) - 1}"
        )
    mean = (2.0 * given - 1.0) * (1.0 - 2.0 * noise)
    params = TwentyQuestionsParams(mean, -1 if object is None else object)
    return Environment("twenty_questions", params, init, query_problem(task, None))


def made_up(objects: int, questions: int, seed: int) -> Array:
    """Return a table of fair answers, float64[objects, questions]: rows that were there are drawn again."""
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (objects, questions))
    if not whole or not 1 <= questions <= QUERIES_MAX or not 2 <= objects <= NUMBERS_MAX // questions:
        raise InvalidInput(
            "bad_param",
            f"there are {objects!r} objects and {questions!r} questions: at least 2 and 1, and their product at most "
            f"{NUMBERS_MAX}",
        )
    if objects > 2 ** min(questions - 1, 62):
        raise InvalidInput(
            "bad_param",
            f"there are {objects} objects and {questions} questions: half of all 2^questions rows at most can be made "
            "up; give more questions",
        )
    run, rows, t = run_key(check_seed(seed), 0, NATURE), dict[bytes, Array](), 0
    while len(rows) < objects:
        row = np.zeros(questions, np.bool_)
        _draw(Key(run, t), row)
        rows.setdefault(row.tobytes(), row)
        t += 1
    return np.array([*rows.values()], np.float64)


@loop
def _draw(key: Key, row: Array) -> None:
    for i in range(len(row)):
        row[i] = uniform(key, i) < 0.5


def init(params: TwentyQuestionsParams, problem: Problem, run: np.uint64) -> TwentyQuestionsState:
    """Draw the object."""
    m = len(params.mean)
    meant = min(int(uniform(Key(run, _OBJECT), 0) * m), m - 1) if params.object < 0 else params.object
    loss = np.ones(m)
    loss[meant] = 0.0
    return TwentyQuestionsState(params.mean[meant].copy(), loss)


@kernel
def respond(
    params: TwentyQuestionsParams, state: TwentyQuestionsState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Answer a question with 1 for yes or -1 for no."""
    detail[0] = draw_answer(SIGNS, state.mean[action], key)
    return 0.0, 0


@kernel
def recommendation_loss(params: TwentyQuestionsParams, state: TwentyQuestionsState, recommendation: int) -> float:
    """Return 1 for another object than the one that is meant."""
    return state.loss[recommendation]


register_env(TwentyQuestionsParams, respond=respond, recommendation_loss=recommendation_loss)
