"""Are actions drawn by the laws that a log has? Where it has them whole, whatever is done instead can be bet on.

A log that has the probability of every action, not only of the one that was taken, can be held against any other way to
draw: where that gives the action a probability of r and the log says q, r / q is on average 1 while the log is right.
The products of these over all decisions are a capital each, 1 at the start; their mean is an e-process, and with
probability 1 - alpha it never reaches 1 / alpha. The other ways to draw are

    powers    law^b, for b of 0 (evenly among what is possible), 1/2, 2 and 8 (nearly always the likeliest one)
    tilts     the law, and with a chance of 1/16 or 1/2 one action for sure; or one that is taken less often by as much
    swaps     in half of all decisions, the law with two actions' labels exchanged
    shifts    in half of all decisions, the law of labels that are one too high, or one too low

Each of the four families has a quarter of the capital at the start, and its members share that evenly.

Source: Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023 (likelihood
ratios as bets).
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .capital import log_mean
from .eprocess import EProcess

_POWERS = (0.0, 0.5, 2.0, 8.0)
_SHARES = (1.0 / 16.0, 1.0 / 2.0)
_SWAPPED = 20  # with more actions swaps are of those beside each other: of 20 there are 190
_ROUNDING = 1e-6  # by which the sum of a law may miss 1
_PAGE = 1 << 14  # decisions at once


def law_e_process(action: Array, law: Array, alpha: float = 0.05) -> EProcess:
    """Test whether actions, int64[n], are drawn by laws, float64[n, k], whose rows are probabilities that add up to 1.

    The alarm is looked for after every decision; `at` and `log_e` have the end alone.

    Refuses: actions that are no column or have the probability 0, laws with entries below 0 and those that do not add
    up to 1. Cost: O(n k), and O(n) memory for each member.

    >>> rng = np.random.default_rng(0)
    >>> law = rng.dirichlet([1.0, 1.0, 1.0], 1000)
    >>> drawn = (rng.random((1000, 1)) > law.cumsum(axis=1)).sum(axis=1)
    >>> law_e_process(drawn, law).alarm_at, law_e_process((drawn + 1) % 3, law).alarm_at
    (None, 7)
    """
    action, law = np.ascontiguousarray(action, np.int64), np.asarray(law, np.float64)
    _check(action, law)
    if not 0.0 < alpha < 1.0:
        raise InvalidInput("alpha", f"alpha is {alpha}: it must be in (0, 1), as 0.05")
    n, k = law.shape
    families = [_powers, _tilts, *([_swaps, _shifts] if k > 1 else [])]
    grown = [np.zeros(0)] * len(families)  # ln of the capital of each member
    log_e, alarm = 0.0, None
    for first in range(0, n, _PAGE):
        page = slice(first, first + _PAGE)
        of_families = []
        for number, family in enumerate(families):
            steps = family(action[page], law[page])  # float64[members, rows]
            before = grown[number] if len(grown[number]) else np.zeros(len(steps))
            path = before[:, np.newaxis] + np.cumsum(steps, axis=1)
            grown[number] = path[:, -1]
            of_families.append(log_mean(path, axis=0))
        capital = log_mean(np.array(of_families), axis=0)
        log_e = float(capital[-1])
        reached = capital >= -math.log(alpha)
        if alarm is None and reached.any():
            alarm = first + int(reached.argmax()) + 1
    return EProcess(np.array([n] if n else [], np.int64), np.array([log_e] if n else []), alarm)


def _powers(action: Array, law: Array) -> Array:
    """Return ln(r / q) where the law is sharper or flatter, float64[powers, rows]."""
    rows, possible = np.arange(len(law)), law > 0.0
    relative = np.log(np.where(possible, law / law.max(axis=1, keepdims=True), 1.0))
    found = []
    for power in _POWERS:
        sharper = np.where(possible, np.exp(power * relative), 0.0)
        found.append(np.log(sharper[rows, action] / sharper.sum(axis=1) / law[rows, action]))
    # Half of each is the law itself: what a sharp one calls all but impossible would end the bet.
    return np.logaddexp(np.array(found), 0.0) - math.log(2.0)


def _tilts(action: Array, law: Array) -> Array:
    """Return ln(r / q) where one action is taken more often, or less, float64[4 k, rows]."""
    chosen = action == np.arange(law.shape[1])[:, np.newaxis]
    own = law.T
    found = []
    for share in _SHARES:
        with np.errstate(divide="ignore"):
            found.append(np.log(1.0 - share + np.where(chosen, share / np.where(own > 0.0, own, 1.0), 0.0)))
        # All but this one share what it loses: each has (1 - (1 - share) own) / (1 - own) times its probability.
        rest = np.where(own < 1.0, 1.0 - own, 1.0)
        found.append(np.log(np.where(chosen & (own < 1.0), 1.0 - share, (1.0 - (1.0 - share) * own) / rest)))
        found[-1][own >= 1.0] = 0.0
    return np.concatenate(found)


def _swaps(action: Array, law: Array) -> Array:
    """Return ln(r / q) where two labels are exchanged in half of all decisions, float64[pairs, rows]."""
    rows, k = np.arange(len(law)), law.shape[1]
    pairs = list(combinations(range(k), 2)) if k <= _SWAPPED else [(i, i + 1) for i in range(k - 1)]
    found = np.zeros((len(pairs), len(law)))
    for one, (i, j) in enumerate(pairs):
        other = np.where(action == i, j, np.where(action == j, i, action))
        found[one] = np.log(0.5 + 0.5 * law[rows, other] / law[rows, action])
    return found


def _shifts(action: Array, law: Array) -> Array:
    """Return ln(r / q) where labels are one off in half of all decisions, float64[2, rows]."""
    rows, k = np.arange(len(law)), law.shape[1]
    return np.array([np.log(0.5 + 0.5 * law[rows, (action + by) % k] / law[rows, action]) for by in (-1, 1)])


def _check(action: Array, law: Array) -> None:
    if law.ndim != 2 or action.shape != law.shape[:1] or not law.shape[1]:
        raise InvalidInput(
            "law",
            f"there are {action.shape} actions and laws of the shape {law.shape}: laws must have a row for each "
            "action that was taken, and a column for each that there is",
        )
    if not len(action):
        return
    wrong = (action < 0) | (action >= law.shape[1])
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidInput("action", f"row {row} has action {action[row]}: it must be in 0 .. {law.shape[1] - 1}")
    wrong = ~((law >= 0.0).all(axis=1) & (np.abs(law.sum(axis=1) - 1.0) <= _ROUNDING))
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidInput(
            "law",
            f"the law of row {row} adds up to {law[row].sum():.9g}, its least entry is {law[row].min():g}: "
            "probabilities must be 0 or more, and add up to 1",
        )
    wrong = law[np.arange(len(law)), action] == 0.0
    if wrong.any():
        row = int(wrong.argmax())
        raise InvalidInput("law", f"row {row} has action {action[row]}, whose probability there is 0: it cannot happen")
