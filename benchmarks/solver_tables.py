"""The tables of solvers and of the rules for their omega: iterations, seconds, what was to be reached, speeds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from table_text import machine_line, markdown

RULES = {  # in the results: in words
    "young": "Young's omega, of the spectrum",
    "best_grid_point": "best of 20 omegas for each system, known afterwards",
    "maillard_chain": "chain of arms, 20 omegas (ours)",
    "maillard_chain_96": "chain of arms, 96 omegas (ours)",
    "chebcb": "ChebCB",
    "tsallis_inf_binned": "Tsallis-INF in bins of the context",
    "fixed_omega": "best single omega, known afterwards",
    "tsallis_inf": "Tsallis-INF, reduced variance",
    "tsallis_inf_weighted": "Tsallis-INF, as in the paper",
    "uniform": "an omega at random",
    "omega_1.0": "omega = 1, Gauss-Seidel",
    "cg": "CG without SSOR",
}
IDEALS = ("young", "best_grid_point")  # the first that was run
PAPERS, OURS = "chebcb", ("maillard_chain", "maillard_chain_96")


def sor(result: dict[str, Any]) -> str:
    """Show the iterations a solve of every rule for omega, on shifted Laplacians and on the heat equation."""
    shift, heat = result["shift"], result["heat"]
    heads = [f"{variance}: {what}" for variance in shift for what in ("mean", "of best single", "last 1000")]
    rows = [["iterations a solve", *heads, *(f"heat, nx = {side}" for side in heat)]]
    for rule in dict.fromkeys(rule for found in (*shift.values(), *heat.values()) for rule in found):
        cells = []
        for found in shift.values():
            of = found.get(rule)
            figures = ("mean", "ratio_to_best_fixed", "last1000")
            cells += ["-"] * 3 if of is None else [f"{of[figure]:.3g}" for figure in figures]
        cells += [f"{found[rule]['mean']:.3g}" if rule in found else "-" for found in heat.values()]
        rows.append([in_words(rule), *cells])
    counts = "all" if result["exact_counts"]["all_equal"] else "**not all**"
    said = f"Counts that are known to the integer: {counts} equal."
    return "\n\n".join([markdown(rows), said, machine_line(result["machine"])])


def sor_heat(result: dict[str, Any]) -> str:
    """Show iterations and seconds of the heat equation's sequences, learning included."""
    heat = result["heat"]
    heads = [head for side in heat for head in (f"nx = {side}: iterations", "CPU seconds")]
    rows = [[f"{result['rounds']} steps", *heads]]
    for rule in dict.fromkeys(rule for found in heat.values() for rule in found):
        if all(found.get(rule, {}).get("cpu_seconds") is None for found in heat.values()):
            continue  # judged afterwards, not run
        cells = []
        for found in heat.values():
            of = found.get(rule)
            cells += ["-"] * 2 if of is None else [f"{of['mean'] * result['rounds']:,.0f}", f"{of['cpu_seconds']:.2f}"]
        rows.append([in_words(rule), *cells])
    return "\n\n".join([markdown(rows), machine_line(result["machine"])])


def sor_more(result: dict[str, Any]) -> str:
    """Show how far from what could be known our rules are beside ChebCB, what was not reached, and the plots."""
    runs = {f"shifts of {name} variance": found for name, found in result["shift"].items()}
    runs |= {f"heat, nx = {side}": found for side, found in result["heat"].items()}
    learners = (PAPERS, *OURS)
    gaps = [f"gap, {in_words(rule).partition(', ')[2]}" for rule in OURS]
    rows = [["iterations a solve", *(in_words(rule) for rule in (*IDEALS, *learners)), *gaps]]
    for said, found in runs.items():
        if not all(rule in found for rule in learners):
            continue
        for words, figure in (("mean", "mean"), ("last 1000", "last1000")):
            means = {rule: found[rule][figure] for rule in (*IDEALS, *learners) if rule in found}
            ideal = next(means[rule] for rule in IDEALS if rule in means)
            cells = [f"{means[rule]:.4g}" if rule in means else "-" for rule in (*IDEALS, *learners)]
            left = [f"{(means[rule] - ideal) / (means[PAPERS] - ideal):.2f}" for rule in OURS]
            rows.append([f"{said}: {words}", *cells, *left])
    explained = "A gap is what a rule takes above the first column that has a number, of what ChebCB takes above it: "
    explained += "0 is as good, below 0 is better, 1 is ChebCB."
    plots = "\n\n".join(f"![{Path(plot).stem.replace('_', ' ')}](../{plot})" for plot in result["plots"])
    said = [explained, learning_costs(runs), claims(result["claims"])]
    return "\n\n".join([markdown(rows), *said, plots, machine_line(result["machine"])])


