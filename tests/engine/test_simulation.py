"""Simulations: parts add up to the whole, threads change nothing, and the log says what happened."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import golden
import numpy as np
import pytest
from support.worlds import squall

from onearm.engine import snapshot
from onearm.engine.draws import NATURE, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import CURVE_POINTS, LOG_BYTES, LOG_CHUNK, Simulation, curve_times, simulate
from onearm.engine.vocabulary import DECIDE, LEARN, Columns, Environment, Key
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

MEAN = [0.2, 0.5, 0.8]


def bernoulli() -> Environment:
    return envs.make("bernoulli", mean=MEAN)


def same(a: Columns, b: Columns) -> bool:
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True))


def joined(parts: list[Columns]) -> Columns:
    """Join pages of a log whose masks are one a row."""
    return Columns(*(np.concatenate(column) for column in zip(*(part[:8] for part in parts), strict=True)))


@pytest.mark.parametrize("cuts", [[50], [1] * 50, [7, 0, 13, 30]])
def test_parts_are_the_whole_to_the_bit(cuts: list[int]) -> None:
    policy = policies.make("exp3_ix")
    whole = Simulation(policy, squall(), horizon=50, seed=3)
    log = whole.advance_logged(50)
    parts = Simulation(policy, squall(), horizon=50, seed=3)
    pages = [parts.advance_logged(steps) for steps in cuts]
    assert same(log, joined(pages))
    assert snapshot.digest(parts.state) == snapshot.digest(whole.state)
    assert (parts.t, *parts.totals.reward, *parts.totals.regret) == (50, *whole.totals.reward, *whole.totals.regret)


def test_logging_changes_nothing() -> None:
    quiet, logged = (Simulation(policies.make("ucb1"), squall(), horizon=60, seed=3) for _ in range(2))
    quiet.advance(60)
    logged.advance_logged(60)
    assert snapshot.digest(quiet.state) == snapshot.digest(logged.state)
    assert quiet.totals.reward[0] == logged.totals.reward[0]


def test_the_log_of_prompt_rewards_alternates_decisions_and_rewards() -> None:
    log = Simulation(policies.make("uniform"), bernoulli(), horizon=20, seed=3).advance_logged(20)
    assert log.kind.tolist() == [DECIDE, LEARN] * 20
    assert log.number.tolist() == [t for t in range(20) for _ in range(2)]
    assert np.isnan(log.reward[::2]).all()
    assert np.array_equal(log.action[::2], log.action[1::2])
    assert log.propensity.tolist() == [1 / 3] * 40
    assert log.available.tolist() == [[True] * 3]
    nature = run_key(3, 0, NATURE)  # the world pays 1 where its own draw lies below the arm's mean
    paid = [float(uniform(Key(nature, t), 0) < MEAN[log.action[2 * t]]) for t in range(20)]
    assert log.reward[1::2].tolist() == paid


def test_late_rewards_arrive_when_they_are_due_the_oldest_first() -> None:
    """The oracle sorts: decision n with delay d is learned after decision n + d, before any later decision."""
    world, steps = squall(delay_max=4), 80
    log = Simulation(policies.make("uniform"), world, horizon=steps, seed=3).advance_logged(steps)
    nature = run_key(3, 0, NATURE)
    delays = [int(uniform(Key(nature, t), 21) * 5) for t in range(steps)]
    assert set(delays) == {0, 1, 2, 3, 4}
    expected: list[tuple[int, int]] = []
    for t in range(steps):
        expected.append((DECIDE, t))
        prompt = [t] if delays[t] == 0 else []
        late = [n for n in range(t) if n + delays[n] == t]
        expected += [(LEARN, n) for n in prompt + late]
    assert list(zip(log.kind.tolist(), log.number.tolist(), strict=True)) == expected


def test_a_late_reward_is_learned_with_what_was_seen_when_it_was_decided() -> None:
    log = Simulation(policies.make("exp3_ix"), squall(), horizon=60, seed=3).advance_logged(60)
    decided = {int(log.number[row]): row for row in np.flatnonzero(log.kind == DECIDE)}
    for row in np.flatnonzero(log.kind == LEARN):
        then = decided[int(log.number[row])]
        for column in (log.action, log.propensity, log.context, log.available):
            assert np.array_equal(column[row], column[then])


def test_the_curve_is_the_running_sum_of_the_log() -> None:
    curves = simulate(policies.make("uniform"), bernoulli(), horizon=40, replications=3, seed=5)
    assert curves.t[0] == 1 and curves.t[-1] == 40
    for r in range(3):
        run = Simulation(policies.make("uniform"), bernoulli(), horizon=40, seed=5, replication=r)
        log = run.advance_logged(40)
        reward = np.cumsum(log.reward[1::2])
        assert curves.reward[r].tolist() == reward[curves.t - 1].tolist()
        gaps = np.cumsum([0.8 - MEAN[action] for action in log.action[::2]])
        assert np.allclose(curves.regret[r], gaps[curves.t - 1], rtol=1e-12, atol=0)


def test_replications_do_not_depend_on_the_number_of_threads() -> None:
    def run(threads: int) -> Any:
        return simulate(policies.make("exp3_ix"), bernoulli(), horizon=50, replications=5, seed=2, threads=threads)

    one, four = run(1), run(4)
    assert one.reward.tobytes() == four.reward.tobytes()
    assert one.regret.tobytes() == four.regret.tobytes()
    assert len({row.tobytes() for row in one.reward}) > 1, "replications must differ from each other"


def test_a_replication_does_not_depend_on_how_many_there_are() -> None:
    few, many = (simulate(policies.make("exp3_ix"), bernoulli(), horizon=30, replications=r, seed=2) for r in (2, 4))
    assert few.reward.tobytes() == many.reward[:2].tobytes()


def test_policies_meet_the_same_nature() -> None:
    """Common random numbers: contexts and masks do not depend on who decides, nor does the reward of one arm."""
    logs = []
    for name in ("uniform", "ucb1", "exp3_ix"):
        log = Simulation(golden.specimen(name), squall(0), horizon=80, seed=4).advance_logged(80)
        logs.append(log)
    first, *others = logs
    for other in others:
        assert np.array_equal(first.context, other.context)
        assert np.array_equal(first.available, other.available)
        agreed = first.action == other.action
        assert 0 < agreed.sum() < len(agreed)
        assert np.array_equal(first.reward[agreed], other.reward[agreed], equal_nan=True)


def test_a_seed_and_a_replication_change_the_draws() -> None:
    def actions(**which: int) -> bytes:
        simulation = Simulation(policies.make("uniform"), bernoulli(), horizon=50, **which)
        return simulation.advance_logged(50).action.tobytes()

    assert actions(seed=1) == actions(seed=1)
    assert len({actions(seed=1), actions(seed=2), actions(seed=1, replication=1), actions(seed=2**64 - 1)}) == 4


def test_progress_adds_up_to_the_steps() -> None:
    done: list[int] = []
    simulate(policies.make("uniform"), bernoulli(), horizon=33, replications=2, progress=done.append)
    assert sum(done) == 66


@pytest.mark.parametrize("horizon", [1, 2, 5, 99, 100, 101, 10_000])
def test_curve_times_are_log_spaced_from_1_to_the_horizon(horizon: int) -> None:
    times = curve_times(horizon)
    assert times[0] == 1 and times[-1] == horizon
    assert (np.diff(times) > 0).all()
    assert len(times) <= CURVE_POINTS
    exact = np.geomspace(1, horizon, CURVE_POINTS)
    assert np.abs(times - exact[np.searchsorted(exact, times - 0.5)]).max() <= 0.5


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"horizon": 0}, "bad_horizon", "the horizon is 0: it must be a whole number from 1"),
        ({"replications": 0}, "bad_replications", "at least 1"),
    ],
)
def test_nothing_to_simulate_is_refused(asked: dict[str, int], code: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        simulate(policies.make("uniform"), bernoulli(), **{"horizon": 10, "replications": 1, **asked})
    assert caught.value.code == code


@pytest.mark.jit
def test_compiled_replications_do_not_depend_on_threads_and_earn_what_they_should() -> None:
    """Uniform play earns the mean of the means and regrets the mean gap: 4 standard errors of 10^6 draws."""
    horizon, replications = 50_000, 20
    runs = [
        simulate(
            policies.make("uniform"), bernoulli(), horizon=horizon, replications=replications, seed=1, threads=threads
        )
        for threads in (1, 4)
    ]
    assert runs[0].reward.tobytes() == runs[1].reward.tobytes()
    n = horizon * replications
    assert abs(runs[0].reward[:, -1].sum() / n - 0.5) < 4 * math.sqrt(0.25 / n)
    assert abs(runs[0].regret[:, -1].sum() / n - 0.3) < 4 * math.sqrt(0.06 / n)


@pytest.mark.jit
def test_long_runs_report_progress_in_chunks_and_give_the_same_bits() -> None:
    done: list[int] = []
    curves = simulate(policies.make("ucb1"), bernoulli(), horizon=2_500_000, seed=1, progress=done.append)
    assert sum(done) == 2_500_000 and max(done) <= 1_000_000
    whole = Simulation(policies.make("ucb1"), bernoulli(), horizon=2_500_000, seed=1)
    whole.advance(2_500_000)
    assert curves.reward[0, -1] == whole.totals.reward[0]
    assert curves.regret[0, -1] == whole.totals.regret[0]


@pytest.mark.parametrize(("wide", "rows"), [(10, 15), (300, 5)])
def test_a_page_of_the_log_takes_bounded_memory_however_wide_the_contexts(wide: int, rows: int) -> None:
    """Of named features each nonzero takes 12 bytes, of rows that hold a decision and its reward."""
    features = np.ones((4, wide)).tolist()
    world = envs.factory("named")(envs.make("classification", features=features, label=list(range(4))), bits=14)
    run = Simulation(policies.make("uniform"), world, horizon=100_000)
    nonzeros = run.problem.nonzeros
    assert nonzeros is not None and nonzeros >= 4 * wide
    steps = run.logged_at_once
    assert steps == min(LOG_CHUNK, LOG_BYTES // (2 * (12 * nonzeros + 8 * (4 + 2) + 4)))
    run.advance_logged(1)  # what the first page makes for all
    tracemalloc.start()
    run.advance_logged(rows)
    taken = tracemalloc.get_traced_memory()[1] / rows
    tracemalloc.stop()
    assert taken * steps < 1.5 * LOG_BYTES
