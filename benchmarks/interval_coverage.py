"""How often intervals hold what they say: coverage, miscoverage over all times, and what they cost.

Run: python benchmarks/interval_coverage.py [--json] [--repeats 500] [--paths 2000] [--intervals]. Writes
results/coverage.json; with --intervals these alone are measured, and the rest stays as it is there.

intervals   biased logs of 2,000 decisions are drawn from a data set whose rewards are all known (the digits of
            scikit-learn: ten arms, reward 1 for the digit shown), and the target's true value is in 95 % of the
            intervals, or it is not
sequences   paths of 5,000 decisions; the capital at the true value is looked at after every one, by the bettors'
            product itself and not by what the package stores
seconds     of CPU of each at a million decisions
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine
from numba import njit
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits

from onearm.engine.estimate import difference, sequence
from onearm.engine.estimate.binomial import clopper_pearson
from onearm.engine.estimate.bootstrap import bootstrap
from onearm.engine.estimate.diagnostics import diagnose
from onearm.engine.estimate.doubly_robust import dm, dr, tuned_dros, tuned_switch_dr
from onearm.engine.estimate.embedding import marginal_weights, mips
from onearm.engine.estimate.eprocess import weight_e_process
from onearm.engine.estimate.interval import empirical_bernstein, normal
from onearm.engine.estimate.likelihood import empirical_likelihood, weighted_likelihood
from onearm.engine.estimate.terms import Interval, Terms
from onearm.engine.estimate.weighting import ips, match, snips

RESULT = Path(__file__).resolve().parent / "results" / "coverage.json"
CONSOLE = Console(stderr=True)
LEVEL = 0.95
DECISIONS = 2000
STEPS = 5000
EVENTS = 1_000_000
RUNS = 5
Array = np.ndarray[Any, Any]


class Digits(NamedTuple):
    """Contexts of which all is known, float64[contexts, 10] each."""

    reward: Array
    logger: Array  # its law
    target: Array
    model: Array  # predicted rewards, fitted on other rows

    @property
    def value(self) -> float:
        return float((self.target * self.reward).sum(axis=1).mean())


def digits() -> Digits:
    """Return the digits as a bandit; what the policies and the model know comes from rows that are left out."""
    data = load_digits()
    x = np.column_stack([data.data / 16.0, np.ones(len(data.data))])
    reward = (data.target[:, None] == np.arange(10)).astype(float)
    score = {rows: x[rows:] @ _ridge(x[:rows], reward[:rows]) for rows in (60, 200, 500)}
    logger = 0.7 * _softmax(4.0 * score[60][440:]) + 0.03
    target = 0.9 * _softmax(12.0 * score[200][300:]) + 0.01
    return Digits(reward[500:], logger, target, np.clip(score[500], 0.0, 1.0))


def _ridge(x: Array, y: Array) -> Array:
    return np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)


def _softmax(score: Array) -> Array:
    power = np.exp(score - score.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def draw_log(world: Digits, law: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return contexts and actions drawn by `law`, int64[n] each."""
    row = rng.integers(0, len(law), n)
    cumulative = np.cumsum(law, axis=1)[row]
    return row, np.minimum((rng.random((n, 1)) * cumulative[:, -1:] > cumulative).sum(axis=1), law.shape[1] - 1)