def learning_costs(runs: dict[str, dict[str, Any]]) -> str:
    """Say how much more than the best point of the grid, known afterwards, learners take with all that they try."""
    best, told = IDEALS[1], []
    for rule in (*OURS, PAPERS):
        more = [
            found[rule]["mean"] / found[best]["mean"] - 1.0 for found in runs.values() if {rule, best} <= set(found)
        ]
        if more:
            told.append(f"{in_words(rule)} {100.0 * min(more):.1f} to {100.0 * max(more):.1f} %")
    return f"All that is tried included, more is taken than by the {in_words(best)}: {'; '.join(told)}."


def claims(given: dict[str, Any]) -> str:
    """Say how many claims hold, and name each that does not."""
    missed = []
    for name, each in given.items():
        if not each["holds"]:
            low, high = (None if each[end] is None else f"{each[end]:.4g}" for end in ("low", "high"))
            asked = f"at most {high}" if low is None else f"at least {low}" if high is None else f"{low} to {high}"
            missed.append(f"{all_in_words(name)}: {each['value']:.4g}, where {asked} was asked")
    said = f"Of {len(given)} figures that were to be reached {len(given) - len(missed)} are."
    return "\n- ".join([said + (" Missed:\n" if missed else ""), *missed])


def solver_speed(result: dict[str, Any]) -> str:
    """Show what a sweep, a step and a solve cost beside PyAMG and SciPy, and a round of the learners."""
    rows = [["five-point matrix, one core", *(f"n = {float(n):.0e}" for n in result["grid"])]]
    for name, said in (
        ("sweep", "SOR sweep, exact residual and norm: ns per entry"),
        ("pyamg_sweep", f"PyAMG {result['machine']['pyamg']}, its C++ sweep alone"),
        ("pyamg_sweep_and_residual", "PyAMG, sweep, residual and norm"),
        ("ratio", "times as fast as that"),
        ("red_black", "red-black on a grid, without a matrix: ns per entry"),
        ("ssor_cg_row", "SSOR-CG: ns per row and step"),
        ("cg_row", "CG: ns per row and step"),
        ("scipy_cg_row", f"SciPy {result['machine']['scipy']}, CG: ns per row and step"),
    ):
        rows.append([said, *(f"{found[name]:.2f}" for found in result["grid"].values())])
    small, learners = result["small"], result["learners_us"]
    alone = [
        ["what", "measured"],
        [
            "one solve, n = 100, omega 1.55: alone / of 16 in lanes",
            f"{small['solve_alone_us']:.1f} / {small['solve_in_lanes_us']:.1f} us",
        ],
        ["SciPy's CG on the same", f"{small['scipy_cg_solve_us']:.0f} us"],
    ]
    for learner, found in learners.items():
        times = " / ".join(f"{us:.1f}" for us in found.values())
        ages = " / ".join(f"{int(age):,}" for age in found)
        alone.append([f"a round of `{learner}` from Python, after {ages} rounds", f"{times} us"])
    for tuner, us in result["tuners_us"].items():
        alone.append([f'a round of `Tuner("{tuner}")` with a context: ask and tell', f"{us:.0f} us"])
    return "\n\n".join([markdown(rows), markdown(alone), machine_line(result["machine"])])


def in_words(rule: str) -> str:
    """Return what a reader calls a rule of the results."""
    return RULES.get(rule, rule.replace("omega_", "omega = "))


def all_in_words(claim: str) -> str:
    """Return a claim whose rules are told in words."""
    return re.sub(r"[\w.]+", lambda word: in_words(word[0]), claim)
