"""What decisions cost: the cost of each action, an account of what was spent, and the price that keeps it in balance.

The account holds an overdraft, in decisions' worth of the limit: max(0, overdraft + (cost - allowed) / limit) after
each. Where the limit is allowed each time, any n decisions in a row spend at most (n + what the overdraft has grown by)
times the limit, whatever the costs were: that is arithmetic, and supposes nothing. The price grows with the overdraft,
so that what has run ahead is paid back.
Source: the dual step of Agrawal and Devanur, "Linear contextual bandits with knapsacks", NIPS 2016, as lazy mirror
descent (dual averaging) with the step STEP / sqrt(1 + sum of squared steps) of Duchi, Hazan, Singer, JMLR 2011; older
squares count less, so that the price moves as fast after a year as after a day.

>>> account = empty_account()
>>> charge(account, 30.0, 10.0, 10.0, 1.0)
>>> charge(account, 5.0, 10.0, 10.0, 1.0)
>>> float(account.overdraft[0]), float(account.spent[0]), round(float(price_of(account)), 6)
(1.5, 35.0, 1.309307)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array, Instance

STEP = 2.0  # 4 spends as much and earns a percent less on prompts and models; 1 runs twice as far ahead of the limit


class Account(NamedTuple):
    """What was spent, and how far that is ahead of the limit."""

    overdraft: Array  # float64[1] >= 0, in decisions' worth of the limit
    square: Array  # float64[1] sum of the squared steps of the overdraft; older ones count less
    spent: Array  # float64[1] sum of all costs
    decisions: Array  # int64[1] how many were charged


class ArmCosts(NamedTuple):
    """Costs of arms that are numbered once for all: as listed, and as they have been."""

    listed: Array  # float64[k]
    mean: Array  # float64[k] of what was paid, the listed cost as the first of them
    times: Array  # float64[k] how many that are


class ActionCosts(NamedTuple):
    """Costs of actions that come with each call: one of their features."""

    place: Array  # int64[1] which of them


def empty_account() -> Account:
    """Return the account before any decision."""
    return Account(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.int64))


def arm_costs(listed: Array) -> ArmCosts:
    """Return the costs of k arms before any was paid, `listed` float64[k]."""
    return ArmCosts(listed.copy(), listed.copy(), np.ones(len(listed)))


@kernel
def charge(account: Account, cost: float, allowed: float, limit: float, keep: float) -> None:
    """Enter a decision, and what it was allowed to cost; of the squared steps before it the share `keep` stays."""
    step = (cost - allowed) / limit
    account.decisions[0] += 1
    account.spent[0] += cost
    account.square[0] = keep * account.square[0] + step * step
    account.overdraft[0] = max(account.overdraft[0] + step, 0.0)


@kernel
def correct(account: Account, more: float, limit: float) -> None:
    """Enter what a decision cost more than it was charged, or less."""
    step = more / limit
    account.spent[0] += more
    account.square[0] += step * step
    account.overdraft[0] = max(account.overdraft[0] + step, 0.0)


@kernel
def price_of(account: Account) -> float:
    """Return what a decision's worth of the limit is worth now, in standard deviations of the reward; >= 0."""
    return STEP * account.overdraft[0] / math.sqrt(1.0 + account.square[0])


@generic
def listed_cost(costs: Any, instance: Instance, action: int) -> float:
    """Return what an action is said to cost; >= 0."""
    return KERNELS[type(costs)]["listed_cost"](costs, instance, action)


@generic
def expected_cost(costs: Any, instance: Instance, action: int) -> float:
    """Return what an action is expected to cost, by what was paid; >= 0."""
    return KERNELS[type(costs)]["expected_cost"](costs, instance, action)


@generic
def learn_cost(costs: Any, action: int, cost: float, window: float) -> None:
    """Learn what an action cost; the mean is that of the last `window` or so."""
    KERNELS[type(costs)]["learn_cost"](costs, action, cost, window)


@kernel
def _listed_of_arm(costs: ArmCosts, instance: Instance, arm: int) -> float:
    return costs.listed[arm]


@kernel
def _mean_of_arm(costs: ArmCosts, instance: Instance, arm: int) -> float:
    return costs.mean[arm]


@kernel
def _learn_of_arm(costs: ArmCosts, arm: int, cost: float, window: float) -> None:
    costs.times[arm] = min(costs.times[arm] + 1.0, window)
    costs.mean[arm] += (cost - costs.mean[arm]) / costs.times[arm]


@kernel
def _told_by_action(costs: ActionCosts, instance: Instance, action: int) -> float:
    return max(instance.context[action, costs.place[0]], 0.0)


@kernel
def _learn_nothing(costs: ActionCosts, action: int, cost: float, window: float) -> None:
    pass


register(ArmCosts, listed_cost=_listed_of_arm, expected_cost=_mean_of_arm, learn_cost=_learn_of_arm)
register(ActionCosts, listed_cost=_told_by_action, expected_cost=_told_by_action, learn_cost=_learn_nothing)
