"""What an environment of Gymnasium asks and reveals, as a problem: what policies are built for.

A Discrete action space asks for an arm, a Box for a vector in it. What a vector reveals beside its reward is in
`info["detail"]`, and `env.metadata["feedback"]` says what that is. For a policy that learns how states move, the values
of a Discrete observation space are states.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ...engine.domain import Domain, box
from ...engine.errors import InvalidInput, as_seen
from ...engine.limits import check_detail
from ...engine.problem import check_range, check_reward, state_problem
from ...engine.vocabulary import VECTOR_FEEDBACKS, Action, Array, ContextKind, Feedback, FeedbackKind, Problem
from ..kinds.table import kind_of
from ..kinds.vectors.points import Points, limits


def problem_of_spaces(
    env: gymnasium.Env[Any, Any],
    steps: int,
    domain: Domain | dict[str, Any] | None,
    feedback: FeedbackKind | None,
    reward_range: tuple[float, float] | None = None,
    contexts: tuple[ContextKind, ...] = ("dense",),
) -> Problem:
    """Return the problem of acting for `steps` steps, with what the environment does not say.

    `contexts` are the kinds that the policy reads.
    """
    space, context_shape = env.action_space, _context_shape(env.observation_space)
    limits = env.metadata.get("reward_range") if reward_range is None else reward_range
    ranged = None if limits is None else check_range("reward_range", limits)
    if isinstance(space, spaces.Box):
        revealed = feedback or env.metadata.get("feedback", "reward")
        if revealed not in VECTOR_FEEDBACKS:
            known = ", ".join(VECTOR_FEEDBACKS)
            raise InvalidInput("bad_feedback", f"the feedback is {as_seen(revealed)}: it must be one of {known}")
        where = Domain.from_json(domain) if isinstance(domain, dict) else domain
        found = _domain(space, where, 2 if revealed == "two_rewards" else 1)
        return Problem(0, context_shape, steps, domain=found, feedback=revealed, reward_range=ranged)
    if not isinstance(space, spaces.Discrete):
        raise InvalidInput(
            "bad_env",
            f"the action space is {space}: policies over arms need a Discrete one, and those over vectors a Box",
        )
    if domain is not None or feedback is not None:
        raise InvalidInput(
            "bad_env",
            f"the action space is {space}: it has arms, and domain and feedback are for vectors; leave them out",
        )
    if contexts == ("states",):
        return replace(state_problem(_states(env.observation_space), int(space.n), ranged), horizon=steps)
    return Problem(int(space.n), context_shape, steps, reward_range=ranged)


def action_for(space: spaces.Space[Any], action: Action) -> Any:
    """Return an arm or a vector as the environment's own action."""
    if isinstance(space, spaces.Discrete):
        return int(space.start) + int(action)
    point = np.array(action, space.dtype).reshape(space.shape or ())
    if isinstance(space, spaces.Box) and not isinstance(space, Points):
        point = np.clip(point, space.low, space.high)  # a ball's points may lie outside the box around it by rounding
    return point


def context_of(space: spaces.Space[Any], observation: Any, problem: Problem, begins: bool) -> Array:
    """Return the flattened observation; nothing where there is one value only, and of states whether one begins."""
    if problem.states is not None:
        return np.array([_state(space, observation), begins], np.float64)
    if problem.context_shape == (0,):
        return np.zeros(0)
    return np.asarray(spaces.flatten(space, observation), np.float64).reshape(problem.context_shape)


def mask_of(info: dict[str, Any], problem: Problem) -> Array:
    """Return which arms are available, bool[k], by the `action_mask` of `info` where it has one."""
    mask = info.get("action_mask") if kind_of(problem).gym.masked else None
    return np.ones(problem.n_choices, np.bool_) if mask is None else np.asarray(mask).astype(np.bool_)


def feedback_of(
    env: gymnasium.Env[Any, Any], step: tuple[Any, ...], problem: Problem, limits: tuple[float, float]
) -> Feedback:
    """Return what a step revealed; refuse what a policy cannot learn, as a reward outside of the limits."""
    observation, reward, terminated, _, info = step
    earned, length = float(reward), problem.detail_length
    check_reward(earned, limits)
    if problem.states is not None:
        following = problem.states if terminated else _state(env.observation_space, observation)
        return Feedback(earned, np.array([following], np.float64))
    if not length:
        return Feedback(earned, np.zeros(0))
    if info.get("detail") is None:
        raise InvalidInput(
            "bad_detail",
            f"info has no detail: where the feedback is {problem.feedback!r} it must have one, float64[{length}]",
        )
    return Feedback(earned, check_detail('info["detail"]', info["detail"], length))


def _states(space: spaces.Space[Any]) -> int:
    if not isinstance(space, spaces.Discrete):
        raise InvalidInput(
            "bad_env",
            f"the observation space is {space}: policies that learn how states move need a Discrete one, whose values "
            "are the states",
        )
    return int(space.n)


def _state(space: spaces.Space[Any], observation: Any) -> int:
    """Return the number of a state, from 0."""
    assert isinstance(space, spaces.Discrete), "asked before"
    return int(observation) - int(space.start)


def _context_shape(space: spaces.Space[Any]) -> tuple[int, ...]:
    if isinstance(space, spaces.Discrete) and space.n == 1:
        return (0,)
    return (spaces.flatdim(space),)


def _domain(space: spaces.Box, domain: Domain | None, points: int) -> Domain:
    """Return where the vectors of a space lie: in `domain` where one is given, which must lie in the space."""
    if not np.issubdtype(space.dtype, np.floating):
        raise InvalidInput(
            "bad_env", f"the action space is {space}: vectors are of real numbers, and not of whole ones"
        )
    if points > 1 and space.shape[:1] != (points,):
        raise InvalidInput(
            "bad_env", f"the action space is {space}: two points are decided, so that its shape must be [2, d]"
        )
    low, high = space.low.reshape(points, -1), space.high.reshape(points, -1)
    if domain is None and isinstance(space, Points):
        return space.domain
    if domain is None:
        if not space.is_bounded():
            raise InvalidInput(
                "unbounded", f"the action space is {space}, which has no limits: name a domain within it, as domain="
            )
        return box(low.max(axis=0).tolist(), high.min(axis=0).tolist())
    if domain.dimension != low.shape[1]:
        raise InvalidInput(
            "bad_domain", f"the domain has {domain.dimension} coordinates, and a point of {space} has {low.shape[1]}"
        )
    least, most = (limit.astype(space.dtype) for limit in limits(domain.region()))
    if (least < low).any() or (most > high).any():
        raise InvalidInput("bad_domain", f"the domain {domain.to_json()} reaches out of the action space {space}")
    return domain
