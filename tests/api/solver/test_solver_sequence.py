"""Sequences of systems: solved lazily, warm started, tuned; safe where an omega fails; one tuner for each pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from onearm.api.solver import Tuner, Tuners, prepare, solve_sequence, sor, ssor, ssor_cg
from onearm.engine.errors import Conflict, InvalidInput
from onearm.engine.vocabulary import Array

SOLVERS = {"ssor-cg": ssor_cg, "ssor": ssor, "sor": sor}


def second(n: int, shift: float = 0.0) -> sparse.csr_array:
    """The second difference of n points, and a shift on the diagonal."""
    ones = np.ones(n)
    return sparse.diags_array((-ones[1:], (2.0 + shift) * ones, -ones[1:]), offsets=(-1, 0, 1)).tocsr()


def grid(side: int, shift: float = 0.0) -> sparse.csr_array:
    """The five-point Laplacian of a square grid, and a shift on the diagonal."""
    line, one = second(side), sparse.eye_array(side)
    return (sparse.kron(line, one) + sparse.kron(one, line) + shift * sparse.eye_array(side * side)).tocsr()


def some(n: int, count: int, shift: float = 0.5) -> Iterator[tuple[sparse.csr_array, Array]]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield second(n, shift), rng.normal(size=n)


@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("warm_start", [True, False])
def test_each_result_is_a_solve_with_its_omega_from_the_last_solution(method: Any, warm_start: bool) -> None:
    last = None
    tuner = Tuner("tsallis", backstop=None)
    solves = solve_sequence(some(12, 8), method=method, warm_start=warm_start, tuner=tuner)
    for (A, b), solved in zip(some(12, 8), solves, strict=True):
        alone = SOLVERS[method](A, b, last if warm_start else None, omega=solved.omega)
        assert (solved.x == alone.x).all() and solved.residual_norm == alone.residual_norm
        assert (solved.iterations, solved.reason, solved.converged) == (alone.iterations, alone.reason, True)
        assert solved.spent == solved.iterations and not solved.fallback and 0.0 < solved.propensity < 1.0
        assert np.abs(A @ solved.x - b).max() < 1e-7
        last = solved.x
    report = tuner.report()
    assert report.rounds == 8 and report.mean_cost == solves.spent / 8


def test_the_next_system_is_asked_for_after_the_last_result_was_given() -> None:
    told: list[str] = []
    u = np.ones(9)

    def steps() -> Iterator[tuple[Any, Array]]:
        for t in range(3):
            told.append(f"asked {t}")
            yield second(9, 0.5), u

    solves = solve_sequence(steps())
    assert told == []
    for t, solved in enumerate(solves):
        told.append(f"given {t}")
        u = solved.x + 1.0
    assert told == ["asked 0", "given 0", "asked 1", "given 1", "asked 2", "given 2"]
    v = np.ones(9)
    for _ in range(3):
        v = np.linalg.solve(second(9, 0.5).toarray(), v) + 1.0
    assert np.allclose(u, v)


def test_the_same_seed_gives_the_same_omegas_and_another_seed_others() -> None:
    omegas = [[solved.omega for solved in solve_sequence(some(9, 12), seed=seed)] for seed in (3, 3, 4)]
    assert omegas[0] == omegas[1] != omegas[2]


def test_the_tuner_that_the_docs_advise_is_taken_where_none_is_named() -> None:
    plain, ranged = solve_sequence(some(9, 2)), solve_sequence(some(9, 2), context=(0.0, 1.0), contexts=[0.2, 0.7])
    for solves in (plain, ranged):
        assert [solved.converged for solved in solves] == [True, True]
        assert solves.tuner.settings.policy.name == "maillard_chain"


def test_every_pattern_has_a_tuner_of_its_own() -> None:
    tuners = Tuners("tsallis", seed=1)
    sizes = (9, 9, 12, 9, 12)
    systems = ((second(n, 0.5), np.ones(n)) for n in sizes)
    solves = solve_sequence(systems, tuner=tuners, rtol=1e-6, warm_start=False)
    seen = []
    for n, solved in zip(sizes, solves, strict=True):
        assert len(solved.x) == n and solved.converged
        seen.append(solves.tuner)
    assert seen[0] is seen[1] is seen[3] is not seen[2] is seen[4]
    assert [tuner.report().rounds for tuner in tuners.values()] == [3, 2]
    assert tuners["ssor-cg", 1e-6, second(9)] is seen[0]


def test_a_pattern_that_changes_at_the_same_size_has_another_tuner() -> None:
    dense = sparse.csr_array(np.full((4, 4), 1.0) + 9.0 * np.eye(4))
    matrices = [second(4, 1.0), dense, second(4, 2.0)]
    solves = solve_sequence((A, np.ones(4)) for A in matrices)
    seen = [solves.tuner for _ in solves]
    assert seen[0] is seen[2] is not seen[1]


def test_a_tuner_that_is_given_has_all_systems() -> None:
    tuner = Tuner("ucb1", grid=(1.0, 1.6, 4))
    for _ in solve_sequence(((second(n, 0.5), np.ones(n)) for n in (9, 12, 9)), tuner=tuner):
        pass
    assert tuner.report().rounds == 3


@pytest.mark.parametrize("method", ["sor", "ssor-cg"])
def test_matrices_that_were_prepared_or_are_of_any_form_will_do(method: Any) -> None:
    A = second(9, 0.5)
    forms = [A, A.tocoo(), A.toarray(), prepare(A), A.tocsc(), A + 0.0 * A]
    solves = solve_sequence(((form, np.ones(9)) for form in forms), method=method)
    assert len([solved for solved in solves if solved.converged]) == 6
    assert len(solves.tuners) == 1  # type: ignore[arg-type]


def test_a_matrix_that_was_changed_in_place_is_read_anew() -> None:
    A = second(9, 0.5)

    def steps() -> Iterator[tuple[Any, Array]]:
        for shift in (0.0, 5.0):
            A.setdiag(2.5 + shift)
            yield A, np.ones(9)

    for solved, shift in zip(solve_sequence(steps()), (0.5, 5.5), strict=True):
        assert np.allclose(second(9, shift) @ solved.x, 1.0)


def test_a_right_hand_side_of_zero_takes_no_iteration_and_nothing_is_learned() -> None:
    solves = solve_sequence([(second(9), np.zeros(9))] * 3)
    before = None
    for solved in solves:
        assert (solved.iterations, solved.spent, solved.converged) == (0, 0, True) and not solved.x.any()
        assert before in (None, solves.tuner.digest())
        before = solves.tuner.digest()
    report = solves.report()
    assert (report.rounds, report.skipped) == (0, 3)


def test_a_solve_that_is_done_at_the_warm_start_is_not_learned() -> None:
    solves = solve_sequence([(second(9, 0.5), np.ones(9))] * 3)
    assert [solved.iterations > 0 for solved in solves] == [True, False, False]
    assert (solves.report().rounds, solves.report().skipped) == (1, 2)


def test_an_omega_that_exceeds_its_budget_is_stopped_and_the_safe_one_answers() -> None:
    A, b = grid(6), np.ones(36)
    needed = {omega: sor(A, b, omega=omega).iterations for omega in (1.0, 1.6)}
    assert needed[1.0] > 2 * needed[1.6]
    tuner = Tuner("ucb1", values=[1.6, 1.0], backstop=1.5)
    solves = solve_sequence([(A, b)] * 2, method="sor", tuner=tuner, warm_start=False)
    first, second = solves
    assert (first.omega, first.iterations, first.fallback) == (1.6, needed[1.6], False)
    budget = int(1.5 * needed[1.6])
    assert (second.omega, second.iterations, second.fallback) == (1.6, needed[1.6], True)
    assert second.converged and (second.x == first.x).all() and second.propensity == 1.0
    assert second.spent == budget + needed[1.6]
    assert (-tuner._state.mean).tolist() == [needed[1.6], 1.5 * needed[1.6]]
    report = solves.report()
    assert (report.censored, report.fallbacks, report.rounds) == (1, 1, 2)
    assert report.mean_cost == (2 * needed[1.6] + budget) / 2 == solves.spent / 2


def test_the_first_solve_that_fails_is_answered_by_the_default_and_learned_at_ten_times_its_cost() -> None:
    A, b = grid(6), np.ones(36)
    good = sor(A, b, omega=1.6).iterations
    tuner = Tuner("ucb1", values=[1.0, 1.6], default=1.6)
    (solved,) = solve_sequence([(A, b)], method="sor", tuner=tuner, maxiter=good + 3)
    assert (solved.omega, solved.iterations, solved.fallback, solved.converged) == (1.6, good, True, True)
    assert -tuner._state.mean[0] == 10.0 * good
    assert solved.spent == good + 3 + good


def test_a_cap_that_no_omega_meets_is_told_and_learned_as_a_finite_cost() -> None:
    solves = solve_sequence([(grid(6), np.ones(36))] * 4, method="sor", maxiter=3)
    for solved in solves:
        assert (solved.converged, solved.reason, solved.iterations) == (False, "iteration cap", 3)
        assert solved.residual_norm > 0.0
    report = solves.report()
    assert (report.censored, report.fallbacks, report.mean_cost) == (4, 0, solves.spent / 4)
    assert solves.spent == 4 * 3 + 3  # the safe omega was tried in the place of another once, in vain
    assert all(math.isfinite(value) for value in solves.tuner.law())


def test_a_solve_that_breaks_down_early_does_not_look_cheap() -> None:
    indefinite = second(9, -1.9)
    tuner = Tuner("ucb1", values=[1.0, 1.5], default=1.0)
    (solved,) = solve_sequence([(indefinite, np.ones(9))], tuner=tuner, maxiter=500)
    assert (solved.reason, solved.converged) == ("not positive definite", False) and solved.iterations < 20
    assert tuner._state.mean[0] == -500.0
    assert tuner.report().mean_cost == solved.spent == solved.iterations  # what was spent, not what was learned


def test_a_tolerance_below_what_rounding_allows_ends_as_stagnated() -> None:
    solves = solve_sequence(some(12, 3), method="sor", rtol=1e-30)
    assert [(solved.reason, solved.converged) for solved in solves] == [("stagnated", False)] * 3
    assert solves.report().censored == 3 and not any(arm.mean_cost == 0.0 for arm in solves.report().arms)


@pytest.mark.parametrize("method", ["sor", "ssor-cg"])
def test_what_stagnates_is_not_solved_again_where_no_omega_has_converged(method: Any) -> None:
    for solved in solve_sequence(some(12, 3), method=method, rtol=1e-30, warm_start=False):
        assert (solved.reason, solved.fallback, solved.spent) == ("stagnated", False, solved.iterations)


def test_what_is_not_positive_definite_is_solved_again_only_by_an_omega_that_has_converged() -> None:
    indefinite = (second(9, -1.9), np.arange(9.0))
    tuner = Tuner("ucb1", values=[1.0, 1.5, 1.2], default=1.2)
    solves = solve_sequence([indefinite, (second(9, 0.5), np.ones(9)), indefinite], tuner=tuner, warm_start=False)
    assert [(solved.omega, solved.fallback) for solved in solves] == [(1.0, False), (1.5, False), (1.5, True)]
    assert tuner.report().mean_cost == solves.spent / 3


def test_without_a_backstop_a_breakdown_is_charged_the_cap_though_the_safe_omega_answers() -> None:
    A, b = np.array([[1.0, -0.6], [1.2, 1.0]]), np.ones(2)  # not symmetric: sweeps converge at 1, and not at 1.9
    tuner = Tuner("ucb1", values=[1.9, 1.0], default=1.0, backstop=None)
    (solved,) = solve_sequence([(A, b)], method="sor", tuner=tuner, maxiter=500)
    assert solved.converged and solved.fallback and sor(A, b, omega=1.9).reason == "diverged"
    assert tuner._state.mean[0] == -500.0 and tuner.report().mean_cost == solved.spent < 200


def test_the_safe_omega_is_not_asked_again_for_what_it_just_failed_at() -> None:
    good, indefinite = (second(9, 0.5), np.ones(9)), (second(9, -1.9), np.arange(9.0))
    solves = solve_sequence([good, good, indefinite], tuner=Tuner("ucb1", values=[1.5]), warm_start=False)
    *_, last = solves
    assert (last.reason, last.fallback, last.spent) == ("not positive definite", False, last.iterations)


def test_the_safe_omega_goes_on_without_a_budget_where_its_own_budget_stopped_it() -> None:
    easy, hard = (second(40, 9.0), np.ones(40)), (grid(6), np.ones(36))
    cheap, dear = (sor(*system, omega=1.0).iterations for system in (easy, hard))
    assert dear > 1.5 * cheap
    tuner = Tuner("ucb1", values=[1.0], backstop=1.5)
    solves = solve_sequence([easy, hard], method="sor", tuner=tuner, warm_start=False)
    assert [(solved.converged, solved.fallback) for solved in solves] == [(True, False), (True, True)]
    assert solves.spent == cheap + int(1.5 * cheap) + dear


def test_a_solution_that_failed_is_no_start_for_the_next_system() -> None:
    good, indefinite = (second(9, 0.5), np.ones(9)), (second(9, -1.2), np.ones(9))
    ends = sparse.diags_array([-1.0, 1e-200, -1.0], offsets=[-1, 0, 1], shape=(9, 9)).tocsr()
    tuner = Tuner("ucb1", values=[1.5], backstop=None)
    systems = [good, indefinite, (ends, np.ones(9)), good, (good[0], 2.0 * good[1])]
    with np.errstate(over="ignore", invalid="ignore"):
        first, diverged, infinite, last, more = solve_sequence(systems, method="sor", tuner=tuner)
    assert (diverged.converged, infinite.converged) == (False, False)
    assert diverged.residual_norm > 3.0 and not infinite.residual_norm < 3.0
    assert last.iterations == 0 and (last.x == first.x).all()  # it began where the first one ended
    assert more.converged and np.allclose(more.x, 2.0 * first.x)


def test_a_solution_that_came_nearer_than_zero_is_a_start_for_the_next_system() -> None:
    A, b = grid(6), np.ones(36)
    tuner = Tuner("ucb1", values=[1.6])
    first, second = solve_sequence([(A, b)] * 2, method="sor", tuner=tuner, maxiter=8)
    assert not first.converged and 0.0 < first.residual_norm < 6.0
    assert second.residual_norm == sor(A, b, first.x, omega=1.6, maxiter=8).residual_norm < first.residual_norm


def test_what_a_system_raises_passes_through_and_the_next_one_is_solved() -> None:
    bad = second(9, 0.5)
    bad.data[3] = math.nan
    systems = [(second(9, 0.5), np.ones(9)), (bad, np.ones(9)), (second(9, 0.5), np.full(9, math.nan))]
    solves = solve_sequence([*systems, (second(9, 0.5), 2.0 * np.ones(9))])
    assert next(solves).converged
    digest = solves.tuner.digest()
    with pytest.raises(InvalidInput, match="nan"):
        next(solves)
    with pytest.raises(InvalidInput, match=r"b\[0\] is nan"):
        next(solves)
    assert solves.tuner.digest() == digest
    assert next(solves).converged and solves.report().rounds == 2
    with pytest.raises(Conflict, match="told or withdrawn"):  # that of the solve that raised
        solves.tuner.withdraw(1)


def test_the_callback_is_called_after_each_iteration() -> None:
    called: list[Array] = []
    (solved,) = solve_sequence([(second(9, 0.5), np.ones(9))], callback=called.append, method="sor")
    assert len(called) == solved.spent and (called[-1] == solved.x).all()

    def stop(x: Array) -> None:
        raise KeyboardInterrupt

    solves = solve_sequence([(second(9, 0.5), np.ones(9))] * 2, callback=stop)
    with pytest.raises(KeyboardInterrupt):
        next(solves)
    assert solves.report().rounds == 0


def test_contexts_come_with_the_systems_or_apart() -> None:
    shifts = [0.5, 1.0, 2.0, 0.7]
    systems = [(second(9, shift), np.ones(9)) for shift in shifts]
    apart = solve_sequence(systems, contexts=shifts, tuner="chebcb")
    within = solve_sequence(
        ((A, b, shift) for (A, b), shift in zip(systems, shifts, strict=True)), context=(0.5, 2.0), tuner="chebcb"
    )
    lazily = solve_sequence(systems, contexts=iter(shifts), context=(0.5, 2.0), tuner="chebcb")
    found = [[(solved.omega, solved.propensity) for solved in solves] for solves in (apart, within, lazily)]
    assert found[0] == found[1] == found[2]
    assert apart.tuner.settings.context == (0.5, 2.0)
    clipped = solve_sequence(systems, contexts=shifts, context=(0.6, 1.0), tuner="tsallis")
    assert len(list(clipped)) == 4 and clipped.report().clipped == 2
    assert clipped.report().policy == "tsallis_inf_binned"
    constant = solve_sequence(systems, contexts=[0.5] * 4, tuner="chebcb")
    assert len(list(constant)) == 4


def test_contexts_that_do_not_fit_the_systems_are_refused() -> None:
    systems = [(second(9, 0.5), np.ones(9))] * 2
    short = solve_sequence(systems, contexts=[0.5], context=(0.0, 1.0))
    next(short)
    with pytest.raises(InvalidInput, match="more systems than contexts"):
        next(short)
    with pytest.raises(InvalidInput, match="give one of them"):
        next(solve_sequence([(*systems[0], 0.5)], contexts=[0.5]))
    with pytest.raises(InvalidInput, match=r"this tuner has none; make it with context=\(low, high\)"):
        next(solve_sequence([(*systems[0], 0.5)]))
    with pytest.raises(InvalidInput, match="the context is missing"):
        next(solve_sequence(systems, context=(0.0, 1.0)))
    with pytest.raises(InvalidInput, match="a system of 4 parts"):
        next(solve_sequence([(*systems[0], 0.5, 1)]))
    for contexts, says in (
        (["a", "b"], "list of numbers"),
        ([0.5, math.nan], r"contexts\[1\] is nan"),
        ([[1], [2]], "shape"),
    ):
        with pytest.raises(InvalidInput, match=says):
            solve_sequence(systems, contexts=contexts, tuner="chebcb")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"method": "gmres"}, "it must be one of ssor-cg, ssor, sor"),
        ({"rtol": -1.0}, "rtol is -1.0"),
        ({"rtol": 0.0}, "both 0"),
        ({"maxiter": 2.5}, "maxiter is 2.5"),
        ({"tuner": Tuner("ucb1", values=[1.0, 2.0])}, "omega is 2.0"),
        ({"tuner": Tuner("ucb1", values=["jacobi", "ilu"])}, "omega is 'jacobi'"),
        ({"tuner": "nobody"}, "there is no policy"),
        ({"tuner": "chebcb"}, "reads a context"),
        (
            {"tuner": Tuner("ucb1"), "context": (0.0, 1.0)},
            "a Tuner is given, which has a context and a seed of its own",
        ),
        ({"tuner": Tuners("ucb1"), "seed": 3}, "a Tuners is given, which has a context and a seed of its own"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_is_solved(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        solve_sequence(some(9, 1), **given)


def test_before_the_first_result_there_is_no_tuner() -> None:
    with pytest.raises(InvalidInput, match="no system was solved yet"):
        solve_sequence(some(9, 1)).report()


def test_a_matrix_that_is_not_symmetric_is_swept_and_refused_elsewhere() -> None:
    A = second(9, 1.0)
    A.data[1] = -0.5
    solves = solve_sequence([(A, np.ones(9))] * 2, method="sor", warm_start=False)
    assert [np.allclose(A @ solved.x, 1.0) for solved in solves] == [True, True]
    assert len(solves.tuners) == 1  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="symmetric"):
        next(solve_sequence([(A, np.ones(9))]))


def test_the_cost_may_be_seconds() -> None:
    tuner = Tuner("tsallis", cost="seconds", grid=(1.0, 1.6, 3))
    solves = solve_sequence(some(9, 5), tuner=tuner, maxiter=50)
    iterations = sum(solved.iterations for solved in solves)
    report = tuner.report()
    assert report.mean_cost is not None and 0.0 < report.mean_cost < iterations
    assert tuner.budget != math.floor(tuner.budget)


def test_where_costs_are_seconds_a_solve_is_stopped_at_medians_of_the_iterations() -> None:
    A, b = grid(6), np.ones(36)
    needed = {omega: sor(A, b, omega=omega).iterations for omega in (1.0, 1.6)}
    tuner = Tuner("ucb1", values=[1.6, 1.0], backstop=1.5, cost="seconds")
    solves = solve_sequence([(A, b)] * 2, method="sor", tuner=tuner, warm_start=False)
    first, second = solves
    assert (first.iterations, second.omega, second.fallback) == (needed[1.6], 1.6, True)
    assert second.spent == int(1.5 * needed[1.6]) + needed[1.6]
    cost = -tuner._state.mean
    assert 0.0 < cost[1] <= 1.5 * cost[0] * (1.0 + 1e-12)  # of the median of the first solve's and the safe one's
    assert (tuner.report().fallbacks, tuner.report().censored) == (1, 1)


def test_where_costs_are_seconds_what_was_stopped_or_had_nothing_to_do_does_not_lower_the_median() -> None:
    easy, hard, nothing = (second(40, 9.0), np.ones(40)), (grid(6), np.ones(36)), (grid(6), np.zeros(36))
    cheap, dear = (sor(*system, omega=1.0).iterations for system in (easy, hard))
    assert dear > 1.5 * (1.5 * cheap)
    for systems, wanted in (
        ([easy, hard, hard], [False, True, False]),
        ([hard, nothing, nothing, hard], [False, False, False, False]),
    ):
        tuner = Tuner("ucb1", values=[1.0], backstop=1.5, cost="seconds")
        solves = solve_sequence(systems, method="sor", tuner=tuner, warm_start=False)
        assert [solved.fallback for solved in solves] == wanted


def test_where_costs_are_seconds_a_first_failure_is_learned_as_the_time_of_all_iterations() -> None:
    tuner = Tuner("ucb1", values=[1.0], cost="seconds")
    (solved,) = solve_sequence([(second(9, -1.9), np.ones(9))], tuner=tuner, maxiter=500)
    spent = tuner.report().mean_cost
    assert spent is not None and -tuner._state.mean[0] == pytest.approx(spent * 500 / max(solved.iterations, 1))


def test_where_costs_are_seconds_a_right_hand_side_of_zero_is_not_learned() -> None:
    solves = solve_sequence([(second(9), np.zeros(9))] * 2, tuner=Tuner("ucb1", values=[1.5], cost="seconds"))
    assert [solved.converged for solved in solves] == [True, True]
    assert (solves.report().rounds, solves.report().skipped) == (0, 2)


def test_maxiter_of_none_is_ten_times_the_unknowns() -> None:
    (solved,) = solve_sequence([(grid(6), np.ones(36))], method="sor", tuner=Tuner("ucb1", values=[0.01]), maxiter=None)
    assert (solved.reason, solved.iterations) == ("iteration cap", 360)
    tuner = Tuner("ucb1", values=[1.5])
    (solved,) = solve_sequence([(second(9, -1.9), np.ones(9))], tuner=tuner, maxiter=10**200)
    assert 1e9 < -tuner._state.mean[0] <= 2.0**62 and not solved.converged  # costs have an end


@pytest.mark.jit
def test_a_tuned_sequence_takes_far_fewer_iterations_than_gauss_seidel() -> None:
    rng = np.random.default_rng(1)
    shifts = -0.15 + 0.6 * rng.beta(0.5, 1.5, 600)
    right = rng.normal(size=(600, 100))
    base = grid(10)

    def systems() -> Iterator[tuple[Any, Array]]:
        for shift, b in zip(shifts, right, strict=True):
            yield base + shift * sparse.eye_array(100), b

    spent = {}
    for name in ("fixed", "tsallis", "chebcb"):
        contexts, seed = (None, None) if name == "fixed" else (shifts, 1)
        tuner: Any = Tuner("fixed", default=1.0, backstop=None) if name == "fixed" else name
        solves = solve_sequence(systems(), method="sor", tuner=tuner, contexts=contexts, warm_start=False, seed=seed)
        spent[name] = sum(solved.spent for solved in solves)
    assert spent["tsallis"] < 0.4 * spent["fixed"] and spent["chebcb"] < 0.2 * spent["fixed"], spent
