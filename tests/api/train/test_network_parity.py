"""The networks that are trained and those of the engine answer the same, from the same arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onearm.api.train.networks import ArmNet, FlatNet, Network, arrays_of
from onearm.engine.task import best_arm, hypotheses, thresholds
from onearm.engine.trained.networks import arm_net, arm_work, flat_net, flat_work, outputs
from onearm.engine.vocabulary import Array

TABLE = np.random.default_rng(1).normal(size=(6, 3))


def shaken(network: Network) -> Network:
    """Return the network with weights in its last layer, which is zero at first."""
    torch.manual_seed(7)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def histories(k: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(k)
    count = rng.integers(0, 4, (40, k))
    total = np.where(count > 0, rng.normal(size=(40, k)) * count, 0.0)
    total[:10] = np.where(count[:10] > 0, count[:10] - 1, 0)  # ties
    count[0], total[0] = 0, 0.0
    return count, total


@pytest.mark.parametrize("task", [best_arm(2), best_arm(5), thresholds(4), hypotheses(TABLE)])
def test_torch_and_the_engine_answer_the_same(task) -> None:  # type: ignore[no-untyped-def]
    network = shaken(ArmNet(15) if task.kind == "arms" else FlatNet(task, 15))
    count, total = histories(task.n_queries)
    with torch.no_grad():
        logits, scores = network(torch.tensor(count, dtype=torch.float32), torch.tensor(total, dtype=torch.float32))
    if task.kind == "arms":
        net = arm_net(15, arrays_of(network))
        work = arm_work(net, task.n_queries)
    else:
        net = flat_net(15, task.table, arrays_of(network))
        work = flat_work(net)
    for i in range(5 if task.kind != "arms" else len(count)):  # a wide network takes 10 ms without the compiler
        outputs(net, count[i], count[i], total[i], work)
        assert np.abs(work.logits - logits[i].numpy()).max() < 1e-5
        assert np.abs(work.scores - scores[i].numpy()).max() < 1e-5
