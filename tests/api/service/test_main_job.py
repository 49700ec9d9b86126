"""The README's main job on real input: a stream, a crash in the middle, and every decision made again.

The service runs as a process; a client streams scikit-learn's digits through it as a classification bandit.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_digits
from support.processes import Process

from onearm.api.cli.main import run

STEPS = 100
BODY = {
    "experiment_id": "digits",
    "arms": [{"id": str(digit)} for digit in range(10)],
    "policy": {"name": "thompson_beta", "params": {}},
    "problem": {"context": {"kind": "dense", "length": 64}},
    "seed": 4,
}
DECISIONS = "/v1/experiments/digits/decisions"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Process, httpx.Client]]:
    """Run the service over the folder's database until the block ends; yields it when it is ready."""
    process = Process(f"sqlite:///{folder}/run.db")
    try:
        process.wait()
        with httpx.Client(base_url=process.url, timeout=30) as client:
            yield process, client
    finally:
        process.end()


def stream(client: httpx.Client, first: int, last: int) -> list[dict[str, Any]]:
    """Decide on the digits from `first` to `last` and reward each decision; return the answers with their rewards."""
    digits = load_digits()
    answers = []
    for row in range(first, last):
        body = {"context": (digits.data[row] / 16.0).tolist(), "decision_id": f"digit-{row}"}
        answer = client.post(DECISIONS, json=body)
        assert answer.status_code == 201, answer.text
        decided = answer.json()
        value = float(decided["action_id"] == str(digits.target[row]))
        rewarded = client.post(f"{DECISIONS}/{decided['decision_id']}/reward", json={"value": value})
        assert rewarded.json() == {"status": "accepted"}
        answers.append(decided | {"value": value})
    return answers


@pytest.mark.jit
@pytest.mark.usefixtures("nothing_is_compiled")
def test_a_stream_survives_a_kill_and_every_decision_can_be_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path) as (process, client):
        assert client.post("/v1/experiments", json=BODY).status_code == 201
        answers = stream(client, 0, STEPS // 2)
        process.stop(signal.SIGKILL)
    with serving(tmp_path) as (process, client):
        retried = client.post(
            DECISIONS,
            json={"context": (load_digits().data[7] / 16.0).tolist(), "decision_id": "digit-7"},
        )
        assert retried.status_code == 200
        assert retried.json()["action_id"] == answers[7]["action_id"]
        assert retried.json()["propensity"] == answers[7]["propensity"]
        answers += stream(client, STEPS // 2, STEPS)
        now = client.get("/v1/experiments/digits").json()
        for row in (0, STEPS // 2 - 1, STEPS // 2, STEPS - 1):
            record = client.get(f"{DECISIONS}/digit-{row}").json()
            assert record["action_id"] == answers[row]["action_id"]
            assert record["reward"]["value"] == answers[row]["value"]
        process.stop(signal.SIGTERM)
    assert (now["decisions"], now["rewards"], now["pending"], now["seq"]) == (STEPS, STEPS, 0, 2 * STEPS)
    capsys.readouterr()
    assert run(["verify", "--database", f"sqlite:///{tmp_path}/run.db", "--json"]) == 0
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)["experiments"]}["digits"]
    assert found["first_difference"] is None
    assert (found["events"], found["decisions"]) == (2 * STEPS, STEPS)
    assert found["digest"] == now["digest"]
