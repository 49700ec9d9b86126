"""How fast the log is read: recovery from SQL, and the replay of a Parquet file.

Run: python benchmarks/log.py [--rounds 3]. Writes results/log.json. Rates are per second of CPU, reading included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import machine

from onearm.engine import loop
from onearm.engine.draws import run_key
from onearm.engine.replay import matching
from onearm.engine.storage.formats import parquet
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN, Problem
from onearm.policies import catalog

RESULT = Path(__file__).resolve().parent / "results" / "log.json"
PAIRS = 100_000
ROWS = 1_000_000
ARMS = 10
LENGTH = 32  # of a dense context


def recovery(folder: Path, rounds: int) -> dict[str, Any]:
    """Return events per second of CPU of folding a log of decisions with dense contexts, from SQLite."""
    store = Store.open(f"sqlite:///{folder}/log.db")
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    random = np.random.default_rng(1)
    for start in range(0, PAIRS, 10_000):
        events = []
        for number in range(start, start + 10_000):
            context, action = random.normal(size=LENGTH).tobytes(), int(random.integers(ARMS))
            seq = 2 * number + 1
            events.append(Event(key, seq, DECIDE, number, action, 0.1, context=context, time=seq))
            events.append(Event(key, seq + 1, LEARN, number, action, 0.1, 1.0, reward_id="", time=seq))
        store.append(events)
    problem, policy = Problem(ARMS, (LENGTH,)), catalog.make("ucb1")
    rates = []
    for _ in range(rounds + 1):
        state = policy.init(policy.params, problem)
        started = time.process_time()
        for columns, _, _ in store.columns(key, problem, learned_only=True):
            loop.fold(policy.params, state, run_key(0, 0, 0), columns, None, None)
        rates.append(2 * PAIRS / (time.process_time() - started))
    store.close()
    return {"events": 2 * PAIRS, "context": LENGTH, "events_per_second": statistics.median(rates[1:])}


def replay(folder: Path, rounds: int) -> dict[str, Any]:
    """Return rows per second of CPU of UCB1 on a Parquet table, reading included."""
    random = np.random.default_rng(2)
    path = folder / "log.parquet"
    table = {
        "action": random.integers(ARMS, size=ROWS),
        "reward": (random.random(ROWS) < 0.5).astype(np.float64),
        "propensity": np.full(ROWS, 1 / ARMS),
    }
    pq.write_table(pa.table(table), path)
    policy = catalog.make("ucb1")
    rates = []
    for _ in range(rounds + 1):
        started = time.process_time()
        log = parquet.read(path)
        matching.match(policy, log.problem, log.table)
        rates.append(ROWS / (time.process_time() - started))
    return {"rows": ROWS, "events_per_second": statistics.median(rates[1:])}


def main() -> None:
    """Measure both and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {"machine": machine(), "recovery": recovery(folder, rounds), "replay": replay(folder, rounds)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
