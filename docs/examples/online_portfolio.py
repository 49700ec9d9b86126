"""Divide money among ten stocks, anew each day, and be nearly as rich as the best fixed division in hindsight.

Run it: python docs/examples/online_portfolio.py. The loss of weights x on a day of price relatives r is -ln(r . x). The
data, 1257 days, come with river, of the extra `examples`: its `SP500Stocks`, ten large companies from 2013 to 2018, who
were picked later, when it was known that they are large. Trades cost nothing here, so this is no advice.
"""

from typing import NamedTuple

import numpy as np
from river import datasets

import onearm
from onearm.engine.domain import simplex
from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

GRADIENT_MAX = 4.0  # |r| / (r . x): below sqrt(10) times the best stock of a day over its worst one


class Found(NamedTuple):
    """What became of a dollar, and what the policy proves."""

    wealth: float
    regret: float  # ln of the wealth of the comparator, over the policy's
    bound: float  # the certificate: regret is never above it


def relatives():
    """Return what a dollar in each stock becomes, day by day, float64[days, 10]."""
    return 1.0 + np.array([list(returns.values()) for returns, _ in datasets.SP500Stocks()]) / 100.0


def simulated(policy, days):
    """Let a policy that learns from gradients play; its comparator is the best fixed mix, rebalanced each day."""
    world = envs.make("portfolio", relatives=days.tolist())
    curves = simulate(policies.parse(policy), world, horizon=len(days))
    return Found(float(np.exp(curves.reward[0, -1])), float(curves.regret[0, -1]), float(curves.bound[0, -1]))


def weighed(policy, days):
    """Let a policy that learns from the loss of every stock play; its comparator is the best single stock."""
    broker = onearm.open(policy, domain=simplex(days.shape[1]), feedback="losses")
    growth = 0.0
    for day in days:
        decision = broker.decide()
        growth += np.log(day @ decision.point)
        broker.learn(decision, losses=-np.log(day))
    return Found(float(np.exp(growth)), float(np.log(days).sum(axis=0).max() - growth), broker.certificate.bound)


def main():
    """Print what became of a dollar."""
    days = relatives()
    print(f"{'':44}{'wealth':>8}{'regret':>9}{'certificate':>13}")
    print(f"{'a stock, on average':44}{days.prod(axis=0).mean():8.2f}")
    print(f"{'the same in each stock, every day':44}{days.mean(axis=1).prod():8.2f}")
    for policy in (
        "gradient_descent",
        "optimistic_ftrl",
        f'optimistic_newton:{{"gradient_max":{GRADIENT_MAX:g},"alpha":1}}',
    ):
        found = simulated(policy, days)
        print(f"{policy:44}{found.wealth:8.2f}{found.regret:9.3f}{found.bound:13.3f}")
        mix = found.wealth * np.exp(found.regret)
    found = weighed('optimistic_hedge:{"scale":0.05}', days)  # a stock seldom moves by more than 5 % a day
    print(f"{'optimistic_hedge, against the best stock':44}{found.wealth:8.2f}{found.regret:9.3f}{found.bound:13.3f}")
    print(f"{'the best stock, known afterwards':44}{days.prod(axis=0).max():8.2f}")
    print(f"{'the best fixed mix, known afterwards':44}{mix:8.2f}")


if __name__ == "__main__":
    main()
