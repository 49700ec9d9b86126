"""What oomd.py must reach: each claim a number, the band that was asked for, and whether it lies in it.

A claim is made only where all that it speaks of was run. What is not reached stays in the list.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]
Claims = list[dict[str, Any]]
TABLES = ("convex", "scaling", "strongly_convex", "exp_concave", "dynamic", "corrupted", "random_order", "implicit")
TABLE = ("noise", "slow drift", "drift and noise", "heavy noise", "track")  # where the default is compared
FIRST, LAST = 1000, 100_000


def claims(result: dict[str, Any]) -> Claims:
    """Return all claims that can be judged."""
    found = [
        *certificates(result),
        *convex(result.get("convex", [])),
        *scaling(result.get("scaling", [])),
        *decades(result.get("strongly_convex", []), STRONG, 1.25),
        *decades(result.get("exp_concave", []), EXP, 1.6),
        *newton(result.get("exp_concave", [])),
        *dynamic(result.get("dynamic", [])),
        *corrupted(result.get("corrupted", [])),
        *hints(result.get("bandits", [])),
        *implicit(result.get("implicit", [])),
        *speeds(result.get("speed")),
    ]
    if golden := result.get("golden"):
        found.append(
            claim(
                "golden traces and projections to 1e-8",
                float(np.max([row["difference"] for row in golden])),
                None,
                1e-8,
            )
        )
    return found


def claim(name: str, value: float, low: float | None, high: float | None) -> dict[str, Any]:
    holds = math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    return {"claim": name, "value": value, "low": low, "high": high, "holds": bool(holds)}


def at(rows: Rows, **what: Any) -> dict[str, Any] | None:
    """Return the row of a case, a horizon and a policy; None where it was not run."""
    for row in rows:
        if all(row.get(name) == value for name, value in what.items()):
            return row
    return None


def regret(rows: Rows, case: str, policy: str, horizon: int) -> float:
    """Return a mean regret; NaN where it was not run."""
    row = at(rows, case=case, policy=policy, horizon=horizon)
    return math.nan if row is None else float(row["regret_mean"])


def judged(*made: dict[str, Any]) -> Claims:
    """Return the claims whose numbers are there."""
    return [each for each in made if not math.isnan(each["value"])]


def certificates(result: dict[str, Any]) -> Claims:
    """No certificate is below the regret, at any time of any run."""
    rows = [row for table in TABLES for row in result.get(table, []) if row["certificate"] is not None]
    slack = [row["margin"] + row["rounding"] for row in rows]
    moving = [row["dynamic_margin"] + row["rounding"] for row in rows if "dynamic_margin" in row]
    found = []
    if slack:
        compared = sum(row["compared"] for row in rows)
        name = f"certificate - regret, least of {compared} comparisons in {len(rows)} rows, rounding apart"
        found.append(claim(name, float(np.min(slack)), 0.0, None))
    if moving:
        found.append(claim("the same against comparators that jump", float(np.min(moving)), 0.0, None))
    return found


def convex(rows: Rows) -> Claims:
    """Slow drift leaves OOMD flat, OGD and FTRL grow like sqrt T; the default is near the better of the papers' two."""
    drift = lambda policy, horizon: regret(rows, "slow drift", policy, horizon)  # noqa: E731
    oomd = "optimistic_omd_paper"
    found = judged(claim("slow drift: OOMD at 1e5 / at 1e3", drift(oomd, LAST) / drift(oomd, FIRST), 0.0, 1.1))
    for policy, name in (("gradient_descent", "OGD"), ("ftrl", "FTRL")):
        found += judged(
            claim(f"slow drift: {name} / OOMD at 1e5", drift(policy, LAST) / drift(oomd, LAST), 10.0, None),
            claim(f"slow drift: slope of ln regret of {name} over ln T", slope_in_t(rows, policy), 0.4, 0.6),
        )
    for case in (*TABLE, "turning"):
        if ratios := default_ratios(rows, case):
            found.append(
                claim(f"{case}: default / better of OOMD and optimistic FTRL, worst T", max(ratios), None, 1.3)
            )
    return found


