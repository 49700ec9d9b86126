"""Run Vowpal Wabbit: python vw.py, in an environment that holds its pins. One JSON job a line, one answer a line.

play   {"play": file, "arms", "flags", "seed"} -> {"mean", "seconds"}: progressive validation on a labelled table. Each
       line of the file is `class|features`, in the order in which rows arrive, or `reward,reward,...|features` with one
       reward of 0 or 1 for each arm; the bandit sees the reward of its choice. With "stops", a list of numbers of
       rows, the answer holds as "earned" the sum of rewards up to each; "costs" are those of a wrong choice and of the
       right one, 1 and 0 where they are left out
drive  {"drive": flags, "examples"} -> {"per_second"}: its own driver on a file of logged decisions, as its command
       line runs it, in seconds of CPU
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import vowpalwabbit


def play(file: str, arms: int, flags: str, seed: int, stops: list[int], costs: list[float]) -> dict[str, Any]:
    start = time.process_time()
    workspace = vowpalwabbit.Workspace(f"--cb_explore_adf {flags} --quiet --random_seed {seed + 1}")
    draws = random.Random(seed)
    actions = [f"|a a{arm}" for arm in range(arms)]
    rows = Path(file).read_text().splitlines()
    hits = 0
    sums = []
    for row in rows:
        label, _, features = row.partition("|")
        rewards = label.split(",")
        example = [f"shared |s {features}", *actions]
        law = workspace.predict(example)
        (arm,) = draws.choices(range(arms), law)
        hit = rewards[arm] == "1" if len(rewards) > 1 else arm == int(label)
        hits += hit
        sums.append(hits)
        example[1 + arm] = f"{arm}:{costs[hit]}:{law[arm]} {actions[arm]}"
        workspace.learn(example)
    workspace.finish()
    earned = [sums[stop - 1] for stop in stops]
    return {"mean": hits / len(rows), "seconds": time.process_time() - start, "earned": earned}


def drive(flags: str, examples: int) -> dict[str, float]:
    start = time.process_time()
    workspace = vowpalwabbit.Workspace(f"{flags} --quiet")  # reads the whole file, as `vw` does
    workspace.finish()
    return {"per_second": examples / (time.process_time() - start)}


def main() -> None:
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        if "play" in job:
            more = job.get("stops", []), job.get("costs", [1, 0])
            answer = play(job["play"], job["arms"], job["flags"], job["seed"], *more)
        else:
            answer = drive(job["drive"], job["examples"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
