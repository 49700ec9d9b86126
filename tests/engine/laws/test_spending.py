"""The account by hand, the price that follows it, and costs of arms and of actions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.laws import spending
from onearm.engine.vocabulary import Instance


def test_the_account_by_hand() -> None:
    """Limit 2: costs 6, 1 and 0 move the overdraft by 2, -.5 and -1; a correction of 3 by 1.5 more."""
    account = spending.empty_account()
    for cost, overdraft, square in [(6.0, 2.0, 4.0), (1.0, 1.5, 2.25), (0.0, 0.5, 2.125)]:
        spending.charge(account, cost, 2.0, 2.0, 0.5)
        assert (account.overdraft[0], account.square[0]) == (overdraft, square)
    spending.correct(account, 3.0, 2.0)
    assert (account.overdraft[0], account.square[0]) == (2.0, 4.375)
    assert (account.spent[0], account.decisions[0]) == (10.0, 3)
    assert spending.price_of(account) == spending.STEP * 2.0 / math.sqrt(5.375)


def test_what_was_saved_is_no_credit() -> None:
    account = spending.empty_account()
    for _ in range(100):
        spending.charge(account, 0.0, 2.0, 2.0, 1.0)
    assert account.overdraft[0] == spending.price_of(account) == 0.0
    spending.charge(account, 4.0, 2.0, 2.0, 1.0)
    assert account.overdraft[0] == 1.0


def test_what_is_allowed_may_be_less_than_the_limit() -> None:
    account = spending.empty_account()
    spending.charge(account, 2.0, 0.5, 2.0, 1.0)
    assert account.overdraft[0] == 0.75


def test_costs_of_arms_become_the_mean_of_the_last_ones() -> None:
    costs = spending.arm_costs(np.array([1.0, 4.0]))
    at = Instance(0, np.zeros(0), np.ones(2, np.bool_))
    spending.learn_cost(costs, 1, 8.0, 3.0)
    assert (spending.listed_cost(costs, at, 1), spending.expected_cost(costs, at, 1)) == (4.0, 6.0)
    for _ in range(2):
        spending.learn_cost(costs, 1, 9.0, 3.0)
    assert spending.expected_cost(costs, at, 1) == 7.0 + (9.0 - 7.0) / 3.0  # three count, no more
    assert spending.expected_cost(costs, at, 0) == 1.0


@pytest.mark.parametrize(("told", "cost"), [(5.0, 5.0), (-1.0, 0.0)])
def test_costs_of_actions_are_a_feature(told: float, cost: float) -> None:
    costs = spending.ActionCosts(np.array([1]))
    at = Instance(0, np.array([[9.0, told], [7.0, 2.0]]), np.ones(2, np.bool_))
    spending.learn_cost(costs, 0, 100.0, 3.0)
    assert spending.listed_cost(costs, at, 0) == spending.expected_cost(costs, at, 0) == cost
    assert spending.listed_cost(costs, at, 1) == 2.0
