"""An experiment that chooses arms, or actions of the call: the methods of the engine that `onearm.open` returns."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any

from ....engine.errors import InvalidInput, Unavailable, as_seen
from ...experiment.ids import check_id, ids_of
from ...experiment.weights_schemas import Weights
from ...kinds.arms.bodies import ArmDecision
from ..bodies import given
from ..decided import ArmChoice, Choices, Shown
from .choosing import Choosing
from .deciding import asking, nothing
from .experiment import name_of
from .telling import LearnedRaw, tell_shown

Fallback = str | tuple[str, float] | Callable[[Any, Sequence[str] | None], str | tuple[str, float]]


class Arms(Choosing):
    """Decisions on arms, and their rewards."""

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
        decision_id: str | None = None,
        excluded: Iterable[str] | None = None,
        baseline: str | None = None,
        baseline_propensity: float | None = None,
        deferred: bool = False,
        explain: bool = False,
        fallback: Fallback | None = None,
    ) -> ArmChoice[None]:
        """Choose an action; as the engine's `decide`.

        `decision_id` is an id of yours, and else a new one. `baseline` is what your own rule would do, `deferred` says
        that the decision is not shown yet, and `explain` asks for reasons, which `answer` of the decision has then.
        `fallback` is what is shown where the service stays away: an action, one with the probability with which it was
        chosen, or a function of context and eligible ids that returns either.
        """
        among = ids_of("eligible", eligible)
        name, body = asking(
            decision_id,
            context=context,
            eligible_actions=among,
            excluded_actions=ids_of("excluded", excluded),
            actions=actions,
            unit_id=unit_id,
            state=state,
            begins=begins,
            rank=rank,
            baseline_action=baseline,
            baseline_propensity=baseline_propensity,
            defer_activation=deferred,
            explain=explain,
        )
        if fallback is not None and not callable(fallback):
            _taken(fallback)  # raises now what is wrong with it
        if fallback is None:
            return self._choice(self._decided(ArmDecision, body))
        try:
            return self._choice(self._decided(ArmDecision, body, self._away_s))
        except Unavailable:
            action, propensity = _taken(fallback(context, among) if callable(fallback) else fallback)
            shown, chance = Shown(body, action, propensity), math.nan if propensity is None else propensity
            return ArmChoice(name, action, chance, None, self.learn, nothing, shown)

    def weights(self, top: int = 50) -> Weights:
        """Return the features with the largest weights; as the engine's `weights`."""
        return self._connection.ask("GET", f"{self._path}/weights", Weights, query=given(top=top))

    def decide_many(
        self,
        contexts: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[Sequence[dict[str, Any]]] | None = None,
        unit_ids: Sequence[str | None] | None = None,
        states: Sequence[Any] | None = None,
        begins: Sequence[bool] | None = None,
    ) -> Choices[ArmChoice[None]]:
        """Choose n actions with nothing learned between them; as the engine's `decide_many`.

        `contexts` are n contexts, or how many decisions there are where there are none.
        """
        n = _count(contexts, actions, states)
        seen = [None] * n if states is not None or isinstance(contexts, int) or contexts is None else contexts
        among = ids_of("eligible", eligible)
        columns = [seen, *([None] * n if column is None else column for column in (actions, unit_ids, states, begins))]
        if any(len(column) != n for column in columns):
            raise InvalidInput("bad_batch", f"there are {n} decisions, and lists of other lengths: give each one")
        bodies = [
            asking(
                None,
                context=context,
                eligible_actions=among,
                actions=offer,
                unit_id=unit_id,
                state=state,
                begins=bool(new),
            )[1]
            for context, offer, unit_id, state, new in zip(*columns, strict=True)
        ]
        made = self._decided_together(ArmDecision, bodies)
        return Choices(map(self._choice, made), "action_id")

    def learn(
        self,
        decision: ArmChoice[Any] | str,
        reward: float,
        cost: float | None = None,
        *,
        next_state: Any = None,
        ended: bool = False,
        action_id: str | None = None,
        propensity: float | None = None,
        reward_id: str | None = None,
    ) -> None:
        """Tell the reward of a decision, or of its id; up is better. As the engine's `learn`.

        Where decisions have windows a `reward_id` tells several rewards of one apart.
        """
        told = _reward(reward, cost, next_state, ended) | given(
            action_id=action_id, propensity=propensity, reward_id=reward_id
        )
        name, shown = name_of(decision), _shown(decision)
        if shown is None:
            self._rewarded(name, told)
        else:
            self._told_shown(name, shown, told)

    def _told_shown(self, name: str, shown: Shown, told: dict[str, Any]) -> None:
        """Tell the reward of what was shown while the service was away, or let it wait in the queue."""
        if self._queue is not None:
            self._put(name, told, shown)
        else:
            tell_shown(self._connection, self._path, name, shown, told)

    def learn_many(
        self,
        decisions: Sequence[ArmChoice[Any] | str],
        rewards: Any,
        costs: Any = None,
        *,
        next_states: Sequence[Any] | None = None,
        ended: Sequence[bool] | None = None,
    ) -> None:
        """Tell the rewards of n decisions; as the engine's `learn_many`. A bad one is refused alone."""
        n = len(decisions)
        columns = [rewards, *([None] * n if column is None else column for column in (costs, next_states, ended))]
        if any(len(column) != n for column in columns):
            raise InvalidInput("bad_batch", f"there are {n} decisions, and lists of other lengths: give each one")
        told = [
            (decision, _reward(reward, _known(cost), next_state, bool(over)))
            for decision, reward, cost, next_state, over in zip(decisions, *columns, strict=True)
        ]
        self._rewarded_together([(name_of(one), said) for one, said in told if _shown(one) is None])
        for one, said in told:
            if (shown := _shown(one)) is not None:
                self._told_shown(name_of(one), shown, said)

    def learn_examples(self, examples: Sequence[dict[str, Any]]) -> LearnedRaw:
        """Let policies learn from decisions that somebody else made, as docs/http.md describes examples.

        Each without a `decision_id` gets one, so that it is learned once.
        """
        sent = [{"decision_id": asking(None)[0]} | example for example in examples]
        return self._connection.ask("POST", f"{self._path}/examples:batch", LearnedRaw, {"examples": sent})

    def _choice(self, made: ArmDecision) -> ArmChoice[None]:
        propensity = math.nan if made.propensity is None else made.propensity
        return ArmChoice(made.decision_id, made.action_id, propensity, made, self.learn, nothing)


