"""Our environments that ask queries within a budget, behind Gymnasium's interface.

Of n queries and m hypotheses an action is one of n + m: a query from 0 to n - 1 is answered, n + z recommends the
hypothesis z and ends the episode. The reward of a recommendation is minus its loss, any other is 0. Once the `horizon`,
the budget, is spent, only recommendations are possible; who recommends earlier ends the episode earlier.

An observation is all that is known: `count` int64[n], the answers to each query, `total` float64[n], their sums, and
`left`, how many can be asked yet. `info` holds `action_mask` int8[n + m], and after a query the `answer`, after a
recommendation its `loss` and the `recommendation`. `metadata["queries"]` has the `task`, as JSON, and the `budget`.

>>> env = QueryEnv("thresholds", horizon=4, points=3, change=1, amplitude=1.0)
>>> _, info = env.reset(seed=1)
>>> info["action_mask"].tolist()  # three points to ask about, four cuts to recommend
[1, 1, 1, 1, 1, 1, 1]
>>> observation, reward, terminated, _, info = env.step(0)
>>> (observation["total"].tolist(), int(observation["left"]), reward, info["answer"])
([1.0, 0.0, 0.0], 3, 0.0, 1.0)
>>> env.step(3 + 2)[1:3]  # the first two points are positive, and one of them is not
(-1.0, True)
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ...engine.errors import Conflict, InvalidInput, as_seen
from ...engine.vocabulary import Array, Environment
from ..kinds.queries.problem import task_of
from ..kinds.table import kind_of
from .envs import BOUND, Copies, made

BUDGET = 20  # of an episode where neither the caller nor the environment names one
_ASKED = np.ones(1, np.bool_)


class QueryEnv(gymnasium.Env[Any, Any]):
    """One environment of onearm that asks queries, as a Gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self, env: str | Environment, horizon: int | None = None, render_mode: None = None, **params: Any
    ) -> None:
        self.render_mode = render_mode
        world = made(env, params)
        if not kind_of(world.problem).gym.recommends:
            raise InvalidInput("bad_env", f"the environment {world.name!r} asks no queries: take BanditEnv")
        task = task_of(world.problem)
        self._copies = Copies(world, 1, _budget(horizon, world))
        self._budget = self._copies.problem.horizon or 0
        self._n, self._m = task.n_queries, task.n_hypotheses
        most = BOUND if task.answers == "normal" else float(self._budget)
        self.metadata = self.metadata | {"queries": {"task": task.to_json(), "budget": self._budget}}
        self.action_space = spaces.Discrete(self._n + self._m)
        self.observation_space = spaces.Dict(
            count=spaces.Box(0, self._budget, (self._n,), np.int64),
            total=spaces.Box(-most, most, (self._n,), np.float64),
            left=spaces.Discrete(self._budget + 1),
        )
        self._begin()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the same seed gives the same nature."""
        super().reset(seed=seed)
        self._copies.restart([0], [int(self.np_random.integers(2**63))])
        self._copies.observe()
        self._begin()
        return self._observation(), {"action_mask": self._mask()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Ask a query, or recommend a hypothesis."""
        if isinstance(action, (bool, np.bool_)) or not self.action_space.contains(action):
            raise InvalidInput("bad_action", f"the action is {as_seen(action)}: it must be in {self.action_space}")
        if self._over:
            raise Conflict("episode_over", "a hypothesis was recommended, and the episode is over: reset")
        if action >= self._n:
            return self._recommend(int(action) - self._n)
        action = int(action)
        self._check(action)
        self._copies.step(np.array([action], np.int64), _ASKED)
        answer = float(self._copies.details[0, 0])
        self._count[action] += 1
        self._total[action] += answer
        info = {"action_mask": self._mask(), "answer": answer, "delay": int(self._copies.delays[0])}
        return self._observation(), 0.0, False, False, info

    def _recommend(self, hypothesis: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        loss = self._copies.forfeited(0, hypothesis)
        self._over = True
        info = {"action_mask": self._mask(), "loss": loss, "recommendation": hypothesis}
        return self._observation(), 0.0 - loss, True, False, info

    def _check(self, query: int) -> None:
        if self._left <= 0:
            raise InvalidInput(
                "budget_spent",
                f"{self._budget} queries are asked of {self._budget}: recommend a hypothesis, with an action from "
                f"{self._n} to {self._n + self._m - 1}",
            )
        if not self._copies.available[0, query]:
            there = ", ".join(map(str, np.flatnonzero(self._copies.available[0])))
            raise InvalidInput(
                "unavailable_action", f"the query {query} is closed: open ones are {there} (see action_mask)"
            )

    def _begin(self) -> None:
        self._count = np.zeros(self._n, np.int64)
        self._total = np.zeros(self._n)
        self._over = False

    @property
    def _left(self) -> int:
        return self._budget - int(self._count.sum())

    def _mask(self) -> Array:
        """Return which actions are possible, int8[n + m]."""
        queries = self._copies.available[0] if self._left else np.zeros(self._n, np.bool_)
        return np.concatenate([queries, np.ones(self._m, np.bool_)]).astype(np.int8)

    def _observation(self) -> dict[str, Any]:
        return {"count": self._count.copy(), "total": self._total.copy(), "left": np.int64(self._left)}


def _budget(horizon: int | None, world: Environment) -> int:
    """Return how many queries there are: as asked for, or as the environment has it."""
    if horizon is None:
        return world.problem.horizon or BUDGET
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise InvalidInput(
            "bad_horizon", f"the horizon is {as_seen(horizon)}: it must be a whole number from 1, the budget"
        )
    return horizon
