"""Experiments with several policies, whose clients decide and reward; the world is drawn."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from support.served import Served

from onearm.api.cli.verify import has_fault, verified

MEANS = {"a": 0.2, "b": 0.5, "c": 0.8, "d": 0.9}
ARMS = [{"id": name} for name in "abc"]


def law(name: str, **params: Any) -> dict[str, Any]:
    return {"name": name, "params": params}


TSALLIS, THOMPSON, UNIFORM = law("tsallis_inf"), law("thompson_beta", propensities=True), law("uniform")


class Life:
    """An experiment whose clients decide and reward; the world is drawn."""

    def __init__(self, served: Served, policy: Any = TSALLIS, **more: Any) -> None:
        self.served, self.rng = served, np.random.default_rng(1)
        assert served.create(arms=ARMS, seed=3, policy=policy, **more).status_code == 201

    def play(self, n: int, **body: Any) -> list[dict[str, Any]]:
        """Let clients decide so many times, and reward all of it afterwards."""
        made = self.served.decide_all([body] * n)
        self.served.reward_all({one["decision_id"]: self.earned(one) for one in made})
        return made

    def reward(self, decided: dict[str, Any]) -> None:
        assert self.served.reward(decided["decision_id"], self.earned(decided)).status_code == 200

    def earned(self, decided: dict[str, Any]) -> float:
        """Draw what comes of a decision."""
        return float(self.rng.random() < MEANS[decided["action_id"]])

    def join(self, policy: Any, **part: Any) -> dict[str, Any]:
        answer = self.served.post("/v1/experiments/e/policies", {"policy": policy, **part})
        assert answer.status_code == 201, answer.text
        joined: dict[str, Any] = answer.json()
        return joined

    def do(self, number: int, deed: str, **body: Any) -> dict[str, Any]:
        answer = self.served.post(f"/v1/experiments/e/policies/{number}:{deed}", body)
        assert answer.status_code == 200, answer.text
        done: dict[str, Any] = answer.json()
        return done

    def lineup(self) -> dict[str, Any]:
        found: dict[str, Any] = self.served.get("/v1/experiments/e/policies").json()
        return found

    def read_up(self) -> dict[str, Any]:
        """Wait until what is logged was read, and return what the policies are worth."""
        deadline = time.monotonic() + 60
        while self.unread():
            assert time.monotonic() < deadline, self.lineup()
            time.sleep(0.02)
        found = self.lineup()
        assert found["lag"] == 0
        return found

    def unread(self) -> int:
        """Return how many events of the log the policies do not know yet: to ask for the lineup draws its intervals."""
        service = self.served.service
        live = service.live("e")
        watch = service.policies.watch(live)
        return live.seq - (0 if watch is None else watch.seq)

    def roles(self) -> dict[int, str]:
        return {one["policy"]: one["role"] for one in self.lineup()["policies"]}

    def restart(self) -> None:
        """Start the service again: it knows the same."""
        digest = self.served.digest()
        self.served.restart()
        assert self.served.digest() == digest

    def assert_verifies(self) -> None:
        """Make every decision from the beginning again, as the log says and after a restart."""
        self.restart()
        found = {one["id"]: one for one in verified(self.served.url)}["e"]
        assert not has_fault(found), found
