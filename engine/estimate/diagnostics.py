"""Can the estimates of this log be trusted? What the weights look like, and whether the propensities hold.

>>> action = np.tile([0, 1, 2, 3], 500)
>>> quarter = np.full(2000, 0.25)
>>> found = diagnose(quarter, (action == 2).astype(float), action, 4)
>>> found.effective_sample_size, found.overlap, found.actions.p_value, found.warnings
(500.0, 0.25, 1.0, [])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .blocks import summed
from .counts import Actions, count_actions, drawn_evenly
from .eprocess import EProcess, action_e_process, weight_e_process
from .ordered import LONG, SHORT, at_ranks, by_cells, largest, quantiles, ranks_of
from .weighting import weights
from .whole_law import law_e_process

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
_HEAVY = 0.7  # a Pareto k from which on means converge too slowly to be trusted: Vehtari et al. 2024
_OF_WEIGHTS, _OF_ARMS, _OF_LAW, _OF_COUNTS = 0.4, 0.25, 0.25, 0.1  # shares of alpha: what each test may err
_REFUTED = 1e-6  # a p-value below which propensities cannot be true
_SEEN = 0.99  # a share of decisions with a reward, below which the others may tell another story
_FEW = 100.0  # an effective sample size below which normal intervals cover too little
_LEANS = 0.1  # a share of all weight that one decision may carry; with more its reward is the value
_FAR = 2.0  # times 1, up or down, from which on an average weight is no accident of a long log
_LONG = 100  # decisions of a log that is looked at so
UNREACHABLE = 0.01  # a share of decisions, or of what a target does, that may be for sure and is not worth a word
_ROUNDING = 1e-8  # by which propensities of 1 / k may be below it, and a little more
_LONG_ENOUGH = 25  # weights, for a tail of 5


class Tail(NamedTuple):
    """How large the weights get."""

    quantiles: dict[str, float]  # of the weights, by their shares
    top_share: float  # of all weight, carried by the largest 1 % of the rows
    pareto_k: float  # shape of the tail; NaN where there are too few weights


class Diagnostics(NamedTuple):
    """What is known of a log for one target."""

    decisions: int
    rewarded: float  # share of the decisions whose reward came; NaN where it was not told
    effective_sample_size: float  # Kish 1965
    overlap: float  # share of the rows whose action the target may take
    propensity_min: float  # the smallest one logged
    weight_mean: float
    weight_error: float  # the standard error of that mean
    tail: Tail
    weights: EProcess  # against: weights average 1
    actions: Actions | None
    rare: float  # a p-value of the counts below which they are called wrong
    arms: EProcess | None  # against: each arm's 1{action = a} / propensity averages 1, and large ones are rare
    law: EProcess | None  # against: actions are drawn by the whole laws; None where these are not told
    unreachable: float  # share of the target's actions where the log took another one for sure
    useless: str | None  # why no estimate by weights must be used, in plain words
    warnings: list[str]  # in plain words; none where all is well

    @property
    def refuted(self) -> float | None:
        """A p-value of the logged propensities, where they cannot be true; of a million true logs at most 3 have one.

        It is that of the counts of actions, or one over the largest capital of a bet on actions. The weights of a
        target are left out: they may be wrong because it takes actions that the logger never does.
        """
        bets = [each for each in (self.arms, self.law) if each is not None]
        found = [math.exp(-float(each.log_e.max(initial=0.0))) for each in bets]
        found += [] if self.actions is None else [self.actions.p_value]
        least = min(found, default=1.0)
        return least if least < _REFUTED else None


class Draws(NamedTuple):
    """What is known of how a log drew its actions, whatever the target."""

    actions: Actions | None
    arms: EProcess | None  # against: each arm's 1{action = a} / propensity averages 1, and large ones are rare
    law: EProcess | None  # against: actions are drawn by the whole laws; None where these are not told


def diagnose(
    propensity: Array,
    target: Array,
    action: Array | None = None,
    n_arms: int | None = None,
    decisions: int | None = None,
    rewarded: int | None = None,
    propensity_min: float | None = None,
    alpha: float = 0.01,
    drawn: tuple[Array, Array] | None = None,
    law: Array | None = None,
) -> Diagnostics:
    """Return what the logged propensities and the target's probabilities, float64[n], say of a log.

    `action` int64[n] in 0 .. n_arms - 1 adds the counts; `decisions` and `rewarded` the share of rewards that came.
    Where rewards are missing, `drawn` gives the actions and propensities of all decisions, int64[m] and float64[m]:
    what is said of actions is said of these, and nothing is without them, for rewards may come more often after some
    arms. A weight that is not known counts as 0 then, as if it had come first: they average at most 1 still.

    `law`, float64[m, k], has the probabilities of all actions at each of the decisions of `drawn`, or of the n where
    that is not given (none where rewards are missing): it finds what single propensities cannot, as swapped labels.

    `propensity_min` is the logger's floor, known beforehand. Without it, and where the arms were not drawn evenly, only
    weights that are too large are found: too small ones may wait for one not seen yet. In no more than a share `alpha`
    of logs with true propensities any warning says that they are false, whatever these propensities are.

    Source: Kish 1965; Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", 2024 (tail);
    Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", 2019; `eprocess`.
    Assumes: every arm can be taken at every decision, for what is said of actions; nothing is said of them where the
    log took one for sure, with propensity 1, in more than a hundredth of its decisions.
    Refuses: unknown propensities, and those outside (0, 1].
    """
    return diagnose_each(
        propensity,
        [target],
        action=action,
        n_arms=n_arms,
        decisions=decisions,
        rewarded=rewarded,
        propensity_min=propensity_min,
        alpha=alpha,
        drawn=drawn,
        law=law,
    )[0]


def diagnose_each(
    propensity: Array,
    targets: Sequence[Array],
    *,
    action: Array | None = None,
    n_arms: int | None = None,
    decisions: int | None = None,
    rewarded: int | None = None,
    propensity_min: float | None = None,
    alpha: float = 0.01,
    drawn: tuple[Array, Array] | None = None,
    law: Array | None = None,
    room: Callable[[int], Array] = np.empty,
) -> list[Diagnostics]:
    """Return what `diagnose` does for each of several targets on one log, of which the draws are looked at once.

    `propensity`, float64[n], `action`, int64[n], `drawn` and `law`, float64[m, k], are as there. Each target is
    float64[n].
    `alpha` is the share of logs where any of them has a warning that propensities are false. `room` returns an array
    for as many numbers, into which weights are written: those of long logs may lie in files.
    """
    propensity, n = np.asarray(propensity, np.float64), len(propensity)
    missing = max(0, decisions - max(rewarded, n)) if decisions is not None and rewarded is not None else 0
    found: list[Diagnostics] = []
    draws: Draws | None = None
    floor: float | None = None
    for target in targets:
        weight = weights(propensity, target, "diagnose", room(n))
        if draws is None:
            if drawn is None and action is not None and not missing:
                drawn = np.asarray(action, np.int64), propensity
            draws, floor = _draws(drawn, n_arms, propensity_min, alpha, law), _floor(propensity, n_arms, propensity_min)
        most = None if floor is None or missing else max(1.0, float(np.asarray(target).max())) / floor
        of_weights = _OF_WEIGHTS * alpha / len(targets)
        bets = weight_e_process(weight, most, of_weights, missing=missing)
        mean = float(weight.mean()) if n else math.nan
        one = Diagnostics(
            decisions=n if decisions is None else decisions,
            rewarded=rewarded / decisions if rewarded is not None and decisions else math.nan,
            effective_sample_size=_effective(weight),
            overlap=float(np.count_nonzero(weight)) / n if n else math.nan,
            propensity_min=float(propensity.min()) if n else math.nan,
            weight_mean=mean,
            weight_error=_deviation(weight, mean) / math.sqrt(n) if n else math.nan,
            tail=weight_tail(weight),
            weights=bets,
            actions=draws.actions,
            rare=_OF_COUNTS * alpha,
            arms=draws.arms,
            law=draws.law,
            unreachable=unreachable(propensity, target),
            useless=None if missing else _useless(weight),
            warnings=[],
        )
        one.warnings.extend(_warnings(one, n, of_weights))
        found.append(one)
    return found


def _draws(
    drawn: tuple[Array, Array] | None,
    n_arms: int | None,
    propensity_min: float | None,
    alpha: float,
    law: Array | None,
) -> Draws:
    """Return what speaks against the propensities of actions; nothing where actions are unknown, or taken for sure."""
    of_law = None if law is None or drawn is None else law_e_process(drawn[0], law, _OF_LAW * alpha)
    if drawn is None or n_arms is None or (n_arms > 1 and _sure(drawn[1]) > UNREACHABLE):
        return Draws(None, None, of_law)
    arms = action_e_process(*drawn, n_arms, _floor(drawn[1], n_arms, propensity_min), _OF_ARMS * alpha)
    return Draws(count_actions(*drawn, n_arms), arms, of_law)


def _effective(weight: Array) -> float:
    """Return how many equal weights would say as much: Kish 1965."""
    square = summed(len(weight), lambda rows: np.square(weight[rows]))
    return float(weight.sum()) ** 2 / square if square > 0.0 else 0.0


def _deviation(weight: Array, mean: float) -> float:
    """Return the standard deviation of weights."""
    return math.sqrt(summed(len(weight), lambda rows: np.square(weight[rows] - mean)) / len(weight))


def _floor(propensity: Array, n_arms: int | None, known: float | None) -> float | None:
    """Return what no propensity can be below: what is known of the logger, or what arms have that are drawn evenly."""
    if known is None:
        return (1.0 - _ROUNDING) / n_arms if n_arms is not None and drawn_evenly(propensity, n_arms) else None
    if len(propensity) and (smallest := float(propensity.min())) < known:
        raise InvalidInput(
            "propensity_min", f"a propensity of {smallest:g} was logged: propensity_min is {known:g}, below all"
        )
    return known


def _sure(propensity: Array) -> float:
    """Return the share of decisions at which the log took its action for sure."""
    return float((propensity >= 1.0).mean()) if len(propensity) and not propensity.max() < 1.0 else 0.0


def unreachable(propensity: Array, target: Array) -> float:
    """Return which share of its actions a target would take where the log took another one for sure.

    `propensity` and `target`, float64[n], are those of the logged action. Where its propensity is 1 the log never takes
    any other, and so no reward says what that would have brought.

    >>> unreachable(np.array([1.0, 1.0, 0.5, 0.5]), np.array([0.2, 1.0, 0.0, 1.0]))
    0.2
    """
    propensity, target, n = np.asarray(propensity), np.asarray(target), len(propensity)

    def missed(rows: slice) -> Array:
        return np.where(propensity[rows] >= 1.0, 1.0 - np.minimum(target[rows], 1.0), 0.0)

    if n and propensity.max() < 1.0:  # as in most logs, of which there is nothing to add up
        return 0.0
    return summed(n, missed) / n if n else math.nan


def weight_tail(weight: Array) -> Tail:
    """Return quantiles of the weights, the share of the largest 1 %, and the Pareto k of the positive ones."""
    n = len(weight)
    if not n or not weight.max() > 0.0:
        return Tail({}, math.nan, math.nan)
    top, ranks, positive = math.ceil(n / 100), ranks_of(QUANTILES, n), int(np.count_nonzero(weight))
    count = min(n, max(top, _of_tail(positive) + 1))
    if SHORT < n <= LONG:
        both = by_cells(weight, np.concatenate([ranks, np.arange(n - count, n)]))
        ranked, ordered = both[: len(ranks)], both[len(ranks) :]
    elif n <= SHORT:
        parted = np.partition(weight, np.unique([*ranks, n - count]))  # a third of what sorting takes
        ranked, ordered = parted[ranks], np.sort(parted[n - count :])
    else:
        ranked, ordered = at_ranks(weight, ranks), largest(weight, count)
    share = float(ordered[-top:].sum()) / float(weight.sum())
    named = dict(zip(map(str, QUANTILES), quantiles(ranked, QUANTILES, n), strict=True))
    return Tail(named, share, pareto_k(ordered[-min(positive, len(ordered)) :], positive))


def _of_tail(n: int) -> int:
    """Return how many of n weights are their tail."""
    return math.ceil(min(n / 5.0, 3.0 * math.sqrt(n)))


def pareto_k(ordered: Array, n: int | None = None) -> float:
    """Return the shape of the generalised Pareto tail of weights that ascend; NaN below 25, -inf where all are equal.

    There are n of them, of which these may be the largest alone.

    Source: Zhang, Stephens, "A new and efficient estimation method for the generalized Pareto distribution", 2009, on
    the largest min(n / 5, 3 sqrt(n)) weights, with the weak prior of Vehtari et al. 2024.
    """
    n = len(ordered) if n is None else n
    if n < _LONG_ENOUGH:
        return math.nan
    m = _of_tail(n)
    excess = ordered[-m:] - ordered[-m - 1]
    if not excess[-1] > 1e-12 * ordered[-1]:
        return -math.inf
    excess = excess[excess > 0.0]
    m = len(excess)
    if m < 5:
        return math.nan
    points = 30 + math.floor(math.sqrt(m))
    quartile = excess[math.floor(m / 4.0 + 0.5) - 1]
    b = 1.0 / excess[-1] + (1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-b[:, None] * excess).mean(axis=1)
    # Where b is 0, as it can be where all excesses are equal, the tail is exponential, and -b / shape 1 / their mean.
    rate = np.where(shape == 0.0, 1.0 / excess.mean(), -b / np.where(shape == 0.0, 1.0, shape))
    profile = m * (np.log(rate) - shape - 1.0)
    likeliest = np.exp(profile - profile.max())
    centre = float((b * likeliest).sum() / likeliest.sum())
    k = float(np.log1p(-centre * excess).mean())
    return (m * k + 5.0) / (m + 10.0)


def _useless(weight: Array) -> str | None:
    """Return why weights say nothing, None where they may."""
    n, total = len(weight), float(weight.sum())
    if n < _LONG or total == 0.0:
        return None
    if (share := float(weight.max()) / total) > _LEANS:
        return (
            f"do not use this value: one decision of {n:,} carries {share:.0%} of all weight (its own is "
            f"{weight.max():,.3g}), so that its reward decides; choose a target nearer to the log, or log more "
            "exploration"
        )
    if not 1.0 / _FAR <= total / n <= _FAR:
        return (
            f"do not use this value: the weights add up to {total / n:.3g} n instead of n, the number of decisions: "
            "the log hardly tried what this target does, or its propensities are wrong; choose a target nearer to the "
            "log, or log more exploration"
        )
    return None


def _warnings(found: Diagnostics, n: int, alpha: float) -> list[str]:
    """Say in plain words what speaks against trusting the estimates."""
    if n == 0:
        return ["the log has no decisions"]
    if found.overlap == 0.0:
        return ["the target never takes an action that was logged: nothing can be said of it"]
    said = []
    if found.rewarded < _SEEN:
        share = 100.0 * found.rewarded
        said.append(f"a reward was seen of {share:.3g} % of the decisions: the others may have brought more, or less")
    if found.rewarded > 1.0:
        said.append(f"there are more rewards than decisions ({found.rewarded:.3g} for each): some were joined twice")
    if found.useless is not None and found.unreachable <= UNREACHABLE:
        said.insert(0, found.useless)
    if found.unreachable > UNREACHABLE:
        said.append(
            f"{100.0 * found.unreachable:.3g} % of what the target does was never tried: there the log took another "
            "action for sure (propensity 1), and no estimate can tell what it would have brought; log decisions of a "
            "policy that draws, or put floor around yours"
        )
        return said
    if found.weights.alarm_at is not None:
        said.append(
            f"the weights do not average 1 (mean {found.weight_mean:.3g}, found after {found.weights.alarm_at} "
            f"decisions, at an error of {alpha:g}): logged propensities are not those by which actions "
            "were drawn, or the target takes actions that the logger never does"
        )
    if found.arms is not None and found.actions is not None and found.arms.alarm_at is not None:
        said.append(
            f"arms are not taken as often as their propensities promise (found after {found.arms.alarm_at} decisions): "
            + _most_wrong(found.actions)
        )
    if found.law is not None and found.law.alarm_at is not None:
        said.append(
            f"actions are not drawn by the probabilities that the log has of all of them (found after "
            f"{found.law.alarm_at} decisions): look whether its columns are in the order of the actions, and whether "
            "what is logged is what was drawn from"
        )
    if found.actions is not None and found.actions.p_value < found.rare:
        said.append(
            f"sample-ratio mismatch: counts of actions like these have a chance of {found.actions.p_value:.2g} under "
            "the logged propensities"
        )
    if found.effective_sample_size < _FEW:
        said.append(
            f"the weights leave {found.effective_sample_size:.1f} decisions' worth of evidence: normal intervals are "
            "too short; use a confidence sequence or Clopper-Pearson"
        )
    if found.tail.pareto_k > _HEAVY:
        said.append(
            f"the weights have a heavy tail (Pareto k {found.tail.pareto_k:.2f}, above {_HEAVY}): a few decisions "
            "decide the estimate; clip the weights, or use dr with a good model"
        )
    return said


def _most_wrong(actions: Actions) -> str:
    """Say which arm was taken too often, or that the likeliest were, whichever is farther from what was promised."""
    average = actions.promised / actions.counts.sum()
    z, crowd = actions.z, actions.likeliest
    if not np.nanmax(z, initial=0.0) >= crowd.z:
        return (
            f"propensities above 1 / {crowd.arms + 1} come too often, as if the likeliest action were taken and not "
            f"drawn: 1 / ({crowd.arms} propensity) of these averages {crowd.average:.3g}, and can be 1 at most"
        )
    # An arm of which too little came may be a rare one: it is named where all have come too seldom.
    arm = int(np.argmax(average) if average.max() > 1.0 else np.argmin(average))
    return f"1 / propensity of arm {arm} averages {average[arm]:.3g} and not 1"
