"""One run of training: a network that descends, against particles that climb, on the same rollouts.

Each iteration draws M particles, mostly those that lose most by what their level allows, plays L rollouts of each, and
takes one Adam step of the network and one of the particles. A particle's share is softmax((loss - offset) / tau), the
exact maximiser of the mean gap minus tau times the divergence from even shares. An offset is what a policy of that
level alone was seen to lose; where the network itself loses less, its own loss takes that place, or the level would be
given up until it were as bad as a policy that was trained for too short a time.

Every draw is keyed by (seed, run, iteration), so a run that was saved goes on to the last digit on the same machine.

Source: Zhang, Jain, Jamieson, arXiv 2010.15382, sections 3 and 4. Departs from the paper: shares in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...engine.hardness.adversary import Particles
from ...engine.hardness.score_gradient import loss_gradient, score_gradient, tally
from ...engine.task import Array, Task
from .adam import Adam
from .bench import KEPT
from .networks import Weights, first_weights, network_for
from .objective import Histories, histories_of, log_softmax, objective_of
from .recipe import CLIP, LATELY, MEMORY, Hunt, Recipe

Play = Callable[[Weights, Array, int, int], tuple[Array, Array]]  # (weights, means, rollouts, seed) -> queries, answers


class Duel:
    """A network against the particles of one or several levels. `step` until `iteration` is `recipe.iterations`."""

    def __init__(
        self,
        task: Task,
        budget: int,
        levels: Sequence[float],
        offsets: Sequence[float],
        recipe: Recipe,
        key: tuple[int, ...],
        play: Play,
        easier: Sequence[float] = (),
        weights: Weights | None = None,
    ) -> None:
        """`key` names the draws of this run; `easier` levels are those that new particles of a level may be of, too.

        `weights` are those that the network begins with: by default it begins anew.
        """
        self.task, self.budget, self.recipe, self.key, self.play = task, budget, recipe, key, play
        self.easier = list(easier)
        self.iteration = 0
        rng = np.random.default_rng([*key, 0])
        self.network = network_for(task, budget)
        begun = first_weights(self.network, rng)
        self.present = _copies(begun if weights is None else weights)  # the weights as they are now
        self.average = _copies(self.present)
        self.adam = Adam(self.present)
        self.crowds = [Particles.start(task, level, recipe.particles, rng) for level in levels]
        self.offsets = np.asarray(offsets, dtype=np.float64)
        self.reached = self.offsets.copy()  # float64[levels], the worst loss of each level of late
        self.loss = np.zeros(len(levels) * recipe.particles)  # mean loss of each particle, as it was drawn
        self.drawn = np.zeros(len(self.loss), np.bool_)

    @property
    def worst(self) -> list[float]:
        """Return the largest mean loss of a particle of each level, so far as they were drawn."""
        losses = np.where(self.drawn, self.loss, 0.0).reshape(len(self.crowds), -1)
        return [float(loss) for loss in losses.max(axis=1)]

    def weights(self) -> Weights:
        """Return the weights to keep: the averaged ones where the recipe averages."""
        return self.average if self.recipe.average else self.present

    def step(self) -> None:
        """Make one iteration."""
        rng = np.random.default_rng([*self.key, 1 + self.iteration])
        means = np.concatenate([crowd.means() for crowd in self.crowds])
        feasible = np.concatenate([crowd.feasible() for crowd in self.crowds])
        chosen = self._draw_particles(feasible, rng)
        turned = rng.random(len(chosen)) < 0.5
        played = turn(self.task, means[chosen], turned)
        queries, answers = self.play(self.present, played, self.recipe.rollouts, int(rng.integers(2**63)))
        losses, law = self._descend(played, histories_of(queries, answers, self.task.n_queries))
        up = self._slope(played, queries, answers, losses, law)
        self._climb(chosen, turn_slope(self.task, up, turned))
        self._remember(chosen, losses.mean(axis=1))
        self.reached += LATELY * (np.array(self.worst) - self.reached)
        self._renew(feasible, rng)
        hunt = self.recipe.hunt
        if hunt is not None and self.iteration % hunt.every == 0:
            self._hunt(hunt, rng)
        self._average_weights()
        self.iteration += 1

    def _draw_particles(self, feasible: Array, rng: np.random.Generator) -> Array:
        """Return M particles: first those never drawn, then some evenly, and the rest by their shares."""
        fresh = rng.permutation(np.flatnonzero(feasible & ~self.drawn))[: self.recipe.drawn]
        rest = self.recipe.drawn - len(fresh)
        able = np.flatnonzero(feasible)
        known = np.flatnonzero(feasible & self.drawn)
        evenly = int(rng.binomial(rest, self.recipe.evenly)) if len(known) else rest
        chosen = [fresh, rng.choice(able, evenly)]
        if len(known):
            tau = self.recipe.at(self.recipe.temperature, self.iteration)
            offset = np.repeat(np.minimum(self.offsets, self.reached), self.recipe.particles)
            gap = (self.loss[known] - offset[known]) / tau
            share = np.exp(gap - gap.max())
            chosen.append(rng.choice(known, rest - evenly, p=share / share.sum()))
        return np.concatenate(chosen)

    def _descend(self, means: Array, histories: Histories) -> tuple[Array, Array]:
        """Take one step of the network; return losses float64[M, L] and the laws of the answers, float64[M, m]."""
        entropy = self.recipe.at(self.recipe.entropy, self.iteration)
        costs = np.repeat(self.task.losses(means), self.recipe.rollouts, axis=0).astype(np.float32)
        gradient, losses, laws = objective_of(self.network, self.present, histories, costs, len(means), entropy)
        self.adam.step(gradient, self.recipe.rate_at(self.iteration), CLIP)
        return losses, laws

    def _slope(self, means: Array, queries: Array, answers: Array, losses: Array, law: Array) -> Array:
        """Return the gradient of the loss by the means that were played, float64[M, n]."""
        counts, sums = tally(queries, answers, self.task.n_queries)
        through_answers = score_gradient(self.task, means, counts, sums, losses)
        return through_answers + loss_gradient(self.task, means, law)

    def _climb(self, chosen: Array, up: Array) -> None:
        gradient = np.zeros((len(self.loss), self.task.n_queries))
        np.add.at(gradient, chosen, up / len(chosen))
        for crowd, part in zip(self.crowds, np.split(gradient, len(self.crowds)), strict=True):
            crowd.climb(part, self.recipe.adversary)

    def _remember(self, chosen: Array, losses: Array) -> None:
        """Mix what particles lost this time into what they lost before."""
        times = np.bincount(chosen, minlength=len(self.loss))
        total = np.bincount(chosen, weights=losses, minlength=len(self.loss))
        now = total / np.maximum(times, 1)
        mixed = np.where(self.drawn, MEMORY * self.loss + (1.0 - MEMORY) * now, now)
        self.loss = np.where(times > 0, mixed, self.loss)
        self.drawn |= times > 0

    def _renew(self, feasible: Array, rng: np.random.Generator) -> None:
        """Replace the particles of each level that may not be played, or lose least: what nobody plays is forgotten."""
        value = np.where(feasible, self.loss, -1.0)
        for i, crowd in enumerate(self.crowds):
            own = np.arange(i * len(crowd.raw), (i + 1) * len(crowd.raw))
            known = own[self.drawn[own] | ~feasible[own]]
            least = known[np.argsort(value[known], kind="stable")[: self.recipe.renewed]]
            if len(least):
                row, level = least - own[0], rng.choice([*self.easier, crowd.level])
                crowd.raw[row] = Particles.start(self.task, level, len(row), rng).raw
                crowd.speed[row], crowd.power[row] = 0.0, 0.0
                self.drawn[least] = False

    def _hunt(self, hunt: Hunt, rng: np.random.Generator) -> None:
        """Climb from new starts against the network as it is; the worst take the places of those that lose least.

        Particles that climb with the network see what it does badly now, and not what it forgot: without hunts a policy
        of 10 points was at .14 against its own particles and at .25 against fresh ones.
        """
        for i, crowd in enumerate(self.crowds):
            start = Particles.start(self.task, rng.choice([*self.easier, crowd.level]), hunt.starts, rng)
            found = Particles(self.task, crowd.level, start.raw)
            for _ in range(hunt.steps):
                gradient, able = np.zeros_like(found.raw), found.feasible()
                if able.any():
                    gradient[able] = self._probe(found.means()[able], hunt.rollouts, rng)[1]
                found.climb(gradient, hunt.rate)
            raw = found.raw[found.feasible()]
            losses = (
                self._probe(found.means()[found.feasible()], 4 * hunt.rollouts, rng)[0] if len(raw) else np.zeros(0)
            )
            for best in np.argsort(-losses)[: hunt.kept]:
                self._settle(i, raw[best], float(losses[best]))

    def _settle(self, i: int, raw: Array, loss: float) -> None:
        """Put a particle that was found in the place of the one of its level that loses least."""
        crowd, own = self.crowds[i], slice(i * self.recipe.particles, (i + 1) * self.recipe.particles)
        least = int(np.where(crowd.feasible() & self.drawn[own], self.loss[own], -1.0).argmin())
        crowd.raw[least], crowd.speed[least], crowd.power[least] = raw, 0.0, 0.0
        self.loss[own][least], self.drawn[own][least] = loss, True

    def _probe(self, means: Array, rollouts: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the mean loss of the network at means, float64[M], and its gradient by them, float64[M, n]."""
        queries, answers = self.play(self.present, means, rollouts, int(rng.integers(2**63)))
        counts, sums = tally(queries, answers, self.task.n_queries)
        known = (each.reshape(-1, self.task.n_queries).astype(np.float32) for each in (counts, sums))
        scores = self.network.answer(self.present, *known).scores.astype(np.float64)
        law = np.exp(log_softmax(scores)).reshape(len(means), rollouts, -1)
        losses = (law * self.task.losses(means)[:, None, :]).sum(axis=-1)
        return losses.mean(axis=1), self._slope(means, queries, answers, losses, law.mean(axis=1))

    def _average_weights(self) -> None:
        """Average over the last iterations: what a game's players do on average is nearer to its solution."""
        memory = min(self.recipe.average, (self.iteration + 1) / (self.iteration + 10))
        for name, now in self.present.items():
            self.average[name] += np.float32(1.0 - memory) * (now - self.average[name])

    def arrays(self) -> dict[str, Array]:
        """Return all that `restore` needs, as arrays."""
        parts = {"network.": self.present, "average.": self.average, KEPT: self.weights()}
        parts |= {"adam.mean.": self.adam.mean, "adam.square.": self.adam.square}
        saved = {f"{part}{name}": value.copy() for part, held in parts.items() for name, value in held.items()}
        for i, crowd in enumerate(self.crowds):
            saved |= {f"crowd.{i}.{name}": getattr(crowd, name) for name in ("raw", "speed", "power")}
        steps = np.array([crowd.steps for crowd in self.crowds])
        return saved | {
            "loss": self.loss,
            "reached": self.reached,
            "drawn": self.drawn,
            "steps": steps,
            "iteration": np.array(self.iteration),
        }

    def restore(self, saved: dict[str, Array]) -> None:
        """Go on where `arrays` was taken."""
        self.iteration = int(saved["iteration"])
        self.present, self.average = _under(saved, "network."), _under(saved, "average.")
        self.adam = Adam(self.present)
        self.adam.steps = self.iteration
        self.adam.mean, self.adam.square = _under(saved, "adam.mean."), _under(saved, "adam.square.")
        for i, crowd in enumerate(self.crowds):
            crowd.raw, crowd.speed, crowd.power = (saved[f"crowd.{i}.{name}"] for name in ("raw", "speed", "power"))
            crowd.steps = int(saved["steps"][i])
        self.loss, self.drawn, self.reached = (saved[name].copy() for name in ("loss", "drawn", "reached"))


def turn(task: Task, means: Array, turned: Array) -> Array:
    """Return means as they are played: of thresholds those that are `turned`, bool[M], from the other end of the line.

    A line that is read backwards, with its signs turned, is as hard: so each particle stands for two.
    """
    if task.kind != "thresholds":
        return means
    other = (1.0 if task.answers == "bits" else 0.0) - means[:, ::-1]
    return np.where(turned[:, None], other, means)


def turn_slope(task: Task, slope: Array, turned: Array) -> Array:
    """Return the gradient by the particles' means, from that by the means as they were played."""
    return np.where(turned[:, None], -slope[:, ::-1], slope) if task.kind == "thresholds" else slope


def _copies(weights: Weights) -> Weights:
    return {name: value.copy() for name, value in weights.items()}


def _under(saved: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value.copy() for name, value in saved.items() if name.startswith(prefix)}
