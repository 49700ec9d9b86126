"""What evaluate_speed.py must reach, beside what it found."""

from __future__ import annotations

from typing import Any

from evaluate_files import difference

ALONE = "onearm, uniform, no diagnostics"
# million events a second of SNIPS with its interval, from a file's first byte to what `onearm.evaluate` returns
FILES = {("parquet table", "onearm, uniform"): 10.0, ("parquet table", ALONE): 30.0, ("parquet joined", ALONE): 12.0}
BESIDE_POLARS = ("csv table", "obd campaign", "jsonl export", "jsonl table")  # without diagnostics, which it has not
OF_POLARS = 0.8
ARRAYS = {"dr": 30.0, "dr, normal": 20.0}  # million rows a second
REPLAY = 2.0  # million rows a second of LinUCB, whatever it learns
OF_BARE = 0.9  # of the bare loop, which finds no units of the features either
OWN, FULL = 0.8, 10.0  # GB of the process's own memory over so many GB of JSON lines, by the growth of those measured
TIMES_VW = 5.0
DIFFERENCE = 1e-9  # of the values of all who read a file


def claims(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each claim about the parts that were measured: {claim, value, low, high, holds}."""
    found: list[dict[str, Any]] = []
    if "files" in result:
        files = result["files"]
        for (name, way), low in FILES.items():
            value = rate(files[name]["rates"], way)
            what = way.removeprefix("onearm, ")
            found.append(claim(f"SNIPS from {name} ({what}), million events a second", value, low=low))
        for name in BESIDE_POLARS:
            value = times(files[name]["rates"], ALONE, "polars")
            found.append(claim(f"SNIPS from {name}, of polars", value, low=OF_POLARS))
        vw = times(files["dsjson actions"]["rates"], "onearm, action:0, no diagnostics", "vowpalwabbit")
        found.append(claim("SNIPS from dsjson, times Vowpal Wabbit's own pass", vw, low=TIMES_VW))
        found.append(claim("largest relative difference of SNIPS values", difference(files), high=DIFFERENCE))
    if "arrays" in result:
        for name, low in ARRAYS.items():
            value = rate(result["arrays"]["onearm"], name)
            found.append(claim(f"{name} over arrays, million rows a second", value, low=low))
    if "replay" in result:
        for learn in ("logged", "matched"):
            value = rate(result["replay"][learn], "onearm")
            found.append(claim(f"replay of LinUCB learning {learn}, million rows a second", value, low=REPLAY))
            bare = times(result["replay"][learn], "onearm, no scaling", "bare numba")
            found.append(claim(f"replay of LinUCB learning {learn} without scaling, of bare numba", bare, low=OF_BARE))
    for asked in dict.fromkeys(each["asked"] for each in result.get("memory", [])):
        found.append(claim(f"GB of own memory over {FULL:g} GB, {asked}", own_at(result["memory"], asked), high=OWN))
    return found


def own_at(memory: list[dict[str, Any]], asked: str) -> float | None:
    """Return how many GB a log of `FULL` GB takes, by the line through the two largest; None where they do not tell."""
    of = [each for each in memory if each["asked"] == asked and each["peak_own_bytes"]]
    if len(of) < 2:
        return None
    (x, y), (end, top) = ((each["bytes"] / 1e9, each["peak_own_bytes"] / 1e9) for each in of[-2:])
    return float(top + max(0.0, top - y) / (end - x) * max(0.0, FULL - end))


def claim(what: str, value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Return a claim; what has no value does not hold."""
    holds = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return {"claim": what, "value": value, "low": low, "high": high, "holds": bool(holds)}


def rate(rates: dict[str, Any], way: str) -> float | None:
    """Return million events per second of a way, None where it failed."""
    found = rates.get(way)
    return None if found is None else found["per_second"] / 1e6


def times(rates: dict[str, Any], way: str, peer: str) -> float | None:
    """Return how many times as fast as a peer's fastest way ours is, None where one of them is missing."""
    ours = rate(rates, way)
    theirs = [each["per_second"] / 1e6 for name, each in rates.items() if name.startswith(peer) and each]
    return ours / max(theirs) if theirs and ours is not None else None
