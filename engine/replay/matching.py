"""A policy on somebody else's log: it decides on every logged row, and learns as it is told.

"matched"  it learns where it agrees with the log: what it would have learned at work, from the fewer rows that it
           has in common with the log (Li, Chu, Langford, Wang, "Unbiased offline evaluation of contextual-bandit-based
           news article recommendation algorithms", 2011, algorithm 3)
"logged"   it learns every row as it was logged, after it decided on it
"nothing"  it stays what it was at the start
a share    of all rows, in (0, 1): of so many it learns as they were logged; then it is frozen

Whatever it learns, what it does at a row depends on earlier rows alone, and on draws of its own: those of the policy
that made the log have other keys, whatever the seeds. So weighted estimates stay unbiased.
Cost: one decision and one `probability` a row; where rewards are predicted, one `probability` an action.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import loop
from ..changes.worlds import changes_of
from ..columns import take
from ..draws import EVALUATION, run_key
from ..errors import InvalidInput
from ..kernel import loop as compiled_loop
from ..laws.availability import count_available, even_place, nth_available
from ..problem import check_seed, fitted
from ..vocabulary import Array, Change, Columns, Judged, Key, Policy, Problem

PAGE = 1 << 18  # rows between two reports of progress
LEARNING = ("matched", "logged", "nothing")
Learning = Literal["matched", "logged", "nothing"] | float
NO_PREDICTIONS = np.zeros((0, 0))
NOTHING_BESIDE = np.zeros((0, 0))


class Contender:
    """A policy that goes through a log page by page. One thread at a time may use it.

    >>> from onearm.policies import catalog
    >>> from onearm.engine.columns import empty
    >>> rows = empty(4, Problem(n_arms=2))
    >>> rows.action[:], rows.reward[:] = [0, 0, 1, 1], [0.0, 1.0, 1.0, 1.0]
    >>> Contender(catalog.make("ucb1"), Problem(n_arms=2), 4).judge(rows).target
    array([1., 0., 1., 1.])
    """

    def __init__(
        self, policy: Policy, problem: Problem, rows: int, *, learn: Learning = "matched", seed: int = 0, part: int = 0
    ) -> None:
        """Begin before the first of so many `rows`; those of another `part` of a log have draws of their own.

        Raises `InvalidInput` where the policy and the log do not fit.
        """
        check_matching(problem)
        self.policy = fitted(policy, problem)
        self.seconds = 0.0  # of CPU in the compiled loops
        self._learned = _rows_to_learn(learn, rows)
        self._matches = learn == "matched"
        self.state = self.policy.init(self.policy.params, problem)
        self._run = run_key(check_seed(seed), part, EVALUATION)
        self._start = self._matched = 0

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Decide on the next rows, each one logged decision with its reward, and learn.

        `predicted` is float64[n, k], the reward that a model expects of each action, or nothing.
        Raises `InvalidInput` where it is to learn from rows of unknown propensity, and divides by it.
        """
        n = len(page.kind)
        found = Judged(np.zeros(n, np.int64), np.zeros(n), np.zeros(n if predicted.shape[1] else 0))
        learned = min(max(self._learned - self._start, 0), n)
        if learned < n:
            self._judge(take(page, slice(0, learned)), predicted[:learned], Judged._make(a[:learned] for a in found))
            page, predicted = take(page, slice(learned, n)), predicted[learned:]
            self._judge(page, predicted, Judged._make(a[learned:] for a in found))
        else:
            self._judge(page, predicted, found)
        return found

    @property
    def changes(self) -> list[Change]:
        """The changes of the world that the policy found so far, by its own clock."""
        return changes_of(self.policy, self.state)

    def _judge(self, page: Columns, predicted: Array, found: Judged) -> None:
        n = len(page.kind)
        if n == 0:
            return
        head = (self.policy.params, self.state, self._run, page, self._start)
        arguments: tuple[Any, ...]
        if self._matches:
            entry, arguments = loop.match, (*head, self._matched, predicted, found)
        elif self._start < self._learned:
            if self.policy.divides:
                _check_propensities(self.policy, page, self._start)
            entry, arguments = loop.follow, (*head, predicted, found)
        else:
            entry, arguments = loop.watch, (*head, self._learned, predicted, found)
        compiled = entry.compiled(*arguments)
        started = time.thread_time()
        matched = compiled(*arguments)
        self.seconds += time.thread_time() - started
        if self._matches:
            self._matched = int(matched)
        self._start += n


