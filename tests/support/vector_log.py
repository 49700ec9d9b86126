"""What the tests of vectors over HTTP share: each kind of feedback as HTTP and as Python tell it, and the log folded.

The log is folded by another hand than the service's: points and details are read from the bytes and the text here.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from support.served import Served, assert_sound, log_of

import onearm
from onearm.api.experiment.spec import Spec
from onearm.api.kinds.vectors.engine import VectorEngine
from onearm.engine import loop, snapshot
from onearm.engine.vocabulary import DECIDE, Decision, Feedback, Instance, Key

BOX = {"kind": "box", "low": [-1.0, 0.0, -0.5], "high": [1.0, 0.5, 0.25]}
SIMPLEX = {"kind": "simplex", "dimension": 3}
POINTS = {"name": "point_gradient", "params": {"policy": {"name": "optimistic_omd"}, "delta": 0.25}}
IMPLICIT = {"name": "implicit_omd", "params": {"loss": "square"}}


def gradient(t: int) -> list[float]:
    """Return numbers that nobody would guess, of a loss."""
    return [math.sin(t), math.cos(2 * t) / 3, 0.5 - t % 3]


@dataclass(frozen=True)
class Kind:
    """A kind of feedback: an experiment, and what decision t reveals, to HTTP and to Python."""

    feedback: str
    policy: dict[str, Any]
    http: Callable[[int], dict[str, Any]]
    python: Callable[[int], dict[str, Any]]
    certain: bool = True  # no draw chooses the point
    domain: dict[str, Any] = field(default_factory=lambda: BOX)

    @property
    def body(self) -> dict[str, Any]:
        problem = {"kind": "vector", "domain": self.domain, "feedback": self.feedback}
        return {"experiment_id": self.feedback, "problem": problem, "policy": self.policy, "seed": 5}

    def engine(self) -> VectorEngine:
        """Open the same in Python."""
        return onearm.open(self.policy, domain=self.domain, feedback=self.feedback, seed=5)  # type: ignore[arg-type]

    def create(self, served: Served) -> None:
        answer = served.post("/v1/experiments", self.body)
        assert answer.status_code == 201, answer.text

    def decide(self, served: Served, **body: Any) -> Any:
        """Decide, and return the point, or both."""
        answer = served.decide(body, self.feedback)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return made["points" if self.feedback == "two_rewards" else "point"]

    def reward(self, served: Served, t: int, of: int | None = None) -> Any:
        """Tell decision t what it revealed, or what another one did."""
        return served.reward(f"~{t}", self.http(t if of is None else of), self.feedback)


KINDS = [
    Kind(
        "gradient",
        {"name": "optimistic_ftrl", "params": {}},
        lambda t: {"detail": {"gradient": gradient(t), "value": t / 7}},
        lambda t: {"gradient": gradient(t), "loss": t / 7},
    ),
    Kind(
        "losses",
        {"name": "optimistic_hedge", "params": {"scale": None}},
        lambda t: {"detail": {"losses": gradient(t)}},
        lambda t: {"losses": gradient(t)},
        domain=SIMPLEX,
    ),
    Kind(
        "reward",
        POINTS,
        lambda t: {"value": math.sin(t)} if t % 2 else {"detail": {"value": -math.sin(t)}},
        lambda t: {"reward": math.sin(t)},
        certain=False,
    ),
    Kind(
        "two_rewards",
        POINTS,
        lambda t: {"values": gradient(t)[:2]} if t % 2 else {"detail": {"values": [-x for x in gradient(t)[:2]]}},
        lambda t: {"reward": gradient(t)[:2]},
        certain=False,
    ),
    Kind(
        "example",
        IMPLICIT,
        lambda t: {"detail": {"example": {"a": gradient(t), "b": t / 9 - 1}, "value": t / 7}},
        lambda t: {"example": (gradient(t), t / 9 - 1), "loss": t / 7},
    ),
]


def crashed(served: Served, folder: Path) -> Served:
    """Return a service that finds what this one's process would leave on the disk if it were killed now."""
    folder.mkdir()
    source = Path(served.url.removeprefix("sqlite:///"))
    for file in source.parent.glob(f"{source.name}*"):
        shutil.copy(file, folder / file.name)
    return Served(folder)


def folded(served: Served, experiment_id: str) -> str:
    """Make every decision of a log again, learn what followed, and return the digest of the state."""
    row, events = log_of(served.store, experiment_id)
    assert_sound(events)
    spec = Spec.from_stored(json.loads(row.spec))
    params = spec.policy.params
    state = spec.policy.init(params, spec.problem)
    made: dict[int, tuple[Instance, Decision]] = {}
    for event in events:
        number = event.number
        assert number is not None
        key = Key(spec.run, number)
        if event.kind == DECIDE:
            instance = Instance(number, np.frombuffer(event.context or b"", "<f8").copy(), np.ones(1, np.bool_))
            action, propensity = loop.decide(params, state, instance, key)
            assert action.astype("<f8").tobytes() == event.vector and event.action is None
            assert (event.propensity is None) if math.isnan(propensity) else (event.propensity == propensity)
            made[number] = instance, Decision(action.copy(), propensity)
        else:
            assert event.vector is None and event.reward is not None
            feedback = Feedback(event.reward, np.array(json.loads(event.detail or "[]"), np.float64))
            loop.learn(params, state, *made.pop(number), feedback, key)
    return snapshot.digest(state)
