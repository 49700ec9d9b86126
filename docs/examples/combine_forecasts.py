"""Combine the forecasts of five pollsters, where the truth comes a week late.

Run it: python docs/examples/combine_forecasts.py [days of delay]. Five pollsters say each day how many of a hundred
approve of a president; the truth to be foretold is the average that a statistician made of all polls. What is decided
are weights. The data, 1001 days, come with river, of the extra `examples`: its `TrumpApproval`.
"""

import sys
from typing import NamedTuple

import numpy as np
from river import datasets

import onearm
from onearm.engine.domain import simplex
from onearm.engine.vectors.hindsight import best_by_descent, best_for_slope

POLLSTERS = ("gallup", "ipsos", "morning_consult", "rasmussen", "you_gov")


class Found(NamedTuple):
    """What a policy lost, and what it proves."""

    loss: float  # (error of the weighted forecast)^2 / 2, the mean over all days
    regret: float  # the sum over the days whose truth came, against the best fixed weights for what was told
    bound: float  # the certificate: regret is never above it
    weights: np.ndarray  # float64[5] of the last day


def polls():
    """Return the forecasts, float64[days, 5], and the truth, float64[days]."""
    rows = list(datasets.TrumpApproval())
    return np.array([[x[name] for name in POLLSTERS] for x, _ in rows]), np.array([truth for _, truth in rows])


def run(policy, feedback, delay):
    """Weigh the pollsters day by day; `feedback` says whether each one is judged ("losses"), or the mixture."""
    forecast, truth = polls()
    weigher = onearm.open(policy, domain=simplex(len(POLLSTERS)), feedback=feedback)
    decided, loss, told = [], [], []
    for today in range(len(truth)):
        decided.append(weigher.decide())  # today's weights
        loss.append(0.5 * (forecast[today] @ decided[today].point - truth[today]) ** 2)
        if (day := today - delay) >= 0:  # the truth of that day is known by now
            off = forecast[day] @ decided[day].point - truth[day]
            if feedback == "losses":
                told.append(0.5 * (forecast[day] - truth[day]) ** 2)
                weigher.learn(decided[day], losses=told[-1])
            else:
                weigher.learn(decided[day], loss=0.5 * off**2, gradient=off * forecast[day])
    known = len(truth) - delay
    if feedback == "losses":
        mine = sum(float(losses @ made.point) for losses, made in zip(told, decided, strict=False))
        best = best_for_slope(simplex(len(POLLSTERS)), sum(told)) @ sum(told)
    else:
        mine, best = sum(loss[:known]), best_mixture(forecast[:known], truth[:known])[1]
    return Found(float(np.mean(loss)), float(mine - best), weigher.certificate.bound, decided[-1].point)


def best_mixture(forecast, truth):
    """Return the fixed weights that would have been best, and what they lose in all."""
    error = forecast - truth[:, None]  # weights add up to 1: the error of the mixture is the mixture of the errors
    square = error.T @ error
    weights = best_by_descent(simplex(error.shape[1]), lambda x: square @ x, float(np.linalg.eigvalsh(square)[-1]))
    return weights, 0.5 * float(weights @ square @ weights)


def main(delay=7):
    """Print who lost how much."""
    forecast, truth = polls()
    alone = 0.5 * ((forecast - truth[:, None]) ** 2).mean(axis=0)
    print(f"{'':44}{'loss a day':>11}{'regret':>9}{'certificate':>13}")
    print(f"{'a pollster, on average':44}{alone.mean():11.3f}")
    print(f"{'the best pollster, known afterwards':44}{alone.min():11.3f}")
    print(f"{'equal weights':44}{0.5 * ((forecast.mean(axis=1) - truth) ** 2).mean():11.3f}")
    for policy, feedback in (
        ("optimistic_hedge", "losses"),
        ("gradient_descent", "gradient"),
        ("optimistic_ftrl", "gradient"),
    ):
        found = run(policy, feedback, delay)
        name = f"{policy}, {'each pollster' if feedback == 'losses' else 'the mixture'} is judged"
        print(f"{name:44}{found.loss:11.3f}{found.regret:9.1f}{found.bound:13.1f}")
    print(f"{'the best fixed weights, known afterwards':44}{best_mixture(forecast, truth)[1] / len(truth):11.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
