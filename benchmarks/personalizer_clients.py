"""Azure Personalizer's two official clients against the service, and what its wire costs beside our own route.

Run: python benchmarks/personalizer_clients.py [--seconds 3] [--rounds 3] [--json]. The clients, in an environment of
their own, play their whole flow (`peers/personalizer/play.py`). Then wrk sends ranks of 50 actions with features, and
decisions with equal bodies, each of an id of its own, to one service in turn. Exits with 1 where a fact is wrong, or
where the CPU of a rank is above LIMIT times that of a decision.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from machine import machine
from service import Server, free_port, key_of, serve, served_by, wrk
from speed import peer_python

HERE = Path(__file__).parent
RESULT = HERE / "results" / "personalizer_clients.json"
PEER = HERE / "peers" / "personalizer"
LIMIT = 1.2
CONNECTIONS = 16
SEND = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["%s"] = "%s"
local n = 0
request = function()
  n = n + 1
  return wrk.format(nil, "%s", nil, '%s' .. n .. '%s')
end
"""


def bodies() -> dict[str, tuple[str, str, str]]:
    """Return the path of a case, and its body up to an id and behind it."""
    features = [
        [{"taste": f"t{a % 5}", "price": a / 10, "fresh": a % 2 == 0}, {"origin": f"c{a % 7}"}] for a in range(50)
    ]
    actions = json.dumps([{"id": f"meal-{a}", "features": row} for a, row in enumerate(features)])
    context = json.dumps([{"user": {"age": 31, "city": "paris", "plan": "gold"}}, {"time": {"hour": 9, "day": "mon"}}])
    rank = f'{{"contextFeatures": {context}, "actions": {actions}, "eventId": "'
    own = f'{{"context": {{"context": {context}}}, "actions": {actions}, "decision_id": "'
    return {
        "rank": ("/personalizer/v1.0/rank", rank, '"}'),
        "decision": ("/v1/experiments/personalizer/decisions", own, '"}'),
        "ranked_decision": ("/v1/experiments/personalizer/decisions", own, '", "rank": true}'),
    }


def compare(server: Server, key: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Load both routes in turn; return medians, of CPU in microseconds, and the ratios of a rank's."""
    told = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=server.url, timeout=60, headers=told) as client:
        cases = bodies()
        path, head, tail = cases["rank"]
        client.post(path, content=f"{head}first{tail}").raise_for_status()
        while not client.get("/v1/experiments/personalizer/diagnostics").json()["compiling"]["compiled"]:
            time.sleep(0.1)
        while client.get("/v1/experiments/personalizer/diagnostics").json()["compiling"]["waiting"]:
            time.sleep(0.1)
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name, (path, head, tail) in list(cases.items())[:: 1 if turn % 2 == 0 else -1]:
            header = ("Ocp-Apim-Subscription-Key", key) if name == "rank" else ("Authorization", f"Bearer {key}")
            sent = SEND % (*header, path, f"{head}{name}-{turn}-", tail)
            cpu[name].append(wrk(server, sent, CONNECTIONS, seconds)["cpu_us"])
    medians = {f"{name}_cpu_us": statistics.median(runs) for name, runs in cpu.items()}
    return medians | {
        "ratio": medians["rank_cpu_us"] / medians["ranked_decision_cpu_us"],
        "ratio_without_ranking": medians["rank_cpu_us"] / medians["decision_cpu_us"],
    }


def main() -> None:
    """Play, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    python = peer_python(PEER / "azure.txt")
    if python is None:
        sys.exit("!!! the clients are MISSING from this run")
    with tempfile.TemporaryDirectory() as folder:
        database, port = f"sqlite:///{folder}/run.db", free_port()
        key = key_of(database)
        with serve(served_by(port, database, "--personalizer"), port) as server:
            command = [str(python), str(PEER / "play.py"), server.url, key]
            played = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cost = compare(server, key, options.seconds, options.rounds) if shutil.which("wrk") else None
    if cost is None:
        print("!!! there is no wrk: the cost of the wire is MISSING from this run", file=sys.stderr)
    wrong = [f"{client}: {fact}" for client, facts in played.items() for fact, holds in facts.items() if not holds]
    found = {"clients": played, "wrong": wrong, "cost": cost, "machine": machine()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    if wrong or cost is None or cost["ratio"] > LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
