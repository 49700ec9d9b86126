"""The adversary's particles: where they start, what they stand for, how they climb, and where they may not go."""

from __future__ import annotations

import numpy as np
import pytest
from support.every_run import every_run

from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.adversary import Particles, means_of, raw_gradient, raw_of
from onearm.engine.hardness.complexity import difficulty
from onearm.engine.hardness.starting_means import BOX, MIDDLE
from onearm.engine.task import Task, best_arm, hypotheses, thresholds

TABLE = np.random.default_rng(5).integers(0, 2, (12, 8))
CASES: dict[str, tuple[Task, float]] = {
    "normal arms": (best_arm(5), 8.0),
    "easy normal arms": (best_arm(5), 2.0),
    "arms of signs": (best_arm(4, "signs"), 20.0),
    "arms of bits": (best_arm(3, "bits"), 40.0),
    "thresholds": (thresholds(10), 16.0),
    "normal thresholds": (thresholds(6, "normal"), 8.0),
    "20 questions": (hypotheses(TABLE), 40.0),
    "20 questions of bits": (hypotheses(TABLE, "bits"), 200.0),
}
BOUNDS = {"normal": (-3.0, 3.0), "signs": (-0.981, 0.981), "bits": (0.0099, 0.9901)}


def particles_of(case: str, n: int = 48) -> Particles:
    return Particles.start(*CASES[case], n, np.random.default_rng(1))


def in_box(particles: Particles) -> bool:
    low, high = BOUNDS[particles.task.answers]
    return bool(((particles.means() >= low) & (particles.means() <= high)).all())


@pytest.mark.parametrize("case", CASES)
def test_particles_start_within_their_level_and_a_quarter_of_it(case: str) -> None:
    particles = particles_of(case)
    hard = difficulty(particles.task, particles.means())
    assert (hard <= particles.level * (1.0 + 1e-9)).all()
    assert (hard >= 0.249 * particles.level).all()
    assert len(np.unique(particles.means().round(6), axis=0)) >= 40
    assert in_box(particles)


@pytest.mark.parametrize("case", every_run(CASES, list(CASES)[::2]))
def test_what_may_be_played_is_at_most_a_twentieth_too_hard_wherever_it_is_pushed(case: str) -> None:
    particles = particles_of(case, 16)
    best = np.argmax(particles.means() @ particles.task.table.T, axis=1)
    played = 0
    for _ in range(40):  # towards means of 0, or equal ones, which are infinitely hard
        means = particles.means()
        pull = means.mean(axis=1, keepdims=True) - means if particles.task.kind == "arms" else -means
        particles.climb(pull, 0.08)
        playable = particles.feasible()
        hard = difficulty(particles.task, particles.means())
        assert (hard[playable] <= 1.05 * particles.level).all()
        assert (hard[~playable] > 1.05 * particles.level).all()
        assert in_box(particles)
        played += int(playable.sum())
    assert played >= 0.8 * 40 * len(best)  # the penalty brings them back


def test_the_penalty_alone_brings_back_what_is_too_hard() -> None:
    task, level = CASES["20 questions of bits"]
    particles = Particles(task, level, 0.7 * particles_of("20 questions of bits", 8).raw)
    assert not particles.feasible().all()
    for _ in range(150):
        particles.climb(np.zeros((8, 8)), 0.05)
    assert particles.feasible().all()


def test_normal_arms_that_are_too_hard_are_stretched_onto_their_level() -> None:
    raw = np.array([[0.1, 0.0, 0.0], [3.0, 0.5, 0.0]])
    means = means_of(best_arm(3), 20.0, raw)
    assert difficulty(best_arm(3), means[0]) == pytest.approx(20.0)
    np.testing.assert_allclose(means[0], (raw[0] - raw[0].mean()) * np.sqrt(300.0 / 20.0))
    np.testing.assert_allclose(means[1], raw[1] - raw[1].mean())  # easy enough as it is