class Even(Contender):
    """An `even` policy, whose draws and laws depend on nothing but what is available: the same bits, in one loop.

    >>> from onearm.policies import catalog
    >>> from onearm.engine.columns import empty
    >>> Even(catalog.make("uniform"), Problem(n_arms=2), 3).judge(empty(3, Problem(n_arms=2))).target
    array([0.5, 0.5, 0.5])
    """

    def judge(self, page: Columns, predicted: Array = NO_PREDICTIONS, beside: Array = NOTHING_BESIDE) -> Judged:
        """Tell of the next rows what it would have done, as `Contender.judge` does; `target` may be one number."""
        n, k = len(page.kind), page.available.shape[1]
        chosen, expected = np.empty(n, np.int64), np.zeros(n if predicted.shape[1] else 0)
        if page.available.all():
            drawn = self._run, self._start, k, chosen
            _draw_any.compiled(*drawn)(*drawn)
            target = np.broadcast_to(1.0 / k, n)
        else:
            target = np.empty(n)
            given = self._run, self._start, page.available, page.action, chosen, target
            _draw_available.compiled(*given)(*given)
        if len(expected):
            told = page.available, predicted, expected
            _expect_evenly.compiled(*told)(*told)
        self._start += n
        return Judged(chosen, target, expected)


@compiled_loop
def _draw_any(run: np.uint64, start: int, k: int, chosen: Array) -> None:
    """Draw one of k actions at each row, int64[n]; alone, as this loop is: beside others it takes 6 times as long."""
    for row in range(len(chosen)):
        chosen[row] = even_place(k, Key(run, start + row))


@compiled_loop
def _draw_available(run: np.uint64, start: int, available: Array, action: Array, chosen: Array, target: Array) -> None:
    """Draw one of the actions that are available at each row, and tell the probability of the logged one.

    `available` is bool[n, k], or bool[1, k] for all rows.
    """
    for row in range(len(action)):
        mask = available[min(row, len(available) - 1)]
        count = count_available(mask)
        chosen[row] = nth_available(mask, even_place(count, Key(run, start + row)))
        target[row] = 1.0 / count if mask[action[row]] else 0.0


@compiled_loop
def _expect_evenly(available: Array, predicted: Array, expected: Array) -> None:
    """Tell the mean of what is predicted, float64[n, k], of the actions that are available at each row."""
    for row in range(len(expected)):
        mask = available[min(row, len(available) - 1)]
        count, mean = count_available(mask), 0.0
        for a in range(predicted.shape[1]):
            if mask[a]:
                mean += 1.0 / count * predicted[row, a]
        expected[row] = mean


@dataclass(frozen=True)
class Matching:
    """What a policy would have done on a log of n rows."""

    policy: dict[str, Any]  # spec
    agrees: Array  # bool[n], it would have taken the logged action
    target: Array  # float64[n], the probability with which it takes the logged action
    cpu_seconds: float  # in the compiled loop


def match(
    policy: Policy,
    problem: Problem,
    rows: Columns,
    *,
    learn: Learning = "matched",
    seed: int = 0,
    progress: Callable[[int], None] = lambda rows: None,
) -> Matching:
    """Let a policy decide on `rows`, one logged decision with its reward each, in their order.

    Moves are refused, for matching needs decisions that leave the next ones as they are; and so are vectors, of which
    no two are the same.

    >>> from onearm.policies import catalog
    >>> from onearm.engine.columns import empty
    >>> rows = empty(4, Problem(n_arms=2))
    >>> rows.action[:], rows.reward[:] = [0, 0, 1, 1], [0.0, 1.0, 1.0, 1.0]
    >>> match(catalog.make("ucb1"), Problem(n_arms=2), rows).agrees
    array([ True, False,  True,  True])
    """
    n = len(rows.kind)
    contender = Contender(policy, problem, n, learn=learn, seed=seed)
    agrees, target = np.zeros(n, np.bool_), np.zeros(n)
    for start in range(0, n, PAGE):
        part = slice(start, start + PAGE)
        page = take(rows, part)
        found = contender.judge(page)
        agrees[part], target[part] = found.chosen == page.action, found.target
        progress(len(page.kind))
    return Matching(contender.policy.spec, agrees, target, contender.seconds)


def check_matching(problem: Problem) -> None:
    """Refuse a log on which no other policy can be judged."""
    if (why := problem.choice.why_no_matching) is not None:
        raise InvalidInput(
            "no_matching",
            f"{why}; let policies play with onearm simulate, or make this log's own decisions again with onearm verify",
        )


def _rows_to_learn(learn: Learning, rows: int) -> int:
    """Return how many rows are learned as they were logged."""
    if isinstance(learn, float):
        if not 0.0 < learn < 1.0:
            raise InvalidInput("bad_share", f"a policy cannot learn {learn:g} of the rows: the share is within (0, 1)")
        return math.floor(learn * rows)
    if learn not in LEARNING:
        raise InvalidInput("bad_learning", f"a policy learns {', '.join(LEARNING)}, or a share of the rows: {learn!r}")
    return rows if learn == "logged" else 0


def _check_propensities(policy: Policy, page: Columns, start: int) -> None:
    unknown = np.isnan(page.propensity)
    if unknown.any():
        raise InvalidInput(
            "unknown_propensity",
            f"the propensity of row {start + int(unknown.argmax())} is unknown, and policy {policy.name!r} divides by "
            "it: take one that does not, or where policies are compared let it learn where it agrees (matched)",
        )
