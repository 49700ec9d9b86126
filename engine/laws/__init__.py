"""Probabilities of all available actions, and draws from them."""

from ..moved import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "onearm.engine.laws.from_scores": "Work work_of leader_of greedy inverse_gap softmax power total_of draw",
    },
)