def test_signs_and_bits_are_squashed_and_then_stretched() -> None:
    raw = np.array([[0.0, 1.0, -2.0]])
    np.testing.assert_allclose(means_of(thresholds(3), 80.0, raw), np.tanh(raw))
    np.testing.assert_allclose(means_of(best_arm(3, "bits"), 80.0, raw), 1.0 / (1.0 + np.exp(-2.0 * raw)))
    hard = means_of(thresholds(3), 20.0, 0.1 * raw)
    assert difficulty(thresholds(3), hard)[0] == pytest.approx(20.0)
    assert hard[0, 1] / hard[0, 2] == pytest.approx(np.tanh(0.1) / np.tanh(-0.2))


@pytest.mark.parametrize("case", CASES)
def test_raw_numbers_stand_for_the_means_they_came_from(case: str) -> None:
    task, level = CASES[case]
    means = particles_of(case).means()
    np.testing.assert_allclose(means_of(task, level, raw_of(task, means)), means, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_by_raw_numbers_is_that_of_differences(case: str) -> None:
    task, level = CASES[case]
    rng = np.random.default_rng(2)
    raw = particles_of(case, 12).raw * rng.uniform(0.3, 1.2, (12, 1))  # some too hard, some not
    raw += 0.02 * rng.normal(size=raw.shape)  # away from ties, where a difficulty has a corner
    gradient = rng.normal(size=raw.shape)
    found = raw_gradient(task, level, raw, gradient)
    far = np.abs(means_of(task, level, raw) - MIDDLE[task.answers])
    inside = (np.abs(far - BOX[task.answers]) > 1e-4).all(axis=1)  # the clip has a corner
    assert inside.sum() >= 6
    for j in range(task.n_queries):
        step = 1e-6 * np.eye(task.n_queries)[j]
        rise = ((means_of(task, level, raw + step) - means_of(task, level, raw - step)) * gradient).sum(axis=1) / 2e-6
        np.testing.assert_allclose(found[inside, j], rise[inside], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task", [best_arm(3), thresholds(3)], ids=["normal", "signs"])
def test_a_mean_at_the_edge_of_its_box_has_no_say(task: Task) -> None:
    raw = np.array([[2.0, 0.4, 0.1]]) if task.answers == "signs" else np.array([[9.0, 0.4, 0.1]])
    level = 3.0
    means, gradient = means_of(task, level, raw), np.array([[0.0, 0.0, 0.0]])
    edge = BOX[task.answers]
    assert np.abs(means).max() == edge
    gradient[np.abs(means) == edge] = 1.0
    assert raw_gradient(task, level, raw, gradient).tolist() == [[0.0, 0.0, 0.0]]


def test_the_first_steps_are_those_of_adam() -> None:
    particles = Particles(thresholds(2), 1e6, np.array([[0.1, -0.2]]))
    raw, speed, power = particles.raw.copy(), np.zeros((1, 2)), np.zeros((1, 2))
    for step in (1, 2, 3):
        gradient = np.array([[0.3 * step, -0.1]])
        up = gradient * (1.0 - np.tanh(raw) ** 2)
        speed, power = 0.9 * speed + 0.1 * up, 0.999 * power + 0.001 * up**2
        raw = raw + 0.05 * (speed / (1 - 0.9**step)) / (np.sqrt(power / (1 - 0.999**step)) + 1e-8)
        particles.climb(gradient, 0.05)
        np.testing.assert_allclose(particles.raw, raw, rtol=1e-12)


def test_the_same_seed_starts_the_same_particles() -> None:
    assert particles_of("thresholds").raw.tobytes() == particles_of("thresholds").raw.tobytes()


def test_a_level_that_no_means_in_the_box_have_is_refused_with_the_easiest_seen() -> None:
    with pytest.raises(InvalidInput, match="take a larger level") as caught:
        Particles.start(thresholds(10), 1.0, 4, np.random.default_rng(0))
    assert caught.value.code == "no_such_level"
