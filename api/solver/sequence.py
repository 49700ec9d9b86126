"""A sequence of linear systems, solved one after another, with an omega that is tuned meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import check_vector
from ...engine.vocabulary import Array, Policy
from .arm_costs import Median
from .matrices import Matrix, prepare
from .report import Report
from .solution import Solution
from .solving import sor, ssor, ssor_cg
from .systems import ITERATIONS_MAX, RTOL, check_omega, stop_of
from .trial import Proposal
from .tuners import Tuners
from .tuning import Tuner

Method = Literal["ssor-cg", "ssor", "sor"]
_OF_THE_MATRIX = ("stagnated", "not positive definite")  # ways to fail: of a tolerance, or of A, at every omega
_SOLVERS: dict[str, Callable[..., Solution]] = {"ssor-cg": ssor_cg, "ssor": ssor, "sor": sor}


class Solved(NamedTuple):
    """One system of a sequence, solved."""

    x: Array  # float64[n]
    omega: float  # with which x was found
    iterations: int  # with which x was found
    converged: bool
    reason: str  # how the solve ended, as `Solution` says it
    residual_norm: float
    propensity: float  # probability with which the tuner chose its omega; NaN where it does not know
    fallback: bool  # whether x is the safe omega's, since the chosen one did not converge within its budget
    spent: int  # iterations in all


def solve_sequence(
    systems: Iterable[Sequence[Any]],
    *,
    method: Method = "ssor-cg",
    tuner: str | dict[str, Any] | Policy | Tuner | Tuners = "maillard_chain",
    contexts: Iterable[float] | None = None,
    context: tuple[float, float] | None = None,
    warm_start: bool = True,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int | None = ITERATIONS_MAX,
    callback: Callable[[Array], Any] | None = None,
    seed: int | None = None,
) -> Solves:
    """Solve systems (A, b), or (A, b, context), one after another; yields a `Solved` of each.

    The next system is asked for only when the next result is, so it may be computed from the last solution.
    `tuner` is a policy, as `Tuner` takes it, or "fixed": omega = 1.5. Each pattern of A then has a tuner of its own,
    with `context` and `seed`. A `Tuner` that is given has all of them; and `Tuners` one for each method, rtol and
    pattern: for two fields give two. `contexts`, one number a system, may stand apart; `context` is their range, and
    that of a list need not be said.
    `warm_start` begins each solve at the last solution, where that has the right length and came nearer than 0.
    `maxiter` of None is ten times the number of unknowns, as in SciPy. `callback` is given x, float64[n], after each
    iteration.

    >>> from onearm.api.solver import solve_sequence
    >>> A = 4.0 * np.eye(50) - np.eye(50, k=1) - np.eye(50, k=-1)
    >>> solves = solve_sequence(((A, b * np.ones(50)) for b in range(1, 4)), tuner="fixed", warm_start=False)
    >>> [(solved.omega, solved.iterations, solved.converged) for solved in solves]
    [(1.5, 8, True), (1.5, 8, True), (1.5, 8, True)]
    >>> solves.report().mean_cost
    8.0
    """
    if method not in _SOLVERS:
        raise InvalidInput("bad_method", f"method is {as_seen(method)}: it must be one of {', '.join(_SOLVERS)}")
    stop = stop_of(rtol, atol, ITERATIONS_MAX if maxiter is None else maxiter, "rhs")
    if isinstance(contexts, (Sequence, np.ndarray)) and len(contexts):
        contexts = check_vector("contexts", contexts)
        if context is None and not isinstance(tuner, (Tuner, Tuners)):
            low, high = float(contexts.min()), float(contexts.max())
            context = low, high if high > low else low + 1.0
    if not isinstance(tuner, (Tuner, Tuners)):
        tuner = Tuners(tuner, context=context, seed=0 if seed is None else seed)
    elif context is not None or seed is not None:
        raise InvalidInput(
            "bad_tuner",
            f"a {type(tuner).__name__} is given, which has a context and a seed of its own: give them there",
        )
    for value in tuner.settings.values:
        check_omega(value)
    options = {"rtol": rtol, "atol": atol, "callback": callback}
    most = None if maxiter is None else stop.iterations_max
    return Solves(systems, contexts, method, tuner, options, most, warm_start)


class Solves(Iterator[Solved]):
    """The results of `solve_sequence`, made as they are asked for."""

    def __init__(
        self,
        systems: Iterable[Sequence[Any]],
        contexts: Iterable[float] | None,
        method: Method,
        tuners: Tuner | Tuners,
        options: dict[str, Any],
        maxiter: int | None,
        warm_start: bool,
    ) -> None:
        self.tuners = tuners
        self.spent = 0  # iterations so far
        self._systems = iter(systems)
        self._contexts = None if contexts is None else iter(contexts)
        self._method = method
        self._options = options
        self._maxiter = maxiter
        self._warm_start = warm_start
        self._matrix: Matrix | None = None
        self._tuner: Tuner | None = tuners if isinstance(tuners, Tuner) else None
        self._x: Array | None = None
        self._counts: dict[Tuner, Median] = {}  # of the iterations, where costs are seconds
        self._in_vain: set[Tuner] = set()  # whose safe omega was tried and failed

    def __repr__(self) -> str:
        return f"Solves(spent={self.spent:,}, tuners={self.tuners!r})"

    @property
    def tuner(self) -> Tuner:
        """The tuner of the last system's pattern."""
        if self._tuner is None:
            raise InvalidInput("not_begun", "no system was solved yet, so no tuner was made: ask for a result first")
        return self._tuner

    def report(self, context: float | None = None) -> Report:
        """Say how the tuner of the last system's pattern is doing."""
        return self.tuner.report(context)

    def __next__(self) -> Solved:
        A, b, context = self._next_system()
        tuner = self._tuner_of(A)
        proposal = tuner.ask(context)
        try:
            solved = self._solve(b, tuner, proposal)
        except BaseException:
            tuner.withdraw(proposal)
            raise
        if solved.converged or solved.residual_norm < np.linalg.norm(b):  # false for NaN
            self._x = solved.x
        self.spent += solved.spent
        return solved

    def _next_system(self) -> tuple[Any, Any, float | None]:
        system = tuple(next(self._systems))
        if len(system) not in (2, 3):
            raise InvalidInput("bad_system", f"a system of {len(system)} parts: it must be (A, b) or (A, b, context)")
        context = system[2] if len(system) == 3 else None
        if self._contexts is not None:
            if context is not None:
                raise InvalidInput("bad_context", "the system has a context, and contexts are given: give one of them")
            try:
                context = next(self._contexts)
            except StopIteration:
                raise InvalidInput("bad_context", "there are more systems than contexts: give one for each") from None
        return system[0], system[1], context

    def _tuner_of(self, A: Any) -> Tuner:
        """Check the matrix, at little cost where its pattern is that of the last one, and return its tuner."""
        last, matrix = self._matrix, prepare(A, symmetric=self._method != "sor", like=self._matrix)
        self._matrix = matrix
        if isinstance(self.tuners, Tuners) and (self._tuner is None or not _same_pattern(last, matrix)):
            self._tuner = self.tuners[self._method, self._options["rtol"], matrix]
        return self.tuner

    def _solve(self, b: Any, tuner: Tuner, proposal: Proposal) -> Solved:
        """Solve with what was proposed, again with the safe omega where that does not end, and tell the cost."""
        assert self._matrix is not None
        most = 10 * self._matrix.n if self._maxiter is None else self._maxiter
        budget = int(min(most, self._budget(tuner, proposal)))
        omega = float(proposal.value)
        first, cost = self._run(b, omega, budget, tuner)
        if first.converged:
            tuner.tell(proposal, cost)
            return _solved(first, omega, proposal, False, first.iterations)
        cap = most * cost / max(first.iterations, 1) if tuner.settings.cost == "seconds" else most
        if not self._may_help(tuner, omega, first, budget < most):
            tuner.tell(proposal, cost, False, cap=cap)
            return _solved(first, omega, proposal, False, first.iterations)
        omega = float(tuner.safe)
        second, instead = self._run(b, omega, most, tuner)
        if second.converged:
            tuner.tell(proposal, cost, False, fallback=instead, cap=cap)
        else:
            self._in_vain.add(tuner)
            tuner.tell(proposal, cost + instead, False, cap=cap)
        return _solved(second, omega, proposal, True, first.iterations + second.iterations)

    def _budget(self, tuner: Tuner, proposal: Proposal) -> float:
        """Return how many iterations a solve may take; where costs are seconds, so many medians of iterations."""
        if tuner.settings.cost == "seconds":
            return tuner.settings.backstop * self._counts.setdefault(tuner, Median()).value
        return proposal.budget

    def _may_help(self, tuner: Tuner, omega: float, failed: Solution, stopped: bool) -> bool:
        """Tell whether the safe omega may solve what another, or this one where its budget `stopped` it, did not.

        Where no omega has converged yet, that is not tried for what is the matrix's fault, or again after it failed.
        """
        if tuner.safe == omega:
            return stopped and failed.reason == "iteration cap"
        return tuner.proven or not (failed.reason in _OF_THE_MATRIX or tuner in self._in_vain)

    def _run(self, b: Any, omega: float, maxiter: int, tuner: Tuner) -> tuple[Solution, float]:
        """Return a solve, and what it cost in the tuner's unit: 0 where there was nothing to solve."""
        start = self._x if self._warm_start and self._x is not None else None
        if start is not None and self._matrix is not None and len(start) != self._matrix.n:
            start = None
        began = time.perf_counter()
        solution = _SOLVERS[self._method](self._matrix, b, start, omega=omega, maxiter=maxiter, **self._options)
        seconds = time.perf_counter() - began
        if tuner.settings.cost == "iterations":
            return solution, float(solution.iterations)
        if solution.iterations:
            self._counts[tuner].add(solution.iterations if solution.converged else math.inf)
        return solution, seconds if solution.iterations or not solution.converged else 0.0


def _same_pattern(one: Matrix | None, other: Matrix) -> bool:
    """Tell whether a matrix has the pattern of the one before."""
    if one is None or one.n != other.n or (one.half is None) != (other.half is None):
        return False
    mine, its = one.half or one.rows, other.half or other.rows
    assert mine is not None and its is not None
    if mine.start is its.start and mine.index is its.index:
        return True
    return np.array_equal(mine.start, its.start) and np.array_equal(mine.index, its.index)


def _solved(solution: Solution, omega: float, proposal: Proposal, fallback: bool, spent: int) -> Solved:
    return Solved(
        solution.x,
        omega,
        solution.iterations,
        solution.converged,
        solution.reason,
        solution.residual_norm,
        proposal.propensity,
        fallback,
        spent,
    )
