"""One run of training: a network that descends, against particles that climb, on the same rollouts.

Each iteration draws M particles, mostly those that lose most by what their level allows, plays L rollouts of each, and
takes one Adam step of the network and one of the particles. A particle's share is softmax((loss - offset) / tau), the
exact maximiser of the mean gap minus tau times the divergence from even shares. An offset is what a policy of that
level alone was seen to lose; where the network itself loses less, its own loss takes that place, or the level would be
given up until it were as bad as a policy that was trained for too short a time.

The network's gradient is that of the mean of R over rollouts, R being the expected loss of the soft recommendation:
(R - b) grad sum ln p(query) + grad R, with b the mean R of the other rollouts of the same particle.

Every draw is keyed by (seed, run, iteration), so a run that was saved goes on to the last digit on the same machine.

Source: Zhang, Jain, Jamieson, arXiv 2010.15382, sections 3 and 4. Departs from the paper: shares in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...engine.hardness.adversary import Particles
from ...engine.hardness.score_gradient import advantages, loss_gradient, score_gradient, tally
from ...engine.task import Array, Task
from .adam import Adam
from .bench import KEPT
from .networks import Network, arrays_of, load_arrays, network_for
from .recipe import CLIP, LATELY, MEMORY, Hunt, Recipe

Weights = dict[str, Array]
Play = Callable[[Weights, Array, int, int], tuple[Array, Array]]  # (weights, means, rollouts, seed) -> queries, answers


@dataclass(frozen=True)
class Histories:
    """What T queries of M x L rollouts were and came to, step by step. B = M L."""

    queries: Tensor  # int64[T, B]
    count: Tensor  # float32[T + 1, B, n], before each query and in the end
    total: Tensor  # float32[T + 1, B, n]


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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            self.network = network_for(task, budget)
        if weights is not None:
            load_arrays(self.network, weights)
        self.adam = Adam(self.network.parameters())
        self.average = arrays_of(self.network)
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
        return self.average if self.recipe.average else arrays_of(self.network)

    def step(self) -> None:
        """Make one iteration."""
        rng = np.random.default_rng([*self.key, 1 + self.iteration])
        means = np.concatenate([crowd.means() for crowd in self.crowds])
        feasible = np.concatenate([crowd.feasible() for crowd in self.crowds])
        chosen = self._draw_particles(feasible, rng)
        turned = rng.random(len(chosen)) < 0.5
        played = turn(self.task, means[chosen], turned)
        queries, answers = self.play(arrays_of(self.network), played, self.recipe.rollouts, int(rng.integers(2**63)))
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
        costs = torch.from_numpy(np.repeat(self.task.losses(means), self.recipe.rollouts, axis=0)).float()
        objective, losses, law = objective_of(self.network, histories, costs, len(means), entropy)
        gradients = torch.autograd.grad(objective, self.adam.parameters)
        self.adam.step(gradients, self.recipe.rate_at(self.iteration), CLIP)
        return losses, law

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
        queries, answers = self.play(arrays_of(self.network), means, rollouts, int(rng.integers(2**63)))
        counts, sums = tally(queries, answers, self.task.n_queries)
        with torch.no_grad():
            scores = self.network(torch.from_numpy(counts).float(), torch.from_numpy(sums).float())[1]
        law = torch.softmax(scores, -1).double().numpy()
        losses = (law * self.task.losses(means)[:, None, :]).sum(axis=-1)
        return losses.mean(axis=1), self._slope(means, queries, answers, losses, law.mean(axis=1))

    def _average_weights(self) -> None:
        """Average over the last iterations: what a game's players do on average is nearer to its solution."""
        memory = min(self.recipe.average, (self.iteration + 1) / (self.iteration + 10))
        for name, now in arrays_of(self.network).items():
            self.average[name] += np.float32(1.0 - memory) * (now - self.average[name])

    def arrays(self) -> dict[str, Array]:
        """Return all that `restore` needs, as arrays."""
        saved = {f"network.{name}": value for name, value in arrays_of(self.network).items()}
        saved |= {f"average.{name}": value for name, value in self.average.items()}
        saved |= {f"{KEPT}{name}": value for name, value in self.weights().items()}
        for name in ("mean", "square"):
            saved |= {f"adam.{i}.{name}": value.numpy().copy() for i, value in enumerate(getattr(self.adam, name))}
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
        load_arrays(self.network, _under(saved, "network."))
        self.average = _under(saved, "average.")
        self.adam.steps = self.iteration
        for name in ("mean", "square"):
            for i, value in enumerate(getattr(self.adam, name)):
                value.copy_(torch.from_numpy(saved[f"adam.{i}.{name}"]))
        for i, crowd in enumerate(self.crowds):
            crowd.raw, crowd.speed, crowd.power = (saved[f"crowd.{i}.{name}"] for name in ("raw", "speed", "power"))
            crowd.steps = int(saved["steps"][i])
        self.loss, self.drawn, self.reached = (saved[name].copy() for name in ("loss", "drawn", "reached"))


def objective_of(
    network: Network, histories: Histories, costs: Tensor, particles: int, entropy: float
) -> tuple[Tensor, Array, Array]:
    """Return what a step makes smaller, the losses float64[M, L] and the mean laws of recommendations float64[M, m].

    `costs` float32[B, m] is what each recommendation costs in each rollout. The gradient of the first is unbiased.
    """
    logits, scores = network(histories.count, histories.total)
    log_law = torch.log_softmax(logits[:-1], -1)
    taken = log_law.gather(-1, histories.queries.unsqueeze(-1)).squeeze(-1).sum(0)
    spread = -(log_law.exp() * log_law).sum(-1).mean()
    law = torch.softmax(scores[-1], -1)
    loss = (law * costs).sum(-1)
    losses = loss.detach().double().numpy().reshape(particles, -1)
    advantage = torch.from_numpy(advantages(losses).ravel()).float()
    objective = (advantage * taken).mean() + loss.mean() - entropy * spread
    laws = law.detach().double().numpy().reshape(*losses.shape, -1)
    return objective, losses, laws.mean(axis=1)


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


def histories_of(queries: Array, answers: Array, n: int) -> Histories:
    """Rebuild from [M, L, T] queries and answers what the policy knew at every step."""
    flat = queries.reshape(-1, queries.shape[-1]).T
    asked = np.zeros((len(flat) + 1, flat.shape[1], n), np.float32)
    np.put_along_axis(asked[1:], flat[:, :, None], 1.0, axis=2)
    told = asked.copy()
    told[1:] *= answers.reshape(-1, answers.shape[-1]).T[:, :, None].astype(np.float32)
    count, total = (torch.from_numpy(steps.cumsum(axis=0, dtype=np.float32)) for steps in (asked, told))
    return Histories(torch.from_numpy(np.ascontiguousarray(flat)), count, total)


def _under(saved: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value.copy() for name, value in saved.items() if name.startswith(prefix)}
