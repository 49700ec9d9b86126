"""Our environments behind Gymnasium's interface, one at a time and vectorised.

An observation is the context, 0 where there is none, or the state where decisions move one; an action is an arm. An
episode is `horizon` decisions long and ends by truncation. `info` holds `action_mask` int8[k] (which arms are
available), and after a step `delay` (the reward itself is handed out at once) and, where the environment knows its
optimum, `regret`.

Where arms stream, an action is a move, int64[3] (`kinds/streams/gym.py`), the episode is `horizon` pulls long,
`action_mask` is int8[slots + 2] (which places hold an arm, and whether another can be read), and `info` has after a
step the `detail` of the move, float64[2] (pulls done, the arm that was read or -1). An episode in which all arms were
dropped is terminated: no move is left.

Where a vector is decided, an action is a point of the domain, float64[d] (`kinds/vectors/points.py`), or two,
float64[2, d]. A point may lie outside by rounding, 1e-9; farther, it is refused. There is no `action_mask`; after a
step `info` has the `detail`, float64[m]: the gradient of the reward, or what else `metadata["feedback"]` names (see
`Problem`).

Where queries are asked within a budget, the environment is another: `queries.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ...engine import loop
from ...engine.actions import empty_actions
from ...engine.contexts import empty_contexts
from ...engine.draws import NATURE, run_key
from ...engine.errors import InvalidInput
from ...engine.protocol import recommendation_loss, row_of
from ...engine.simulation import problem_of
from ...engine.vocabulary import Array, Environment, Problem
from ...envs import catalog
from ..kinds.table import kind_of

HORIZON = 1000  # of an episode where neither the caller nor the environment names one
BOUND = 1e12  # of an observation's entries: Gymnasium warns of infinite ones


class Seen(NamedTuple):
    """How a context is observed: in which space, and what n contexts are there."""

    space: spaces.Space[Any]
    of: Callable[[Array], Array]


def _seen_of(problem: Problem) -> Seen:
    if problem.states is not None:
        return Seen(spaces.Discrete(problem.states), lambda contexts: contexts[:, 0].astype(np.int64))
    if problem.context_shape == (0,):
        return Seen(spaces.Discrete(1), lambda contexts: np.zeros(len(contexts), np.int64))
    return Seen(spaces.Box(-BOUND, BOUND, problem.context_shape, np.float64), np.copy)


class Copies:
    """n copies of an environment, each with its own nature; a step of all of them is one kernel call."""

    def __init__(self, env: Environment, n: int, horizon: int | None) -> None:
        self.env = env
        self.n = n
        self.problem = problem_of(env, horizon or env.problem.horizon or HORIZON)
        if self.problem.layout == "named":
            raise InvalidInput(
                "named_context",
                f"the environment {env.name!r} shows named features, which no space of Gymnasium holds: "
                "take the environment inside it",
            )
        self.kind = kind_of(self.problem).gym
        self._check = self.kind.checks(self.problem)
        self._seen = _seen_of(self.problem)
        self.contexts = empty_contexts(n, self.problem)
        self.available = np.ones((n, self.problem.n_choices), np.bool_)
        self.details = np.zeros((n, self.problem.detail_length))
        self.rewards = np.zeros(n)
        self.regrets = np.zeros(n)
        self.delays = np.zeros(n, np.int64)
        self._made = np.zeros(n, np.int64)
        self._times = np.zeros(n, np.int64)
        self._trials = np.zeros(n, np.int64)
        self._runs = np.full(n, run_key(0, 0, NATURE))
        self._states = _stacked([self._fresh(self._runs[0])] * n)
        self.observe()

    def restart(self, copies: Sequence[int] | Array, seeds: list[int]) -> None:
        """Begin anew in some copies, with these seeds; what they show is to be observed."""
        for copy, seed in zip(copies, seeds, strict=True):
            self._runs[copy] = run_key(seed, 0, NATURE)
            self._times[copy] = self._trials[copy] = 0
            self.details[copy] = 0.0
            _put(self._states, copy, self._fresh(self._runs[copy]))

    def check(self, actions: Array, acting: Array) -> None:
        """Refuse actions that are not possible in a copy that is `acting`, bool[n]; of the others nothing is said."""
        self._check(actions, self.available, self._times, acting)

    def step(self, actions: Array, acting: Array) -> None:
        """Take one possible action in each copy that is `acting`, bool[n], and see what arrives next in all of them."""
        loop.answer_all(
            self.env.params,
            self._states,
            self._runs,
            self._times,
            acting,
            actions,
            self.contexts,
            self.available,
            self.details,
            self.rewards,
            self.regrets,
            self.delays,
            self._made,
            self.problem.choice.rules,
        )
        self._times += acting
        self._trials += self._made
        self.observe()

    def observe(self) -> None:
        """See what arrives in each copy."""
        loop.observe_all(self.env.params, self._states, self._runs, self._times, self.contexts, self.available)

    def forfeited(self, copy: int, recommendation: int) -> float:
        """Return what it costs in a copy to recommend a hypothesis in the end."""
        return float(recommendation_loss(self.env.params, row_of(self._states, copy), recommendation))

    @property
    def stuck(self) -> Array:
        """Which copies allow no action any more, bool[n]: their arms were dropped, all of them."""
        return np.logical_not(self.available.any(axis=1))

    @property
    def over(self) -> Array:
        """Which copies have made the trials of an episode, bool[n]."""
        return self._trials >= (self.problem.horizon or 0)

    def action_space(self) -> spaces.Space[Any]:
        """Return the space of one copy's action."""
        return self.kind.action_space(self.problem)

    def observation_space(self) -> spaces.Space[Any]:
        """Return the space of one copy's observation."""
        return self._seen.space

    def observation(self) -> Array:
        """Return the observations of all copies."""
        return self._seen.of(self.contexts)

    def shown(self) -> dict[str, Any]:
        """Return what `info` says of all copies before a step."""
        return {"action_mask": self.available.astype(np.int8)} if self.kind.masked else {}

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known beforehand of the feedback, and of rewards."""
        limits = self.problem.reward_range
        return self.kind.metadata(self.problem) | ({} if limits is None else {"reward_range": list(limits)})

    def info(self) -> dict[str, Any]:
        """Return what `info` says of all copies after a step."""
        detail = {"detail": self.details.copy()} if self.problem.detail_length else {}
        regret = {"regret": self.regrets.copy()} if self.env.regret_kind is not None else {}
        return {**self.shown(), **regret, "delay": self.delays.copy(), **detail}

    def _fresh(self, run: np.uint64) -> Any:
        return self.env.init(self.env.params, self.problem, run)


class BanditEnv(gymnasium.Env[Any, Any]):
    """One environment of onearm as a Gymnasium environment."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self, env: str | Environment, horizon: int | None = None, render_mode: None = None, **params: Any
    ) -> None:
        self.render_mode = render_mode
        self._copies = Copies(made(env, params), 1, horizon)
        self._acting = np.ones(1, np.bool_)
        self.metadata = self.metadata | self._copies.metadata
        self.action_space = self._copies.action_space()
        self.observation_space = self._copies.observation_space()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the same seed gives the same nature."""
        super().reset(seed=seed)
        self._copies.restart([0], [int(self.np_random.integers(2**63))])
        self._copies.observe()
        return self._observation(), _first(self._copies.shown())

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action."""
        copies = self._copies
        actions = copies.kind.read(action, self.action_space)
        copies.check(actions, self._acting)
        copies.step(actions, self._acting)
        ends = bool(copies.stuck[0]), bool(copies.over[0])
        return self._observation(), float(copies.rewards[0]), *ends, _first(copies.info())

    def _observation(self) -> Any:
        observation = self._copies.observation()[0]
        return observation if isinstance(self.observation_space, spaces.Box) else int(observation)


