"""What the defaults are to reach, beside what they did."""

from __future__ import annotations

from typing import Any

from evaluate_claims import claim

UNITS_MATTER = ("thompson_beta", "thompson_normal", "fourier_ucb")  # by what was measured
LIMITS = {  # (arms, numbers of a context): ms of a decision and its reward, MB
    (10, 64): (None, 4.0),
    (100, 64): (None, 64.0),
    (1000, 64): (3.0, 100.0),
    (10_000, 16): (10.0, 400.0),
    (100_000, 0): (0.2, None),
}


def claims(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each figure that was to be reached, and whether it is."""
    found = []
    for name, of in result["units"].items():
        if name not in UNITS_MATTER:
            worst = max(abs(value - of["a = 1"]) for unit, value in of.items() if unit != "noise")
            found.append(claim(f"{name}: any unit changes what is earned by", worst, high=0.01))
    found.append(
        claim("fourier_softmax: digits under heavy noise", result["units"]["fourier_softmax"]["noise"], low=0.63)
    )
    for late, low in (("0", 0.875), ("20", 0.86), ("100", 0.80), ("400", 0.65)):
        value = result["delays"]["fourier_softmax"][late]
        found.append(claim(f"fourier_softmax: digits, rewards {late} decisions later", value, low=low))
    means = {name: of["mean"] for name, of in result["tables"].items()}
    found.append(claim("fourier_softmax: mean of five tables", means["fourier_softmax"], low=0.915))
    any_unit, beta = result["bernoulli"]["thompson_any"], result["bernoulli"]["thompson_beta"]
    for part, high in (("mean", 1.05), ("worst_hundredth", 1.3)):
        ratio = any_unit[part] / beta[part]
        found.append(claim(f"thompson_any: regret ({part.replace('_', ' ')}) by thompson_beta's", ratio, high=high))
    share = min(result["judged"]["held"].values()) / result["judged"]["logs"]
    found.append(claim("logs of fourier_softmax: intervals that hold, of the policy with the fewest", share, low=0.9))
    for row in result["wide"]:
        ms, mb = LIMITS.get((row["arms"], row["dimension"]), (None, None))
        what = f"{row['policy']}, {row['arms']} arms, {row['dimension']} numbers"
        if ms is not None:
            found.append(claim(f"{what}: ms of a decision and its reward", row["ms"], high=ms))
        if mb is not None:
            found.append(claim(f"{what}: MB", row["mb"], high=mb))
    best = max(max(result["grouped"][name].values()) for name in ("linucb", "squarecb"))
    lost = best - result["grouped"]["fourier_softmax"]["as it is"]
    what = "fourier_softmax: less than the best of linucb and squarecb, of all widths, among 300 arms in groups"
    found.append(claim(what, lost, high=0.015))
    found.append(claim("thompson_any: earned among a thousand arms", result["many"]["thompson_any"]["1000"], low=0.165))
    for name, low in (("thompson_any", 0.7), ("fourier_softmax", 0.9)):
        found.append(claim(f"{name}: steps by those of the default of before", result["speed"][name], low=low))
    return found
