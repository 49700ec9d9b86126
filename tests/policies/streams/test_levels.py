"""Levels: every batch against plain Python that holds arms in a dictionary, slots, memory, a reference's figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from support import stream_runs
from support.every_run import every_run
from support.passing import NO_KEY, Passing, fresh, play

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Problem
from onearm.policies import catalog

Pull = Callable[[int, int], float]
DELTA = 0.1
R = [4, 16, 65536]


def sizes(kind: str, k: int) -> tuple[list[float], list[float]]:
    """Return pulls in u and arrivals of each level, as they are printed."""
    if kind == "log":
        n = max(math.floor(math.log(k)), 1)
        return [1.2**level for level in range(n)], [7] * n
    if kind == "loglog":
        n = math.floor(math.log(math.log(k))) + 1 if k > 2 else 1
        return [1.2**level for level in range(n - 1)] + [math.log(max(k, 2))], [11] * n
    if kind == "logstar":
        x, n = float(k), 1
        while x >= 1:
            n, x = n + 1, math.log(x) if x > 0 else -1.0
        return [1, *R][:n], [5, 5, 4097, math.inf][:n]
    x, n = float(k), 1  # theory
    while x > 1:
        n, x = n + 1, math.log2(x)
    pulls = [4 * (10 * 2**level) ** 2 * (math.log(1 / DELTA) + 3 * r) for level, r in enumerate(R)]
    return [*pulls, math.inf, math.inf][:n], [16, 32768, math.inf, math.inf, math.inf][:n]


def levels_in_python(kind: str, k: int, trials: int, pull: Pull) -> int:
    """Return the arm that the rule commits to, in a stream of k arms."""
    u = min((trials / k) ** (2 / 3), trials / (3 * k))
    size, full = sizes(kind, k)
    kept: dict[int, tuple[int, float]] = {}  # by level: arm and record
    arrivals = [0] * len(size)
    for arm in range(k):
        entering, level = arm, 0
        while True:
            n = max(math.ceil(size[level] * u), 1)
            if kind == "theory" and level in kept:
                kept[level] = kept[level][0], pull(kept[level][0], n) / n
            mean = pull(entering, n) / n
            if level not in kept or mean >= kept[level][1]:
                kept[level] = entering, mean
            arrivals[level] += 1
            if arrivals[level] < full[level] or level == len(size) - 1:
                break
            entering, _ = kept.pop(level)
            arrivals[level] = 0
            level += 1
    n = max(math.ceil(4 * u), 1)
    means = {level: pull(kept[level][0], n) / n for level in sorted(kept, reverse=True)}
    return kept[max(means, key=means.__getitem__)][0]


def params_of(kind: str) -> dict[str, str]:
    return {"constants": "theory"} if kind == "theory" else {"kind": kind}


def slots_enough(kind: str, k: int) -> int:
    policy = catalog.make("levels", **params_of(kind))
    for slots in range(1, 9):
        try:
            fresh(policy, k, 10**6, slots)
        except InvalidInput:
            continue
        return slots
    raise AssertionError


COURSES = [
    *((kind, k, 10**5) for kind in ("log", "loglog", "logstar") for k in (1, 2, 3, 5, 7, 8, 15, 16, 25, 31, 150, 400)),
    *((kind, k, 2 * 10**3) for kind in ("log", "loglog", "logstar") for k in (150, 400)),
    ("loglog", 1700, 10**6),
    *(("theory", k, 10**17) for k in (1, 2, 15, 16, 17, 40)),
]
CASES = [(*course, means) for course in COURSES for means in ("uniform", "hard")]
LONGEST = ("loglog", 1700, 10**6, "hard")


@pytest.mark.parametrize(
    ("kind", "k", "trials", "means"),
    every_run(CASES, [case for case in CASES if case[:3] in COURSES[::3] and case != LONGEST]),
)
def test_every_batch_is_that_of_plain_python(kind: str, k: int, trials: int, means: str) -> None:
    """With just enough slots as with more; rewards that often tie, as there are few pulls."""
    policy = catalog.make("levels", **params_of(kind))
    for slots in {slots_enough(kind, k), 8}:
        run = stream_runs.run(policy, trials, arms=k, means=means, gap=0.3, slots=slots)
        batches = iter(run.batches)

        def pull(arm: int, n: int) -> float:
            pulled, made, total = next(batches)  # noqa: B023
            assert pulled == arm
            assert made == n if n < 10**9 else made == pytest.approx(n, rel=1e-12)
            return total

        best = levels_in_python(kind, k, trials, pull)
        assert run.recommended == best
        assert {arm for arm, *_ in batches} <= {best}
        assert run.peak <= slots + 1


@pytest.mark.parametrize("kind", ["log", "loglog", "logstar", "theory"])
@pytest.mark.parametrize("means", [[0.0, 1.0], [1.0, 0.0] * 30, [0.0] * 59 + [1.0], [1.0] + [0.0] * 59, [0.0] * 60])
def test_arms_that_always_or_never_pay_are_told_apart(kind: str, means: list[float]) -> None:
    trials = 10**17 if kind == "theory" else 10**4
    run = stream_runs.run(catalog.make("levels", **params_of(kind)), trials, means=means)
    assert means[run.recommended] == max(means)
    assert run.regret == sum(n for arm, n in run.pulls.items() if means[arm] < max(means))


@pytest.mark.parametrize("kind", ["log", "loglog", "logstar"])
def test_fewer_trials_than_arms_are_one_pull_each_at_the_first_level(kind: str) -> None:
    run = stream_runs.run(catalog.make("levels", kind=kind), 4, means=[0.25, 0.5, 0.0, 0.25, 1.0, 0.5])
    assert run.pulls == {0: 1, 1: 1, 2: 1, 3: 1}
    assert run.regret == 0.75 + 0.5 + 1.0 + 0.75


@pytest.mark.parametrize(
    ("kind", "arms", "slots"),
    [
        ("log", 6, 1),
        ("log", 48, 2),
        ("log", 500, 4),
        ("log", 5000, 5),
        ("log", 50_000, 6),
        ("loglog", 15, 1),
        ("loglog", 1000, 2),
        ("loglog", 1619, 3),
        ("loglog", 10**9, 4),
        ("logstar", 4, 1),
        ("logstar", 5, 2),
        ("logstar", 50_000, 3),
        ("logstar", 102_425, 4),
        ("logstar", 2**53, 4),
        ("theory", 15, 1),
        ("theory", 524_287, 2),
        ("theory", 2**53, 3),
    ],
)
def test_slots_are_asked_for_as_there_are_levels_that_arms_reach(kind: str, arms: int, slots: int) -> None:
    policy = catalog.make("levels", **params_of(kind))
    policy.init(policy.params, Problem(arms, horizon=10**9, slots=slots))
    if slots > 1:
        said = f"needs {slots} slots for {arms} arms, but this problem has {slots - 1}: allow {slots} slots"
        with pytest.raises(InvalidInput, match=said) as error:
            policy.init(policy.params, Problem(arms, horizon=10**9, slots=slots - 1))
        assert error.value.code == "policy_does_not_fit"


@pytest.mark.parametrize("kind", ["log", "loglog", "logstar", "theory"])
@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("trials", [10**5, None])
def test_of_an_unknown_number_of_arms_no_more_are_stored_than_there_are_slots(
    kind: str, slots: int, trials: int | None
) -> None:
    policy, world = catalog.make("levels", **params_of(kind)), Passing(slots, 200)
    state = fresh(policy, 0, trials, slots)
    for start in range(0, 2000, 20):
        play(policy, state, world, start, 20, 10**5)
        place = loop.recommendation(policy.params, state, NO_KEY)
        assert place == -1 or world.places[place] is not None
    assert world.peak <= slots + 1


def test_one_level_is_a_record_that_never_falls() -> None:
    policy, world = catalog.make("levels", kind="log"), Passing(1, 40)
    play(policy, fresh(policy, 0, 10**6, 1), world, 0, 200, 10**6)
    assert [world.pulls[arm] for arm in (0, 1, 39)] == [
        math.ceil((10**6) ** (2 / 3)),
        math.ceil((10**6 / 2) ** (2 / 3)),
        math.ceil((10**6 / 40) ** (2 / 3)),
    ]


def test_the_last_comparison_is_won_by_the_best_and_not_by_the_highest_level() -> None:
    """Nine arms of log levels: seven rise, of which the best is at level 1, and the ninth is better."""
    means = [0.5, 0.4, 0.3, 0.2, 0.1, 0.2, 0.3, 0.1, 0.9]
    run = stream_runs.run(catalog.make("levels", kind="log"), 10**6, means=means)
    assert run.recommended == 8
    assert [arm for arm, *_ in run.batches] == [*range(7), 0, 7, 8, 0, 8, 8]


def test_a_level_whose_arm_has_risen_is_empty() -> None:
    policy, world = catalog.make("levels", kind="log"), Passing(8, 1000)
    state = fresh(policy, 1000, 10**6, 8)
    play(policy, state, world, 0, 15, 10**6)
    assert [state.place[0], *state.record[0], state.arrivals[0], state.arrivals[1]] == [-1, 0, 0, 0, 1]


def test_before_the_last_comparison_the_highest_record_is_recommended() -> None:
    policy, world = catalog.make("levels", kind="log"), Passing(8, 1000)
    state = fresh(policy, 1000, 10**6, 8)
    play(policy, state, world, 0, 20, 10**6)
    assert world.places[loop.recommendation(policy.params, state, NO_KEY)] == 5


def test_the_constants_of_theory_use_up_the_trials() -> None:
    """11442 u at the first level, and as much again at the second: nothing is left at T / K = 1e6."""
    run = stream_runs.run(catalog.make("levels", constants="theory"), 10**9, arms=1000)
    assert len(run.pulls) < 20


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"kind": "linear"}, "kind is 'linear': it must be one of log, loglog, logstar"),
        ({"constants": "best"}, "constants is 'best': it must be one of practical, theory"),
        ({"kind": "log", "constants": "theory"}, "theory is about logstar only"),
        ({"delta": 1.0}, "delta is 1.0"),
    ],
)
def test_params_out_of_their_range_are_refused(params: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        catalog.make("levels", **params)


REFERENCE = {
    ("loglog", "clear", 10**6): (4.550e4, 6e2),
    ("loglog", "clear", 10**9): (4.222e6, 4e3),
    ("loglog", "uniform", 10**6): (5.592e4, 1e2),
    ("loglog", "uniform", 10**9): (5.515e6, 1e4),
    ("logstar", "clear", 10**6): (5.832e4, 2e2),
    ("logstar", "clear", 10**9): (5.639e6, 7e3),
    ("logstar", "uniform", 10**6): (6.620e4, 1e2),
    ("logstar", "uniform", 10**9): (6.560e6, 1e4),
}
WORST = {
    ("loglog", 0.5): (0.426, 0.018),
    ("loglog", 1.0): (0.341, 0.05),
    ("logstar", 0.5): (0.339, 0.023),
    ("logstar", 1.0): (0.258, 0.04),
    ("logstar", 8.0): (0.194, 0.001),
}
STAIR = {"loglog": (0.476, 0.015), "logstar": (0.621, 0.014)}


@pytest.mark.jit
def test_regret_is_that_of_the_reference() -> None:
    for (kind, means, trials), (mean, error) in REFERENCE.items():
        found = stream_runs.regrets(catalog.make("levels", kind=kind), trials, arms=1000, means=means)
        assert stream_runs.agree(found, mean, error), (kind, means, trials)


@pytest.mark.jit
def test_the_worst_case_is_that_of_the_reference() -> None:
    scale = stream_runs.hard_scale(1000, 10**9)
    for (kind, gap), (mean, error) in WORST.items():
        policy = catalog.make("levels", kind=kind)
        found = stream_runs.regrets(policy, 10**9, arms=1000, means="hard", gap=gap) / scale
        assert stream_runs.agree(found, mean, error), (kind, gap)
    for kind, (mean, error) in STAIR.items():
        found = stream_runs.regrets(catalog.make("levels", kind=kind), 10**9, arms=1000, means="stair") / scale
        assert stream_runs.agree(found, mean, error), kind


@pytest.mark.jit
@pytest.mark.parametrize(
    ("arms", "trials", "ratio"),
    [(500, 250_000_000, 0.417), (5000, 25_000_000_000, 0.385), (50_000, 125 * 10**15, 0.326)],
)
def test_log_levels_save_what_those_of_the_reference_save(arms: int, trials: int, ratio: float) -> None:
    own, uniform = (
        stream_runs.regrets(policy, trials, runs=10, arms=arms, means="clear").mean()
        for policy in (catalog.make("levels", kind="log"), catalog.make("uniform_exploration"))
    )
    assert own / uniform == pytest.approx(ratio, abs=0.01)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("kind", "arms", "peak"),
    [
        ("log", 500, 5),
        ("log", 5000, 6),
        ("log", 50_000, 7),
        ("loglog", 1000, 3),
        ("loglog", 1700, 4),
        ("logstar", 500, 4),
        ("logstar", 50_000, 4),
    ],
)
def test_memory_peaks_where_the_papers_does(kind: str, arms: int, peak: int) -> None:
    for trials in (10**8, 10**12):
        assert stream_runs.peak(catalog.make("levels", kind=kind), trials, arms=arms) == peak
