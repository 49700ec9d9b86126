"""The feedback on a vector, as a policy learns it: people speak of losses, the engine of rewards.

Here alone is the sign turned: gradients, losses and forecasts are those of the loss, and what is learned is their
negative. A value is named by what it is: a reward (up is better), or a loss.

>>> from onearm.engine.domain import ball
>>> problem = Problem(0, domain=ball(2), feedback="gradient")
>>> feedback_on(problem, np.array([0.5, 0.0]), FeedbackBody(loss=3.0, gradient=[1.0, -2.0]))
Feedback(reward=-3.0, detail=array([-1.,  2.]))
>>> feedback_on(problem, np.array([0.5, 0.0]), FeedbackBody(losses=[1.0, 2.0]))
Traceback (most recent call last):
onearm.engine.errors.InvalidInput: the feedback has losses, but this problem reveals a gradient: send gradient
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

from ....engine.errors import InvalidInput, as_seen
from ....engine.limits import check_detail
from ....engine.problem import check_context, check_reward
from ....engine.vocabulary import Array, Feedback, Problem

_DETAILS = {"gradient": "a gradient", "losses": "losses", "example": "an example"}  # feedback that is its own detail
_numbers = msgspec.json.Decoder(list[float])


class FeedbackBody(NamedTuple):
    """The feedback on one decision as it is reported; None where a field is left out."""

    reward: Any = None  # a number; two where two points were decided
    loss: Any = None  # minus the reward
    gradient: Any = None  # float64[d], of the loss at the point
    losses: Any = None  # float64[d], of each coordinate
    example: Any = None  # (a, b), float64[d] and a number


def feedback_on(problem: Problem, point: Array, body: FeedbackBody) -> Feedback:
    """Check the feedback on a point, and return what is learned; nothing is left unread.

    A reward that is left out is that of the linear loss: of a gradient g at x it is -g . x.
    """
    kind = problem.feedback
    for name, words in _DETAILS.items():
        if name != kind and getattr(body, name) is not None:
            raise InvalidInput("unexpected_detail", f"the feedback has {words}, but this problem {_asks(kind)}")
    if kind in _DETAILS and getattr(body, kind) is None:
        raise InvalidInput("missing_detail", f"the feedback has no {kind}, but this problem {_asks(kind)}")
    if kind == "two_rewards":
        return _two(body)
    detail = _detail(problem, body)
    reward = _value(body)
    if reward is None and kind in ("reward", "example"):
        raise InvalidInput("bad_reward", "the feedback has no value: send the reward, or the loss")
    if reward is not None and kind == "losses":
        raise InvalidInput(
            "unexpected_value", "the feedback has losses and a value: the value follows from the losses; leave it out"
        )
    if reward is None:
        reward = float(np.cumsum(detail * point)[-1])  # one after another, as kernels do; `sum` may compensate
    return Feedback(check_reward(reward), detail)


def forecast(problem: Problem, hint: Any) -> Array:
    """Return a forecast of the loss's gradient as the context that a policy reads; None forecasts nothing, 0."""
    if hint is None:
        return np.zeros(problem.context_shape)
    length = problem.context_shape[0]
    return 0.0 - check_context(problem, check_detail("hint", hint, length))


def reported_detail(problem: Problem, detail: str | None) -> dict[str, Any]:
    """Return the detail of the log as it was reported: of the loss."""
    numbers = [] if detail is None else _numbers.decode(detail)
    if problem.feedback == "example":
        return {"example": {"a": numbers[:-1], "b": numbers[-1]}}
    if problem.feedback == "two_rewards":
        return {"values": [0.0 - number for number in numbers]}
    if problem.feedback == "reward":
        return {}
    return {problem.feedback: [0.0 - number for number in numbers]}


def _asks(kind: str) -> str:
    if kind == "two_rewards":
        return "reveals two rewards: send the reward of each point, or the loss of each"
    if kind == "reward":
        return "reveals the reward of the point alone: send that"
    return f"reveals {_DETAILS[kind]}: send {kind}"


def _two(body: FeedbackBody) -> Feedback:
    if (body.reward is None) == (body.loss is None):
        raise InvalidInput("bad_reward", f"this problem {_asks('two_rewards')}, not both and not neither")
    turned = body.reward is None
    values = body.loss if turned else body.reward
    if not isinstance(values, (list, tuple, np.ndarray)) or len(values) != 2:
        raise InvalidInput("bad_reward", f"the value is {as_seen(values)}: two points were decided; send two numbers")
    rewards = [check_reward(_plain(value)) for value in values]
    detail = 0.0 - np.array(rewards) if turned else np.array(rewards)
    return Feedback(check_reward(sum(detail.tolist()) / 2.0), detail)


def _value(body: FeedbackBody) -> float | None:
    """Return the reward that is reported; None where none is."""
    if body.reward is not None and body.loss is not None:
        raise InvalidInput("two_values", "the feedback has a reward and a loss: send one of them")
    if body.loss is not None:
        return 0.0 - check_reward(_plain(body.loss))
    return None if body.reward is None else check_reward(_plain(body.reward))


def _detail(problem: Problem, body: FeedbackBody) -> Array:
    assert problem.domain is not None
    d = problem.domain.dimension
    if problem.feedback == "reward":
        return np.zeros(0)
    if problem.feedback == "example":
        try:
            a, b = body.example
        except (TypeError, ValueError):
            raise InvalidInput("bad_detail", "the example is not a pair: send a, a list of numbers, and b") from None
        return np.append(check_detail("a", a, d), check_detail("b", [b], 1)) + 0.0  # -0 becomes 0
    return 0.0 - check_detail(problem.feedback, getattr(body, problem.feedback), d)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
