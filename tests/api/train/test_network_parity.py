"""The networks that are trained and those of the engine answer the same, from the same arrays."""

from __future__ import annotations

import numpy as np
import pytest
from support.shaken import shaken

from onearm.api.train.networks import network_for
from onearm.engine.task import Task, best_arm, hypotheses, thresholds
from onearm.engine.trained.networks import arm_net, arm_work, flat_net, flat_work, outputs
from onearm.engine.vocabulary import Array

TABLE = np.random.default_rng(1).normal(size=(6, 3))


def histories(k: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(k)
    count = rng.integers(0, 4, (40, k))
    total = np.where(count > 0, rng.normal(size=(40, k)) * count, 0.0)
    total[:10] = np.where(count[:10] > 0, count[:10] - 1, 0)  # ties
    count[0], total[0] = 0, 0.0
    return count, total


@pytest.mark.parametrize("task", [best_arm(2), best_arm(5), thresholds(4), hypotheses(TABLE)])
def test_what_is_trained_and_the_engine_answer_the_same(task: Task) -> None:
    network = network_for(task, 15)
    weights = shaken(network, 0.2)
    count, total = histories(task.n_queries)
    answered = network.answer(weights, count.astype(np.float32), total.astype(np.float32))
    if task.kind == "arms":
        net = arm_net(15, weights)
        work = arm_work(net, task.n_queries)
    else:
        net = flat_net(15, task.table, weights)
        work = flat_work(net)
    for i in range(5 if task.kind != "arms" else len(count)):  # a wide network takes 10 ms without the compiler
        outputs(net, count[i], count[i], total[i], work)
        assert np.abs(work.logits - answered.logits[i]).max() < 1e-5
        assert np.abs(work.scores - answered.scores[i]).max() < 1e-5
