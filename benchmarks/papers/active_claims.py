"""What actively_learn.py must reach: each claim a number, the band that was asked for, and whether it lies in it."""

from __future__ import annotations

import math
from typing import Any

Claims = list[dict[str, Any]]
BELOW_UNIFORM = (0.03, 0.03, 0.015, 0.005)  # of arms, by level
SHARE_OF_UNIFORM, GAP_OF_THRESHOLDS, GAP_BEYOND = 0.8, 0.06, 0.02
NEAR_LUCB = 0.01
EXACT = 1e-5
TRAINED_GAP = 0.018
DECISION_US = 2.0


def claims(result: dict[str, Any]) -> Claims:
    """Return all claims that can be judged."""
    found = [*arms(result), *thresholds(result)]
    for row in result.get("lp", []):
        found.append(
            claim(f"{row['problem']}: optimum, robust and uniform gap to what is known", row["difference"], None, EXACT)
        )
        if row["table_gap"] is not None:
            found.append(
                claim(
                    f"{row['problem']}: the shipped table's gap beyond the optimum's",
                    row["table_gap"] - row["gap"],
                    None,
                    EXACT,
                )
            )
    for row in result.get("trained", []):
        name = f"{row['problem']}: exact gap after {row['iterations']} iterations of training, seed {row['seed']}"
        found.append(claim(name, row["gap"], None, TRAINED_GAP))
    if speed := result.get("speed"):
        found.append(
            claim(
                "one decision of the 10-point network in the engine, us",
                speed["thresholds"]["engine_us"],
                None,
                DECISION_US,
            )
        )
    return found


def arms(result: dict[str, Any]) -> Claims:
    """Near the best index policy at every level, and below uniform."""
    found: Claims = []
    rows = by_policy(result, "arms")
    robust = better_of(result, "arms")
    if robust is None:
        return []
    for (level, loss), lucb, uniform, below in zip(
        rows[robust].items(), rows["lucb_budget"].values(), rows["uniform_budget"].values(), BELOW_UNIFORM, strict=True
    ):
        found += [
            claim(f"arms, r = {level:g}: above LUCB by", loss - lucb, None, NEAR_LUCB),
            claim(f"arms, r = {level:g}: below uniform by", uniform - loss, below, None),
        ]
    return found


def thresholds(result: dict[str, Any]) -> Claims:
    """Well below uniform at every level, with a small gap."""
    found: Claims = []
    rows = by_policy(result, "thresholds")
    robust = better_of(result, "thresholds")
    if robust is None:
        return []
    for (level, loss), uniform in zip(rows[robust].items(), rows["uniform_budget"].values(), strict=True):
        found.append(claim(f"thresholds, r = {level:g}: of uniform's loss", loss / uniform, None, SHARE_OF_UNIFORM))
    gap = result["gap"]["thresholds"][robust]
    return [
        *found,
        claim("thresholds: largest gap", gap, None, GAP_OF_THRESHOLDS),
        claim("thresholds: largest gap, beyond what was asked", gap, None, GAP_BEYOND),
    ]


def better_of(result: dict[str, Any], task: str) -> str | None:
    """Return the robust policy's play with the smaller gap; None where the task was not played."""
    gaps = {key: gap for key, gap in result["gap"].get(task, {}).items() if key.startswith("robust")}
    return min(gaps, key=lambda key: gaps[key]) if gaps else None


def by_policy(result: dict[str, Any], task: str) -> dict[str, dict[float, float]]:
    """Return the losses of a task, by policy and level."""
    found: dict[str, dict[float, float]] = {}
    for row in result["worst_case"]:
        if row["task"] == task:
            found.setdefault(row["policy"], {})[row["level"]] = row["loss"]
    return found


def claim(name: str, value: float, low: float | None, high: float | None) -> dict[str, Any]:
    holds = math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    return {"claim": name, "value": value, "low": low, "high": high, "holds": bool(holds)}