class BanditVectorEnv(VectorEnv[Any, Any, Any]):
    """Many copies of one environment; a step is one kernel call."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        env: str | Environment,
        num_envs: int = 1,
        horizon: int | None = None,
        render_mode: None = None,
        **params: Any,
    ) -> None:
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._copies = Copies(made(env, params), num_envs, horizon)
        self.metadata = self.metadata | self._copies.metadata
        self._ended = np.zeros(num_envs, np.bool_)
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self.single_action_space = self._copies.action_space()
        self.single_observation_space = self._copies.observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every copy; with one seed s the copies get s, s + 1, ..."""
        if isinstance(seed, int):
            seed = [seed + i for i in range(self.num_envs)]
        for copy, one in enumerate(seed or ()):
            if one is not None:
                self._generators[copy] = seeding.np_random(one)[0]
        self._restart(range(self.num_envs))
        self._copies.observe()
        self._ended = np.zeros(self.num_envs, np.bool_)
        return self._copies.observation(), self._copies.shown()

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Take one action in each copy; one whose episode has ended ignores it, and begins another."""
        acting, ended = ~self._ended, np.flatnonzero(self._ended)
        chosen = empty_actions(self.num_envs, self._copies.problem)
        if acting.any():
            chosen[:] = self._copies.kind.read_all(actions, self.action_space).reshape(chosen.shape)
            self._copies.check(chosen, acting)
        self._restart(ended)
        self._copies.step(chosen, acting)
        terminated, truncated = self._copies.stuck, self._copies.over
        self._ended = terminated | truncated
        return self._copies.observation(), self._copies.rewards.copy(), terminated, truncated, self._copies.info()

    def _restart(self, copies: Sequence[int] | Array) -> None:
        """Begin anew in some copies; as in single environments each nature follows from the copy's last seed."""
        self._copies.restart(copies, [int(self._generators[copy].integers(2**63)) for copy in copies])


def made(env: str | Environment, params: dict[str, Any]) -> Environment:
    """Return an environment, or that of a name and params."""
    return env if isinstance(env, Environment) else catalog.make(env, **params)


def _first(info: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of the first copy."""
    return {name: values[0].copy() if values.ndim > 1 else values[0].item() for name, values in info.items()}


def _stacked(states: list[Any]) -> Any:
    """Return states as one, its arrays stacked along a new first axis."""
    fields = zip(*states, strict=True)
    return type(states[0])(*(_stacked(list(f)) if isinstance(f[0], tuple) else np.stack(f) for f in fields))


def _put(states: Any, row: int, state: Any) -> None:
    """Write a state into a row of stacked ones."""
    for arrays, array in zip(states, state, strict=True):
        if isinstance(array, tuple):
            _put(arrays, row, array)
        else:
            arrays[row] = array
