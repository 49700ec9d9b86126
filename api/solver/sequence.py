"""A sequence of linear systems, solved one after another, with an omega that is tuned meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from onearm.api.solver.matrices import Matrix, prepare
from onearm.api.solver.report import Report
from onearm.api.solver.solution import Solution
from onearm.api.solver.solving import sor, ssor, ssor_cg
from onearm.api.solver.systems import ITERATIONS_MAX, RTOL, check_omega, stop_of
from onearm.api.solver.tuners import Tuners
from onearm.api.solver.tuning import Proposal, Tuner
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array, Policy

Method = Literal["ssor-cg", "ssor", "sor"]
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
    tuner: str | dict[str, Any] | Policy | Tuner | Tuners = "tsallis",
    contexts: Iterable[float] | None = None,
    context: tuple[float, float] | None = None,
    warm_start: bool = True,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    callback: Callable[[Array], Any] | None = None,
    field: str = "",
    seed: int = 0,
) -> Solves:
    """Solve systems (A, b), or (A, b, context), one after another; yields a `Solved` of each.

    The next system is asked for only when the next result is, so it may be computed from the last solution.
    `tuner` is a policy, as `Tuner` takes it, or "fixed": omega = 1.5. Each pattern of A then has a tuner of its own. A
    `Tuner` that is given has all of them; and `Tuners` one for each field, method, rtol and pattern.
    `contexts`, one number a system, may stand apart; `context` is their range, and that of a list need not be said.
    `warm_start` begins each solve at the last solution, where that has the right length.

    >>> from onearm.api.solver import solve_sequence
    >>> A = 4.0 * np.eye(50) - np.eye(50, k=1) - np.eye(50, k=-1)
    >>> solves = solve_sequence(((A, b * np.ones(50)) for b in range(1, 4)), tuner="fixed", warm_start=False)
    >>> [(solved.omega, solved.iterations, solved.converged) for solved in solves]
    [(1.5, 8, True), (1.5, 8, True), (1.5, 8, True)]
    >>> solves.report().mean_cost
    8.0
    """
    if method not in _SOLVERS:
        raise InvalidInput("bad_method", f"method is {method!r}: it must be one of {', '.join(_SOLVERS)}")
    stop_of(rtol, atol, maxiter, "rhs")
    if not isinstance(tuner, (Tuner, Tuners)):
        if context is None and isinstance(contexts, (Sequence, np.ndarray)) and len(contexts):
            low, high = float(np.min(contexts)), float(np.max(contexts))
            context = low, high if high > low else low + 1.0
        tuner = Tuners(tuner, context=context, seed=seed)
    for value in tuner.settings.values:
        check_omega(value)
    options = {"rtol": rtol, "atol": atol, "callback": callback}
    return Solves(systems, contexts, method, tuner, options, maxiter, warm_start, field)


class Solves(Iterator[Solved]):
    """The results of `solve_sequence`, made as they are asked for."""

    def __init__(
        self,
        systems: Iterable[Sequence[Any]],
        contexts: Iterable[float] | None,
        method: Method,
        tuners: Tuner | Tuners,
        options: dict[str, Any],
        maxiter: int,
        warm_start: bool,
        field: str,
    ) -> None:
        self.tuners = tuners
        self.spent = 0  # iterations so far
        self._systems = iter(systems)
        self._contexts = None if contexts is None else iter(contexts)
        self._method = method
        self._options = options
        self._maxiter = maxiter
        self._warm_start = warm_start
        self._field = field
        self._matrix: Matrix | None = None
        self._tuner: Tuner | None = tuners if isinstance(tuners, Tuner) else None
        self._x: Array | None = None

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
            self._tuner = self.tuners[self._field, self._method, self._options["rtol"], matrix]
        return self.tuner

    def _solve(self, b: Any, tuner: Tuner, proposal: Proposal) -> Solved:
        """Solve with what was proposed, again with the safe omega where that does not end, and tell the cost."""
        seconds = tuner.settings.cost == "seconds"
        cap = self._maxiter if seconds else int(min(self._maxiter, proposal.budget))
        started = time.perf_counter()
        solution = self._run(b, proposal.omega, cap)
        elapsed = time.perf_counter() - started
        if solution.converged:
            tuner.tell(proposal, elapsed if seconds and solution.iterations else solution.iterations)
            return _solved(solution, proposal.omega, proposal, False, solution.iterations)
        spent, omega, instead = solution.iterations, float(tuner.safe), None
        # What broke down early would look cheap: unless a budget stopped it, it counts as the most it could spend.
        cost = elapsed if seconds else spent if solution.reason == "iteration cap" else self._maxiter
        fallback = omega != proposal.omega or cap < self._maxiter
        if fallback:
            started = time.perf_counter()
            solution = self._run(b, omega, self._maxiter)
            elapsed = time.perf_counter() - started
            spent += solution.iterations
            instead = elapsed if seconds else solution.iterations
        tuner.tell(proposal, cost, False, fallback=instead if solution.converged else None)
        return _solved(solution, omega, proposal, fallback, spent)

    def _run(self, b: Any, omega: float, maxiter: int) -> Solution:
        start = self._x if self._warm_start and self._x is not None else None
        if start is not None and self._matrix is not None and len(start) != self._matrix.n:
            start = None
        return _SOLVERS[self._method](self._matrix, b, start, omega=omega, maxiter=maxiter, **self._options)


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
