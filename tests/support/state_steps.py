"""Steps of policies that learn in states: transitions told one by one, and plans looked at during a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onearm.engine import loop
from onearm.engine.problem import state_problem
from onearm.engine.simulation import Simulation
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import Decision, Environment, Feedback, Instance, Key, Policy

KEY = Key(np.uint64(1), 0)


class Steps:
    """A policy in a world of S states and A actions, all open, that is told what happened."""

    def __init__(self, policy: Policy, states: int, n_arms: int, horizon: int | None = None) -> None:
        self.policy, self.open = policy, np.ones(n_arms, np.bool_)
        self.state = policy.init(policy.params, replace(state_problem(states, n_arms), horizon=horizon))

    def action(self, s: int) -> int:
        instance = Instance(0, np.array([float(s), 0.0]), self.open)
        action, propensity = loop.decide(self.policy.params, self.state, instance, KEY)
        assert propensity == 1.0
        return int(action)

    def tell(self, s: int, a: int, reward: float, after: int, begins: bool = False) -> None:
        instance = Instance(0, np.array([float(s), float(begins)]), self.open)
        feedback = Feedback(reward, np.array([float(after)]))
        loop.learn(self.policy.params, self.state, instance, Decision(a, 1.0), feedback, KEY)


def believed_gains(policy: Policy, env: Environment, horizon: int, every: int) -> tuple[list[float], float]:
    """Return the gain of the plan at hand after every so many decisions, and the true one."""
    simulation = Simulation(policy, env, horizon=horizon, seed=4)
    gains = []
    for _ in range(0, horizon, every):
        simulation.advance(every)
        gains.append(float(simulation.state.plan.gain[0]))
    return gains, optimum(*tables_of(env)).gain
