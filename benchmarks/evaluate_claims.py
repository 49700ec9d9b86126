"""What evaluate_speed.py must reach, beside what it found."""

from __future__ import annotations

from typing import Any

from evaluate_files import difference

# million events a second of SNIPS, from a file's first byte to the value
FILES = {
    "parquet export": 4.0,
    "parquet table": 4.0,
    "csv table": 1.5,
    "obd campaign": 1.5,
    "jsonl export": 0.5,
    "jsonl table": 0.5,
}
ARRAYS = {"dr": 30.0, "dr, normal": 20.0}  # million rows a second
REPLAY = 2.0  # million rows a second of LinUCB, whatever it learns
TIMES_VW = 3.0
DIFFERENCE = 1e-9  # of the values of all who read a file


def claims(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each claim about the parts that were measured: {claim, value, low, high, holds}."""
    found: list[dict[str, Any]] = []
    if "files" in result:
        files = result["files"]
        for name, low in FILES.items():
            value = rate(files[name]["rates"], "onearm, uniform")
            found.append(claim(f"SNIPS from {name}, million events a second", value, low=low))
        found.append(claim("SNIPS from dsjson, times Vowpal Wabbit's own pass", times_vw(files), low=TIMES_VW))
        found.append(claim("largest relative difference of SNIPS values", difference(files), high=DIFFERENCE))
    if "arrays" in result:
        for name, low in ARRAYS.items():
            value = rate(result["arrays"]["onearm"], name)
            found.append(claim(f"{name} over arrays, million rows a second", value, low=low))
    if "replay" in result:
        for learn in ("logged", "matched"):
            value = rate(result["replay"][learn], "onearm")
            found.append(claim(f"replay of LinUCB learning {learn}, million rows a second", value, low=REPLAY))
    return found


def claim(what: str, value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Return a claim; what has no value does not hold."""
    holds = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return {"claim": what, "value": value, "low": low, "high": high, "holds": bool(holds)}


def rate(rates: dict[str, Any], way: str) -> float | None:
    """Return million events per second of a way, None where it failed."""
    found = rates.get(way)
    return None if found is None else found["per_second"] / 1e6


def times_vw(files: dict[str, Any]) -> float | None:
    """Return how many times as fast as Vowpal Wabbit's fastest way we are, None where it is missing."""
    rates = files["dsjson actions"]["rates"]
    theirs = [each["per_second"] for name, each in rates.items() if name.startswith("vowpalwabbit") and each]
    return rates["onearm, action:0"]["per_second"] / max(theirs) if theirs else None
