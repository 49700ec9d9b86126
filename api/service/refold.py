"""States of policies that are folded again: with rewards as they are corrected to, or as they were at an earlier event.

A fold begins as near as it may: with the newest state that is on its path and knows what it must, a snapshot or a base
of the log, and without one with what there is before any event.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Conflict, Damaged
from ...engine.growth import grown
from ...engine.protocol import marks
from ...engine.replay.folding import fold
from ...engine.storage.corrections import Corrected, Correction, amended
from ...engine.storage.records import Base, Snapshot
from ...engine.storage.store import Store
from ...engine.vocabulary import Columns, Policy, Problem, Turn
from ..experiment.definition import Definition, run_of_policy
from ..experiment.lineup import joined, policy_of, states_of
from ..kinds.kind import Kind
from .bases import beginning, fresh
from .folded import state_of
from .history import History, Part, Recast, changed
from .paths import Setting
from .rungs import STATE_BYTES_MAX, Rung, ends, path_to, with_rung

Steps = Generator[None, None, Any]


class Log(NamedTuple):
    """The log of an experiment in a database."""

    store: Store
    key: int
    created: Definition  # as it began


class Begun(NamedTuple):
    """A state that a fold goes on with."""

    seq: int  # the last event that it has learned
    state: Any


class Again:
    """The state of one policy, which is folded again along the path of a setting. It is written."""

    def __init__(
        self, created: Definition, history: History, setting: Setting, begun: Begun, corrections: Iterable[Correction]
    ) -> None:
        self._created, self._run = created, run_of_policy(created, setting.policy)
        self.policy = policy_at(created, history, setting.policy, begun.seq)
        self._corrected = Corrected.of(one for one in corrections if one.seq <= setting.corrected_to).last()
        self._history, self._setting, self._begun = history, setting, begun.seq
        self.state, self._problem = begun.state, history.problem(begun.seq)

    def behind(self, seq: int) -> None:
        """Go on behind the event of a seq, with as many arms as there are then, and in the part that it has then."""
        self.policy = policy_at(self._created, self._history, self._setting.policy, seq)
        self._sized(self._history.problem(seq))

    def take(self, part: Part) -> None:
        """Take what is on the path."""
        if isinstance(part, Columns):
            fold(self.policy.params, self.state, self._run, amended(part, self._corrected))
        elif isinstance(part, Problem):
            self._sized(part)
        elif isinstance(part, Recast):
            self.policy = policy_at(self._created, self._history, self._setting.policy, part.seq)
        elif isinstance(part, Turn) and self.policy.turn is not None:
            self.state = changed(self.policy, self.state, part)

    def end(self) -> Any:
        """Return the state with as many arms as there are where its path ends: the last stretch may be empty."""
        self.behind(max(self._setting.to, self._begun))
        return self.state

    def _sized(self, now: Problem) -> None:
        self.state, self._problem = _sized(self.policy, self.state, self._problem, now), now


def gone_on(
    log: Log,
    history: History,
    setting: Setting,
    begun: Begun,
    corrections: Iterable[Correction],
    passed: Callable[[int, Any], None],
) -> Steps:
    """Fold what is on the path of a setting behind a state, which is written; return the state, a page a step.

    `passed` is told some of the events on the way, each with the state behind it.
    """
    again = Again(log.created, history, setting, begun, corrections)
    for after, until in history.paths.stretches(setting.policy, setting.to):
        first = max(after, begun.seq)
        if first >= until:
            continue
        again.behind(first)
        for end in ends(first, until):
            learned_only = not marks(again.policy.params)
            for part in history.pages(log.store, log.key, first, end, learned_only=learned_only):
                again.take(part)
                yield
            passed(end, again.state)
            first = end
    return again.end()


def grown_to(created: Definition, history: History, setting: Setting, state: Any, seq: int) -> Any:
    """Return what a state is set to as it is where there are as many arms as after the event of a seq."""
    policy = policy_in(created, history, setting.policy)
    return _sized(
        policy, state, history.problem(max(setting.to, history.member(setting.policy)[1])), history.problem(seq)
    )


def policy_at(created: Definition, history: History, number: int, seq: int) -> Policy:
    """Return the policy of a number as it learns after the event of a seq, in the part that it has then."""
    there = (member for member in history.members(seq) if member.policy == number)
    return policy_of(created, next(there, history.member(number)[0]))


def policy_in(created: Definition, history: History, number: int) -> Policy:
    """Return the policy of a number."""
    return policy_of(created, history.member(number)[0])


def at_first(created: Definition, history: History, number: int) -> Begun:
    """Return the state of a policy before it has learned anything."""
    policy, (_, seq) = policy_in(created, history, number), history.member(number)
    return Begun(seq, history.first_state(policy, number, history.problem(seq)))


class Refold:
    """The states of all who decide, folded again, a page a step. Steps run in worker threads, one after another."""

    def __init__(
        self, log: Log, kind: Kind, floor: int, to: int | None, corrected_to: int, rungs: Mapping[int, Sequence[Rung]]
    ) -> None:
        """Fold up to `to`, or as far as the log is; it can be folded again from the seq `floor` on.

        The `rungs` of folds before are those of each policy, by number.
        """
        self.rungs = {number: list(some) for number, some in rungs.items()}  # with those of this one
        self.seq = 0  # states have learned what they are to up to this one
        self.settings: tuple[Setting, ...] = ()
        self._log, self._kind, self._floor = log, kind, floor
        self._to, self._corrected_to = to, corrected_to
        self._begun: dict[int, Begun] = {}
        self._corrections: list[Correction] | None = None

    def steps(self, last: int) -> Generator[None, None, None]:
        """Go on until the states are those that the log up to its event `last` says."""
        store, key, created = self._log
        history = History(created, store.changes(key), self._kind.change_types)
        if self._corrections is None:
            self._corrections = store.corrections(key, self._corrected_to)
        to = last if self._to is None else self._to
        deciding = history.spec(last).deciding
        self.settings = tuple(Setting(number, to, self._corrected_to) for number in deciding)
        for setting in self.settings:
            self.rungs[setting.policy] = self._left(history, setting)
            begun = self._begun.get(setting.policy) or self._nearest(history, setting)
            passed = partial(self._leave, history, setting)
            state = yield from gone_on(self._log, history, setting, begun, self._corrections, passed)
            self._begun[setting.policy] = Begun(max(begun.seq, to), state)
        self.seq = last

    def _leave(self, history: History, setting: Setting, seq: int, state: Any) -> None:
        """Leave a rung."""
        if snapshot.size(state) <= STATE_BYTES_MAX:
            path = path_to(history.paths, setting, seq)
            made = Rung(seq, snapshot.copied(state), path, setting.corrected_to)
            self.rungs[setting.policy] = with_rung(self.rungs[setting.policy], made)

    def state(self, last: int) -> Any:
        """Return the state of all who decide once the log has come to its event `last`, to which `steps` went."""
        store, key, created = self._log
        history = History(created, store.changes(key), self._kind.change_types)
        states = {
            one.policy: grown_to(created, history, one, self._begun[one.policy].state, last) for one in self.settings
        }
        return joined(history.spec(last), states, history.problem(last))

    def _nearest(self, history: History, setting: Setting) -> Begun:
        """Return the newest state that leads on to a setting."""
        store, key, created = self._log
        assert self._corrections is not None
        bases: list[Base | Snapshot] = list(store.bases(key))
        stored = sorted([*bases, *store.newest_snapshots(key)], key=lambda one: one.seq, reverse=True)
        rung = next(reversed(self.rungs[setting.policy]), None)
        for one in stored:
            if rung is not None and one.seq <= rung.seq:
                break
            spec = history.spec(one.seq)
            if not self._floor <= one.seq <= setting.to or setting.policy not in spec.numbers:
                continue
            if history.paths.leads_on(setting, one.seq, self._corrections):
                try:
                    return Begun(one.seq, states_of(spec, self._read(history, one))[setting.policy])
                except Damaged:  # a base that cannot be read is told of where a log is folded from it
                    continue
        if rung is not None:
            return Begun(rung.seq, snapshot.copied(rung.state))
        begun = at_first(created, history, setting.policy)
        if self._floor and begun.seq < self._floor:
            raise Conflict(
                "compacted",
                f"the log of {created.id!r} is folded from seq {self._floor} on, and what is asked for lies before",
            )
        return begun

    def _left(self, history: History, setting: Setting) -> list[Rung]:
        """Return the rungs of before that lead on to a setting."""
        assert self._corrections is not None
        return [
            rung
            for rung in self.rungs.get(setting.policy, ())
            if self._floor <= rung.seq <= setting.to and rung.leads_on(history.paths, setting, self._corrections)
        ]

    def _read(self, history: History, stored: Base | Snapshot) -> Any:
        store, _, created = self._log
        spec = history.spec(stored.seq)
        if isinstance(stored, Base):
            kept = beginning(store, [stored], created, self._kind, history, stored.seq).kept
        else:
            if stored.versions != spec.versions_json():
                raise Damaged("other_version", f"it is of other versions: {stored.versions}")
            kept = state_of(stored, fresh(spec, self._kind, history.problem(stored.seq)), store)
        return self._kind.own.split(kept)[0]


def not_from(history: History, corrections: Sequence[Correction], seq: int) -> int:
    """Return the seq of the last change whose states cannot be folded from the state after the event of a seq; else 0.

    No base can be made there.
    """
    deciding = history.spec(seq).deciding
    for at, reset in reversed(history.paths.resets.items()):
        if at > seq and not all(
            history.paths.leads_on(one, seq, corrections) for one in reset.settings if one.policy in deciding
        ):
            return at
    return 0


def _sized(policy: Policy, state: Any, before: Problem, now: Problem) -> Any:
    """Return a state as it is where arms have joined."""
    return grown(policy, state, now) if now.n_arms > before.n_arms else state
