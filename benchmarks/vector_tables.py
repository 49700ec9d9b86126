"""The tables of decisions that are vectors: regret and certificates by regime, what was to be reached, speeds."""

from __future__ import annotations

from typing import Any

from table_text import drawn, machine_line, markdown, plus_minus, said

WORDS = {  # in the results: in words
    "optimistic_ftrl": "`optimistic_ftrl`, knows nothing",
    "optimistic_omd": "`optimistic_omd`, knows nothing",
    "optimistic_omd_paper": "`optimistic_omd`, as in the paper",
    "optimistic_ftrl_sachs": "`optimistic_ftrl`, steps of Sachs et al.",
    "gradient_descent": "`gradient_descent`, D / (G √t)",
    "ftrl": "`ftrl`",
    "optimistic_ensemble": "`optimistic_ensemble`",
    "optimistic_omd_lambda": "`optimistic_omd`, 2 / (λ t)",
    "optimistic_ftl": "`optimistic_ftrl`, λ known",
    "gradient_descent_lambda": "`gradient_descent`, 1 / (λ t)",
    "optimistic_newton_paper": "`optimistic_newton`, the paper's β",
    "optimistic_newton": "`optimistic_newton`, the exact β",
    "newton": "the same without a hint",
    "implicit_omd": "`implicit_omd`",
    "exp3_ix": "`exp3_ix`",
}
REGIMES = ("noise", "slow drift", "drift and noise", "heavy noise")
STEPS = {"": "of its own", "_1": "1", "_0.3": ".3", "_theory": "√(K ln T / T)"}
Rows = list[dict[str, Any]]


def oomd(result: dict[str, Any]) -> str:
    """Show regret and certificate after 100,000 rounds in four regimes, then speeds."""
    rows = [row for row in result["convex"] if row["horizon"] == max(row["horizon"] for row in result["convex"])]
    cases = [case for case in REGIMES if any(row["case"] == case for row in rows)]
    heads = [head for case in cases for head in (case, "proven")]
    table = [[f"regret, T = {rows[0]['horizon']:,}", *heads]]
    for policy in dict.fromkeys(row["policy"] for row in rows):
        of = {row["case"]: row for row in rows if row["policy"] == policy}
        table.append([in_words(policy), *(cell for case in cases for cell in (regret(of[case]), proven(of[case])))])
    return "\n\n".join([markdown(table), speeds(result), said(result), machine_line(result["machine"])])


def speeds(result: dict[str, Any]) -> str:
    """Show rounds a second beside PyNOL and C, growth with d, and calls from Python."""
    speed = result.get("speed")
    if not speed:
        return "Speed was not measured in this run."
    pynol = f"PyNOL {speed['pynol']['version']}" if speed["pynol"] else "PyNOL (missing)"
    table = [[f"a round in {speed['dimension']} dimensions", "rounds/s", f"times {pynol}", "time of C -O3"]]
    for name, rate in speed["rates"].items():
        beside = f"{rate['times_pynol']:.0f}" if "times_pynol" in rate else "-"
        of_c = f"{rate['times_c']:.1f} times" if "times_c" in rate else "-"
        table.append([f"`{name}`", f"{rate['onearm'] / 1e6:.1f} M", beside, of_c])
    calls = " / ".join(f"{us:.1f}" for us in (speed["call_us"]["decide"], speed["call_us"]["learn"]))
    exponents = {name: f"{found['exponent']:.2f}" for name, found in speed["growth"].items()}
    words = f"One decide / learn from Python: {calls} us. A round takes time like d^{exponents['euclidean']}, a Newton "
    words += f"step without limits like d^{exponents['newton']}."
    if speed["pynol_difference"] is not None:
        words += f" With one fixed step PyNOL's points and ours differ by {speed['pynol_difference']:.0e} at most."
    return f"{markdown(table)}\n\n{words}"


