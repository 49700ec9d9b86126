"""An omega tuned over HTTP: an experiment like any other, with the decisions of a tuner at the same seed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.served import Served

from onearm.api.solver import Tuner

PAGE = Path(__file__).resolve().parents[3] / "docs" / "solver.md"
CURL = re.compile(r"^curl -d '(.*)' http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def cost(omega: float, diffusivity: float) -> int:
    return 10 + round(80.0 * abs(omega - 1.2 - 0.05 * diffusivity))


@pytest.mark.parametrize("rounds", [12])
def test_twenty_omegas_are_tuned_over_http_as_by_a_tuner(tmp_path: Path, rounds: int) -> None:
    tuner = Tuner("chebcb", context=(0.0, 10.0), seed=5, backstop=None)
    labels = [f"{omega:.2f}" for omega in tuner.values]
    with Served(tmp_path) as served:
        created = served.create(
            "omega",
            arms=[{"id": label} for label in labels],
            policy={"name": "chebcb", "params": {"low": 0.0, "high": 10.0}},
            problem={"context": {"kind": "dense", "length": 1}},
        )
        assert created.status_code == 201, created.text
        for t in range(rounds):
            diffusivity = 10.0 * ((7 * t) % 11) / 11
            made = served.decide({"context": [diffusivity], "decision_id": f"step-{t}"}, "omega").json()
            proposal = tuner.ask(diffusivity)
            assert (made["action_id"], made["propensity"]) == (labels[proposal.arm], proposal.propensity)
            iterations = cost(proposal.value, diffusivity)
            tuner.tell(proposal, iterations)
            assert served.reward(f"step-{t}", -iterations, "omega").json() == {"status": "accepted"}
        assert served.digest("omega") == tuner.digest()
        served.restart()
        assert served.digest("omega") == tuner.digest()
        served.assert_consistent("omega")


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    calls = CURL.findall(PAGE.read_text())
    with Served(tmp_path) as served:
        answers = [served.post(path, json.loads(body)) for body, path in calls]
        assert [answer.status_code for answer in answers] == [201, 201, 200]
        assert answers[1].json()["action_id"] in {"1.0", "1.2", "1.4", "1.6", "1.8"}
        assert served.get("/v1/experiments/omega").json()["rewards"] == 1
