"""Policies that ask, step by step: what tests of single policies share."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.hardness.exact.states import count_states, plug_in, shared
from onearm.engine.hardness.rollouts import roll_out
from onearm.engine.problem import fitted, query_problem
from onearm.engine.protocol import probability, recommend, select
from onearm.engine.task import Task, best_arm
from onearm.engine.trained.tables import TablePolicy
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy

LEVELS = (3.0, 8.0, 20.0, 50.0)  # H of five arms, with a budget of 15
EQUAL_GAPS = np.array([[np.sqrt(5.0 / level), 0.0, 0.0, 0.0, 0.0] for level in LEVELS])
TWO_CLOSE = np.array([[0.0, -np.sqrt(2.0 / (level - 1.0 / 3.0)), -3.0, -3.0, -3.0] for level in LEVELS])
NO_CONTEXT = np.zeros(0)


class Play:
    """A policy at play; the clock counts what was decided."""

    def __init__(self, policy: Policy, task: Task, budget: int, seed: int = 1) -> None:
        self.problem = query_problem(task, budget)
        self.policy = fitted(policy, self.problem)
        self.state: Any = self.policy.init(self.policy.params, self.problem)
        self.run = run_key(seed, 0, POLICY)
        self.t = 0

    def instance(self, available: list[bool] | Array | None = None) -> Instance:
        n = self.problem.n_arms
        return Instance(self.t, NO_CONTEXT, np.ones(n, np.bool_) if available is None else np.array(available))

    def choose(self, available: list[bool] | Array | None = None, t: int | None = None) -> Decision:
        """Return what would be asked, of draws of another time where one is given."""
        key = Key(self.run, self.t if t is None else t)
        return select(self.policy.params, self.state, self.instance(available), key)

    def ask(self, available: list[bool] | Array | None = None) -> int:
        """Decide on a query, whose answer may come later."""
        decision = loop.decide(self.policy.params, self.state, self.instance(available), Key(self.run, self.t))
        self.t += 1
        return int(decision[0])

    def tell(self, query: int, answer: float) -> None:
        """Learn an answer."""
        feedback, key = Feedback(0.0, np.array([answer])), Key(self.run, max(self.t - 1, 0))
        loop.learn(self.policy.params, self.state, self.instance(), Decision(query, 1.0), feedback, key)

    def put(self, query: int, *answers: float) -> None:
        """Let a query have been asked and answered, whatever the policy would have asked."""
        for answer in answers:
            self.state.evidence.asked[query] += 1
            self.t += 1
            self.tell(query, answer)

    def law(self, available: list[bool] | Array | None = None) -> Array:
        """Return the probability of every query."""
        instance = self.instance(available)
        queries = range(self.problem.n_arms)
        return np.array([probability(self.policy.params, self.state, instance, i) for i in queries])

    def recommend(self, t: int | None = None) -> int:
        return int(recommend(self.policy.params, self.state, Key(self.run, self.t if t is None else t)))


def as_table(policy: Policy, task: Task, budget: int) -> TablePolicy:
    """Return a policy that decides by counts of answers, and recommends what looks best, as a table."""
    play, states = Play(policy, task, budget), count_states(task, budget)
    evidence = play.state.evidence
    law = np.zeros((states.n_open, task.n_queries))
    for row in range(states.n_open):
        asked, up = states.asked[row], states.up[row]
        evidence.asked[:], evidence.count[:] = asked, asked
        evidence.total[:] = up if task.answers == "bits" else 2.0 * up - asked
        law[row] = play.law()
    return TablePolicy(task, budget, law, shared(plug_in(task, states)))


def five_arm_losses(policy: Policy, means: Array, rollouts: int = 20_000) -> Array:
    """Return how often another arm than the first is recommended, float64[4], after 15 queries."""
    found = roll_out(policy, query_problem(best_arm(5), 15), means, rollouts, seed=3)
    return np.asarray((found.recommended != 0).mean(axis=1))


def near(losses: Array, reference: list[float], rollouts: int = 20_000) -> bool:
    """Tell whether losses are within 4 standard errors of those of a reference of 40,000 rollouts."""
    known = np.array(reference)
    return bool((np.abs(losses - known) <= 4.0 * np.sqrt(known * (1.0 - known) * (1 / rollouts + 1 / 40_000))).all())
