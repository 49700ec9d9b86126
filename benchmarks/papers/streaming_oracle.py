"""Figures of an independent implementation, and how ours compare: mean regrets, ratios, slopes, arms held.

That one draws exact binomial batches, makes exactly T trials and charges every pull, as ours does. Its seeds are its
own, so figures agree within 4 standard errors of their difference, half a percent, and half a unit of the last digit.
A figure is written as mean(standard error), ratios to uniform exploration without it: `ratio_error` says what is known.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, NamedTuple

RUNS_MIN = 10  # below, our own standard errors say little
ERRORS, SHARE = 4.0, 0.005  # of the tolerance
SLOPE = 0.02  # the tolerance of a slope

UNIFORM, UNIT = "uniform_exploration", 'uniform_exploration:{"pulls":"unit"}'
NAIVE, LOG, LOGLOG, LOGSTAR = "naive_commit", 'levels:{"kind":"log"}', 'levels:{"kind":"loglog"}', "levels"
KING, THINNED, LADDER, EARLY = "king", 'king:{"thinned":true}', "record_ladder", "early_drop"
ALONE = 'early_drop:{"lend":false}'  # the rule that the figures below are of

# At the sizes of the paper, T = 1000 K^beta, 100 runs (K = 50 000: 10): regret of uniform, ratios to it of the others
RATIOS = (NAIVE, LOG, LOGLOG, LOGSTAR, KING, THINNED, UNIT, ALONE, LADDER)
SIZES = """
clear 500   5e5     4.133e4(9e2)   2.42  0.541 0.535 0.705 0.858 1.30  0.761 0.219  0.459
clear 500   2.5e8   2.701e6(4e3)   2.315 0.417 0.479 0.652 0.375 0.941 0.373 0.0138 0.201
clear 500   1.25e11 1.867e8(3e5)   2.110 0.380 0.436 0.594 0.341 0.858 0.340 0.0085 0.184
clear 5000  2.5e10  1.3493e8(7e4)  2.955 0.385 0.372 0.612 0.347 0.870 0.347 0.0017 0.176
clear 5000  1.25e14 4.367e10(2e7)  2.670 0.348 0.336 0.553 0.314 0.785 0.313 0.0009 0.159
clear 50000 1.25e17 1.0036e13(4e9) 3.181 0.326 0.317 0.519 0.294 0.733 0.294 0.0001 0.147
mix   500   5e5     5.974e4(2e2)   2.59  0.452 0.466 0.551 0.501 1.134 0.464 0.097  0.301
mix   500   2.5e8   4.203e6(1e4)   2.313 0.395 0.408 0.489 0.408 0.972 0.376 0.0091 0.253
mix   500   1.25e11 2.904e8(8e5)   2.109 0.356 0.371 0.445 0.346 0.863 0.339 0.0053 0.185
mix   5000  2.5e10  2.1043e8(2e5)  2.954 0.363 0.354 0.456 0.403 0.925 0.348 0.0017 0.232
mix   5000  1.25e14 6.806e10(5e7)  2.670 0.327 0.320 0.412 0.323 0.795 0.314 0.0005 0.176
"""
# K = 1000, T = 1e6, 1e7, 1e8, 1e9, 200 runs: regret
GROWTH_ARMS, GROWTH_TRIALS = 1000, (10**6, 10**7, 10**8, 10**9)
GROWTH = {
    ("clear", UNIFORM): "8.661e4(1e3) 3.849e5(3e3) 1.823e6(1e3) 8.799e6(7e3)",
    ("clear", NAIVE): "2.224e5(3e2) 1.028e6(1e3) 4.767e6(4e3) 2.213e7(2e4)",
    ("clear", LOGLOG): "4.550e4(6e2) 1.973e5(2e2) 9.106e5(9e2) 4.222e6(4e3)",
    ("clear", LOGSTAR): "5.832e4(2e2) 2.636e5(3e2) 1.216e6(1e3) 5.639e6(7e3)",
    ("clear", UNIT): "6.327e4(3e3) 1.877e5(8e3) 7.125e5(2e4) 3.203e6(2e3)",
    ("clear", ALONE): "1.987e4(1e3) 1.928e4(1e3) 2.939e4(6e2) 6.968e4(2e3)",
    ("clear", LADDER): "4.245e4(2e3) 1.550e5(1e4) 4.250e5(3e4) 1.675e6(3e3)",
    ("mix", UNIFORM): "1.222e5(3e2) 5.894e5(1e3) 2.850e6(4e3) 1.372e7(2e4)",
    ("mix", NAIVE): "3.451e5(5e2) 1.602e6(2e3) 7.431e6(1e4) 3.448e7(4e4)",
    ("mix", LOGLOG): "5.592e4(1e2) 2.578e5(5e2) 1.189e6(2e3) 5.515e6(1e4)",
    ("mix", LOGSTAR): "6.620e4(1e2) 3.059e5(6e2) 1.414e6(3e3) 6.560e6(1e4)",
    ("mix", KING): "6.161e4(7e2) 2.873e5(3e3) 1.252e6(1e4) 5.393e6(5e4)",
    ("mix", UNIT): "5.839e4(7e2) 2.463e5(2e3) 1.099e6(4e3) 5.041e6(1e4)",
    ("mix", ALONE): "1.138e4(2e2) 1.684e4(5e2) 2.918e4(2e3) 6.272e4(3e3)",
    ("mix", LADDER): "3.465e4(6e2) 1.665e5(3e3) 7.471e5(1e4) 3.329e6(7e4)",
}
# ln regret over ln T, of the last three of these; over ln K at T = 1e9, K = 100 to 10 000
SLOPES = {
    ("clear", UNIFORM): (0.680, 0.335),
    ("clear", NAIVE): (0.666, 0.485),
    ("clear", LOGSTAR): (0.665, 0.344),
    ("mix", UNIFORM): (0.683, 0.339),
    ("mix", NAIVE): (0.666, 0.488),
    ("mix", LOGSTAR): (0.666, 0.342),
}
# K = 1000, T = 1e9, 100 runs: regret over K^(1/3) T^(2/3), one arm better by f eps, f = .5, 1, 2, 4, 8; stair
WORST_ARMS, WORST_TRIALS = 1000, 10**9
WORST = {
    UNIFORM: "0.481(.010) 0.485(.05) 0.074(.02) 0.110 0.220 0.662(.011)",
    NAIVE: "0.346(.022) 0.088(.013) 0.138 0.276 0.552 1.451(.007)",
    LOGLOG: "0.426(.018) 0.341(.05) 0.111(.04) 0.065 0.129 0.476(.015)",
    LOGSTAR: "0.339(.023) 0.258(.04) 0.087(.03) 0.097 0.194 0.621(.014)",
    KING: "0.490(.007) 0.901(.03) 0.634(.09) 0.040 0.080 0.554(.024)",
    UNIT: "0.495(.005) 0.822(.04) 0.416(.08) 0.040 0.080 0.435(.022)",
    ALONE: "0.451(.015) 0.239(.04) 0.035(.001) 0.060(.003) 0.116(.007) 0.850(.009)",
    LADDER: "0.465(.013) 0.523(.05) 0.053(.03) 0.027 0.054(.001) 0.732(.025)",
}
GAPS = (0.5, 1.0, 2.0, 4.0, 8.0)
# Arms held at the most, the arriving one included, by K
HELD = {LOG: (5, 6, 7), LOGLOG: (3, 4, 4), LOGSTAR: (4, 4, 4)} | dict.fromkeys(
    (UNIFORM, UNIT, NAIVE, KING, LADDER, ALONE, EARLY), (2, 2, 2)
)
PEAKS = {(rule, arms): peak for rule, of in HELD.items() for arms, peak in zip((500, 5000, 50000), of, strict=True)}


class Figure(NamedTuple):
    """A figure, its standard error, and half a unit of its last digit."""

    value: float
    error: float
    rounding: float

    @classmethod
    def read(cls, text: str, error: float = 0.0) -> Figure:
        """Read mean(standard error), or a mean whose standard error is known otherwise."""
        mean, _, rest = text.rstrip(")").partition("(")
        unit = 10.0 ** int(Decimal(mean).as_tuple().exponent)
        return cls(float(mean), float(rest or error), unit / 2)


def compare(rows: list[dict[str, Any]], slopes: dict[str, dict[str, dict[str, float | None]]]) -> list[dict[str, Any]]:
    """Return one comparison for each figure above of which there is one of ours, in order."""
    own = {(row["setting"], row["arms"], row["trials"], row.get("gap"), row["rule"]): row for row in rows}
    found = []
    for key, quantity, theirs in figures():
        row = own.get(key)
        if row is not None and row["runs"] >= RUNS_MIN and row[quantity] is not None:
            error = row[quantity.removesuffix("_mean") + "_stderr"]
            found.append(comparison(key, quantity, Figure(row[quantity], error, 0.0), theirs))
    for (setting, rule), pair in SLOPES.items():
        for axis, slope in zip(("T", "K"), pair, strict=True):
            ours = slopes.get(setting, {}).get(rule, {}).get(axis)
            if ours is not None and is_sloped(rows, setting, rule, axis):
                entry = {"setting": setting, "rule": rule, "quantity": f"slope_{axis}", "ours": ours, "theirs": slope}
                found.append(entry | {"tolerance": SLOPE, "within": abs(ours - slope) <= SLOPE})
    for (rule, arms), peak in PEAKS.items():
        held = {row["peak_held"] for row in rows if (row["rule"], row["arms"]) == (rule, arms)}
        if held:
            entry = {"arms": arms, "rule": rule, "quantity": "peak_held", "ours": max(held), "theirs": peak}
            found.append(entry | {"tolerance": 0, "within": held == {peak}})
    return found


def figures() -> list[tuple[tuple[Any, ...], str, Figure]]:
    """Return what is known: the key of a row, one of its fields, and the figure."""
    found: list[tuple[tuple[Any, ...], str, Figure]] = []
    for line in SIZES.strip().splitlines():
        setting, arms, size, uniform, *ratios = line.split()
        cell = (setting, int(arms), int(Decimal(size)), None)
        found.append(((*cell, UNIFORM), "regret_mean", Figure.read(uniform)))
        for rule, ratio in zip(RATIOS, ratios, strict=True):
            error = ratio_error(setting, rule, cell[2], float(ratio))
            found.append(((*cell, rule), "ratio_to_uniform", Figure.read(ratio, error)))
    for (setting, rule), line in GROWTH.items():
        for trials, text in zip(GROWTH_TRIALS, line.split(), strict=True):
            found.append(((setting, GROWTH_ARMS, trials, None, rule), "regret_mean", Figure.read(text)))
    for rule, line in WORST.items():
        *hard, stair = (Figure.read(text) for text in line.split())
        for gap, figure in zip(GAPS, hard, strict=True):
            found.append((("hard", WORST_ARMS, WORST_TRIALS, gap, rule), "scaled_mean", figure))
        found.append((("stair", WORST_ARMS, WORST_TRIALS, None, rule), "scaled_mean", stair))
    return found


def ratio_error(setting: str, rule: str, trials: int, ratio: float) -> float:
    """Return the standard error of a ratio to uniform exploration."""
    if rule == ALONE:
        return 0.1 * ratio
    if trials <= 5 * 10**5:
        return (0.022 if setting == "clear" else 0.004) * ratio
    if rule == THINNED or (setting, rule) == ("mix", LADDER):
        return 0.008
    return 0.006 if (setting, rule) == ("mix", KING) else 0.003


def comparison(key: tuple[Any, ...], quantity: str, ours: Figure, theirs: Figure) -> dict[str, Any]:
    """Return ours and theirs, and whether they agree."""
    error = math.hypot(ours.error, theirs.error)
    difference = ours.value - theirs.value
    tolerance = ERRORS * error + SHARE * abs(theirs.value) + theirs.rounding
    setting, arms, trials, gap, rule = key
    cell = {"setting": setting, "arms": arms, "trials": trials} | ({} if gap is None else {"gap": gap})
    return cell | {
        "rule": rule,
        "quantity": quantity,
        "ours": ours.value,
        "ours_stderr": ours.error,
        "theirs": theirs.value,
        "theirs_stderr": theirs.error,
        "standard_errors": difference / error if error > 0.0 else None,
        "tolerance": tolerance,
        "within": abs(difference) <= tolerance,
    }


def is_sloped(rows: list[dict[str, Any]], setting: str, rule: str, axis: str) -> bool:
    """Tell whether the rows hold the points that a slope was taken over, and enough runs of each."""
    points = {(row["arms"], row["trials"]) for row in rows if (row["setting"], row["rule"]) == (setting, rule)}
    runs = min(row["runs"] for row in rows)
    over_trials = {(GROWTH_ARMS, trials) for trials in GROWTH_TRIALS[1:]}
    over_arms = {(arms, 10**9) for arms in (100, 316, 1000, 3162, 10000)}
    return runs >= RUNS_MIN and (over_trials if axis == "T" else over_arms) <= points
