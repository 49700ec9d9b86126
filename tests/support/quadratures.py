"""Policies whose law is a quadrature: in plain Python a decision takes them 1 to 6 ms, where others take 0.1 ms."""

from __future__ import annotations

BY_QUADRATURE = (
    "linear_thompson",
    "logistic_thompson",
    "sticky",  # around one of these, as golden.py has it
    "thompson_any",
    "thompson_beta",
    "thompson_normal",
)


def fewer(name: str, steps: int) -> int:
    """Return how many decisions a test in plain Python makes: half as many of these policies."""
    return steps // 2 if name in BY_QUADRATURE else steps
