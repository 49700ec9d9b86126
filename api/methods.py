"""The methods that engines of `onearm.open` and experiments of a client share: code that keeps to them runs on both.

Of a kind each, and of streams those of `onearm.api.arms_once.Stream`. Decisions are what `decide` or `ask` returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class DecidesArms(Protocol):
    """Chooses arms, or actions of the call. A decision has `action_id` and `propensity`, NaN where it is not known."""

    def decide(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        state: Any = None,
        begins: bool = False,
        rank: bool = False,
    ) -> Any:
        """Choose an action; where `rank` asks for it, `ranking` has all that could be chosen, the likeliest first."""
        ...

    def decide_many(
        self,
        contexts: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[Sequence[dict[str, Any]]] | None = None,
        unit_ids: Sequence[str | None] | None = None,
        states: Sequence[Any] | None = None,
        begins: Sequence[bool] | None = None,
    ) -> Any:
        """Choose n actions with nothing learned between them: with a row of `action_id` and `propensity` each."""
        ...

    def learn(
        self,
        decision: Any,
        reward: float,
        cost: float | None = None,
        *,
        next_state: Any = None,
        ended: bool = False,
        action_id: str | None = None,
        propensity: float | None = None,
    ) -> None:
        """Learn the reward of a decision; up is better."""
        ...

    def learn_many(
        self,
        decisions: Any,
        rewards: Any,
        costs: Any = None,
        *,
        next_states: Sequence[Any] | None = None,
        ended: Sequence[bool] | None = None,
    ) -> None:
        """Learn the rewards of n decisions."""
        ...

    def weights(self, top: int = 50) -> Any:
        """Return the features with the largest weights: `shared` by all arms, and those of each of the `actions`."""
        ...

    def world_changed(self, model: int | None = None) -> None:
        """Tell the policy that the world is another one now."""
        ...

    def false_alarm(self) -> None:
        """Tell the policy that the last change of the world was none."""
        ...

    def digest(self) -> str:
        """Return the digest of the state."""
        ...


class FillsLists(Protocol):
    """Fills lists. A decision has `slots` by their ids, each with `action_id` and `propensity`, and `action_ids`."""

    def decide(
        self,
        slots: Sequence[str | dict[str, Any]] | None = None,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
    ) -> Any:
        """Fill a list: each slot gets another action."""
        ...

    def learn(self, decision: Any, rewards: float | Mapping[str, float]) -> None:
        """Learn rewards of some slots by their ids, or one number, which goes to each slot; up is better."""
        ...

    def world_changed(self, model: int | None = None) -> None:
        """Tell the policy that the world is another one now."""
        ...

    def false_alarm(self) -> None:
        """Tell the policy that the last change of the world was none."""
        ...

    def digest(self) -> str:
        """Return the digest of the state."""
        ...


class DecidesVectors(Protocol):
    """Decides points. A decision has `point`, float64[d], or float64[2, d], and `propensity`."""

    def decide(self, context: Any = None, *, hint: Any = None) -> Any:
        """Decide a point."""
        ...

    def learn(
        self,
        decision: Any,
        *,
        reward: Any = None,
        loss: Any = None,
        gradient: Any = None,
        losses: Any = None,
        example: Any = None,
    ) -> None:
        """Learn what a decision revealed."""
        ...

    @property
    def certificate(self) -> Any:
        """What the policy proves of its regret: `bound` and `variation`, NaN where it proves nothing."""
        ...

    def report(self) -> Any:
        """Return what the decisions came to so far."""
        ...

    def digest(self) -> str:
        """Return the digest of the state."""
        ...


class AsksQueries(Protocol):
    """Asks within a budget. A query has `query_id` and `propensity`."""

    def ask(self, open: Iterable[str] | None = None) -> Any:
        """Choose the next query."""
        ...

    def ask_many(self, n: int, open: Iterable[str] | None = None) -> Any:
        """Choose n queries with no answer told between them: with a row of `query_id` and `propensity` each."""
        ...

    def tell(self, query: Any, answer: float) -> None:
        """Learn the answer to a query."""
        ...

    def tell_many(self, queries: Any, answers: Any) -> None:
        """Learn the answers to n queries."""
        ...

    def recommend(self) -> Any:
        """Return what is recommended now, a RecommendedHypothesis."""
        ...

    @property
    def budget(self) -> int:
        """How many queries there are."""
        ...

    @property
    def answered(self) -> int:
        """How many were answered."""
        ...

    @property
    def left(self) -> int:
        """How many can be asked yet."""
        ...

    def digest(self) -> str:
        """Return the digest of the state."""
        ...


class ReadsStream(Protocol):
    """Reads arms that come once, and pulls those that it keeps."""

    def offer(self, arm: Any) -> Any:
        """Let the next arm come."""
        ...

    def ask(self) -> Iterable[Any]:
        """Return which arm to pull, and how often."""
        ...

    def tell(self, arm: Any, total: float, n: int) -> None:
        """Tell the sum of the rewards of n pulls of the arm that was asked for."""
        ...

    def close(self) -> Any:
        """Say that no more arms will come."""
        ...
