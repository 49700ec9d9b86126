"""How fast logs are evaluated and replayed, on one core: from files, over arrays, beside other libraries in one run.

Run: python benchmarks/evaluate_speed.py [--json] [--only PART] [--rounds 5] [--no-peers] [--big] [--quick].
files    SNIPS with its interval by `onearm.evaluate`, with diagnostics and without: a million simulated decisions in
         every format, beside peers that read the same columns and check the same rules
arrays   estimators and intervals over a million rows in memory
replay   a LinUCB that learns as it goes through a log
memory   peak memory of `onearm evaluate` over exports of JSON lines of up to 2 GB (with --big 10 GB),
         with one target and with three

Rates are events per second of CPU, of all threads; an event is one decision with its reward. In each round the rivals
take turns, and shown are medians. The first round is not counted: it compiles, and brings files into memory.
`claims` tells what was to be reached. A full run writes results/evaluate_speed.json, of which tables.py makes tables.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import evaluate_arrays
import evaluate_files
import evaluate_memory
import evaluate_replay
from bars import progress_bar
from evaluate_claims import claims
from evaluate_peers import ONE_THREAD
from machine import machine
from rich.console import Console
from rich.table import Table

RESULT = Path(__file__).resolve().parent / "results" / "evaluate_speed.json"
PARTS = ("files", "arrays", "replay", "memory")


def main() -> None:
    """Measure what is asked for, show it, and write the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON also where a person looks on")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given several times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="leave the other libraries out")
    parser.add_argument("--big", action="store_true", help="memory: a file of 10 GB too, which takes 20 GB of disk")
    parser.add_argument("--quick", action="store_true", help="some hundred rows and one round, which say nothing")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("at least one round must be played")
    parts = arguments.only or list(PARTS)
    with one_core():
        result = measured(parts, arguments)
    result["claims"] = claims(result)
    if not (arguments.only or arguments.quick or arguments.no_peers) and arguments.rounds == parser.get_default(
        "rounds"
    ):
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json or not sys.stdout.isatty():
        print(json.dumps(result))
    else:
        report(result)


def measured(parts: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each part."""
    rounds, peers = (1 if arguments.quick else arguments.rounds), not arguments.no_peers
    events, their_events, rows = (200, 100, 60) if arguments.quick else (1_000_000, 200_000, 1_000_000)
    sizes = evaluate_memory.BIG if arguments.big else evaluate_memory.SIZES
    size = [round(each * evaluate_memory.GIGABYTE) for each in sizes] if not arguments.quick else [20_000]
    result: dict[str, Any] = {"machine": machine(), "rounds": rounds}
    with progress_bar("rounds") as progress, tempfile.TemporaryDirectory() as folder:

        def bar(name: str, total: int) -> Any:
            task = progress.add_task(name, total=total)
            return lambda count=1: progress.advance(task, count)

        if "files" in parts:
            step = bar("files", 1 + evaluate_files.FILES * (rounds + 1))
            result["files"] = evaluate_files.measure(Path(folder), events, their_events, rounds, peers, step)
        if "arrays" in parts:
            step = bar("arrays", (1 + peers) * (rounds + 1))
            result["arrays"] = evaluate_arrays.measure(rows, rounds, peers, step)
        if "replay" in parts:
            step = bar("replay", 4 * (rounds + 1))
            result["replay"] = evaluate_replay.measure(rows, rounds, peers, step)
        if "memory" in parts:
            result["memory"] = evaluate_memory.measure(size, bar("memory", sum(size)))
    return result


@contextlib.contextmanager
def one_core() -> Any:
    """Keep this process and its children to one core and to one thread a library."""
    before, cores = dict(os.environ), None
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if cores is not None:
            os.sched_setaffinity(0, cores)


def report(result: dict[str, Any]) -> None:
    """Print the tables for a person."""
    console = Console(highlight=False)
    for name, found in result.get("files", {}).items():
        megabytes = found["bytes"] / 1e6
        rates_table(console, f"SNIPS from {name}: {found['events']:,} events, {megabytes:,.0f} MB", found["rates"])
    if "arrays" in result:
        found = result["arrays"]
        theirs = {f"obp: {name}": rate for name, rate in found.get("obp", {}).items()}
        rates_table(console, f"over arrays of {found['events']:,} rows", found["onearm"] | theirs, beside=False)
    if "replay" in result:
        found = result["replay"]
        for learn in evaluate_replay.LEARNING:
            title = f"replay of LinUCB, learning {learn}: {found['arms']} arms, contexts of {found['length']}"
            rates_table(console, title, found[learn])
    for each in result.get("memory", []):
        console.print(
            f"onearm evaluate of {each['bytes'] / 1e9:.2f} GB, {each['events']:,} events, {each['asked']}: peak memory "
            f"{each['peak_bytes'] / 1e6:,.0f} MB, {(each['peak_own_bytes'] or 0) / 1e6:,.0f} MB of it its own, "
            f"{each['cpu_seconds']:.1f} s of CPU"
        )
    for each in result["claims"]:
        holds = "holds" if each["holds"] else "[bold red]FAILS[/]"
        value = "no number" if each["value"] is None else f"{each['value']:.4g}"
        asked = f"at least {each['low']:g}" if each["high"] is None else f"at most {each['high']:g}"
        console.print(f"{holds}: {each['claim']}: {value} (asked: {asked})")


def rates_table(console: Console, title: str, rates: dict[str, Any], *, beside: bool = True) -> None:
    """Print rates; those of others `beside` ours, which is the first one."""
    table = Table(title=title)
    table.add_column("")
    table.add_column("million events a second", justify="right")
    if beside:
        table.add_column("ours is ... times as fast", justify="right")
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        if rate is None:
            table.add_row(name, "MISSING")
        else:
            times = (
                [] if name.startswith("onearm") or not beside else [f"{first['per_second'] / rate['per_second']:.2f}"]
            )
            table.add_row(name, f"{rate['per_second'] / 1e6:.3f}", *times)
    console.print(table)


if __name__ == "__main__":
    main()
