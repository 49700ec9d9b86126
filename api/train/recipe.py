"""How one run of training goes: every constant of the procedure, and which run of which task has which.

Source: the procedure follows Zhang, Jain, Jamieson, arXiv 2010.15382; its constants are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from ...engine.task import Task

MEMORY = 0.8  # of a particle's mean loss, when it is drawn again
LATELY = 0.02  # how fast what a level loses now takes the place of what it lost before
CLIP = 1.0  # the largest norm of a step's gradient


class Hunt(NamedTuple):
    """How particles are looked for, of each level, that the network as it is does badly at."""

    every: int = 20  # iterations between two hunts
    starts: int = 16
    steps: int = 12
    rate: float = 0.15  # of the steps' Adam
    rollouts: int = 16  # of each start in a step, and four times as many in the end
    kept: int = 4


HUNT = Hunt()


@dataclass(frozen=True)
class Recipe:
    """The constants of one run. Pairs are where a number begins and where it ends."""

    iterations: int
    drawn: int  # M, particles played in an iteration
    rate: tuple[float, float]  # of the network's Adam, linear
    entropy: tuple[float, float]  # the bonus on the entropy of the query law, geometric
    adversary: float  # the rate of the particles' Adam
    rollouts: int = 16  # L, of each particle that is drawn
    particles: int = 48  # N, of each level
    evenly: float = 0.15  # of the particles that are drawn: over all that are feasible, whatever they lose
    renewed: int = 1  # of each level and iteration: particles that lose least give way to new ones, played at once
    hunt: Hunt | None = None
    temperature: tuple[float, float] = (0.10, 0.03)  # tau of the law that particles are drawn from, geometric
    average: float = 0.0  # memory of the average of the weights that is kept in the end; 0: the last ones

    def at(self, pair: tuple[float, float], iteration: int) -> float:
        """Return where a geometric schedule stands."""
        return pair[0] * (pair[1] / pair[0]) ** self._share(iteration)

    def rate_at(self, iteration: int) -> float:
        """Return the rate of the network's Adam."""
        return self.rate[0] + (self.rate[1] - self.rate[0]) * self._share(iteration)

    def _share(self, iteration: int) -> float:
        return iteration / max(1, self.iterations - 1)


ARMS = Recipe(  # without hunts: they cost as much as all else, and what they find is no worse than the particles
    iterations=400, drawn=48, rate=(5e-3, 1e-4), entropy=(0.01, 0.0002), adversary=0.05, renewed=2, average=0.98
)
FLAT = Recipe(
    iterations=400,
    drawn=48,
    rate=(4e-3, 1e-4),
    entropy=(0.03, 0.003),
    adversary=0.05,
    particles=64,
    renewed=4,
    average=0.99,
    hunt=HUNT,
)


def level_recipe(task: Task) -> Recipe:
    """Return how the policy of one level is trained, from scratch."""
    return ARMS if task.kind == "arms" else FLAT


def robust_recipe(task: Task) -> Recipe:
    """Return how the policy for all levels is trained."""
    if task.kind == "arms":
        return replace(ARMS, drawn=72)
    return replace(FLAT, iterations=700, drawn=96, particles=96)


def refined_recipe(task: Task) -> Recipe | None:
    """Return how such a policy is refined: many rollouts, small steps, and hunts all the time; None where it is not.

    Of 10 points a robust policy loses .27 .49 .61 .65 at worst, and refined .22 .46 .56 .59.
    """
    if task.kind == "arms":
        return None
    closer = Hunt(every=10, starts=24, steps=20, rate=0.12, rollouts=32, kept=8)
    return replace(
        FLAT,
        iterations=250,
        drawn=192,
        rate=(6e-4, 2e-5),
        entropy=(0.003, 0.002),
        adversary=0.03,
        particles=96,
        renewed=0,
        hunt=closer,
        temperature=(0.05, 0.03),
        average=0.98,
    )


def prior_recipe(task: Task) -> Recipe:
    """Return how a policy for a prior is trained: new means in every iteration, and nobody who looks for bad ones."""
    newcomers = Hunt(every=1, starts=16, steps=0, rollouts=1, kept=16)
    return replace(level_recipe(task), adversary=0.0, evenly=1.0, renewed=0, hunt=newcomers)
