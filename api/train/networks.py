"""The two networks that are trained, in PyTorch: what they see of a history, and what they answer.

A history is two rows: how often each query was answered, and the sum of its answers. A network answers with the logits
of the next query, float32[..., n], and the scores of the hypotheses, float32[..., m]: a plug-in score plus a learned
correction. Corrections and query logits are zero at first, so that an untrained network asks uniformly.
`engine/trained/networks.py` computes the same from the same arrays, decision by decision.

Departs from the paper, whose sizes are not known: features and sizes are ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ...engine.task import Task

Array = np.ndarray[Any, Any]
PLUG_IN = 4.0  # times the mean of an arm
Z_FLOOR = -8.0  # of the runner-up's z: a lead beyond it looks as safe as one can be


class ArmNet(nn.Module):
    """Best arm: one small network for every arm, so that permuting arms permutes what it answers.

    Each arm has 8 features -> 32 -> 32, joined by the mean and the maximum over arms (96) -> 32 -> 2 outputs: 4,514
    parameters for any number of arms.

    >>> net = ArmNet(budget=10)
    >>> sum(weight.numel() for weight in net.parameters())
    4514
    """

    def __init__(self, budget: int) -> None:
        super().__init__()
        self.budget = budget
        self.layers = nn.ModuleList([nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(96, 32), nn.Linear(32, 2)])
        _silence(self.layers[-1])

    def forward(self, count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Return query logits and scores, [..., k] each, for float32[..., k] counts and sums of answers."""
        features, mean = arm_features(count, total, self.budget)
        hidden = torch.relu(self.layers[1](torch.relu(self.layers[0](features))))
        pooled = torch.cat([hidden.mean(-2), hidden.amax(-2)], -1)
        weight, bias = _linear(self.layers[2]).weight, _linear(self.layers[2]).bias
        own, shared = linear(hidden, weight[:, :32]), linear(pooled, weight[:, 32:], bias)  # shared: once for all arms
        out = self.layers[3](torch.relu(own + shared.unsqueeze(-2)))
        return out[..., 0], out[..., 1] + PLUG_IN * mean


def arm_features(count: Tensor, total: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Return the features [..., k, 8] of all arms, and their means [..., k], 0 for unseen ones.

    n/T, 1/sqrt(n + 1/2), z/2, gap/2, leader, leader times the runner-up's z/2, unseen, t/T. The gap is the mean minus
    the best mean, z the gap over its standard deviation; both are 0 for unseen arms. Tied leaders share the leader's
    flag, and have a runner-up's z of 0.
    """
    seen = count > 0.0
    mean = total / count.clamp(min=1.0)
    best = mean.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True)
    gap = torch.where(seen, mean - best, torch.zeros_like(mean))
    leader = seen & (gap == 0.0)
    leaders = leader.sum(-1, keepdim=True)
    leader_count = torch.where(leader, count, torch.zeros_like(count)).amax(-1, keepdim=True)
    others = seen & ~leader
    z = torch.where(others, gap / torch.sqrt(1.0 / count.clamp(min=1.0) + 1.0 / leader_count.clamp(min=1.0)), 0.0 * gap)
    runner_up = z.masked_fill(~others, Z_FLOOR).amax(-1, keepdim=True).clamp(min=Z_FLOOR)
    share = leader / leaders.clamp(min=1)
    safety = torch.where(leaders == 1, runner_up, torch.zeros_like(runner_up))
    t = (count.sum(-1, keepdim=True) / budget).expand_as(count)
    features = [
        count / budget,
        torch.rsqrt(count + 0.5),
        0.5 * z,
        0.5 * gap,
        share,
        share * (0.5 * safety),
        (~seen).to(count.dtype),
        t,
    ]
    return torch.stack(features, -1), mean


class FlatNet(nn.Module):
    """Any table of hypotheses: [n/4, s/2, (<z, s> - max)/4, t/T] -> 96 -> 96 -> n query logits and m corrections.

    >>> from onearm.engine.task import thresholds
    >>> net = FlatNet(thresholds(10), budget=20)
    >>> sum(weight.numel() for weight in net.parameters())
    14517
    """

    table: Tensor

    def __init__(self, task: Task, budget: int) -> None:
        super().__init__()
        self.budget = budget
        self.n_queries = task.n_queries
        m = task.n_hypotheses
        self.layers = nn.ModuleList(
            [nn.Linear(2 * self.n_queries + m + 1, 96), nn.Linear(96, 96), nn.Linear(96, self.n_queries + m)]
        )
        self.register_buffer("table", torch.tensor(task.table, dtype=torch.float32), persistent=False)
        _silence(self.layers[-1])

    def forward(self, count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Return query logits [..., n] and scores [..., m], for float32[..., n] counts and sums of answers."""
        value = total @ self.table.T
        t = count.sum(-1, keepdim=True) / self.budget
        best = value.amax(-1, keepdim=True)
        features = torch.cat([0.25 * count, 0.5 * total, 0.25 * (value - best), t], -1)
        out = self.layers[2](torch.relu(self.layers[1](torch.relu(self.layers[0](features)))))
        return out[..., : self.n_queries], out[..., self.n_queries :] + value


Network = ArmNet | FlatNet


def network_for(task: Task, budget: int) -> Network:
    """Return an untrained network for a task; its first weights come from torch's generator."""
    return ArmNet(budget) if task.kind == "arms" else FlatNet(task, budget)


def arrays_of(network: Network) -> dict[str, Array]:
    """Return the weights as float32 arrays w1, b1, w2, b2, .. of shape [out, in] and [out]: copies."""
    arrays = {}
    for i, layer in enumerate(map(_linear, network.layers), start=1):
        arrays[f"w{i}"] = layer.weight.detach().numpy().copy()
        arrays[f"b{i}"] = layer.bias.detach().numpy().copy()
    return arrays


def load_arrays(network: Network, arrays: dict[str, Array]) -> None:
    """Write arrays as `arrays_of` returns them into a network."""
    with torch.no_grad():
        for i, layer in enumerate(map(_linear, network.layers), start=1):
            layer.weight.copy_(torch.from_numpy(arrays[f"w{i}"]))
            layer.bias.copy_(torch.from_numpy(arrays[f"b{i}"]))


def _linear(layer: nn.Module) -> nn.Linear:
    """Return a layer of a network as what it is: torch says only that it is a module."""
    assert isinstance(layer, nn.Linear)
    return layer


def _silence(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