def slope_in_t(rows: Rows, policy: str) -> float:
    points = [
        (row["horizon"], row["regret_mean"]) for row in rows if (row["case"], row["policy"]) == ("slow drift", policy)
    ]
    return slope(points) if len(points) > 2 else math.nan


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of ln y over ln x."""
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def default_ratios(rows: Rows, case: str) -> list[float]:
    """Return, for each horizon, the default's regret over the better one's.

    Where the better one has a regret of at most 0 it is 1 + by how much the default has more, beside that size.
    """
    found = []
    for horizon in sorted({row["horizon"] for row in rows if row["case"] == case}):
        ours = regret(rows, case, "optimistic_ftrl", horizon)
        theirs = [regret(rows, case, name, horizon) for name in ("optimistic_omd_paper", "optimistic_ftrl_sachs")]
        better = min(theirs)
        if not math.isnan(ours + sum(theirs)):
            found.append(1.0 + (ours - better) / abs(better))
    return found


def scaling(rows: Rows) -> Claims:
    """Regret is proportional to the root of the variance."""
    found = []
    for case, known in (("noise", "sigma"), ("jitter", "Sigma")):
        mine = [row for row in rows if (row["case"], row["policy"]) == (case, "optimistic_omd_paper")]
        if len(mine) > 2:
            found.append(claim(f"slope of ln regret over ln sqrt({known}^2)", slope(spread(mine)), 0.95, 1.15))
            most = max(y / (2.0 * x) for x, y in spread(mine))
            ceiling = 5.0 * math.sqrt(2.0) if case == "noise" else 5.0
            found.append(claim(f"regret / (D sqrt({known}^2)), most", most, None, ceiling))
    return found


def spread(rows: Rows) -> list[tuple[float, float]]:
    """Return sqrt(sigma^2_1:T), of jitter sqrt(Sigma^2_1:T), and the regret of each row."""
    return [
        (
            row["size"] * math.sqrt(row["horizon"]) * (math.sqrt(2.0) if row["case"] == "jitter" else 1.0),
            row["regret_mean"],
        )
        for row in rows
    ]


STRONG = {
    f"strongly convex, {case}: {policy}": (case, policy)
    for case in ("noise .3", "jitter .3", "both .05")
    for policy in ("optimistic_omd_lambda", "optimistic_ftl", "gradient_descent_lambda")
}
EXP = {
    f"exp-concave, {case}: {policy}": (case, policy)
    for case, policy in (("noise 1", "optimistic_newton"), ("noise 1", "newton"), ("noise .1", "optimistic_newton"))
}


def decades(rows: Rows, wanted: dict[str, tuple[str, str]], most: float) -> Claims:
    """Logarithmic regret grows as much in the second decade as in the first; sqrt T would make it 3.2 times as much."""
    found = []
    for name, (case, policy) in wanted.items():
        first, middle, last = (regret(rows, case, policy, horizon) for horizon in (1000, 10_000, 100_000))
        ratio = (last - middle) / (middle - first) if middle > first else math.nan
        found += judged(claim(f"{name}, increment of the second decade / of the first", ratio, 1.0 / most, most))
    return found


def newton(rows: Rows) -> Claims:
    """Where neighbours are alike, and where noise is large and T too, Newton steps lose less than OGD."""
    found = []
    for case in ("smooth", "noise 1"):
        less = regret(rows, case, "gradient_descent", LAST) - regret(rows, case, "optimistic_newton", LAST)
        found += judged(
            claim(f"exp-concave, {case}: regret of OGD less that of optimistic Newton, 1e5", less, 0.0, None)
        )
    return found


def dynamic(rows: Rows) -> Claims:
    """The ensemble is near its best learner, and far below OGD where the minimiser jumps a hundred times."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        of = {row["policy"]: row["expected_mean"] for row in rows if row["case"] == case}
        learners = [value for name, value in of.items() if name.startswith("learner_")]
        if learners and "optimistic_ensemble" in of:
            ratio = of["optimistic_ensemble"] / min(learners)
            found.append(claim(f"{case}: ensemble / best learner", ratio, None, 1.5))
        if case.startswith("100 pieces") and "gradient_descent" in of:
            found.append(
                claim(f"{case}: OGD / ensemble", of["gradient_descent"] / of["optimistic_ensemble"], 5.0, None)
            )
    return found


def corrupted(rows: Rows) -> Claims:
    """What corruption adds to the regret is below D sqrt(G C), though C is not known."""
    found = []
    clean = at(rows, case="C = 0", policy="optimistic_omd_paper")
    for row in rows:
        if clean and row["policy"] == "optimistic_omd_paper" and row["corruption"] > 0.0:
            added = (row["regret_mean"] - clean["regret_mean"]) / (2.0 * math.sqrt(2.2 * row["corruption"]))
            found.append(claim(f"{row['case']}: regret added / (D sqrt(G C))", added, None, 1.0))
    return found


def hints(rows: Rows) -> Claims:
    """Hints under a level that all arms share and that moves: all comparisons, the unkind ones too."""
    of = {row["policy"]: row["regret_mean"] for row in rows if row["case"] == "tide"}
    if not of:
        return []
    none = {name: value for name, value in of.items() if name.startswith("log_barrier_zero")}
    found = []
    for hint in ("arm", "common"):
        mine = {name: value for name, value in of.items() if name.startswith(f"log_barrier_{hint}")}
        stem = f"log_barrier_{hint}"
        for name, value in (
            ("theory's step without hints / eta = .3", of["log_barrier_zero_theory"] / of[f"{stem}_0.3"]),
            ("best step without hints / best step", min(none.values()) / min(mine.values())),
            ("default without hints / default", of["log_barrier_zero"] / of[stem]),
        ):
            found.append(claim(f"hint {hint}: {name}", value, 3.0, None))
    return found


def implicit(rows: Rows) -> Claims:
    """Implicit steps lose less than linearised ones."""
    found = []
    for horizon in sorted({row["horizon"] for row in rows}):
        ratio = regret(rows, "near-parallel features", "implicit_omd", horizon)
        ratio /= regret(rows, "near-parallel features", "optimistic_omd_paper", horizon)
        found += judged(claim(f"implicit / linearised, T = {horizon}", ratio, None, 1.0))
    return found


def speeds(speed: dict[str, Any] | None) -> Claims:
    """Speed beside PyNOL and C, and how it depends on d."""
    if not speed:
        return []
    found = []
    for name, rate in speed["rates"].items():
        if "times_pynol" in rate:
            least = 60.0 if name == "optimistic_ensemble" else 20.0
            found.append(claim(f"{name}: times PyNOL's rounds a second", rate["times_pynol"], least, None))
        if "times_c" in rate:
            found.append(claim(f"{name}: time of a round / of C", rate["times_c"], None, 2.0))
            found.append(claim(f"{name}: finds what C finds", float(rate["same_as_c"]), 1.0, 1.0))
    if speed["pynol_difference"] is not None:
        found.append(
            claim("points of PyNOL's OptimisticOGD, largest difference", speed["pynol_difference"], None, 1e-12)
        )
    found.append(claim("exponent of d, Euclidean", speed["growth"]["euclidean"]["exponent"], None, 1.15))
    found.append(claim("exponent of d, Newton without limits", speed["growth"]["newton"]["exponent"], None, 2.2))
    return found
