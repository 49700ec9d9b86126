"""Rollouts: the loop's own decisions and nature's own draws, and losses that are known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.querying import as_table

from onearm.engine import loop
from onearm.engine.answers import ANSWERS, draw_answer
from onearm.engine.draws import NATURE, POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.exact.losses import exact_losses
from onearm.engine.hardness.rollouts import ROLLOUTS_MAX, Rollouts, roll_out
from onearm.engine.problem import query_problem
from onearm.engine.task import AnswerKind, Task, best_arm, hypotheses, thresholds
from onearm.engine.vocabulary import Array, Feedback, Instance, Key, Problem
from onearm.policies import catalog

MEANS = np.array([[0.5, -0.5, 0.25], [0.0, 0.9, 0.1]])


def same(first: Rollouts, second: Rollouts) -> bool:
    return all((a == b).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("policy", ["successive_halving", "top_two_thompson", "lucb_budget"])
@pytest.mark.parametrize("answers", ["normal", "signs"])
def test_a_rollout_is_a_run_of_the_loop_step_by_step(policy: str, answers: AnswerKind) -> None:
    problem, start, seed = query_problem(best_arm(3, answers), 7), 5, 9
    found = roll_out(catalog.make(policy), problem, MEANS, 2, seed=seed, start=start)
    chosen = catalog.make(policy)
    run, nature = run_key(seed, 0, POLICY), run_key(seed, 0, NATURE)
    for i, j in np.ndindex(2, 2):
        state, number = chosen.init(chosen.params, problem), (start + 2 * i + j) * 8
        for t in range(7):
            instance, key = Instance(t, np.zeros(0), np.ones(3, np.bool_)), Key(run, number + t)
            decision = loop.decide(chosen.params, state, instance, key)
            answer = draw_answer(ANSWERS[answers], MEANS[i, decision.action], Key(nature, number + t))
            loop.learn(chosen.params, state, instance, decision, Feedback(0.0, np.array([answer])), key)
            assert (found.queries[i, j, t], found.answers[i, j, t]) == (decision.action, answer)
        assert found.recommended[i, j] == loop.recommendation(chosen.params, state, Key(run, number + 7))


def test_rollouts_in_two_parts_are_those_in_one() -> None:
    problem, policy = query_problem(thresholds(3), 5), catalog.make("uniform_budget")
    whole = roll_out(policy, problem, MEANS[:1], 6, seed=4)
    parts = [roll_out(policy, problem, MEANS[:1], 3, seed=4, start=start) for start in (0, 3)]
    assert same(whole, Rollouts(*(np.concatenate(pair, axis=1) for pair in zip(*parts, strict=True))))
    assert not same(parts[0], parts[1])
    assert not same(whole, roll_out(policy, problem, MEANS[:1], 6, seed=5))


def test_answers_are_those_of_the_task() -> None:
    for answers, allowed in (("signs", {-1.0, 1.0}), ("bits", {0.0, 1.0})):
        task: Task = best_arm(3, answers)  # type: ignore[arg-type]
        found = roll_out(catalog.make("uniform_budget"), query_problem(task, 6), np.abs(MEANS), 10)
        assert set(found.answers.ravel()) == allowed
    found = roll_out(catalog.make("uniform_budget"), query_problem(hypotheses(np.eye(3)), 6), np.ones((1, 3)), 10)
    assert (found.answers == 1.0).all()


@pytest.mark.parametrize(
    ("problem", "means", "rollouts", "start", "message"),
    [
        (query_problem(best_arm(3), None), MEANS, 1, 0, "give the problem both"),
        (Problem(3, horizon=5), MEANS, 1, 0, "give the problem both"),
        (query_problem(best_arm(2), 5), MEANS, 1, 0, r"\[M, 2\] finite numbers"),
        (query_problem(best_arm(3), 5), MEANS[0], 1, 0, r"shape \[3\]"),
        (query_problem(best_arm(3), 5), MEANS * math.nan, 1, 0, "finite"),
        (query_problem(best_arm(3), 5), MEANS, 0, 0, "at least 1"),
        (query_problem(best_arm(3), 5), MEANS, 1, -1, "from number -1"),
        (query_problem(best_arm(3), 5), MEANS, 1, ROLLOUTS_MAX - 1, "at most 2"),
    ],
)
def test_what_cannot_be_played_is_refused(
    problem: Problem, means: Array, rollouts: int, start: int, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        roll_out(catalog.make("uniform_budget"), problem, means, rollouts, start=start)


def test_a_policy_for_another_task_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'lucb_budget' is for tasks of the kind arms"):
        roll_out(catalog.make("lucb_budget"), query_problem(thresholds(3), 5), MEANS, 1)
    with pytest.raises(InvalidInput, match="'ucb1' decides on arms"):
        roll_out(catalog.make("ucb1"), query_problem(thresholds(3), 5), MEANS, 1)


@pytest.mark.jit
def test_losses_of_many_rollouts_are_the_exact_ones() -> None:
    """Of the policy as a table: its flow over the counts of answers, weighted with their likelihood."""
    rollouts = 40_000
    means = np.array([[0.7, 0.5, 0.3], [0.5, 0.9, 0.1], [0.3, 0.5, 0.5]])
    task = best_arm(3, "bits", "simple_regret")
    policy = catalog.make("lucb_budget")
    exact = exact_losses(as_table(policy, task, 6), means)
    found = roll_out(policy, query_problem(task, 6), means, rollouts, seed=2)
    for row, costs in enumerate(task.losses(means)):
        losses = costs[found.recommended[row]]
        assert abs(losses.mean() - exact[row]) <= 4 * losses.std() / math.sqrt(rollouts)
