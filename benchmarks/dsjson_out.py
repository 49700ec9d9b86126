"""A log of the service as dsjson, Vowpal Wabbit trained on it, and its model judged by the rest of that log.

Run: python benchmarks/dsjson_out.py [--decisions 6000] [--json]. Decisions have contexts and actions as Personalizer's
clients send them, and some actions are excluded. Exits with 1 where Vowpal Wabbit reads another number of decisions,
where what its model is found to be worth is not better than the log, or where the interval misses what the world says.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from evaluate_peers import Peer
from machine import machine
from service import free_port, serve, served_by
from speed import peer_python

from onearm.engine import estimate
from onearm.engine.storage.formats import dsjson
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.source import Source
from onearm.engine.vocabulary import Array

HERE = Path(__file__).parent
RESULT = HERE / "results" / "dsjson_out.json"
PEER = HERE / "peers" / "contextual"
CITIES, MEALS, BATCH = ("paris", "rome", "oslo"), ("soup", "salad", "pizza", "fish"), 200
LIKED = {"paris": "soup", "rome": "pizza", "oslo": "fish"}
HIGH, LOW = 0.7, 0.2  # how likely a meal that is liked, and another one, is bought
SPEC: dict[str, Any] = {
    "experiment_id": "meals",
    "problem": {"context": {"kind": "features"}, "actions": {"kind": "listed", "max": 4}},
    "policy": {"name": "linear_greedy", "params": {"epsilon": 0.5}},
    "reward": {"range": [0, 1]},
}
ACTIONS = [{"id": meal, "features": [{"dish": meal}, {"price": {"euro": 3 + i}}]} for i, meal in enumerate(MEALS)]


def play(url: str, decisions: int) -> None:
    """Decide and reward, in batches; of every fifth decision a meal is excluded that nobody likes."""
    luck = random.Random(1)
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/v1/experiments", json=SPEC).raise_for_status()
        for first in range(0, decisions, BATCH):
            cities = [luck.choice(CITIES) for _ in range(BATCH)]
            items = [
                {"context": {"context": [{"user": {"city": city}}]}, "actions": ACTIONS, "decision_id": str(first + n)}
                | ({"excluded_actions": ["salad"]} if n % 5 == 0 else {})
                for n, city in enumerate(cities)
            ]
            made = client.post("/v1/experiments/meals/decisions:batch", json={"decisions": items}).json()["decisions"]
            bought = [
                float(luck.random() < worth(city, one["action_id"])) for city, one in zip(cities, made, strict=True)
            ]
            rewards = [{"decision_id": str(first + n), "value": value} for n, value in enumerate(bought)]
            client.post("/v1/experiments/meals/rewards:batch", json={"rewards": rewards}).raise_for_status()


def worth(city: str, meal: str) -> float:
    """Return how likely a meal is bought in a city."""
    return HIGH if LIKED[city] == meal else LOW


def exported(folder: Path, database: str) -> Path:
    """Export the log and return the file."""
    file = folder / "meals.dsjson"
    command = [sys.executable, "-m", "onearm", "export", "meals", str(file), "--database", database]
    subprocess.run(command, check=True, capture_output=True)
    return file


def law_of(file: Path, size: int) -> Array:
    """Return the probabilities that Vowpal Wabbit wrote, float64[n, size], 0 where there are fewer actions."""
    rows = [line.split(",") for line in file.read_text().splitlines() if line.strip()]
    law = np.zeros((len(rows), size))
    for row, pairs in zip(law, rows, strict=True):
        for pair in pairs:
            action, _, probability = pair.partition(":")
            row[int(action)] = float(probability)
    return law


def judged(test: Path, law: Array) -> dict[str, float]:
    """Return what the model is worth by the log, with an interval, what by the world, and what the log earned."""
    with dsjson.read_rows(Source(test), Wanted()) as rows:
        columns = rows.columns()
    target = law[np.arange(len(law)), columns.action]
    terms = estimate.ips(columns.reward, columns.propensity, target)
    low, high = estimate.empirical_likelihood(terms)[1:3]
    lines = [json.loads(line)["c"] for line in test.read_text().splitlines()]
    true = [
        sum(
            p * worth(line["context"][0]["user"]["city"], one["id"])
            for p, one in zip(row, line["_multi"], strict=False)
        )
        for row, line in zip(law, lines, strict=True)
    ]
    return {
        "value": float(terms.value),
        "low": float(low),
        "high": float(high),
        "true": float(np.mean(true)),
        "logged": float(columns.reward.mean()),
    }


def measure(python: Path, decisions: int) -> dict[str, Any]:
    """Play, export, train on the first half and judge by the second."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        database = f"sqlite:///{folder}/run.db"
        with serve(served_by(port, database), port) as server:
            play(server.url, decisions)
        lines = exported(folder, database).read_text().splitlines(keepends=True)
        train, test, model, law = (folder / name for name in ("train.dsjson", "test.dsjson", "vw.model", "law.txt"))
        train.write_text("".join(lines[: len(lines) // 2]))
        test.write_text("".join(lines[len(lines) // 2 :]))
        peer = Peer(python, PEER / "dsjson.py")
        try:
            trained = peer.ask(
                {"train": str(train), "model": str(model), "flags": "-q :: --epsilon 0.05 --cb_type mtr"}
            )
            peer.ask({"score": str(test), "model": str(model), "law": str(law)})
        finally:
            peer.close()
        told = law_of(law, len(MEALS))
        return {"lines": len(lines), "scored": len(told), "train_seconds": trained["seconds"], **judged(test, told)}


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=6000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    python = peer_python(PEER / "vowpalwabbit.txt")
    if python is None:
        sys.exit("!!! Vowpal Wabbit is MISSING from this run")
    found = measure(python, options.decisions) | {"machine": machine()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    whole = found["lines"] == options.decisions and found["scored"] == options.decisions - options.decisions // 2
    if not (whole and found["low"] > found["logged"] and found["low"] <= found["true"] <= found["high"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
