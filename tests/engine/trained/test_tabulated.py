"""A table asked like a network: its outputs are the logarithms of its laws, state by state."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from support.small_artefacts import table_laws

from onearm.engine.task import best_arm, thresholds
from onearm.engine.trained.networks import outputs
from onearm.engine.trained.tables import TablePolicy, binomials, table_row
from onearm.engine.trained.tabulated import tabulated, tabulated_work


@pytest.mark.parametrize("task", [best_arm(2, "bits"), best_arm(2, "signs"), thresholds(2)])
def test_every_state_finds_its_laws(task) -> None:  # type: ignore[no-untyped-def]
    budget = 3
    laws = table_laws(task, budget)
    policy = TablePolicy(task, budget, laws["query"], laws["recommendation"])
    table = tabulated(policy)
    work = tabulated_work(table)
    sums = binomials(2, budget)
    seen = 0
    for count in product(range(budget + 1), repeat=2):
        for up in product(range(count[0] + 1), range(count[1] + 1)):
            answered = sum(count)
            if answered > budget:
                continue
            counts, ups = np.array(count), np.array(up)
            total = (ups if task.answers == "bits" else 2 * ups - counts).astype(np.float64)
            outputs(table, counts + 1, counts, total, work)
            row = table_row(sums, counts, ups)
            assert np.exp(work.scores) == pytest.approx(laws["recommendation"][row], abs=1e-12)
            if answered < budget:
                assert np.exp(work.logits) == pytest.approx(laws["query"][row], abs=1e-12)
            else:
                assert work.logits.tolist() == [0.0, 0.0]
            seen += 1
    assert seen == len(laws["recommendation"])


def test_more_answers_than_the_budget_leave_all_alike() -> None:
    task = best_arm(2, "bits")
    laws = table_laws(task, 3)
    table = tabulated(TablePolicy(task, 3, laws["query"], laws["recommendation"]))
    work = tabulated_work(table)
    outputs(table, np.array([4, 0]), np.array([4, 0]), np.array([4.0, 0.0]), work)
    assert work.logits.tolist() == work.scores.tolist() == [0.0, 0.0]
    outputs(table, np.array([1, 0]), np.array([1, 0]), np.array([1e9, -5.0]), work)  # no answer leads out of the table
    assert np.exp(work.logits).sum() == pytest.approx(1.0)
