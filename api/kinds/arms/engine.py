"""Arms from Python: decide and learn in one line each. `onearm.open` makes the engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ....engine import loop
from ....engine.changes.worlds import leader_of
from ....engine.columns import every_mask
from ....engine.compiled.binding import Bound
from ....engine.contexts import context_at
from ....engine.errors import InvalidInput, as_seen
from ....engine.features import unit_of
from ....engine.problem import (
    check_contexts,
    check_reward,
    check_rewards,
    not_finite,
    shaped_context,
)
from ....engine.protocol import explains
from ....engine.replay.folding import fold
from ....engine.states.learned import learned_by
from ....engine.storage.records import Event
from ....engine.vocabulary import (
    LEARN,
    NOBODY,
    Columns,
    Constrained,
    Decision,
    Feedback,
    Instance,
    Player,
)
from ...experiment.compiling import compile_bound, compile_explain, compile_law
from ...experiment.explanation import EXPLAINING, Scores, explain, notes_on, score_all
from ...experiment.explanation import rank as in_order
from ...experiment.explanation_schemas import Ranked
from ...experiment.intake import check_propensity
from ...experiment.plan import held_for
from ...experiment.plan_schemas import Plan
from ...experiment.spec import Spec
from ...experiment.weights import Remembered, encoder_of, is_small, no_weights, table_of, teller, weigh
from ...experiment.weights_schemas import Weights
from ..engine import NO_UNITS
from ..kind import Asked, Kind, Request
from ..pending import REMEMBERED, Many
from . import plain
from .calls import asked_of, calls_of, check_listed, checked_unit, eligible_mask, joined, sent_of, units_seen
from .choosing import ChoosingEngine
from .decided import ArmDecision, ArmDecisions, arm_decision
from .http import of_call
from .kind import ARMS
from .warm_start import rewarded

if TYPE_CHECKING:
    from ...durable.journal import Journal


class Engine(ChoosingEngine):
    """One policy at work in this process; in memory it is for one thread."""

    def __init__(self, spec: Spec, remember: int = REMEMBERED, journal: Journal | None = None) -> None:
        super().__init__(spec, ARMS, ArmDecision, remember, journal)
        self._is_plain = self.spec.intake.is_plain
        self._sees_nothing = self.problem.context_shape == (0,)
        self._decides_plainly = journal is None and self._is_plain
        self._learns_plainly = journal is None and not self.problem.detail_length
        self._limits = self.limits
        self._remembered = Remembered()

    def _compile(self, kind: Kind) -> None:
        """Bind the policy at work: a call is then six times as fast."""
        self._detail = np.zeros(self.problem.detail_length)
        self._player = Bound(Player(self.spec.policy.params, self.state, self.spec.run, self._detail))
        self.take_up(self.spec, compile_bound(self.spec, self._player))
        self.tell_law = loop.tell_law.python

    @plain.deciding
    def decide(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        time: int | None = None,
        state: Any = None,
        begins: bool = False,
        rank: bool = False,
    ) -> ArmDecision:
        """Choose an action.

        `context` float64[d] or a dict of named features, where the problem has one; `actions` what can be chosen, where
        it comes with the call: dicts with their "id" and "features", a list of numbers, or named features. `eligible`
        are the ids to choose from, of all. `unit_id` says whom the decision is for, and `time` when it is made, in
        microseconds since 1970 UTC, where the policy asks for that (`sticky`); left out it is now where there is a log,
        and else 0. Where the engine was opened with states, `state` is the one in which the decision is made, and
        `begins` whether a unit begins in it. With `rank` the decision has a `ranking` of all that could be chosen.
        """
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        is_bare = eligible is None and actions is None and state is None and not begins
        if is_bare and self._is_plain and type(context) is not dict:
            labels: Sequence[str] = self.roster.labels
            available = self.roster.active
            seen = shaped_context(self.problem, context)
        else:
            shown = self.spec.intake.shown(context, state, begins)
            labels, (seen, available, *_) = self._request(shown, eligible, actions)
        number = self.number
        unit = NOBODY if unit_id is None else unit_of(checked_unit(unit_id))
        at = 0 if time is None and journal is None else self._when(time)
        asked = None
        ranking: Sequence[Ranked] = ()
        if rank:
            ranking = self._ranked(Instance(number, seen, available, unit, at), labels)
        if journal is not None:
            sent = sent_of(context, actions)  # before anything is begun: it may not be what JSON can say
            full = Request(seen, available, None if actions is None else labels, ranked=rank, unit=unit, time=at)
            asked = Asked(journal.begin(self, full), unit_id, sent)
        action, propensity = self._select.call(self._player, number, seen, available, unit, at)
        if action < 0:
            assert action == loop.NOT_FINITE, "a policy chose an arm that is not available"
            raise not_finite()
        if journal is None or asked is None:
            self.number = number + 1
        else:
            journal.decided(self, asked, Decision(action, propensity))
        choice = ArmDecision(
            number,
            labels[action],
            action,
            propensity,
            _context=seen,
            _available=available,
            _unit=unit,
            _time=at,
            _ranking=ranking,
            _engine=self._pending.engine,
        )
        self._pending.hold(choice)
        return choice

    def _ranked(self, instance: Instance, labels: Sequence[str]) -> Sequence[Ranked]:
        """Return the probabilities of all that can be chosen."""
        if self.tell_law is loop.tell_law.python:
            self.tell_law = compile_law(self.spec)
        return in_order(self.tell_law, self.spec.policy.params, self.state, instance, labels)

    def decide_many(
        self,
        contexts: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[Sequence[dict[str, Any]]] | None = None,
        unit_ids: Sequence[str | None] | None = None,
        time: int | None = None,
        states: Sequence[Any] | None = None,
        begins: Sequence[bool] | None = None,
    ) -> ArmDecisions:
        """Choose n actions on the state as it is: what n calls of `decide` would, with nothing learned between them.

        `contexts` are what `decide` takes, n of them, float64[n, d] for one, or how many decisions there are where the
        problem has no context; `actions` n lists, where they come with the call; `unit_ids` those n whom they are for.
        `eligible` and `time` hold for all. Where the engine was opened with states, `states` are those in which the
        decisions are made, and `begins` whether a unit begins in each; there are no contexts then.
        """
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        at = self._when(time)
        if journal is not None and (self.spec.policy.constrained or self.spec.policy.repeats):
            raise InvalidInput(
                "not_built",
                "decide_many cannot write down yet what constraints or sticky did to each decision: call decide",
            )
        shown = self.spec.intake.shown_many(contexts, states, begins)
        units = units_seen(unit_ids)
        requests = None
        if self._is_plain and actions is None:
            seen = check_contexts(self.problem, shown)
            available = eligible_mask(self.roster.numbers, self.roster.active, eligible)
            labels: Sequence[Sequence[str]] = [self.roster.labels]
            calls = seen, available[np.newaxis], len(seen)
        else:
            given = calls_of(shown, eligible, actions)
            requests = [self._request(*call) for call in given]
            labels = [offered for offered, _ in requests]
            calls = *joined([request for _, request in requests], self.problem), len(requests)
        if unit_ids is not None and len(unit_ids) != calls[2]:
            raise InvalidInput(
                "bad_units", f"there are {len(unit_ids)} unit_ids for {calls[2]} decisions: give each one, or None"
            )
        rows = self._decide_many(*calls, units, at)
        there = every_mask(rows)[np.arange(len(rows.kind)), rows.action]
        assert there.all(), "a policy chose an arm that is not available"
        asked: Iterable[Asked] = ()
        if requests is not None:
            texts = (sent_of(context, offered) for context, _, offered in given)
            listed = None if actions is None else labels
            asked = asked_of([request for _, request in requests], listed, rows, unit_ids, texts)
        elif journal is not None:
            asked = asked_of([Request(context, available) for context in seen], None, rows, unit_ids, repeat(None))
        return self._hold_many(ArmDecisions, rows, rows.action, asked, _labels=labels)

    def explain(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        time: int | None = None,
        state: Any = None,
        begins: bool = False,
    ) -> dict[str, Any]:
        """Say why `decide` would decide as it would, and change nothing: a ranking of the actions, and reasons."""
        self._check_explains("cannot say why it decides")
        asked = self._asked_why(context, eligible, actions, unit_id, time, state, begins)
        found = explain(compile_explain(self.spec), self.spec.policy.params, self.state, *asked)
        found.model = leader_of(self.spec.policy, self.state)
        if (learned := learned_by(self.spec.policy, self.state)) is not None:
            found.plan = held_for(learned, asked[0])
        reasons: dict[str, Any] = msgspec.to_builtins(found)
        notes = notes_on(self.spec)
        return reasons | ({"notes": notes} if notes else {})

    def scores(
        self,
        context: Any = None,
        eligible: Iterable[str] | None = None,
        *,
        actions: Sequence[dict[str, Any]] | None = None,
        unit_id: str | None = None,
        time: int | None = None,
        state: Any = None,
        begins: bool = False,
    ) -> Scores:
        """Return score, width and probability of every action as arrays, and change nothing.

        They are those that `explain` tells, in the order of the arms, or of the `actions` of the call: float64[k] each,
        NaN where there is no answer, as for what cannot be chosen. Arguments are those of `decide`. Raises
        `InvalidInput` ("no_explanation") where the policy has neither a model of the rewards nor an index.
        """
        self._check_explains("expects nothing of its actions")
        asked = self._asked_why(context, eligible, actions, unit_id, time, state, begins)
        return score_all(compile_explain(self.spec), self.spec.policy.params, self.state, *asked)

    def _check_explains(self, lack: str) -> None:
        """Refuse a policy that lacks what was asked for."""
        if self._journal is not None:
            self._get_ready(self._journal)
        if not explains(self.spec.policy.params):
            raise InvalidInput("no_explanation", f"the policy {lack}: take {EXPLAINING}")

    def _asked_why(
        self,
        context: Any,
        eligible: Iterable[str] | None,
        actions: Sequence[dict[str, Any]] | None,
        unit_id: str | None,
        time: int | None,
        state: Any,
        begins: bool,
    ) -> tuple[Instance, Sequence[str], list[list[str]]]:
        """Return what would be decided, the labels of the actions and the names of their features."""
        labels, request = self._request(self.spec.intake.shown(context, state, begins), eligible, actions)
        asked = request._replace(unit=unit_of(checked_unit(unit_id)), time=self._when(time))
        names = self.spec.intake.names(context, self.roster.arms if actions is None else actions)
        return self.asked(asked), labels, names

    def weights(self, top: int = 50) -> Weights:
        """Return the `top` features with the largest weights: of the context, and of each arm.

        A weight is what a feature with the value 1 adds to the reward that is expected. Names are those of features
        that came lately; of others the slot is told. Raises `InvalidInput` where contexts are no named features, or
        the policy has no weights.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        encoder = encoder_of(self.spec, top)
        if not explains(self.spec.policy.params):
            raise no_weights()
        arms = [] if self.spec.intake.per_call else self.roster.arms
        tell = teller(compile_explain(self.spec), self.spec.policy.params, self.state, max(len(arms), 1))
        tell = table_of(encoder, tell) if is_small(encoder) else tell
        shown = self._remembered if self._journal is None else self._journal.shown()
        return weigh(encoder, tell, shown, arms, self.roster.labels, top)

    @plain.learning
    def learn(
        self,
        decision: ArmDecision | int,
        reward: float,
        cost: float | None = None,
        *,
        next_state: Any = None,
        ended: bool = False,
        action_id: str | None = None,
        propensity: float | None = None,
    ) -> None:
        """Learn the reward of a decision (or of its number); up is better. Each decision takes one.

        With it may come what the decision has cost, where the engine was opened with `feedback="cost"`. Where it was
        opened with states, `next_state` is the one that came next, or the unit has `ended`. Where another arm was shown
        than was decided, `action_id` names it, and `propensity` is the probability with which it was chosen, if that is
        known: then a decision of somebody else is learned, which takes the next number.
        """
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        value = self._checked(reward)
        if len(self._detail) or cost is not None or next_state is not None or ended:
            self._detail[:] = self.spec.intake.beside(self.problem, cost, next_state, ended)
        decided = choice = self._pending.find(decision, self.number)
        if action_id is not None or propensity is not None:
            if journal is not None:
                raise InvalidInput(
                    "not_built", "the log cannot say yet that another action was shown: leave action_id out"
                )
            choice = self._shown(decided, action_id, propensity)
        if journal is not None:
            journal.torn = True
        learn = self._update.call if self._update.compiled else self._interpreted
        learn(
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
        if journal is not None:
            journal.learned((choice, Feedback(value, self._detail)))
        self._pending.drop(decided)
        self.rewards += 1
        if choice is not decided:
            self.number += 1
            self._pending.forget(self.number)

    def learn_many(
        self,
        decisions: Many,
        rewards: Any,
        costs: Any = None,
        *,
        next_states: Sequence[Any] | None = None,
        ended: Sequence[bool] | None = None,
    ) -> None:
        """Learn the rewards of n decisions, float64[n], in their order: what n calls of `learn` would.

        `costs` are what they have cost, float64[n], NaN where that is not known, as `learn` takes them. `decisions` are
        what `decide_many` returned or some of it, `batch[rows]`, or a list of numbers or of decisions. `next_states`
        are those that came next, None where the unit has `ended`, where the engine was opened with states.
        Nothing is learned where one of them is not known, is given twice or has its reward already, or where a reward
        is not a finite number, or outside of the declared range.
        """
        if self._journal is not None:
            self._get_ready(self._journal)
        found = self._pending.find_many(decisions, self.number)
        n = len(found.columns.kind)
        earned = check_rewards(rewards, n, limits=self._limits)
        self._learn_many(found, earned, self.spec.intake.beside_many(self.problem, n, costs, next_states, ended))

    @property
    def constrained(self) -> Constrained:
        """What constraints did to the last decision of `decide`: those that moved its law, and those that gave way."""
        policy = self.spec.policy
        tell = policy.constrained
        told = None if tell is None else tell(policy.params, self.state, self.number - 1, self.roster.labels)
        return told or Constrained([], [])

    @property
    def plan(self) -> Plan | None:
        """What the policy has learned of states: the gain, and what it does in each; None where it learns none."""
        learned = learned_by(self.spec.policy, self.state)
        return None if learned is None else self.spec.intake.plan(self.roster.labels, learned)

    def warm_start(self, log: str | Path | Columns) -> int:
        """Learn from the rewarded decisions of another policy, and return how many there were.

        `log` is a file that `onearm replay` reads, or columns of one row a decision, with its reward. Each takes a
        number, as any decision does. Nothing is learned where one of them does not fit this engine's problem.
        """
        journal = self._journal
        if journal is not None:
            self._get_ready(journal)
        rows = rewarded(log, self.problem, self._limits)
        given = rows._replace(
            kind=np.full(len(rows.kind), LEARN, np.int8), number=self.number + np.arange(len(rows.kind))
        )
        if journal is None:
            fold(self.spec.policy.params, self.state, self._run, given)
            self.number += len(rows.kind)
        else:
            self._take_over(journal, given)
        self._pending.forget(self.number)
        return len(rows.kind)

    def _take_over(self, journal: Journal, given: Columns) -> None:
        """Learn decisions of somebody else, and write them down."""
        if self.spec.intake.per_call:
            raise InvalidInput("not_built", "the log of a warm start has no ids for listed actions yet: take arms")
        masks, time = every_mask(given), journal.now()
        at = given._replace(unit=NO_UNITS, time=np.array([time]))  # as the log has them
        asked = [Asked(Request(context_at(at.context, row), masks[row], time=time)) for row in range(len(masks))]
        journal.torn = True
        fold(self.spec.policy.params, self.state, self._run, at)
        journal.given(self, asked, at)
        self.rewards += len(masks)

    def _remade(self, event: Event) -> ArmDecision:
        return arm_decision(event, self.labels(event), self._carried(event))

    def _shown(self, decided: ArmDecision, action_id: str | None, propensity: float | None) -> ArmDecision:
        """Return the decision of somebody else for what was shown in the place of one; that one, where it was."""
        if propensity is not None:
            check_propensity(propensity)
            if action_id is None:
                raise InvalidInput("unexpected_field", "there is a propensity, but no action_id: give both or none")
        if self.spec.intake.per_call:
            raise InvalidInput(
                "not_built", "action_id is for an engine with arms: leave it out where actions are listed"
            )
        action = self.roster.numbers.get(action_id if isinstance(action_id, str) else as_seen(action_id), -1)
        if action < 0:
            raise InvalidInput(
                "unknown_action",
                f"there is no action {as_seen(action_id)}: the actions are {', '.join(self.roster.labels[:20])}",
            )
        if action == decided.action and propensity in (None, decided.propensity):
            return decided
        if not decided._available[action]:
            raise InvalidInput(
                "unavailable_action", f"the action {action_id!r} was not eligible for decision {decided.number}"
            )
        if propensity is None and self.spec.policy.divides:
            raise InvalidInput(
                "missing_propensity",
                f"the policy {self.spec.policy.name!r} divides by propensities: give the one with which {action_id!r} "
                "was chosen, in (0, 1]",
            )
        chance = math.nan if propensity is None else propensity
        carried = {name: getattr(decided, name) for name in ("_context", "_available", "_unit", "_time")}
        return ArmDecision(self.number, self.roster.labels[action], action, chance, **carried, _engine=None)

    def _checked(self, reward: Any) -> float:
        """Return a reward that may be a number of NumPy; raise `InvalidInput` where it is none, or out of its range."""
        return check_reward(reward.item() if isinstance(reward, np.generic) else reward, self._limits)

    def _interpreted(self, *arguments: Any) -> None:
        """Call the first tier of `learn_bound`."""
        self._learn_as_python(arguments)

    def _request(
        self, context: Any, eligible: Iterable[str] | None, actions: Sequence[dict[str, Any]] | None
    ) -> tuple[Sequence[str], Request]:
        """Return the ids of what can be chosen, and what the kernels see."""
        intake, roster = self.spec.intake, self.roster
        check_listed(intake, actions)
        labels: Sequence[str] = roster.labels
        numbers, active = roster.numbers, roster.active
        if actions is not None:
            called = of_call(actions, intake.actions_max)
            labels, numbers, active = called.labels or labels, called.numbers, called.active
        checked = intake.read(context, roster.arms if actions is None else actions)
        if intake.encoder is not None and self._journal is None:
            self._remembered.add(context, actions)
        return labels, Request(checked, eligible_mask(numbers, active, eligible))