def _shown(decision: ArmChoice[Any] | str) -> Shown | None:
    """Return what was shown while the service was away; None where it decided."""
    return None if isinstance(decision, str) else decision._shown


def _taken(fallback: Any) -> tuple[str, float | None]:
    """Return the action of a fallback, and its probability where that is known."""
    action, propensity = fallback if isinstance(fallback, (tuple, list)) and len(fallback) == 2 else (fallback, None)
    known = propensity is None or (isinstance(propensity, numbers.Real) and 0.0 < float(propensity) <= 1.0)
    if not isinstance(action, str) or not known:
        raise InvalidInput(
            "bad_fallback",
            f"the fallback is {as_seen(fallback)}: it must be the id of an action, or that and the probability with "
            "which you drew it, above 0 and at most 1",
        )
    return check_id("the action of a fallback", action), None if propensity is None else float(propensity)


def _reward(reward: Any, cost: Any, next_state: Any, ended: bool) -> dict[str, Any]:
    if isinstance(reward, float) and not math.isfinite(reward):  # which JSON cannot say
        raise InvalidInput("bad_reward", f"the reward is {as_seen(reward)}: it must be a finite number")
    return {"value": reward} | given(cost=cost, next_state=next_state, ended=ended)


def _known(cost: Any) -> Any:
    """Return a cost, None where it is NaN."""
    return None if isinstance(cost, float) and math.isnan(cost) else cost


def _count(contexts: Any, actions: Any, states: Any) -> int:
    """Return how many decisions are asked for."""
    if isinstance(contexts, int) and not isinstance(contexts, bool):
        return contexts
    several = next((given for given in (contexts, actions, states) if given is not None), None)
    if isinstance(several, (str, dict)) or not isinstance(several, Sized):
        raise InvalidInput(
            "bad_context", f"contexts is {as_seen(contexts)}: it must be a list of them, or how many there are"
        )
    return len(several)
