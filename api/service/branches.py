"""States that are set in a log, folded beside it while it is read once: by `verify`, and where a log is imported.

Each is what a policy knows with other rewards than those that were learned, or without some of them. It is folded on a
branch, which leaves the log's own fold where the two part for good, or an earlier branch that goes along with it for
longer. There the state is copied; it learns what is on its path, and is there when the log comes to the change that
sets it. However many states are set, and however far back, the log is read once. Memory: that of a state from the fork
of its branch to its change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Damaged
from ...engine.storage.corrections import Correction
from ...engine.vocabulary import Columns, Problem, Turn
from ..experiment.definition import Definition
from .history import History, Recast
from .paths import Reset, Setting
from .refold import Again, Begun, at_first, grown_to


class _Branch:
    """A branch of the fold of one policy."""

    def __init__(self, setting: Setting, fork: int, source: _Branch | None, fresh: bool) -> None:
        self.setting = setting
        self.fork = fork  # it leaves its source behind this seq
        self.source = source  # None: the log's own fold
        self.fresh = fresh  # it begins with a policy that knows nothing, and has no source
        self.again: Again | None = None  # from its fork on
        self.is_on = False  # whether what comes now is on its path


class _Course(NamedTuple):
    """The fold of one policy between two changes that set its state."""

    begins: int  # with the state that is set here
    ends: int
    corrected_to: int  # up to this seq it knows corrections
    branch: _Branch | None  # on which that state is folded; None for the first
    before: _Course | None  # that this branch leaves


class Branches:
    """The branches of a log that is folded from behind an event on; the states at work are told by `keep`."""

    def __init__(
        self, created: Definition, history: History, corrections: Sequence[Correction], begins: int, last: int
    ) -> None:
        self._created, self._history, self._corrections = created, history, corrections
        self._begins = begins
        self._planned: dict[tuple[int, int], _Branch] = {}  # by the seq of the change, and the policy
        for policy in sorted({one.policy for reset in history.paths.resets.values() for one in reset.settings}):
            self._plan(policy, last)
        self._growing: list[_Branch] = []
        ends = {end for one in self._planned.values() for pair in self._path(one.setting) for end in pair}
        forks = {one.fork for one in self._planned.values()}
        self.places = sorted(seq for seq in ends | forks if begins < seq < last)

    def keep(self, seq: int, states: Mapping[int, Any]) -> None:
        """Tell the states after the event of a seq, by the numbers of the policies; copies those that are needed.

        To be told at each of `places`, and behind each change that sets states or policies.
        """
        for branch in self._planned.values():
            if branch.fork == seq and branch.again is None:
                branch.again = self._again(branch, states)
                self._growing.append(branch)
        for branch in self._growing:
            assert branch.again is not None
            was_on, branch.is_on = branch.is_on, self._history.paths.is_on(branch.setting, seq + 1)
            if branch.is_on and not was_on:
                branch.again.behind(seq)

    def take(self, part: Columns | Problem | Turn | Recast) -> None:
        """Take what comes next in the log."""
        for branch in self._growing:
            if branch.is_on:
                assert branch.again is not None
                branch.again.take(part)

    def ended(self, reset: Reset) -> dict[int, Any]:
        """Return what states are set to by a change, by the numbers of their policies."""
        made = {}
        for setting in reset.settings:
            branch = self._planned.pop((reset.seq, setting.policy))
            self._growing.remove(branch)
            assert branch.again is not None
            made[setting.policy] = grown_to(self._created, self._history, setting, branch.again.end(), reset.seq)
            branch.again = None
        return made

    def _again(self, branch: _Branch, states: Mapping[int, Any]) -> Again:
        """Begin a branch."""
        if branch.fresh:
            begun = at_first(self._created, self._history, branch.setting.policy)
        else:
            source = None if branch.source is None else branch.source.again
            state = states[branch.setting.policy] if source is None else source.state
            begun = Begun(branch.fork, snapshot.copied(state))
        return Again(self._created, self._history, branch.setting, begun, self._corrections)

    def _plan(self, policy: int, last: int) -> None:
        """Plan a branch for each change after the beginning that sets the state of a policy."""
        born = self._history.paths.born.get(policy, 0)
        courses: list[_Course] = []
        begins, known, branch, before = born, born, None, None
        for reset in self._history.paths.resets.values():
            for setting in reset.settings:
                if setting.policy != policy or reset.seq > last:
                    continue
                courses.append(_Course(begins, reset.seq - 1, known, branch, before))
                begins, known, branch, before = reset.seq, setting.corrected_to, None, None
                if reset.seq > self._begins:
                    branch, before = self._branch(setting, courses, born, reset.seq)
                    self._planned[reset.seq, policy] = branch

    def _branch(
        self, setting: Setting, courses: Sequence[_Course], born: int, seq: int
    ) -> tuple[_Branch, _Course | None]:
        """Return the branch for a setting, and the course that it leaves: the one that it can go along with longest."""
        path, bound, unread = self._path(setting), setting.to, len(self._corrections)
        fork, found = -1, None
        for course in reversed(courses):
            while unread and self._corrections[unread - 1].seq > course.corrected_to:
                unread -= 1
                one = self._corrections[unread]
                if one.seq <= setting.corrected_to and _is_on(path, one.learned):
                    bound = min(bound, one.learned - 1)
            if bound <= fork:
                break  # earlier ones know no more of what is corrected
            along = self._history.paths.stretches(setting.policy, course.ends)
            if (part := _parting(path, along, min(bound, course.ends))) > fork:
                fork, found = part, course
        if fresh := found is None or fork <= born:
            fork, found = born, None
        if fork < (self._begins if fresh else self._told_from(setting.policy)):
            if self._leads_on(setting):  # where a state was set that is on the path, and nothing behind it is
                return _Branch(setting, self._begins, None, fresh=False), None
            raise Damaged("before_base", f"what is set at seq {seq} begins before the base: restore a backup")
        while found is not None and fork < found.begins and (found.branch is None or fork < found.branch.fork):
            found = found.before
        source = None if found is None or fork >= found.begins else found.branch
        return _Branch(setting, fork, source, fresh), found

    def _leads_on(self, setting: Setting) -> bool:
        """Tell whether what is set can be folded from the state with which the log begins."""
        is_told = setting.policy in self._history.spec(self._begins).numbers
        return is_told and self._history.paths.leads_on(setting, self._begins, self._corrections)

    def _told_from(self, policy: int) -> int:
        """Return from which seq on the state of a policy is told."""
        if not self._begins or policy in self._history.spec(self._begins).numbers:
            return self._begins
        born = self._history.paths.born.get(policy, 0)
        if born > self._begins:
            return born
        recasts = self._history.recasts(self._begins, 2**62)
        return next(recast.seq for recast in recasts if policy in recast.spec.numbers)

    def _path(self, setting: Setting) -> list[tuple[int, int]]:
        return self._history.paths.stretches(setting.policy, setting.to)


def _is_on(path: Sequence[tuple[int, int]], seq: int) -> bool:
    return any(after < seq <= until for after, until in path)


def _parting(path: Sequence[tuple[int, int]], along: Sequence[tuple[int, int]], bound: int) -> int:
    """Return the last seq up to a bound that is on both of two paths, -1 where there is none."""
    ends = [
        min(until, also, bound)
        for after, until in path
        for behind, also in along
        if max(after, behind) < min(until, also, bound)
    ]
    return max(ends, default=-1)
