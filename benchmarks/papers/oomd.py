"""Optimistic online mirror descent between stochastic and adversarial losses: regret, certificates, traces and speed.

Run: python benchmarks/papers/oomd.py [--json] [--golden] [--speed] [--tables convex,dynamic] [--horizon 100000]
[--replications 10] [--seed 0] [--rounds 5] [--plots FOLDER].
Source: Chen, Zhang, Tu, Zhao, Zhang, "Optimistic online mirror descent for bridging stochastic and adversarial online
convex optimization", JMLR 2024; Sachs, Hadiji, van Erven, Guzman, NeurIPS 2022. Neither has experiments: worlds are in
oomd_worlds.py, and `claims` tells what was to be reached.

`regret` is that of the drawn losses against the point that is best for them in hindsight; `expected` is that of the
expected losses against the best point for these, of each piece where the minimiser jumps. `certificate` is what the
policy proved of the run; `margin` is the least of certificate - regret over 12 times of every run. Rows of policies
that end in _paper are told G and L. Of `bandits` the regret is expected, and nothing is proven.
With --golden only the traces are played, with --speed only speed is measured; a run without options does all, and
writes results/oomd.json and the plots.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHMARKS))  # `machine` and `bars` lie there

import oomd_plots  # noqa: E402
import oomd_speed  # noqa: E402
from bars import progress_bar  # noqa: E402
from machine import machine  # noqa: E402
from oomd_claims import claims  # noqa: E402
from oomd_golden import golden  # noqa: E402
from oomd_runs import rounds_of, run_all  # noqa: E402
from oomd_worlds import all_cases  # noqa: E402

RESULT = BENCHMARKS / "results" / "oomd.json"
TABLES = (
    "convex",
    "scaling",
    "strongly_convex",
    "exp_concave",
    "dynamic",
    "corrupted",
    "random_order",
    "bandits",
    "implicit",
)


def main() -> None:
    """Measure what is asked for, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--golden", action="store_true", help="only the traces that are known to the digit")
    parser.add_argument("--speed", action="store_true", help="only the speed")
    parser.add_argument("--tables", default=",".join(TABLES), help="which tables; default all")
    parser.add_argument("--horizon", type=int, default=100_000, help="the longest run; default %(default)s")
    parser.add_argument("--replications", type=int, default=10, help="runs of a row, at the most; default %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5, help="of the measurements of speed; 0 for none")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    arguments = parser.parse_args()
    asked = vars(arguments)
    full = all(asked[name] == parser.get_default(name) for name in asked if name not in ("json", "plots"))
    tables = [name for name in arguments.tables.split(",") if name]
    if unknown := [name for name in tables if name not in TABLES]:
        parser.error(f"there is no table {unknown[0]!r}: known are {', '.join(TABLES)}")
    if arguments.replications < 1 or arguments.rounds < 0 or arguments.seed < 0:
        parser.error("replications must be 1 or more, rounds and seed 0 or more")
    only = arguments.golden or arguments.speed
    result: dict[str, Any] = {"machine": machine(), "seed": arguments.seed, "horizon": arguments.horizon}
    if arguments.golden or not only:
        result["golden"] = interpreted_golden()
    if not only:
        cases = [case for case in all_cases(arguments.replications, arguments.horizon) if case.table in tables]
        if not cases and tables:
            parser.error(f"no case of {', '.join(tables)} is as short as {arguments.horizon} rounds")
        result |= measured(cases, tables, arguments.seed)
    if arguments.rounds and (arguments.speed or not only):
        with progress_bar("steps") as progress:
            task = progress.add_task("speed", total=oomd_speed.steps(arguments.rounds))
            result["speed"] = oomd_speed.measure(arguments.rounds, lambda: progress.advance(task))
    folder = arguments.plots or (RESULT.parent if full else None)
    result["plots"] = oomd_plots.draw(result, folder) if folder else []
    result["claims"] = claims(result)
    result = printable(result)
    if full:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def measured(cases: list[Any], tables: list[str], seed: int) -> dict[str, Any]:
    """Run all cases, and return their rows by table."""
    found = {}
    with progress_bar("rounds") as progress:
        tasks = {
            name: progress.add_task(name, total=rounds_of([case for case in cases if case.table == name]))
            for name in tables
        }
        for name in tables:
            mine = [case for case in cases if case.table == name]
            found[name] = run_all(mine, seed, lambda made, name=name: progress.advance(tasks[name], made))
    return found


def interpreted_golden() -> list[dict[str, Any]]:
    """Return the rows of the golden traces, played by a process that does not compile.

    Kernels take a minute to compile and two seconds to interpret; tests hold both to the same bits.
    """
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return golden()
    where = str(BENCHMARKS / "papers")
    code = (
        f"import sys; sys.path.insert(0, {where!r}); import json, oomd_golden; print(json.dumps(oomd_golden.golden()))"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def printable(value: Any) -> Any:
    """Return a result without single runs, which are there for the plots, and with null for what is no number."""
    if isinstance(value, dict):
        return {key: printable(each) for key, each in value.items() if key != "runs_"}
    if isinstance(value, list):
        return [printable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console(highlight=False)
    for name in TABLES:
        if name not in result:
            continue
        table = Table(title=name.replace("_", " "))
        for head in ("case", "T", "policy", "regret", "± se", "expected", "certificate", "margin"):
            table.add_column(head, justify="left" if head in ("case", "policy") else "right")
        for row in result[name]:
            numbers = (
                row["regret_mean"],
                row["regret_stderr"],
                row["expected_mean"],
                row["certificate"],
                row["margin"],
            )
            texts = ["-" if x is None else f"{x:.4g}" for x in numbers]
            case = row["case"] + (f", {row['size']:g}" if "size" in row else "")
            table.add_row(case, f"{row['horizon']:,}", row["policy"], *texts)
        console.print(table)
    for row in result.get("golden", []):
        equal = "equal" if row["equal"] else "[bold red]NOT EQUAL[/]"
        console.print(f"{equal}: {row['trace']}, {row['number']}: apart by {row['difference']:.1e}")
    if speed := result.get("speed"):
        report_speed(console, speed)
    for each in result["claims"]:
        holds = "holds" if each["holds"] else "[bold red]FAILS[/]"
        ends = ["-" if end is None else f"{end:.4g}" for end in (each["low"], each["high"])]
        value = "-" if each["value"] is None else f"{each['value']:.4g}"
        console.print(f"{holds}: {each['claim']}: {value} (asked: {ends[0]} to {ends[1]})")
    for plot in result["plots"]:
        console.print(f"drawn: {plot}")


def report_speed(console: Console, speed: dict[str, Any]) -> None:
    """Print rounds a second."""
    table = Table(title=f"a round in {speed['dimension']} dimensions")
    for head in ("policy", "rounds/s", "times PyNOL", "alone, ns", "C, ns", "times C"):
        table.add_column(head, justify="left" if head == "policy" else "right")
    for name, rate in speed["rates"].items():
        ns = [f"{1e9 / rate[of]:.0f}" if of in rate else "-" for of in ("alone", "c")]
        times = [f"{rate[of]:.{digits}f}" if of in rate else "-" for of, digits in (("times_pynol", 0), ("times_c", 2))]
        table.add_row(name, f"{rate['onearm']:,.0f}", times[0], *ns, times[1])
    console.print(table)
    calls = ", ".join(f"{name} {us:.2f} us" for name, us in speed["call_us"].items())
    console.print(f"one call from Python: {calls}")


if __name__ == "__main__":
    main()
