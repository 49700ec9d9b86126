"""Follow the coefficients of a regression that drift: how far each pollster is off, which changes over the years.

Run it: python docs/examples/drifting_regression.py. A day's polls p and the average y that a statistician made of all
polls obey y - mean(p) = a . x, a the distances of the polls from their mean and 1, x what is decided: whom to believe
more, and what to add. The loss is (a . x - (y - mean(p)))^2 / 2; limits on the coefficients make a box. Features are
known when x is decided, so whoever has a forecast of y can forecast the gradient: here yesterday's y is one. (It hardly
moves in a day, and foretells better than the polls do; what is wanted are the coefficients, for a day without a y.)
The data, 1001 days, come with river, of the extra `examples`: its `TrumpApproval`.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from river import datasets

import onearm
from onearm.engine.domain import box
from onearm.engine.vectors.hindsight import best_by_descent
from onearm.policies.vectors.optimistic_ensemble import dynamic_certificate

DOMAIN = box([-0.5] * 5 + [-3.0], [0.5] * 5 + [3.0])
PIECES = 10
KNOWN = '"gradient_max":20,"smoothness":15'  # |a|^2 is 14 on most days


class Found(NamedTuple):
    """What a policy lost, and what it proves."""

    loss: float  # the sum over all days
    regret: float  # against the best fixed coefficients, of all days; below 0 where what drifts was followed
    bound: float  # the certificate: regret is never above it
    moving: float  # against the best coefficients of each tenth
    moving_bound: float  # what is proved of that; infinite where nothing is


def table():
    """Return the features, float64[days, 6], the target and a forecast of it, float64[days]."""
    rows = list(datasets.TrumpApproval())
    poll = np.array([[value for name, value in x.items() if name != "ordinal_date"] for x, _ in rows])
    truth, middle = np.array([y for _, y in rows]), poll.mean(axis=1)
    features = np.column_stack([poll - middle[:, None], np.ones(len(rows))])
    return features, truth - middle, np.append(truth[0], truth[:-1]) - middle


def best_fixed(features, target):
    """Return the coefficients in the box that would have been best, and what they lose in all."""
    square, right = features.T @ features, features.T @ target
    best = best_by_descent(DOMAIN, lambda x: square @ x - right, float(np.linalg.eigvalsh(square)[-1]))
    return best, 0.5 * float(((features @ best - target) ** 2).sum())


def best_of_pieces(features, target):
    """Return the best coefficients of each of ten equal pieces, what they lose, and the length of their path."""
    found = [
        best_fixed(*piece)
        for piece in zip(np.array_split(features, PIECES), np.array_split(target, PIECES), strict=True)
    ]
    path = float(sum(np.linalg.norm(after[0] - before[0]) for before, after in pairwise(found)))
    return sum(loss for _, loss in found), path


def run(policy, forecast=None):
    """Predict day by day. Where there is a forecast of the target, the gradient that it would bring is the hint."""
    features, target, _ = table()
    contexts = {} if forecast is None else {"context": features.shape[1]}
    learner = onearm.open(policy, domain=DOMAIN, horizon=len(target), **contexts)
    total, x = 0.0, DOMAIN.start
    for t, (a, y) in enumerate(zip(features, target, strict=True)):
        decision = learner.decide() if forecast is None else learner.decide(hint=(a @ x - forecast[t]) * a)
        x = decision.point
        total += 0.5 * (a @ x - y) ** 2
        learner.learn(decision, loss=0.5 * (a @ x - y) ** 2, gradient=(a @ x - y) * a)
    (pieces, path), policy, bound = best_of_pieces(features, target), learner.spec.policy, float("inf")
    if policy.name == "optimistic_ensemble":
        bound = dynamic_certificate(policy.params, learner.state, path).bound
    regret = total - best_fixed(features, target)[1]
    return Found(float(total), float(regret), learner.certificate.bound, float(total - pieces), bound)


def main():
    """Print what was lost."""
    features, target, yesterday = table()
    print(f"{'':42}{'loss':>8}{'regret':>9}{'certificate':>13}{'of tenths':>11}{'certificate':>13}")
    print(f"{'nothing learned: the mean of the polls':42}{0.5 * (target**2).sum():8.1f}")
    for name, policy, forecast in (
        ("optimistic_ftrl, told nothing", "optimistic_ftrl", None),
        ("optimistic_ftrl, told L", 'optimistic_ftrl:{"smoothness":15}', None),
        ("optimistic_ensemble", f"optimistic_ensemble:{{{KNOWN}}}", None),
        ("optimistic_ensemble, with the forecast", f'optimistic_ensemble:{{{KNOWN},"hint":"context"}}', yesterday),
    ):
        found = run(policy, forecast)
        first = f"{name:42}{found.loss:8.1f}{found.regret:9.1f}{found.bound:13.1f}"
        print(f"{first}{found.moving:11.1f}{found.moving_bound:13.1f}")
    print(f"{'the best fixed coefficients, afterwards':42}{best_fixed(features, target)[1]:8.1f}")
    print(f"{'the best of each tenth, afterwards':42}{best_of_pieces(features, target)[0]:8.1f}")


if __name__ == "__main__":
    main()
