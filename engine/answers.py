"""How the world answers a query: a number around the query's mean, a sign, or a bit."""

from __future__ import annotations

from .draws import normal, uniform
from .kernel import kernel
from .vocabulary import Key

NORMAL, SIGNS, BITS = range(3)
ANSWERS = {"normal": NORMAL, "signs": SIGNS, "bits": BITS}
_ANSWER = 0  # index of nature's draw


@kernel
def draw_answer(kind: int, mean: float, key: Key) -> float:
    """Draw an answer with this mean: normal with variance 1, -1 or 1, or 0 or 1."""
    if kind == NORMAL:
        return mean + normal(key, _ANSWER)
    if kind == SIGNS:
        return 1.0 if uniform(key, _ANSWER) < 0.5 * (1.0 + mean) else -1.0
    return 1.0 if uniform(key, _ANSWER) < mean else 0.0
