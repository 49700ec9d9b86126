"""Lists: what three slots cost over HTTP beside one decision, and what they earn where users look from above.

Run: python benchmarks/lists.py [--seconds 3] [--rounds 3] [--json]. Needs wrk. A list has three slots, which are filled
from the ten arms, or ten actions, that the single decision has; the service is loaded with both in turn. What is earned
is a simulation of users who click at most once, with patience (envs/contexts/cascade.py), beside the best order, which
nobody tells the policies. Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine
from service import CONNECTIONS, Case, cases, create, free_port, key_of, script, serve, served_by, wrk

RESULT = Path(__file__).parent / "results" / "lists.json"
SLOTS = 3
COST_MAX = 2.5  # single decisions
LOST_MAX = 0.03  # of what the best order earns
CLAIMED = "adaptive"  # the default policy, which reads the slot
POLICIES = ('adaptive:{"policy":{"name":"fourier_softmax"}}', "linucb", "thompson_beta", "uniform")
LISTS, RUNS = 20_000, 8


def costs(seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Return CPU microseconds of single decisions and of lists, medians of the rounds, by what is sent."""
    singles = [case for case in cases() if case.name != "state"]
    found: dict[str, list[tuple[float, float]]] = {case.name: [] for case in singles}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        database = f"sqlite:///{folder}/run.db"
        key, port = key_of(database), free_port()
        service = stack.enter_context(serve(served_by(port, database), port))
        for case in singles:
            create(service, key, case)
            create(service, key, listed(case))
        for turn in range(rounds):
            for case in singles:
                pair = (case, listed(case)) if turn % 2 == 0 else (listed(case), case)
                cpu = {one.name: wrk(service, script(one, key), CONNECTIONS, seconds)["cpu_us"] for one in pair}
                found[case.name].append((cpu[case.name], cpu[listed(case).name]))
    columns = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in found.items()}
    return {name: {"single_us": one, "list_us": of_list} for name, (one, of_list) in columns.items()}


def listed(case: Case) -> Case:
    """Return the case whose decisions are lists."""
    problem = {"kind": "lists", "slots": {"max": SLOTS}, **case.problem}
    slots = [{"id": f"slot{place}"} for place in range(SLOTS)]
    return case._replace(name=f"list-{case.name}", problem=problem, item=case.item | {"slots": slots})


def earned() -> dict[str, dict[str, float]]:
    """Return what policies earn of what the best order does, and how sure that is."""
    command = [sys.executable, "-m", "onearm", "simulate", "--env", f'cascade:{{"slots":{SLOTS}}}', "--json"]
    command += ["--horizon", str(SLOTS * LISTS), "--replications", str(RUNS), "--seed", "1"]
    for policy in POLICIES:
        command += ["--policy", policy]
    runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["runs"]
    found = {}
    for run in runs:
        best = run["reward_mean"] * run["horizon"] + run["regret_mean"]
        found[run["policy"]] = {"lost": run["regret_mean"] / best, "lost_stderr": run["regret_stderr"] / best}
    return found


def missed(result: dict[str, Any]) -> list[str]:
    """Return in words which limits are missed."""
    said = [
        f"a list of {SLOTS} slots costs {of['list_us'] / of['single_us']:.2f} single decisions ({name}): {COST_MAX} is "
        "the limit"
        for name, of in result["costs"].items()
        if of["list_us"] > COST_MAX * of["single_us"]
    ]
    lost = result["earned"][CLAIMED]["lost"]
    return said + ([f"{CLAIMED} loses {lost:.1%} to the best order: {LOST_MAX:.0%} is the limit"] * (lost > LOST_MAX))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("!!! benchmarks/lists.py needs wrk (apt-get install wrk): lists are MISSING from this run")
    found = {"slots": SLOTS, "lists": LISTS, "runs": RUNS, "costs": costs(options.seconds, options.rounds)}
    found |= {"earned": earned(), "machine": machine()}
    found["missed"] = missed(found)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    sys.exit(1 if found["missed"] else 0)


if __name__ == "__main__":
    main()
