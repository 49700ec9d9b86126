"""Decisions of the service as people hold them: what was decided, and a way to tell what came of it.

In a `with` block what is told is sent at its end, and not at all where the block ends with an exception.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, Self, TypeVar

import msgspec

from ..experiment.explanation_schemas import Ranked
from ..kinds.streams.bodies import StreamDecision

R = TypeVar("R")  # what telling returns: None, or for tasks what is awaited
Made = TypeVar("Made", bound="Choice[Any]")


class Choice(Generic[R]):
    """A decision: a kind adds what was decided."""

    def __init__(
        self, decision_id: str, propensity: float, answer: Any, learn: Callable[..., R], said: Callable[[], R]
    ):
        self.decision_id = decision_id
        self.propensity = propensity  # NaN where it is not known
        self.answer = answer  # all that the service said; None where it was away
        self._learn = learn
        self._said = said  # returns what telling returns where nothing is sent yet
        self._held: list[tuple[tuple[Any, ...], dict[str, Any]]] = []  # what was told within a block
        self._is_within = False

    def _tell(self, *told: Any, **more: Any) -> R:
        if self._is_within:
            self._held.append((told, more))
            return self._said()
        return self._learn(self, *told, **more)

    def _sent(self, failed: bool) -> Iterator[R]:
        """Send what was told within a block, one after another."""
        held, self._held, self._is_within = self._held, [], False
        for told, more in [] if failed else held:
            yield self._learn(self, *told, **more)

    def __enter__(self) -> Self:
        self._is_within = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        for _ in self._sent(kind is not None):
            pass

    async def __aenter__(self) -> Self:
        self._is_within = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        for sent in self._sent(kind is not None):
            assert isinstance(sent, Awaitable)
            await sent

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if name[0] != "_" and name != "answer"}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Shown(NamedTuple):
    """What somebody showed while the service was away, and the body with which it was asked."""

    asked: bytes
    action_id: str | None  # None where it is a list
    propensity: float | None = None  # None where nobody knows it
    filled: dict[str, str] | None = None  # which action was in each slot of the list, by the ids of the slots


class ArmChoice(Choice[R]):
    """A decision that chose an arm."""

    def __init__(
        self,
        decision_id: str,
        action_id: str,
        propensity: float,
        answer: Any,
        learn: Callable[..., R],
        said: Callable[[], R],
        shown: Shown | None = None,
    ) -> None:
        super().__init__(decision_id, propensity, answer, learn, said)
        self.action_id = action_id
        self._shown = shown

    @property
    def ranking(self) -> list[Ranked]:
        """What could be chosen with its `action_id` and `probability`, the likeliest first; empty where nobody asked.

        The probability is None where the policy does not know it.
        """
        return [] if self.answer is None or self.answer.ranking is msgspec.UNSET else list(self.answer.ranking)

    @property
    def is_fallback(self) -> bool:
        """Whether the service was away, and the caller's own action was taken."""
        return self._shown is not None

    def reward(
        self,
        value: float,
        cost: float | None = None,
        *,
        next_state: Any = None,
        ended: bool = False,
        action_id: str | None = None,
        propensity: float | None = None,
        reward_id: str | None = None,
    ) -> R:
        """Tell what came of it; as `learn` of the experiment."""
        told = {"next_state": next_state, "ended": ended, "action_id": action_id, "propensity": propensity}
        return self._tell(value, cost, reward_id=reward_id, **told)


class Slot(NamedTuple):
    """What a slot of a list got, and with which probability given those above; NaN where that is not known."""

    action_id: str
    propensity: float


class ListChoice(Choice[R]):
    """A decision that filled a list. Its propensity is that of the whole list, the product over its slots."""

    def __init__(
        self,
        decision_id: str,
        slots: dict[str, Slot],
        answer: Any,
        learn: Callable[..., R],
        said: Callable[[], R],
        shown: Shown | None = None,
    ) -> None:
        super().__init__(decision_id, math.prod(slot.propensity for slot in slots.values()), answer, learn, said)
        self.slots = slots  # by their ids, from the first one on
        self._shown = shown

    @property
    def action_ids(self) -> list[str]:
        """The ids of what is in the list, from the first slot on."""
        return [slot.action_id for slot in self.slots.values()]

    @property
    def is_fallback(self) -> bool:
        """Whether the service was away, and the caller's own list was taken."""
        return self._shown is not None

    def reward(self, rewards: float | Mapping[str, float], *, reward_id: str | None = None) -> R:
        """Tell what came of it, by the ids of slots or of all; as `learn` of the experiment."""
        return self._tell(rewards, reward_id=reward_id)


class VectorChoice(Choice[R]):
    """A decision that is a point, or two."""

    def __init__(
        self,
        decision_id: str,
        point: Any,
        propensity: float,
        answer: Any,
        learn: Callable[..., R],
        said: Callable[[], R],
    ) -> None:
        super().__init__(decision_id, propensity, answer, learn, said)
        self.point = point  # float64[d], or float64[2, d] where two points are asked for

    def reward(
        self, reward: Any = None, *, loss: Any = None, gradient: Any = None, losses: Any = None, example: Any = None
    ) -> R:
        """Tell what it revealed; as `learn` of the experiment."""
        return self._tell(reward=reward, loss=loss, gradient=gradient, losses=losses, example=example)


class QueryChoice(Choice[R]):
    """A query that is asked."""

    def __init__(
        self,
        decision_id: str,
        query_id: str,
        propensity: float,
        answer: Any,
        tell: Callable[..., R],
        said: Callable[[], R],
    ) -> None:
        super().__init__(decision_id, propensity, answer, tell, said)
        self.query_id = query_id

    def reward(self, answer: float) -> R:
        """Tell its answer; as `tell` of the experiment."""
        return self._tell(answer)


class Pull:
    """An arm of a stream that is to be pulled, and how often at the most: `arm, n = pull`."""

    def __init__(self, arm_id: str, pulls: int, decision_id: str, answer: StreamDecision) -> None:
        self.arm_id = arm_id
        self.pulls = pulls
        self.decision_id = decision_id
        self.answer = answer  # all that the service said
        self.evicted = answer.evicted  # the arms that left for good since the last decision

    def __iter__(self) -> Iterator[Any]:
        return iter((self.arm_id, self.pulls))


class Choices(list[Made], Generic[Made]):
    """Decisions that were made together, in their order."""

    def __init__(self, made: Iterator[Made], shown_as: str) -> None:
        super().__init__(made)
        self._shown_as = shown_as

    @property
    def propensity(self) -> list[float]:
        """The probability of each."""
        return [one.propensity for one in self]

    @property
    def action_id(self) -> list[str]:
        """The ids of the actions."""
        return [getattr(one, self._shown_as) for one in self]

    @property
    def query_id(self) -> list[str]:
        """The ids of the queries."""
        return self.action_id
