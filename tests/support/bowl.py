"""An environment from outside whose loss is a bowl: the nearer the middle, the better."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Bowl(gymnasium.Env[Any, Any]):
    """Lose |x - c|^2 / 2 in a Box of someone else's, by float32 and of the shape [2, 1]; `told` is put into info."""

    def __init__(self, space: spaces.Space[Any] | None = None, told: Any = "gradient", feedback: Any = None) -> None:
        low, high = np.array([[-0.7], [0.0]], np.float32), np.array([[0.7], [0.1]], np.float32)
        self.action_space = spaces.Box(low, high, dtype=np.float32) if space is None else space
        self.observation_space = spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Box(0, 1, (2,), np.float32)})
        self.told, self.begun, self.points = told, 0, []
        if feedback is not None:
            self.metadata = {"render_modes": [], "feedback": feedback}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.begun += 1
        return self._seen(), {"action_mask": np.zeros(7, np.int8)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.points.append(action)
        away = np.array([0.9, 0.05]) - action.ravel()[:2]
        is_gradient = isinstance(self.told, str) and self.told == "gradient"
        info = {} if self.told is None else {"detail": away if is_gradient else self.told}
        return self._seen(), -0.5 * float(away @ away), False, len(self.points) % 10 == 0, info

    def _seen(self) -> dict[str, Any]:
        return {"a": np.array([0.5, 0.25], np.float32), "b": 1}
