"""Most calls of an engine in memory: `decide` with a context or nothing, and `learn` with a reward alone.

Python takes some 20 ns for each argument that can only be named and is left out, 5 to look at it, and 45 to call a
method. `decide` and `learn` have ten such arguments, and ask many things, which took a quarter of the time of a pair.
So here is what is left of both where nothing of that is wanted, with the same bits and the same errors; all other calls
go on to the methods that these stand before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from msgspec.structs import force_setattr

from ....engine import loop
from ....engine.problem import EMPTY_CONTEXT, not_finite, shaped_context
from ....engine.vocabulary import NOBODY
from ..decided import LEARNED
from .decided import ArmDecision

Method = TypeVar("Method", bound=Callable[..., Any])


def deciding(method: Method) -> Method:
    """Return `Engine.decide` with its plain case before it."""

    @wraps(method)
    def decide(self: Any, context: Any = None, eligible: Iterable[str] | None = None, **asked: Any) -> ArmDecision:
        if asked or eligible is not None or not self._decides_plainly:
            return method(self, context, eligible, **asked)
        if context is None and self._sees_nothing:
            seen = EMPTY_CONTEXT
        elif type(context) is dict:
            return method(self, context)
        else:
            seen = shaped_context(self.problem, context)
        roster, pending, number = self.roster, self._pending, self.number
        available = roster.active
        action, propensity = self._select.call(self._player, number, seen, available, NOBODY, 0)
        if action < 0:
            assert action == loop.NOT_FINITE, "a policy chose an arm that is not available"
            raise not_finite()
        self.number = number + 1
        choice = ArmDecision(
            number,
            roster.labels[action],
            action,
            propensity,
            _context=seen,
            _available=available,
            _engine=pending.engine,
        )
        held = pending.held  # as `pending.hold` does
        held[number] = choice
        held.pop(number - pending.remember, None)
        return choice

    return cast("Method", decide)


def learning(method: Method) -> Method:
    """Return `Engine.learn` with its plain case before it."""

    @wraps(method)
    def learn(self: Any, decision: Any, reward: Any, cost: float | None = None, **told: Any) -> None:
        if told or cost is not None or not self._learns_plainly:
            method(self, decision, reward, cost, **told)
            return
        low, high = self._limits
        value = reward + 0.0 if type(reward) is float and low <= reward <= high else self._checked(reward)
        pending, update = self._pending, self._update
        is_held = type(decision) is ArmDecision and decision._engine is pending.engine
        choice = decision if is_held else pending.find(decision, self.number)
        call = update.call if update.compiled else self._interpreted
        call(
            self._player,
            choice.number,
            choice._context,
            choice._available,
            choice._unit,
            choice._time,
            choice.action,
            choice.propensity,
            value,
        )
        force_setattr(choice, "_engine", LEARNED)  # as `pending.drop` does
        if pending.held.pop(choice.number, None) is None:
            pending.drop(choice)
        self.rewards += 1

    return cast("Method", learn)
