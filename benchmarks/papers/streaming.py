"""Regret of every rule for streams of arms, at the sizes of Wang's experiments, on hard instances, and over T and K.

Run: python benchmarks/papers/streaming.py [--json] [--setting clear,mix] [--arms 1000] [--trials 1000000,1000000000]
[--rules uniform_exploration,early_drop] [--runs 100] [--seed 0] [--rounds 5] [--plots FOLDER].
Source: Wang, "Tight regret bounds for single-pass streaming multi-armed bandits", ICML 2023. Arms are Bernoulli, and T
is 1000 K^beta. Settings: `clear`, one mean at 0.82, the others N(0.5, 0.1) cut to [0, 0.8]; `mix`, means uniform on
[0, 1]; `hard`, one better by f eps than the others at 0.5, eps = (K / T)^(1/3); `stair`, means rising from 0.3 to 0.7.
Regret is charged for each of exactly T pulls, against the best of all K arms; all rules meet the same arms.

Beside uniform exploration, with u (ln T)^(1/3) pulls an arm, stands the same with u = (T / K)^(2/3): of what a rule
saves against the first, 1 - (ln T)^(-1/3) is the logarithm in that baseline, which the second saves as well.
`ratio_to_uniform` is the mean regret over that of uniform exploration on the same arms, `scaled_mean` the mean regret
over K^(1/3) T^(2/3), the order below which no rule gets. `oracle` compares with an independent implementation, `claims`
holds what this must reach. A run without options takes all of this and the speeds, and writes results/streaming.json
and the plots; with options only what they ask for is run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import sys
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # `machine` lies there

import streaming_oracle as oracle  # noqa: E402
import streaming_speed  # noqa: E402
from machine import machine  # noqa: E402

from onearm.api.scheduling.scheduler import opened  # noqa: E402
from onearm.engine.errors import InvalidInput, OnearmError  # noqa: E402
from onearm.engine.simulation import Simulation  # noqa: E402
from onearm.engine.vocabulary import Array  # noqa: E402
from onearm.envs import catalog as envs  # noqa: E402
from onearm.policies import catalog as policies  # noqa: E402

RESULT = BENCHMARKS / "results" / "streaming.json"
UNIFORM = oracle.UNIFORM
# rule: what tables and plots call it, and its colour; the paper's stand above the honest column and ours
RULES = {
    UNIFORM: ("uniform", "#000000"),
    oracle.NAIVE: ("naive", "#b8860b"),
    oracle.LOG: ("log", "#9ecae1"),
    oracle.LOGLOG: ("loglog", "#4292c6"),
    oracle.LOGSTAR: ("log*", "#08306b"),
    oracle.KING: ("king", "#fdae6b"),
    oracle.THINNED: ("king, thinned", "#d94801"),
    "game_of_coins": ("coins", "#8c6d5a"),
    oracle.UNIT: ("uniform, u", "#969696"),
    oracle.LADDER: ("ladder", "#41ab5d"),
    oracle.ALONE: ("early drop, no lending", "#df65b0"),
    oracle.EARLY: ("early drop", "#ce1256"),
}
OTHERS = ("#6a51a3", "#9e9ac8", "#00441b", "#e7298a")  # of rules that do not stand above
PAPERS = (oracle.NAIVE, oracle.LOG, oracle.LOGLOG, oracle.LOGSTAR, oracle.THINNED)  # those of the experiments
SETTINGS = {"clear": "clear", "mix": "uniform", "hard": "hard", "stair": "stair"}  # and the environment's name of it
GAPS = oracle.GAPS
PAPER_ARMS, BETAS = (500, 5000, 50000), (1, 2, 3)
GROWTH_ARMS, GROWTH_TRIALS, GROWTH_RUNS = 1000, oracle.GROWTH_TRIALS, 200
WIDTH_ARMS, WIDTH_TRIALS = (100, 316, 3162, 10000), 10**9
WORST = ((100, 10**8), (1000, 10**9), (10000, 10**9))
RUNS, MANY_ARMS, RUNS_OF_MANY = 100, 50_000, 10
SLOTS = 8
OVER_T, OVER_K = "T", "K"
GROWING = ("clear", "mix")  # settings that are the same for all T and K


class Cell(NamedTuple):
    """One instance: which means, how many, and for how long; how often it is run."""

    setting: str
    arms: int
    trials: int
    gap: float | None
    runs: int


def main() -> None:
    """Measure everything, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--setting", default=",".join(SETTINGS), help="of these, separated by commas: %(default)s")
    parser.add_argument(
        "--arms",
        type=numbers,
        default=[],
        help="numbers of arms K, separated by commas (1000 where only trials are given)",
    )
    parser.add_argument(
        "--trials",
        type=numbers,
        default=[],
        help="numbers of trials T, separated by commas (else 1000 K^beta, beta = 1, 2, 3)",
    )
    parser.add_argument("--rules", default=",".join(RULES), help="policies: name or name:{json}, separated by commas")
    parser.add_argument("--runs", type=int, help=f"of each; else {RUNS}, or where there are many arms {RUNS_OF_MANY}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5, help="of the speeds, which belong to a run without options")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    parser.add_argument("--scheduler", help="local:N or tcp://HOST:PORT, whose workers play; default: threads")
    arguments = parser.parse_args()
    full = all(getattr(arguments, name) == parser.get_default(name) for name in ("setting", "arms", "trials", "rules"))
    full = full and arguments.runs is None and arguments.seed == 0
    if arguments.runs is not None and arguments.runs < 2:
        parser.error("a standard error needs at least 2 runs")
    where = machine()
    try:
        cells = cells_of(arguments.setting.split(","), arguments.arms, arguments.trials)
        cells = [cell._replace(runs=arguments.runs or cell.runs) for cell in cells]
        rules = re.split(r",(?![^{]*\})", arguments.rules)
        with progress_bar() as progress:
            rows = measure(cells, rules, arguments.seed, progress, arguments.scheduler)
            slopes = slopes_of(rows)
            result: dict[str, Any] = {"machine": where, "seed": arguments.seed, "rows": rows, "slopes": slopes}
            result |= {"claims": claims(rows), "oracle": oracle.compare(rows, slopes)}
            if full:
                total = arguments.rounds * streaming_speed.STEPS
                task = progress.add_task("speed", total=total)
                result["speed"] = streaming_speed.measure(arguments.rounds, lambda: progress.advance(task))
    except OnearmError as error:
        parser.error(str(error))
    folder = arguments.plots or (RESULT.parent if full else None)
    result["plots"] = draw(rows, folder) if folder else []
    if full:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def numbers(text: str) -> list[int]:
    """Return whole numbers that are separated by commas, as 1000 or 1e3."""
    found = []
    for part in text.split(","):
        try:
            number = Decimal(part)
        except InvalidOperation:
            number = Decimal(0)
        if number < 1 or number != number.to_integral_value():
            raise argparse.ArgumentTypeError(f"{part!r} must be a whole number from 1 on, as 1000 or 1e3")
        found.append(int(number))
    return found


def cells_of(settings: list[str], arms: list[int], trials: list[int]) -> list[Cell]:
    """Return the instances of settings: each number of arms with each number of trials, or all that stand above."""
    found: dict[Cell, None] = {}
    for setting in settings:
        if setting not in SETTINGS:
            raise InvalidInput("bad_setting", f"there is no setting {setting!r}: known are {', '.join(SETTINGS)}")
        for k, t in sizes(setting, arms, trials):
            runs = RUNS_OF_MANY if k >= MANY_ARMS else GROWTH_RUNS if k == GROWTH_ARMS and not trials else RUNS
            for gap in GAPS if setting == "hard" else (None,):
                if gap is not None and 0.5 + gap * (k / t) ** (1 / 3) > 1.0:
                    print(f"!!! K = {k}, T = {t}: a mean {gap:g} eps above 0.5 is above 1, LEFT OUT", file=sys.stderr)
                else:
                    found[Cell(setting, k, t, gap, runs if setting in ("clear", "mix") else min(runs, RUNS))] = None
    if not found:
        raise InvalidInput("no_instance", "no instance is left: allow more trials")
    return list(found)


def sizes(setting: str, arms: list[int], trials: list[int]) -> list[tuple[int, int]]:
    """Return pairs of arms and trials."""
    if trials:
        return [(k, t) for k in arms or [GROWTH_ARMS] for t in trials]
    if arms:
        return [(k, 1000 * k**beta) for k in arms for beta in BETAS]
    if setting in ("hard", "stair"):
        return list(WORST)
    paper = [(k, 1000 * k**beta) for k in PAPER_ARMS for beta in BETAS]
    growth = [(GROWTH_ARMS, t) for t in GROWTH_TRIALS]
    return paper + growth + [(k, WIDTH_TRIALS) for k in WIDTH_ARMS]


def measure(
    cells: list[Cell], rules: list[str], seed: int, progress: Progress, scheduler: str | None = None
) -> list[dict[str, Any]]:
    """Run each rule on each instance, in threads or where a scheduler has it done; return a row for each.

    Uniform exploration is run in any case.
    """
    made = list(dict.fromkeys((UNIFORM, *rules)))
    for rule in made:  # compiles one after another, or loads from the cache
        Simulation(policies.parse(rule), world(cells[0]), horizon=cells[0].trials).compile()
    task = progress.add_task("regret", total=sum(cell.arms * cell.runs for cell in cells) * len(made))
    jobs = [(cell, rule, run, seed) for cell in cells for rule in made for run in range(cell.runs)]
    with opened(scheduler) as spread:
        results = spread.map(play, jobs, lambda place: progress.advance(task, jobs[place][0].arms))
    found, rows = dict(zip(jobs, results, strict=True)), []
    for cell in cells:
        of = {rule: np.array([found[cell, rule, run, seed] for run in range(cell.runs)]) for rule in made}
        rows += [row(cell, rule, of[rule], of[UNIFORM][:, 0]) for rule in dict.fromkeys(rules)]
    return rows


def play(job: tuple[Cell, str, int, int]) -> tuple[float, int]:
    """Return the regret of a run, and how many arms it held at most."""
    cell, rule, run, seed = job
    simulation = Simulation(policies.parse(rule), world(cell), horizon=cell.trials, seed=seed, replication=run)
    simulation.advance(cell.trials)
    return float(simulation.totals.regret[0]), int(simulation.world.state.held[1])


def world(cell: Cell) -> Any:
    """Return the environment of an instance."""
    gap = {} if cell.gap is None else {"gap": cell.gap}
    return envs.make("arm_stream", arms=cell.arms, means=SETTINGS[cell.setting], slots=SLOTS, **gap)


def row(cell: Cell, rule: str, found: Array, uniform: Array) -> dict[str, Any]:
    """Return the row of a rule on an instance, of regrets and peaks float64[runs, 2] and uniform's regrets."""
    regret, scale = found[:, 0], cell.arms ** (1 / 3) * cell.trials ** (2 / 3)
    mean, error, base = float(regret.mean()), stderr(regret), float(uniform.mean())
    ratio = mean / base if base > 0.0 else None
    return {
        **{name: value for name, value in cell._asdict().items() if value is not None},
        "rule": rule,
        "regret_mean": mean,
        "regret_stderr": error,
        "ratio_to_uniform": ratio,
        "ratio_to_uniform_stderr": None if ratio is None else stderr(regret - ratio * uniform) / base,  # same arms
        "scaled_mean": mean / scale,
        "scaled_stderr": error / scale,
        "peak_held": int(found[:, 1].max()),
    }


def stderr(values: Array) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


class Curve(NamedTuple):
    """Regret over T or over K, where the other one is fixed."""

    fixed: int
    points: list[tuple[int, float, float]]  # T or K, mean regret and its standard error


def slopes_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return, by setting and rule, the slopes of ln regret over ln T (the last three T) and over ln K; None: no points.

    Over T at K = 1000, over K at T = 1e9; where these were not run, at the K, or T, of which there are most points.
    """
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for setting, rule in dict.fromkeys((row["setting"], row["rule"]) for row in rows if row["setting"] in GROWING):
        over_trials, over_arms = curve(rows, setting, rule, OVER_T), curve(rows, setting, rule, OVER_K)
        pair = {OVER_T: slope(over_trials.points[-3:]), OVER_K: slope(over_arms.points)}
        found.setdefault(setting, {})[rule] = pair
    return found


def curve(rows: list[dict[str, Any]], setting: str, rule: str, axis: str) -> Curve:
    """Return how the regret of a rule grows with T, or with K; without points where it was not run."""
    moving, fixed, first = ("trials", "arms", GROWTH_ARMS) if axis == OVER_T else ("arms", "trials", WIDTH_TRIALS)
    mine = [row for row in rows if (row["setting"], row["rule"]) == (setting, rule)]
    at = [row[fixed] for row in mine]
    most = first if at.count(first) > 1 else max(at, key=at.count, default=first)
    points = [(row[moving], row["regret_mean"], row["regret_stderr"]) for row in mine if row[fixed] == most]
    return Curve(most, sorted(points))


def slope(points: list[tuple[int, float, float]]) -> float | None:
    """Return the slope of a line through the logarithms, by least squares."""
    x, y = np.array([float(point[0]) for point in points]), np.array([point[1] for point in points])
    if len(points) < 2 or not (y > 0.0).all():
        return None
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what must be reached, of what was run: in words, what is asked, what was found, and whether it holds."""
    found: list[dict[str, Any]] = []

    def claim(words: str, asked: float, value: float, holds: bool) -> None:
        found.append({"claim": words, "asked": asked, "found": value, "holds": holds})

    def saved(of: list[dict[str, Any]]) -> list[float]:
        return [1.0 - row["ratio_to_uniform"] for row in of if row["ratio_to_uniform"] is not None]

    paper = [row for row in rows if row["setting"] in ("clear", "mix")]
    default = [row for row in paper if (row["arms"], row["trials"]) == (50_000, 1000 * 50_000**3)]
    for setting in ("clear", "mix"):
        if values := saved([row for row in default if row["setting"] == setting and row["rule"] in PAPERS]):
            size = f"{setting}, K = 50 000, T = 1000 K^3"
            words = f"{size}: the best rule of the paper saves at least this share of uniform's regret"
            claim(words, 0.65, max(values), max(values) >= 0.65)
            words = f"{size}: uniform exploration with u pulls saves 1 - (ln T)^(-1/3) of it"
            log_factor = 1.0 - math.log(1000 * 50_000**3) ** (-1 / 3)
            if unit := saved([row for row in default if (row["setting"], row["rule"]) == (setting, oracle.UNIT)]):
                claim(words, log_factor, unit[0], abs(unit[0] - log_factor) <= 0.01)
    for arms in sorted({row["arms"] for row in paper if row["arms"] >= PAPER_ARMS[0]}):
        early = [row for row in paper if (row["arms"], row["rule"]) == (arms, oracle.EARLY)]
        short = saved([row for row in early if row["trials"] == 1000 * arms])
        long = saved([row for row in early if row["trials"] in (1000 * arms**2, 1000 * arms**3)])
        for size, asked, values in (("T = 1000 K", 0.74, short), ("T = 1000 K^2 and more", 0.97, long)):
            if values:
                words = f"K = {arms}, {size}: early drop saves at least this share, clear and mix"
                claim(words, asked, min(values), min(values) >= asked)
    worst = [row for row in rows if row["setting"] == "hard" and row["rule"] == oracle.EARLY]
    for arms, trials in dict.fromkeys((row["arms"], row["trials"]) for row in worst):
        if (arms / trials) ** (1 / 3) <= 0.022:
            value = max(row["scaled_mean"] for row in worst if (row["arms"], row["trials"]) == (arms, trials))
            words = f"hard, K = {arms}, T = {trials:.0e}: early drop's regret over K^(1/3) T^(2/3), worst f"
            claim(words, 0.85, value, value <= 0.85)
    return found


class Speed(ProgressColumn):
    """Millions of arms per second, where a task counts arms."""

    def render(self, task: Any) -> Text:
        return Text(f"{(task.speed or 0) / 1e6:.2f} M/s" if task.total >= 1e6 else "")


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar with rate and time left on stderr, where that is a terminal."""
    console = Console(stderr=True)
    percent = TextColumn("{task.percentage:3.0f} %")
    columns = (TextColumn("{task.description:8}"), BarColumn(), percent, Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress


def label(rule: str) -> str:
    """Return what tables and plots call a rule."""
    return RULES[rule][0] if rule in RULES else rule


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console(highlight=False)
    rows = result["rows"]
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    for setting in dict.fromkeys(row["setting"] for row in rows):
        scaled = setting in ("hard", "stair")
        title = "mean regret / (K^(1/3) T^(2/3))" if scaled else "mean regret / that of uniform exploration"
        table = Table(title=f"{setting}: {title}, ± its standard error")
        for head in ("K", "T", *(["f"] if setting == "hard" else []), *map(label, rules)):
            table.add_column(head, justify="right")
        quantity = "scaled" if scaled else "ratio_to_uniform"
        cells: dict[tuple[Any, ...], list[str]] = {}
        for each in (each for each in rows if each["setting"] == setting):
            value = each["scaled_mean"] if scaled else each["ratio_to_uniform"]
            size = (f"{each['arms']:,}", f"{each['trials']:.3g}", *([f"{each['gap']:g}"] if "gap" in each else []))
            error = each[quantity + "_stderr"]
            text = "-" if value is None else f"{value:.3g}"
            text += f" ±{error:.1g}" if value is not None and error >= 0.0005 * value else ""
            cells.setdefault(size, []).append(text)
        for size, texts in cells.items():
            table.add_row(*size, *texts)
        console.print(table)
    table = Table(title="slopes of ln regret")
    for head in ("setting", "rule", "over ln T", "over ln K"):
        table.add_column(head, justify="left" if head in ("setting", "rule") else "right")
    for setting, of in result["slopes"].items():
        for rule, pair in of.items():
            table.add_row(setting, label(rule), *("-" if value is None else f"{value:.3f}" for value in pair.values()))
    console.print(table)
    for each in result["claims"]:
        holds = "holds" if each["holds"] else "[bold red]FAILS[/]"
        console.print(f"{holds}: {each['claim']}: {each['found']:.4g} (asked: {each['asked']:.3g})")
    wrong = [each for each in result["oracle"] if not each["within"]]
    if figures := len(result["oracle"]):
        console.print(f"{figures - len(wrong)} of {figures} figures agree with those of an independent implementation")
    for each in wrong:
        console.print(f"[bold red]not within[/]: {each}")
    if "speed" in result:
        report_speed(result["speed"], console)
    for plot in result["plots"]:
        console.print(f"drawn: {plot}")


def report_speed(speed: dict[str, Any], console: Console) -> None:
    """Print the speeds for a person."""
    for rule, times in speed["rules"].items():
        parts = [f"{ns:.0f} ns at T = {float(trials):.0e}" for trials, ns in times["ns"].items()]
        parts += [f"{share:.2f} of C" for share in times["of_c"].values()]
        console.print(f"{label(rule)}, an arm: {', '.join(parts)} (asked: {times['asked_ns']:.0f} ns)")
    for rule, us in speed["batch_us"].items():
        console.print(f"{label(rule)}, a batch from Python: {us:.2f} us (asked: {speed['batch_us_asked']:.0f})")
    for interface, peaks in speed["peak_mb"].items():
        sizes = ", ".join(f"{mb:.1f} MB at {int(arms):,} arms" for arms, mb in peaks.items())
        console.print(f"{interface}: peak of {sizes}")


def draw(rows: list[dict[str, Any]], folder: Path) -> list[str]:
    """Draw regret over T and over K, with 95 % intervals, a panel for each setting; return the files."""
    try:
        import matplotlib
    except ImportError:
        print("!!! matplotlib is not installed: the plots are MISSING from this run", file=sys.stderr)
        return []
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "onearm"  # the same figures give the same bytes
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for axis, name in ((OVER_T, "streaming_trials.svg"), (OVER_K, "streaming_arms.svg")):
        panels: dict[str, dict[str, Curve]] = {}
        for setting, rule in dict.fromkeys((row["setting"], row["rule"]) for row in rows if row["setting"] in GROWING):
            found = curve(rows, setting, rule, axis)
            if len(found.points) > 1:
                panels.setdefault(setting, {})[rule] = found
        if panels:
            draw_panels(panels, axis, folder / name)
            drawn.append(folder / name)
    root = BENCHMARKS.parent
    return [str(file.relative_to(root) if file.is_relative_to(root) else file) for file in drawn]


def draw_panels(panels: dict[str, dict[str, Curve]], axis: str, file: Path) -> None:
    """Draw one file, log-log, with the slope of the theory as a dotted line."""
    from matplotlib import pyplot

    shape = {"figsize": (1.5 + 4.5 * len(panels), 4.8), "layout": "constrained"}
    figure, all_axes = pyplot.subplots(1, len(panels), sharey=True, squeeze=False, **shape)
    others = iter(OTHERS * len(panels))
    for axes, (setting, curves) in zip(all_axes[0], panels.items(), strict=True):
        for rule, found in curves.items():
            x, y, error = (np.array(column, float) for column in zip(*found.points, strict=True))
            ours, uniform = rule in (oracle.LADDER, oracle.ALONE, oracle.EARLY), rule in (UNIFORM, oracle.UNIT)
            axes.errorbar(
                x,
                y,
                yerr=[np.minimum(1.96 * error, 0.99 * y), 1.96 * error],
                color=RULES[rule][1] if rule in RULES else next(others, "#000000"),
                linewidth=2.2 if ours else 1.2,
                linestyle="--" if uniform else "-",
                marker="o",
                markersize=5 if ours else 3,
                capsize=2,
                label=label(rule),
            )
        first = next(iter(curves.values()))
        power, words = (2 / 3, "slope 2/3") if axis == OVER_T else (1 / 3, "slope 1/3")
        x = np.array([first.points[0][0], first.points[-1][0]], float)
        axes.plot(x, 0.3 * first.points[0][1] * (x / x[0]) ** power, color="#525252", linestyle=":", label=words)
        fixed = f"K = {first.fixed:,}" if axis == OVER_T else f"T = {first.fixed:,}"
        axes.set(xscale="log", yscale="log", title=f"{setting}, {fixed}")
        axes.set_xlabel("trials T" if axis == OVER_T else "arms K")
        axes.grid(which="major", alpha=0.3)
    all_axes[0][0].set_ylabel("mean regret, with 95 % intervals")
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize="small", frameon=False, labelspacing=0.9)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
