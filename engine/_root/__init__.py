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
    from onearm.api.notebook.asking import evaluate, replay
    from onearm.api.notebook.logs import read_log
    from onearm.api.notebook.runs import simulate
    from onearm.api.open import open

__all__ = [
    "__version__",
    "best_arm",
    "evaluate",
    "hypotheses",
    "open",
    "read_log",
    "replay",
    "simulate",
    "thresholds",
    "weights",
]
__version__: str

_HOMES = {  # the modules of `onearm.api` where the names are made
    "best_arm": "kinds.queries.engine",
    "evaluate": "notebook.asking",
    "hypotheses": "kinds.queries.engine",
    "open": "open",
    "read_log": "notebook.logs",
    "replay": "notebook.asking",
    "simulate": "notebook.runs",
    "thresholds": "kinds.queries.engine",
    "weights": "experiment.weights",
}


def __getattr__(name: str) -> Any:
    """Load on first use what costs time: the Python interface loads numba, and the version is looked up."""
    if name == "__version__":
        from importlib.metadata import version

        return version("onearm")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"onearm.api.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'onearm' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names that there are, for those who press Tab."""
    return __all__
