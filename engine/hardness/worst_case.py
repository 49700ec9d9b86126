"""Worst losses by difficulty: what the worst means that were found cost each of several policies.

An adversary climbs against each policy at each level. What it finds is pooled, level by level, and every policy is
scored on the whole pool, and again with fresh rollouts where it lost most: without a pool a policy would profit from an
ascent that missed, and without fresh rollouts the largest of many estimates would be too large. Classes of difficulty
are nested, so a loss counts for all levels above its own.

Such losses are those that were found: the true worst may be larger. Only `engine/hardness/exact/` certifies.

>>> from onearm.engine.problem import query_problem
>>> from onearm.engine.task import best_arm
>>> from onearm.policies import catalog
>>> problem = query_problem(best_arm(2), budget=4)
>>> players = {"uniform": player(catalog.make("uniform_budget"), problem)}
>>> effort = Effort(2, 1, 0.1, 2, 1, 1, 0.1, 2, kept=1, choice_rollouts=2, chosen=1, final_rollouts=50)
>>> found = worst_case(problem.task, players, [5.0, 20.0], effort=effort)
>>> found.names, found.losses.shape, found.gaps.tolist(), bool((np.diff(found.losses) >= 0.0).all())
(('uniform',), (1, 2), [0.0], True)

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382; the pool and the
constants are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..task import Array, Task
from ..vocabulary import Policy, Problem
from .adversary import Particles, raw_of
from .rollouts import Rollouts, roll_out
from .score_gradient import losses_of, rollout_gradient

Player = Callable[[Array, int, int], Rollouts]  # (means float64[M, n], rollouts of each, first number) -> what it did

_BATCH = 2**17  # rollouts at a time: with 20 queries their arrays take 44 MB
_STRIDE = 2**28  # rollout numbers of one ascent or scoring: more than any takes


class Effort(NamedTuple):
    """How hard the adversary tries. The counts are for each policy and level.

    Climbing on with more rollouts matters: against uniform on thresholds (10 points, 20 answers) the first 30 steps
    alone found .298 to .338 at level 8 and .61 to .64 at level 16, all of it .32 to .35 and .65; exactly it is .368 and
    .650.
    """

    particles: int = 32
    steps: int = 30  # of Adam
    rate: float = 0.08  # of its steps
    rollouts: int = 64  # of a particle in a step
    refined: int = 16  # particles that climb on, with less noise and in smaller steps
    refining_steps: int = 50
    refining_rate: float = 0.03
    refining_rollouts: int = 128
    kept: int = 4  # particles that go into the pool
    choice_rollouts: int = 512  # of each in the pool, to choose
    chosen: int = 5  # of the pool, where a policy loses most
    final_rollouts: int = 8192  # of each chosen, for the number


class WorstCase(NamedTuple):
    """What each policy loses at worst, of what was found. P policies, R levels."""

    names: tuple[str, ...]
    levels: tuple[float, ...]
    losses: Array  # float64[P, R], ascending along the levels
    stderr: Array  # float64[P, R]
    means: Array  # float64[P, R, n] where that happens
    best: Array  # float64[R] the least of the losses, and of the baselines that were given
    gaps: Array  # float64[P] the largest difference to these


def player(policy: Policy, problem: Problem, seed: int = 0) -> Player:
    """Return what plays a policy out on a problem: the engine's compiled loop."""

    def play(means: Array, rollouts: int, start: int) -> Rollouts:
        return roll_out(policy, problem, means, rollouts, seed=seed, start=start)

    return play


def worst_case(
    task: Task,
    players: Mapping[str, Player],
    levels: Sequence[float],
    *,
    seed: int = 0,
    effort: Effort | None = None,
    baselines: Sequence[float] | None = None,
    workers: int = 1,
    progress: Callable[[int], None] = lambda rollouts: None,
) -> WorstCase:
    """Find the worst losses of several policies at ascending levels of difficulty.

    `baselines` are losses that are known to be reached, one a level; `workers` threads share the work without changing
    a number; `progress` is told how many ascents and scorings were done, `rounds_of` in all.
    Raises `InvalidInput` for levels that do not ascend, or hold no means. Cost: about P R (210,000 + 2,000 P) rollouts
    with the usual effort.
    """
    if not players:
        raise InvalidInput("no_policy", "there is no policy to evaluate: name at least one")
    _check_levels(levels)
    effort = effort or Effort()
    search = _Search(task, list(players.values()), list(levels), effort, seed)
    places = [(p, r) for r in range(len(levels)) for p in range(len(players))]
    with ThreadPoolExecutor(workers) as pool:

        def each(work: Callable[[int, int], Array]) -> list[Array]:
            found = []
            for result in pool.map(lambda place: work(*place), places):
                found.append(result)
                progress(1)
            return found

        for (_, r), found in zip(places, each(search.climb), strict=True):
            search.pools[r].append(found)
        scored = np.array(each(search.score)).reshape(len(levels), len(players), -1)
    return _table(tuple(players), tuple(levels), scored, baselines)


