"""A tuner: it proposes a value of a knob for the next solve, sees what that cost, and learns."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import loop, snapshot
from ...engine.draws import POLICY, run_key
from ...engine.errors import Conflict, InvalidInput, as_seen
from ...engine.kernel import Entry
from ...engine.problem import REWARD_MAX, check_param
from ...engine.protocol import has_law
from ...engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy
from .. import saving
from ..experiment.explanation import parts_room
from .arm_costs import ArmCosts
from .report import Report, report_of
from .settings import BACKSTOP, Cost, Settings, Value, settings_of
from .trial import Proposal, Trial

_NOTHING = np.zeros(0)
_LEAST = 1e-100  # propensity: none is drawn that is less


class _Open(NamedTuple):
    """A proposal that waits for its cost; as JSON a list."""

    clock: int  # the policy's, when it was made; -1 where nothing will be learned
    arm: int
    propensity: float | None
    context: float | None


class Tuner:
    """Chooses among the values of one knob, one solve after another, so that the solves cost little in all.

    `policy`: "tsallis" finds the best fixed value, and with a `context` the best one for each of its bins; "chebcb"
    learns how costs depend on the context; "fixed" always takes the default. Any policy of the catalogue will do, by
    name, name:{json params}, spec, or made.
    `grid`: (low, high, n), equally spaced values; or `values`, a list of numbers or labels, or float64[k]. 20 omegas
    from 1 to 1.95 if neither is given.
    `context`: the range (low, high) of the one number that is known before a solve, as a diffusivity or a shift.
    `cost`: "iterations", whole numbers, or "seconds".
    `backstop`: a solve may cost so many times the running median; no more than that is learned of it. None: no limit.
    `default`: the value that is safe to take as long as nothing is known, 1.5 for a grid, the first of `values`.

    Its decisions are those of `engine.loop` at the same seed, with -cost as the reward.
    Not to be shared between threads. A call that is refused changes nothing.

    >>> tuner = Tuner("ucb1", values=[1.2, 1.6])
    >>> for _ in range(5):
    ...     omega = tuner.propose()
    ...     tuner.observe({1.2: 90, 1.6: 40}[omega])
    >>> tuner.report().best, tuner.report().mean_cost
    (1.6, 50.0)
    """

    def __init__(
        self,
        policy: str | dict[str, Any] | Policy = "tsallis",
        *,
        grid: tuple[float, float, int] | None = None,
        values: Sequence[Value] | Array | None = None,
        context: tuple[float, float] | None = None,
        seed: int = 0,
        cost: Cost = "iterations",
        backstop: float | None = BACKSTOP,
        default: Value | None = None,
    ) -> None:
        self._begin(
            settings_of(
                policy,
                grid=grid,
                values=values,
                context=context,
                seed=seed,
                cost=cost,
                backstop=backstop,
                default=default,
            )
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Tuner:
        """Return a tuner of settings that were checked."""
        made = cls.__new__(cls)
        made._begin(settings)
        return made

    def _begin(self, settings: Settings) -> None:
        self.settings = settings
        self._arm_costs = ArmCosts(len(settings.values))
        self._params = settings.policy.params
        self._state = settings.policy.init(self._params, settings.problem)
        self._run = run_key(settings.seed, 0, POLICY)
        self._number = 0  # of the next proposal
        self._clock = 0  # the policy's: proposals that are or will be learned
        self._open: dict[int, _Open] = {}
        self._proposed: int | None = None  # by `propose`
        self._held: int | None = None  # the arm that is always proposed
        self._available = np.ones(len(settings.values), np.bool_)
        self._select, self._update = self._entries()

    @property
    def values(self) -> tuple[Value, ...]:
        """What it chooses among."""
        return self.settings.values

    @property
    def safe(self) -> Any:
        """The value to fall back to: the cheapest one among those that always converged, or the default."""
        return self.values[self._arm_costs.safe(self.settings.default)]

    @property
    def proven(self) -> bool:
        """Whether the safe value has converged before: the default may not have been tried yet."""
        return self._arm_costs.converged[self._arm_costs.safe(self.settings.default)] > 0

    @property
    def budget(self) -> float:
        """What the next solve may cost, in whole iterations or in seconds; inf where there is no limit yet."""
        limit = self._limit
        return float(math.floor(limit)) if self.settings.cost == "iterations" and math.isfinite(limit) else limit

    def propose(self, context: float | None = None) -> Any:
        """Return the value for the next solve; `observe` what it costs before the next one is proposed."""
        if self._proposed is not None:
            raise Conflict(
                "not_observed",
                f"{self._value_of(self._proposed)} was proposed and nothing was observed of it: observe its cost, or "
                "withdraw it; for several at a time ask and tell",
            )
        proposal = self.ask(context)
        self._proposed = proposal.token
        return proposal.value

    def observe(
        self, cost: float, converged: bool = True, *, fallback: float | None = None, cap: float | None = None
    ) -> None:
        """Learn what the proposed value cost; `tell` says more."""
        if self._proposed is None:
            raise Conflict("not_proposed", "nothing was proposed: propose a value, solve with it, and observe its cost")
        self.tell(self._proposed, cost, converged, fallback=fallback, cap=cap)

    def trial(self, context: float | None = None) -> Trial:
        """Return a context manager around one solve: it has the value, and is told the cost."""
        return Trial(self, context)

    def ask(self, context: float | None = None) -> Proposal:
        """Propose a value, without regard to others that are not told yet. A context outside the range is clipped."""
        seen, clipped = self._check_context(context)
        number = self._number
        if self._held is None:
            instance = self._instance(self._clock, seen)
            decision = self._select(self._params, self._state, instance, Key(self._run, number))
            arm, propensity = int(decision.action), float(decision.propensity)
            self._open[number] = _Open(self._clock, arm, None if math.isnan(propensity) else propensity, seen)
            self._clock += 1
        else:
            arm, propensity = self._held, 1.0
            self._open[number] = _Open(-1, arm, propensity, seen)
        self._number += 1
        self._arm_costs.clipped += clipped
        return Proposal(number, self.values[arm], arm, propensity, self.budget)

    def tell(
        self,
        token: int | Proposal,
        cost: float,
        converged: bool = True,
        *,
        fallback: float | None = None,
        cap: float | None = None,
    ) -> None:
        """Learn what a proposal cost: whole iterations, or seconds. Each is told once.

        `cost` is what was spent, and `fallback` what a safe value took in its place, if one did. At most `backstop`
        times the running median is learned; and just that of a solve that did not converge, however soon it broke down.
        Where no median is known yet, or there is no backstop, `cap` is learned of such a one, what it might have spent
        at the most, or else its cost. A cost of 0 says that there was nothing to solve: nothing is learned.
        """
        number = self._check_token(token)
        opened = self._open[number]
        spent = self._check_cost(cost)
        instead, most = (None if each is None else self._check_cost(each) for each in (fallback, cap))
        if not isinstance(converged, (bool, np.bool_)):
            raise InvalidInput("bad_converged", f"converged is {as_seen(converged)}: it must be True or False")
        self._close(number)
        if opened.clock < 0:
            return
        if instead is not None:
            self._arm_costs.fall_back(instead)
        learned = self._learned(spent, bool(converged), most)
        if learned == 0.0:
            self._clock -= 1
            self._arm_costs.skipped += 1
            return
        propensity = math.nan if opened.propensity is None else opened.propensity
        self._update(
            self._params,
            self._state,
            self._instance(opened.clock, opened.context),
            Decision(opened.arm, propensity),
            Feedback(-learned, _NOTHING),
            Key(self._run, number),
        )
        self._arm_costs.add(opened.arm, opened.propensity, spent, learned, bool(converged))

    def withdraw(self, token: int | Proposal | None = None) -> None:
        """Take back a proposal, or the one that `propose` made: nothing is learned of it, and it is not counted."""
        if token is None and self._proposed is None:
            raise Conflict("not_proposed", "nothing was proposed, so there is nothing to withdraw")
        number = self._check_token(self._proposed if token is None else token)
        if self._open[number].clock >= 0:
            self._clock -= 1
        self._close(number)

    def hold(self, value: Value | None = None) -> None:
        """From now on propose one value, the safe one if none is given, and learn nothing, until `release`."""
        if value is None:
            self._held = self._arm_costs.safe(self.settings.default)
        elif value in self.values:
            self._held = self.values.index(value)
        else:
            raise InvalidInput("bad_value", f"{value!r} is not one of the values: {reprlib.repr(list(self.values))}")

    def release(self) -> None:
        """Choose and learn again."""
        self._held = None

    def law(self, context: float | None = None) -> Array:
        """Return the probability of each value now, float64[k]; NaN where the policy does not know it.

        With many policies it costs as much as k proposals.
        """
        seen, _ = self._check_context(context)
        k = len(self.values)
        if not has_law(self._params):
            return np.full(k, np.nan)
        law, scores, widths, parts = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros((k, parts_room([["context"]])))
        loop.explain.now(self._params, self._state, self._instance(self._clock, seen), law, scores, widths, parts)
        return law

    def report(self, context: float | None = None) -> Report:
        """Say how it is doing; the probabilities are those at `context`, by default the middle of the range."""
        if context is None and self.settings.context is not None:
            context = sum(self.settings.context) / 2.0
        return report_of(self.settings, self._arm_costs, self.law(context))

    def digest(self) -> str:
        """Return the digest of the policy's state."""
        return snapshot.digest(self._state)

    def save(self) -> bytes:
        """Return all that was learned as bytes, with the proposals that wait for their cost."""
        head = {
            "settings": self.settings.to_json(),
            "number": self._number,
            "clock": self._clock,
            "open": [[number, *opened] for number, opened in self._open.items()],
            "proposed": self._proposed,
            "held": self._held,
            "course": self._arm_costs.to_json(),
        }
        return saving.pack("tuner", head, snapshot.pack(self._state))

    @classmethod
    def load(cls, data: bytes) -> Tuner:
        """Return a tuner as it was saved: it goes on bit for bit, in any process.

        Raises `Damaged` for bytes that are not all as they were written. Their digest is no signature: load bytes that
        you trust.
        """
        head, state = saving.unpack("tuner", data)
        loaded = cls.from_settings(Settings.from_json(head.get("settings")))
        loaded._restore(head)
        snapshot.unpack([state], loaded._state)
        return loaded

    def __repr__(self) -> str:
        return f"Tuner(policy={self.settings.policy.name!r}, values={len(self.values)}, proposals={self._number:,})"

    def __reduce__(self) -> tuple[Callable[[bytes], Tuner], tuple[bytes]]:
        """Say that copies and pickles are made of what `save` returns."""
        return type(self).load, (self.save(),)

    def _restore(self, head: dict[str, Any]) -> None:
        """Go on from the head of what was saved; what indexes memory is checked."""
        self._number = saving.checked_whole("number", head.get("number"))
        self._clock = saving.checked_whole("clock", head.get("clock"), high=self._number)
        for saved in saving.checked_list("open", head.get("open"), self._number, at_most=True):
            number, *rest = saving.checked_list("a proposal", saved, 1 + len(_Open._fields))
            if saving.checked_whole("a token", number, high=self._number - 1) in self._open:
                raise saving.unsaved("a token", number)
            self._open[number] = self._reopened(*rest)
        proposed, held = head.get("proposed"), head.get("held")
        if proposed is not None and saving.checked_whole("proposed", proposed) not in self._open:
            raise saving.unsaved("proposed", proposed)
        self._proposed = proposed
        self._held = None if held is None else saving.checked_whole("held", held, high=len(self.values) - 1)
        self._arm_costs.restore(head.get("course"))

    def _reopened(self, clock: Any, arm: Any, propensity: Any, context: Any) -> _Open:
        """Return a saved proposal, checked."""
        ends = self.settings.context
        if (context is None) != (ends is None):
            raise saving.unsaved("a context", context)
        return _Open(
            saving.checked_whole("a clock", clock, low=-1, high=self._number - 1),
            saving.checked_whole("an arm", arm, high=len(self.values) - 1),
            None if propensity is None else saving.checked_number("a propensity", propensity, low=_LEAST, high=1.0),
            None if ends is None else saving.checked_number("a context", context, low=ends[0], high=ends[1]),
        )

    def _entries(self) -> tuple[Entry, Entry]:
        """Return the entries `decide` and `learn`."""
        key, decision, feedback = Key(self._run, 0), Decision(0, 1.0), Feedback(0.0, _NOTHING)
        instance = self._instance(0, None if self.settings.context is None else self.settings.context[0])
        return (
            loop.decide.entry(self._params, self._state, instance, key),
            loop.learn.entry(self._params, self._state, instance, decision, feedback, key),
        )

    def _instance(self, clock: int, context: float | None) -> Instance:
        """Return what the kernels see; the context lies in its range."""
        return Instance(clock, _NOTHING if context is None else np.array([context]), self._available)

    @property
    def _limit(self) -> float:
        """What is learned of a solve at the most."""
        return self.settings.backstop * self._arm_costs.median

    def _learned(self, spent: float, converged: bool, cap: float | None) -> float:
        """Return what is learned of a solve; 0 where there is nothing to learn."""
        limit = self._limit
        if converged:
            return min(spent, limit)
        return limit if math.isfinite(limit) else spent if cap is None else cap

    def _close(self, number: int) -> None:
        del self._open[number]
        if number == self._proposed:
            self._proposed = None

    def _value_of(self, number: int) -> str:
        return reprlib.repr(self.values[self._open[number].arm])

    def _check_token(self, token: Any) -> int:
        number = token.token if isinstance(token, Proposal) else token
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise InvalidInput("bad_token", f"the token is {as_seen(token)}: give what `ask` returned, or its token")
        if int(number) in self._open:
            return int(number)
        if 0 <= number < self._number:
            raise Conflict("told", f"proposal {number} was told or withdrawn already: each is told once")
        raise Conflict("not_proposed", f"there is no proposal {number}: ask first")

    def _check_cost(self, cost: Any) -> float:
        """Return a finite cost, 0 or more; iterations are whole."""
        unit = self.settings.cost
        if isinstance(cost, (bool, np.bool_)) or not isinstance(cost, (int, float, np.integer, np.floating)):
            raise InvalidInput("bad_cost", f"the cost is {reprlib.repr(cost)}: it must be a number of {unit}")
        if not 0.0 <= cost <= REWARD_MAX:
            raise InvalidInput("bad_cost", f"the cost is {cost} {unit}: it must be finite, and 0 or more")
        if unit == "iterations" and cost != math.floor(cost):
            raise InvalidInput(
                "bad_cost", f"the cost is {cost} iterations: it must be a whole number; for times take cost='seconds'"
            )
        return float(cost)

    def _check_context(self, context: Any) -> tuple[float | None, bool]:
        """Return the context within its range, and whether it was outside."""
        ends = self.settings.context
        if ends is None:
            if context is not None:
                raise InvalidInput(
                    "bad_context",
                    f"the context is {reprlib.repr(context)}: this tuner has none; make it with context=(low, high)",
                )
            return None, False
        if context is None:
            raise InvalidInput(
                "bad_context", f"the context is missing: give a number, {ends[0]:g} to {ends[1]:g} is its range"
            )
        number = check_param("context", context.item() if isinstance(context, np.generic) else context)
        return min(max(number, ends[0]), ends[1]), not ends[0] <= number <= ends[1]