def oomd_more(result: dict[str, Any]) -> str:
    """Show the other regimes, and the plots."""
    parts = []
    for name, title in (
        ("strongly_convex", "strongly convex losses, λ = L = .5"),
        ("exp_concave", "squared losses, d = 5"),
        ("implicit", "absolute losses of near-parallel features"),
        ("corrupted", "noise, C of it corrupted"),
        ("random_order", "noise .1, drawn or in random order"),
    ):
        if result.get(name):
            parts.append(over_horizons(title, result[name]))
    if result.get("dynamic"):
        parts.append(moving(result["dynamic"]))
    if result.get("bandits"):
        parts.append(hinted(result["bandits"]))
    return "\n\n".join([*parts, *drawn(result), machine_line(result["machine"])])


def over_horizons(title: str, rows: Rows) -> str:
    """Show regret by case and horizon, and the certificate of the longest runs."""
    columns = list(dict.fromkeys((row["case"], row["horizon"]) for row in rows))
    columns.sort(key=lambda column: [row["case"] for row in rows].index(column[0]))
    last = {case: max(horizon for of, horizon in columns if of == case) for case, _ in columns}
    table = [[f"regret: {title}"]]
    for case, horizon in columns:
        table[0] += [f"{case}, T = {horizon:.0e}".replace("e+0", "e"), *(["proven"] if last[case] == horizon else [])]
    for policy in dict.fromkeys(row["policy"] for row in rows):
        of = {(row["case"], row["horizon"]): row for row in rows if row["policy"] == policy}
        cells = [in_words(policy)]
        for case, horizon in columns:
            row = of.get((case, horizon))
            cells += ["-" if row is None else regret(row)]
            cells += ["-" if row is None else proven(row)] if last[case] == horizon else []
        table.append(cells)
    return markdown(table)


def moving(rows: Rows) -> str:
    """Show the regret against the best point of each piece; the ensemble's learners as the best and the worst."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    of = {(row["case"], row["policy"]): row for row in rows}
    table = [["regret against the best point of each piece", *cases]]
    policies = [policy for policy in dict.fromkeys(row["policy"] for row in rows) if not policy.startswith("learner_")]
    for policy in policies:
        cells = [plus_minus(of[case, policy]["expected_mean"], of[case, policy]["expected_stderr"]) for case in cases]
        table.append([in_words(policy), *cells])
    for words, pick in (("best learner of the ensemble, alone", min), ("worst learner", max)):
        found = [
            pick(row["expected_mean"] for row in rows if row["case"] == case and row["policy"].startswith("learner_"))
            for case in cases
        ]
        table.append([words, *(f"{value:.3g}" for value in found)])
    proven_of = [of[case, "optimistic_ensemble"].get("dynamic_certificate") for case in cases]
    table.append(["proven by the ensemble", *("-" if value is None else f"{value:.3g}" for value in proven_of)])
    return markdown(table)


def hinted(rows: Rows) -> str:
    """Show the regret of arms with and without hints, for every step that was tried."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    of = {(row["case"], row["policy"]): row for row in rows}
    table = [
        ["regret of eight arms, T = 20,000", *(f"{case}: step {step}" for case in cases for step in STEPS.values())]
    ]
    for hint, words in (("arm", "a hint per arm"), ("common", "one hint for all"), ("zero", "no hint")):
        cells = [regret(of[case, f"log_barrier_{hint}{step}"]) for case in cases for step in STEPS]
        table.append([f"`log_barrier_omd`, {words}", *cells])
    apart = [cell for case in cases for cell in (regret(of[case, "exp3_ix"]), *["-"] * (len(STEPS) - 1))]
    table.append([in_words("exp3_ix"), *apart])
    return markdown(table)


def regret(row: dict[str, Any]) -> str:
    return plus_minus(row["regret_mean"], row["regret_stderr"])


def proven(row: dict[str, Any]) -> str:
    return "-" if row["certificate"] is None else f"{row['certificate']:.3g}"


def in_words(policy: str) -> str:
    """Return what a reader calls a policy of the results."""
    return WORDS.get(policy, policy)