def rounds_of(policies: int, levels: int) -> int:
    """Return how many steps `progress` is told of."""
    return 2 * policies * levels


class _Search:
    """The ascents and scorings of one evaluation, each with draws of its own."""

    def __init__(self, task: Task, players: list[Player], levels: list[float], effort: Effort, seed: int) -> None:
        self.task, self.players, self.levels, self.effort, self.seed = task, players, levels, effort, seed
        self.pools: list[list[Array]] = [[] for _ in levels]

    def climb(self, p: int, r: int) -> Array:
        """Climb against policy p at level r; return the means of the particles kept, float64[kept, n]."""
        effort, play, task = self.effort, self.players[p], self.task
        number = _STRIDE * (1 + 2 * (r * len(self.players) + p))
        particles = Particles.start(task, self.levels[r], effort.particles, np.random.default_rng([self.seed, r, p]))
        number = _ascend(play, particles, effort.steps, effort.rate, effort.rollouts, number)
        means, number = _best(play, particles, effort.refined, effort.rollouts, number)
        particles = Particles(task, self.levels[r], raw_of(task, means))
        number = _ascend(play, particles, effort.refining_steps, effort.refining_rate, effort.refining_rollouts, number)
        return _best(play, particles, effort.kept, effort.refining_rollouts, number)[0]

    def score(self, p: int, r: int) -> Array:
        """Return the worst loss of policy p in the pool of level r, its standard error, and the means: [2 + n]."""
        effort, play = self.effort, self.players[p]
        number = _STRIDE * (2 + 2 * (r * len(self.players) + p))
        pool = np.concatenate(self.pools[r])
        losses, _ = _mean_losses(self.task, play, pool, effort.choice_rollouts, number)
        chosen = pool[np.argsort(-losses)[: effort.chosen]]
        number += len(pool) * effort.choice_rollouts
        losses, stderr = _mean_losses(self.task, play, chosen, effort.final_rollouts, number)
        worst = int(losses.argmax())
        return np.concatenate([[losses[worst], stderr[worst]], chosen[worst]])


def _ascend(play: Player, particles: Particles, steps: int, rate: float, rollouts: int, number: int) -> int:
    """Let particles climb so many steps, each with fresh rollouts from `number` on; return the next number."""
    for _ in range(steps):
        means, playable = particles.means(), particles.feasible()
        gradient = np.zeros_like(means)
        if playable.any():
            gradient[playable] = rollout_gradient(
                particles.task, means[playable], *play(means[playable], rollouts, number)
            )
        particles.climb(gradient, rate)
        number += len(means) * rollouts
    return number


def _best(play: Player, particles: Particles, n: int, rollouts: int, number: int) -> tuple[Array, int]:
    """Return the means of the n playable particles that cost most, and the next number."""
    means = particles.means()[particles.feasible()]
    losses, _ = _mean_losses(particles.task, play, means, rollouts, number)
    worst = np.argsort(-losses)[:n]
    return means[worst], number + len(means) * rollouts


def _mean_losses(task: Task, play: Player, means: Array, rollouts: int, number: int) -> tuple[Array, Array]:
    """Return the mean loss at each of the means and its standard error, float64[M] each."""
    total, square, done = np.zeros(len(means)), np.zeros(len(means)), 0
    while done < rollouts and len(means):
        some = min(rollouts - done, max(1, _BATCH // len(means)))
        losses = losses_of(task, means, play(means, some, number + done * len(means)).recommended)
        total += losses.sum(axis=1)
        square += (losses**2).sum(axis=1)
        done += some
    mean = total / rollouts
    return mean, np.sqrt(np.maximum(square / rollouts - mean**2, 0.0) / max(rollouts - 1, 1))


def _table(
    names: tuple[str, ...], levels: tuple[float, ...], scored: Array, baselines: Sequence[float] | None
) -> WorstCase:
    """Turn what was scored, float64[R, P, 2 + n], into a table: a harder level is never cheaper."""
    by_policy = np.swapaxes(scored, 0, 1).copy()
    for r in range(1, len(levels)):
        easier = by_policy[:, r - 1, 0] > by_policy[:, r, 0]
        by_policy[easier, r] = by_policy[easier, r - 1]
    losses = by_policy[:, :, 0]
    best = losses.min(axis=0)
    if baselines is not None:
        if len(baselines) != len(levels):
            raise InvalidInput(
                "bad_levels", f"{len(levels)} levels have {len(baselines)} baselines: give one for each level"
            )
        best = np.minimum(best, baselines)
    gaps = (losses - best).max(axis=1)
    return WorstCase(names, levels, losses, by_policy[:, :, 1], by_policy[:, :, 2:], best, gaps)


def _check_levels(levels: Sequence[float]) -> None:
    if not levels or any(not 0.0 < level < np.inf for level in levels) or sorted(set(levels)) != list(levels):
        raise InvalidInput(
            "bad_levels", f"the levels are {list(levels)}: they must be numbers above 0 that ascend, one at least"
        )
