"""The README's ten lines of figures, one or two from each result."""

from __future__ import annotations

from typing import Any

from table_text import markdown

FILES = ("regret", "speed", "service", "log", "evaluate_speed", "contextual", "streaming", "sor", "oomd", "active")
STREAM = ("mix", 500, 500_000)  # setting, arms, trials
WORST = ("arms", 8.0)  # task, difficulty
Results = dict[str, dict[str, Any]]


def short(results: Results) -> str:
    """Show what onearm does beside what else could be taken, a line for each kind of work."""
    lines = [regret, step, decision, recovery, evaluation, contexts, streams, solver, vectors, queries]
    rows = [["what was measured", "onearm", "to compare"], *(list(line(results)) for line in lines)]
    return markdown(rows)


def regret(results: Results) -> tuple[str, str, str]:
    """Say what the default policy loses on ten arms that are hard to tell apart."""
    found = results["regret"]
    best = found["means"][0]
    at_random = found["horizon"] * sum(best - mean for mean in found["means"]) / len(found["means"])
    what = f"rewards lost in {found['horizon']:,} decisions, `thompson_beta`"
    return what, f"{found['policies']['thompson_beta']['last']:,.0f}", f"{at_random:,.0f} at random"


def step(results: Results) -> tuple[str, str, str]:
    """Say how fast a policy decides and learns in a simulation."""
    found = results["speed"]["simulate"]["ucb1"]
    return (
        "steps of `ucb1` a second, each a decision and a reward",
        f"{found['onearm'] / 1e6:.1f} M",
        f"{found['c'] / 1e6:.1f} M in C",
    )


def decision(results: Results) -> tuple[str, str, str]:
    """Say how many decisions the service answers."""
    found = results["service"]
    what = f"decisions over HTTP a second, committed, {found['connections']} connections"
    bare = f"{found['bare_context']['per_second']:,.0f} by a bare FastAPI endpoint"
    return what, f"{found['context']['per_second']:,.0f}", bare


def recovery(results: Results) -> tuple[str, str, str]:
    """Say how fast a service comes back after a crash."""
    found = results["log"]["recovery"]
    return (
        "events of the log read back a second after a crash",
        f"{found['events_per_second']:,.0f}",
        "-",
    )


def evaluation(results: Results) -> tuple[str, str, str]:
    """Say how fast `onearm evaluate` judges a log, with all that it tells."""
    rates = results["evaluate_speed"]["files"]["csv table"]["rates"]
    ours = rates["onearm, uniform"]["per_second"] / 1e6
    polars = max(rate["per_second"] for name, rate in rates.items() if rate and name.startswith("polars")) / 1e6
    what = "lines of a CSV log that `onearm evaluate` judges a second, with interval and diagnostics"
    return what, f"{ours:.1f} M", f"{polars:.1f} M by polars, the value alone"


def contexts(results: Results) -> tuple[str, str, str]:
    """Say what the default policy earns on labelled tables."""
    mean = results["contextual"]["mean"]
    what = "mean reward on five labelled tables, `fourier_ucb` as it is"
    return what, f"{mean['default'][0]:.3f}", f"{mean['vw_best'][0]:.3f} by Vowpal Wabbit, tuned"


def streams(results: Results) -> tuple[str, str, str]:
    """Say what the default rule loses on a stream of arms."""
    rows = {row["rule"]: row for row in results["streaming"]["rows"] if place(row) == STREAM}
    default, equal = rows["early_drop"], rows['uniform_exploration:{"pulls":"unit"}']
    what = f"regret on a stream of {STREAM[1]} arms, as a share of the paper's baseline"
    return what, f"{default['ratio_to_uniform']:.2f}", f"{equal['ratio_to_uniform']:.2f} with equal trials"


def place(row: dict[str, Any]) -> tuple[str, int, int]:
    """Return where a row of streams was measured."""
    return row["setting"], row["arms"], row["trials"]


def solver(results: Results) -> tuple[str, str, str]:
    """Say how many iterations a tuned solver takes."""
    found = results["sor"]["shift"]["high"]
    what = "iterations per linear system, omega by `maillard_chain`"
    best = f"{found['fixed_omega']['mean']:.1f} with the best fixed omega"
    return what, f"{found['maillard_chain']['mean']:.1f}", best


def vectors(results: Results) -> tuple[str, str, str]:
    """Say what the default policy of vectors loses, and what gradient descent does."""
    rows = results["oomd"]["convex"]
    last = max(row["horizon"] for row in rows)
    noise = {row["policy"]: row for row in rows if row["case"] == "noise" and row["horizon"] == last}
    what = f"regret of {last:,} vectors under noise, `optimistic_ftrl`"
    textbook = f"{noise['gradient_descent']['regret_mean']:.1f} by gradient descent"
    return what, f"{noise['optimistic_ftrl']['regret_mean']:.1f}", textbook


def queries(results: Results) -> tuple[str, str, str]:
    """Say how often the trained policy errs in the worst case that was found."""
    rows = {row["policy"]: row for row in results["active"]["worst_case"] if (row["task"], row["level"]) == WORST}
    what = "share of wrong answers in the worst case found, 5 arms, 15 queries, `mapo`"
    return (
        what,
        f"{rows['robust_sample']['loss']:.2f}",
        f"{rows['uniform_budget']['loss']:.2f} asking each equally often",
    )
