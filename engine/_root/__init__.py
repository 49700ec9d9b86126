"""onearm: an online decision engine.

>>> import onearm
>>> engine = onearm.open(policy="ucb1", arms=["a", "b"])
>>> decision = engine.decide()
>>> decision.action_id
'a'
>>> engine.learn(decision, reward=1.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onearm.api.experiment.weights import weights
    from onearm.api.kinds.queries.engine import best_arm, hypotheses, thresholds
    from onearm.api.open import open

__all__ = ["__version__", "best_arm", "hypotheses", "open", "thresholds", "weights"]
__version__: str


def __getattr__(name: str) -> Any:
    """Load on first use what costs time: the Python interface loads numba, and the version is looked up."""
    if name == "__version__":
        from importlib.metadata import version

        return version("onearm")
    if name == "open":
        from onearm.api.open import open

        return open
    if name == "weights":
        from onearm.api.experiment.weights import weights

        return weights
    if name in ("best_arm", "hypotheses", "thresholds"):
        from onearm.api.kinds.queries import engine as query_door

        return getattr(query_door, name)
    raise AttributeError(f"module 'onearm' has no attribute {name!r}")