def terms_of(world: Digits, n: int, rng: np.random.Generator) -> Iterator[tuple[Terms, float]]:
    """Yield terms of every estimator, and the value that they estimate."""
    row, action = draw_log(world, world.logger, n, rng)
    reward, propensity, target = (column[row, action] for column in (world.reward, world.logger, world.target))
    expected = (world.target * world.model).sum(axis=1)[row]
    yield ips(reward, propensity, target), world.value
    yield snips(reward, propensity, target), world.value
    modelled = reward, propensity, target, world.model[row, action], expected
    yield dr(*modelled), world.value
    yield dm(expected, dr(*modelled).base), world.value
    yield tuned_switch_dr(*modelled).terms, world.value
    yield tuned_dros(*modelled).terms, world.value
    by_category = marginal_weights(world.logger[row], world.target[row], action, np.arange(10) // 2)
    yield mips(reward, by_category, dr(*modelled).base), world.value
    uniform = np.full_like(world.logger, 0.1)
    row, action = draw_log(world, uniform, n, rng)
    greedy = world.target.argmax(axis=1)
    yield (
        match(world.reward[row, action], action == greedy[row]),
        float(world.reward[range(len(greedy)), greedy].mean()),
    )


def intervals_of(terms: Terms, weight_max: float, seed: int) -> Iterator[Interval]:
    """Yield all intervals that apply."""
    yield normal(terms)
    yield bootstrap(terms, seed=seed)
    yield empirical_likelihood(terms)
    if terms.method == "match":
        yield clopper_pearson(terms)
        yield empirical_bernstein(terms, 0.0, 1.0)
    elif terms.corrected is None:
        yield weighted_likelihood(terms)
    if terms.method in ("ips", "dr"):
        yield empirical_bernstein(terms, 0.0 if terms.method == "ips" else -weight_max, 1.0 + weight_max)


def coverage(repeats: int, n: int) -> list[dict[str, Any]]:
    """Return how often each interval covered the true value, and its mean width."""
    world = digits()
    weight_max = float((world.target / world.logger).max())
    hits: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    for repeat in track(range(repeats), f"intervals of {n} decisions", console=CONSOLE, transient=True):
        for terms, value in terms_of(world, n, np.random.default_rng([n, repeat])):
            for found in intervals_of(terms, weight_max, repeat):
                covers = found.low <= value <= found.high
                hits.setdefault((terms.method, found.method), []).append((covers, found.high - found.low))
    return [
        {
            "estimator": estimator,
            "interval": interval,
            "decisions": n,
            "repeats": len(each),
            "covered": sum(covers for covers, _ in each) / len(each),
            "width": statistics.mean(width for _, width in each),
        }
        for (estimator, interval), each in hits.items()
    ]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def most_capital(size: Array, share: Array, shift: Array, terms: Array, mean: float) -> float:
    """Return the largest capital that bets on `terms`, float64[j, n], ever had at the true mean: by the definition."""
    capital = share.copy()
    most = 0.0
    for t in range(terms.shape[1]):
        total = 0.0
        for j in range(len(size)):
            capital[j] *= (1.0 + size[j] * terms[j, t]) / (1.0 + size[j] * (mean + shift[j]))
            total += capital[j]
        most = max(most, total)
    return most


class Walk(NamedTuple):
    """A path of decisions, float64[n], between two policies, of which the first is judged."""

    reward: Array
    propensity: Array
    target: Array
    other: Array
    predicted: Array
    expected: Array
    values: tuple[float, float]  # of the target and the other
    weight_max: float


def paths(kind: str, count: int, steps: int) -> Iterator[Walk]:
    """Yield paths with the true values of two policies; `kind` says what is hard about them."""
    k = 5
    for number in range(count):
        rng = np.random.default_rng([sum(map(ord, kind)), number])
        law = np.full(k, 0.2) if kind == "uniform" else np.array([0.8, 0.14, 0.04, 0.015, 0.005])
        target = np.array([0.02, 0.08, 0.2, 0.3, 0.4]) if kind != "uniform" else np.array([0.0, 0.0, 0.0, 0.0, 1.0])
        other = np.array([0.05, 0.05, 0.1, 0.4, 0.4])
        mean = {"rare": np.array([2, 4, 6, 8, 3]) / 1000, "certain": np.ones(k)}.get(
            kind, np.array([2, 8, 5, 6, 3]) / 10
        )
        model = np.array([0.9, 0.1, 0.4, 0.7, 0.5]) if kind == "wrong model" else mean
        action = rng.choice(k, steps, p=law)
        reward = (rng.random(steps) < mean[action]).astype(float)
        yield Walk(
            reward,
            law[action],
            target[action],
            other[action],
            model[action],
            np.full(steps, float(target @ model)),
            (float(target @ mean), float(other @ mean)),
            float(np.max(np.maximum(target, other) / law)),
        )


def miscovered(path: Walk, variant: str) -> tuple[bool, bool]:
    """Tell whether the lower, and the upper, end ever was beyond the true value."""
    weight, against = path.target / path.propensity, path.other / path.propensity
    value, gap = path.values[0], path.values[0] - path.values[1]
    plain = np.broadcast_to(weight * path.reward, (len(sequence.BETS), len(weight)))
    mirrored = np.broadcast_to(weight - weight * path.reward, plain.shape)
    bounded = (len(sequence.BOUNDED_BETS), len(weight))
    if variant == "difference":
        state, means = difference.start(path.weight_max), (gap, -gap)
        both = weight + against
        centre = sequence.running_mean(np.zeros(4), both, both * path.reward)
        robust = (weight - against) * (path.reward - centre)
        first = weight * path.reward + against * (1.0 - path.reward)
        second = against * path.reward + weight * (1.0 - path.reward)
        below = np.vstack([np.broadcast_to(first, plain.shape), np.broadcast_to(robust, bounded)])
        above = np.vstack([np.broadcast_to(second, plain.shape), np.broadcast_to(-robust, bounded)])
    elif variant == "plain":
        state, means = sequence.start(), (value, 1.0 - value)
        below, above = plain, mirrored
    else:
        state, means = sequence.start(path.weight_max), (value, 1.0 - value)
        if variant == "doubly robust":
            robust = path.expected + weight * (path.reward - path.predicted)
        else:
            centre = sequence.running_mean(np.zeros(4), weight, weight * path.reward)
            robust = centre + weight * (path.reward - centre)
        below = np.vstack([plain, np.broadcast_to(robust, bounded)])
        above = np.vstack([mirrored, np.broadcast_to(1.0 - robust, bounded)])
    limit = 2.0 / (1.0 - LEVEL)
    bets = state.size, state.share, state.shift
    return most_capital(*bets, below, means[0]) >= limit, most_capital(*bets, above, means[1]) >= limit


def sequences(count: int) -> list[dict[str, Any]]:
    """Return how many paths were miscovered at any time, for each kind of paths and each variant."""
    found = []
    for kind in ("uniform", "heavy", "rare", "certain", "wrong model"):
        for variant in ("plain", "bounded", "doubly robust", "difference"):
            title = f"sequences: {kind}, {variant}"
            ends = [
                miscovered(path, variant)
                for path in track(paths(kind, count, STEPS), title, count, console=CONSOLE, transient=True)
            ]
            found.append(
                {
                    "world": kind,
                    "variant": variant,
                    "paths": count,
                    "decisions": STEPS,
                    "miscovered": sum(low or high for low, high in ends) / count,
                    "low_above": sum(low for low, _ in ends) / count,
                    "high_below": sum(high for _, high in ends) / count,
                }
            )
    return found


def seconds() -> dict[str, float]:
    """Return the median seconds of CPU of each at a million decisions, warm."""
    rng = np.random.default_rng(3)
    propensity = rng.choice([0.1, 0.3, 0.6], EVENTS)
    target, predicted, expected = rng.random(EVENTS), rng.random(EVENTS), rng.random(EVENTS)
    reward = (rng.random(EVENTS) < 0.3).astype(float)
    action = rng.integers(0, 10, EVENTS)
    weighted = ips(reward, propensity, target)
    varied = ips(reward, propensity, propensity * rng.uniform(0.4, 1.6, EVENTS))
    columns = reward, propensity, target
    each: dict[str, Callable[[], object]] = {
        "dr and normal": lambda: normal(dr(*columns, predicted, expected)),
        "normal": lambda: normal(weighted),
        "bootstrap of 1000": lambda: bootstrap(weighted),
        "empirical likelihood": lambda: empirical_likelihood(weighted),
        "weighted likelihood": lambda: weighted_likelihood(varied),
        "clopper_pearson": lambda: clopper_pearson(match(reward, action == 3)),
        "confidence sequence": lambda: sequence.confidence_sequence(*columns),
        "confidence sequence, bounded": lambda: sequence.confidence_sequence(*columns, weight_max=10.0),
        "difference sequence, bounded": lambda: difference.difference_sequence(*columns, predicted, weight_max=10.0),
        "e-process of weights": lambda: weight_e_process(np.minimum(target / propensity, 10.0), 10.0),
        "diagnose": lambda: diagnose(propensity, target, action, 10),
    }
    found = {}
    for name, run in track(each.items(), "seconds", len(each), console=CONSOLE, transient=True):
        run()
        times = []
        for _ in range(RUNS):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        found[name] = round(statistics.median(times), 4)
    return found


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the results as JSON and not as tables")
    parser.add_argument("--repeats", type=int, default=500, metavar="N", help="logs drawn for the intervals")
    parser.add_argument("--paths", type=int, default=2000, metavar="N", help="paths of each world")
    parser.add_argument(
        "--intervals", action="store_true", help="leave sequences and seconds as they are in the results"
    )
    arguments = parser.parse_args()
    started = machine()
    before = json.loads(RESULT.read_text()) if arguments.intervals else {}
    result = before | {"machine": started, "level": LEVEL, "true_value": digits().value}
    result["intervals"] = coverage(arguments.repeats, DECISIONS)
    if not arguments.intervals:
        result |= {"sequences": sequences(arguments.paths), "seconds": seconds()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(result))
        return
    for row in result["intervals"]:
        print(f"{row['estimator']:6} {row['interval']:22} covers {row['covered']:.3f}, width {row['width']:.4f}")
    for row in result["sequences"]:
        print(f"{row['world']:12} {row['variant']:14} miscovered {row['miscovered']:.4f}")
    for name, took in result["seconds"].items():
        print(f"{name:30} {took:7.3f} s")


if __name__ == "__main__":
    main()
