"""Our environments behind Gymnasium's interface, one at a time and vectorised.

An observation is the context, or 0 where there is none; an action is an arm. An episode is `horizon` decisions long and
ends by truncation. `info` holds `action_mask` int8[k] (which arms are available), and after a step `regret` and `delay`
(the reward itself is handed out at once).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from onearm.engine import loop
from onearm.engine.contexts import empty_contexts
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.experiment import problem_of
from onearm.engine.vocabulary import Array, Environment
from onearm.envs import catalog

HORIZON = 1000  # of an episode where neither the caller nor the environment names one
BOUND = 1e12  # of an observation's entries: Gymnasium warns of infinite ones


class Copies:
    """n copies of an environment, each with its own nature; a step of all of them is one kernel call."""

    def __init__(self, env: Environment, n: int, horizon: int | None) -> None:
        self.env = env
        self.n = n
        self.problem = problem_of(env, horizon or env.problem.horizon or HORIZON)
        if self.problem.context_kind == "named":
            raise InvalidInput(
                "named_context",
                f"the environment {env.name!r} shows named features, which no space of Gymnasium holds: "
                "take the environment inside it",
            )
        self.contexts = empty_contexts(n, self.problem)
        self.available = np.ones((n, self.problem.n_choices), np.bool_)
        self.rewards = np.zeros(n)
        self.regrets = np.zeros(n)
        self.delays = np.zeros(n, np.int64)
        self._details = np.zeros((n, self.problem.detail_length))
        self.restart([0] * n)

    def restart(self, seeds: list[int]) -> None:
        """Begin anew with these seeds."""
        self.t = 0
        self._runs = np.array([run_key(seed, 0, NATURE) for seed in seeds], np.uint64)
        states = [self.env.init(self.env.params, self.problem, run) for run in self._runs]
        self._states = _stacked(states)
        self._observe()

    def step(self, actions: Array) -> None:
        """Take one action in each copy, int64[n], and see what arrives next."""
        allowed = self.available[np.arange(self.n), actions]
        if not allowed.all():
            i = int(allowed.argmin())
            there = ", ".join(map(str, np.flatnonzero(self.available[i])))
            raise InvalidInput(
                "unavailable_action",
                f"arm {actions[i]} is not available at decision {self.t}: available arms are {there} (see action_mask)",
            )
        loop.answer_all(
            self.env.params,
            self._states,
            self._runs,
            self.t,
            actions,
            self.contexts,
            self.available,
            self._details,
            self.rewards,
            self.regrets,
            self.delays,
        )
        self.t += 1
        self._observe()

    @property
    def ended(self) -> bool:
        """Whether the horizon is reached."""
        return self.t >= (self.problem.horizon or 0)

    def observation_space(self) -> spaces.Space[Any]:
        """Return the space of one copy's observation."""
        if self.problem.context_shape == (0,):
            return spaces.Discrete(1)
        return spaces.Box(-BOUND, BOUND, self.problem.context_shape, np.float64)

    def observation(self) -> Array:
        """Return the observations of all copies."""
        if self.problem.context_shape == (0,):
            return np.zeros(self.n, np.int64)
        return self.contexts.copy()

    def _observe(self) -> None:
        loop.observe_all(self.env.params, self._states, self._runs, self.t, self.contexts, self.available)


class BanditEnv(gymnasium.Env[Any, Any]):
    """One environment of onearm as a Gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, name: str, horizon: int | None = None, render_mode: None = None, **params: Any) -> None:
        self.render_mode = render_mode
        self._copies = Copies(catalog.make(name, **params), 1, horizon)
        self.action_space = spaces.Discrete(self._copies.problem.n_arms)
        self.observation_space = self._copies.observation_space()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the same seed gives the same nature."""
        super().reset(seed=seed)
        self._copies.restart([int(self.np_random.integers(2**63))])
        return self._observation(), {"action_mask": self._copies.available[0].astype(np.int8)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play an arm."""
        if not self.action_space.contains(action):
            raise InvalidInput("bad_action", f"the action is {action!r}: it must be in {self.action_space}")
        self._copies.step(np.array([action], np.int64))
        info = {
            "action_mask": self._copies.available[0].astype(np.int8),
            "regret": float(self._copies.regrets[0]),
            "delay": int(self._copies.delays[0]),
        }
        return self._observation(), float(self._copies.rewards[0]), False, self._copies.ended, info

    def _observation(self) -> Any:
        observation = self._copies.observation()[0]
        return observation if isinstance(self.observation_space, spaces.Box) else int(observation)


class BanditVectorEnv(VectorEnv[Any, Any, Any]):
    """Many copies of one environment; a step is one kernel call."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self, name: str, num_envs: int = 1, horizon: int | None = None, render_mode: None = None, **params: Any
    ) -> None:
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._copies = Copies(catalog.make(name, **params), num_envs, horizon)
        self.single_action_space = spaces.Discrete(self._copies.problem.n_arms)
        self.single_observation_space = self._copies.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every copy; with one seed s the copies get s, s + 1, ..."""
        if isinstance(seed, int):
            seeds = [seed + i for i in range(self.num_envs)]
        else:
            given = seed or [None] * self.num_envs
            seeds = [int(self.np_random.integers(2**63)) if one is None else one for one in given]
        first = [int(np.random.default_rng(one).integers(2**63)) for one in seeds]
        self._copies.restart(first)
        return self._copies.observation(), self._mask()

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Play one arm in each copy; after the end of an episode the next step begins another."""
        no = np.zeros(self.num_envs, np.bool_)
        if self._copies.ended:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), no, no, info
        chosen = np.asarray(actions)
        if not np.issubdtype(chosen.dtype, np.integer) or not self.action_space.contains(chosen):
            raise InvalidInput("bad_action", f"the actions are {actions!r}: they must be in {self.action_space}")
        self._copies.step(chosen.astype(np.int64))
        info = {**self._mask(), "regret": self._copies.regrets.copy(), "delay": self._copies.delays.copy()}
        over = np.full(self.num_envs, self._copies.ended)
        return self._copies.observation(), self._copies.rewards.copy(), no, over, info

    def _mask(self) -> dict[str, Any]:
        return {"action_mask": self._copies.available.astype(np.int8)}


def _stacked(states: list[Any]) -> Any:
    """Return states as one, its arrays stacked along a new first axis."""
    fields = zip(*states, strict=True)
    return type(states[0])(*(_stacked(list(f)) if isinstance(f[0], tuple) else np.stack(f) for f in fields))
