"""The states of all policies that an experiment has had, folded from its log alone.

What a policy has learned does not depend on the part it plays: each learns every reward, as it is on record. So a
state that decides from a change on is folded beside those that decided before, from where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine import loop
from ...engine.replay.folding import fold
from ...engine.storage.corrections import Correction
from ...engine.vocabulary import Columns, Policy, Problem, Turn
from ..experiment.definition import Definition, run_of_policy
from ..experiment.lineup import Member, joined, policy_of, states_of
from .branches import Branches
from .history import History, Recast, changed
from .paths import Reset


class _Follower(NamedTuple):
    """A policy that does not decide yet."""

    policy: Policy
    state: Any
    run: np.uint64


class Company:
    """Those who decide, whose common state is `state`, and those who will.

    It begins after the event `seq`, of which those who decide know the `state`. Where that is not the beginning of the
    log, what one has learned that began before and decides later is `given`, by the seq of its change and its number:
    no fold can tell it. Where states are set in the log they are folded on branches, with its `corrections`.
    """

    def __init__(
        self,
        created: Definition,
        history: History,
        state: Any,
        seq: int = 0,
        last: int = 2**62,
        given: Callable[[int, int], Any] | None = None,
        corrections: Sequence[Correction] = (),
    ) -> None:
        self.spec = history.spec(seq)
        self.state = state
        self.untold: list[tuple[int, int]] = []  # the seq of a change, and the policy that was `given`
        self._created, self._history, self._given = created, history, given
        self._branches = Branches(created, history, corrections, seq, last)
        self._problem = history.problem(seq)
        self._followers: dict[int, _Follower] = {}
        self._seen = {member.policy for member in history.members(seq)}
        recasts = history.recasts(seq, last)
        # The last change with which each takes a part in deciding: until then it is followed.
        self._decides = {number: recast.seq for recast in recasts for number in recast.spec.numbers}
        if not seq:
            for member in (member for recast in recasts for member in recast.members):
                if member.policy in self._decides and not member.begun and member.policy not in self.spec.numbers:
                    self._follow(member)
        self.pass_by(seq)

    @property
    def policy(self) -> Policy:
        """The policy of all who decide."""
        return self.spec.policy

    def replay(self, page: Columns) -> int:
        """Make the decisions of a page again and learn it; return the row of the first that differs, or -1."""
        row = int(loop.replay(self.policy.params, self.state, self.spec.run, page))
        if row < 0:
            self._fold_others(page)
        return row

    def fold(self, page: Columns) -> None:
        """Learn a page."""
        fold(self.policy.params, self.state, self.spec.run, page)
        self._fold_others(page)

    @property
    def places(self) -> Sequence[int]:
        """The seqs where a log that it folds is to pause, and it to `pass_by`."""
        return self._branches.places

    def pass_by(self, seq: int) -> None:
        """Take note that the log has come to the event of a seq: the states there may be set later."""
        followed = {number: one.state for number, one in self._followers.items()}
        self._branches.keep(seq, followed | states_of(self.spec, self.state))

    def change(self, part: Problem | Turn | Recast | Reset) -> None:
        """Go on where an arm joined, a person said something, policies changed, or states are set."""
        if isinstance(part, Recast):
            self._recast(part)
            self._branches.take(part)
            self.pass_by(part.seq)
            return
        if isinstance(part, Reset):
            known = states_of(self.spec, self.state) | self._branches.ended(part)
            self.state = joined(self.spec, known, self._problem)
            self.pass_by(part.seq)
            return
        self._branches.take(part)
        self.state = changed(self.policy, self.state, part)
        if isinstance(part, Problem):
            self._problem = part
        for number, one in self._followers.items():
            if isinstance(part, Problem) or one.policy.turn is not None:
                self._followers[number] = one._replace(state=changed(one.policy, one.state, part))

    def _fold_others(self, page: Columns) -> None:
        for one in self._followers.values():
            fold(one.policy.params, one.state, one.run, page)
        self._branches.take(page)

    def _follow(self, member: Member) -> None:
        policy = policy_of(self._created, member)
        state = self._history.first_state(policy, member.policy, self._problem)
        self._followers[member.policy] = _Follower(policy, state, run_of_policy(self._created, member.policy))

    def _recast(self, part: Recast) -> None:
        known = states_of(self.spec, self.state)
        for number in part.spec.numbers:
            if number in self._followers:
                known[number] = self._followers.pop(number).state
        for member in part.members:
            number = member.policy
            if number in part.spec.numbers and number not in known:
                if self._begins(member):
                    policy = policy_of(self._created, member)
                    known[number] = self._history.first_state(policy, number, self._problem)
                else:
                    assert self._given is not None, "its log is folded from the beginning"
                    known[number] = self._given(part.seq, number)
                    self.untold.append((part.seq, number))
            elif number not in part.spec.numbers:
                self._watch(member, known, part.seq)
        self._seen |= {member.policy for member in part.members}
        self.state = joined(part.spec, known, self._problem)
        self.spec = part.spec

    def _watch(self, member: Member, known: dict[int, Any], seq: int) -> None:
        """Follow who decides later: with what it knows, or from here where it begins here."""
        number = member.policy
        if self._decides.get(number, 0) <= seq or number in self._followers:
            return
        if number in known:
            policy = policy_of(self._created, member)
            run = run_of_policy(self._created, number)
            self._followers[number] = _Follower(policy, known[number], run)
        elif self._begins(member):
            self._follow(member)

    def _begins(self, member: Member) -> bool:
        """Tell whether a member of a change knows nothing of what was before it."""
        return member.begun > 0 and member.policy not in self._seen
