"""The policies that oomd.py compares, by the name of their rows; those that end in _paper know what the paper wants."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from drawing import BLUE, DARK, GREEN, GREY, OLIVE, ORANGE, PURPLE

from onearm.engine.vocabulary import Policy
from onearm.policies import catalog


class Rule(NamedTuple):
    """A policy with its params, and how it is drawn."""

    policy: str
    params: dict[str, Any]
    label: str
    colour: str


def known(largest: float, bend: float) -> dict[str, Any]:
    """Return params that are told how long gradients are at most, and how fast they change: G and L."""
    return {"gradient_max": largest, "smoothness": bend}


def first_order(largest: float, bend: float) -> dict[str, Rule]:
    """Return the policies of convex losses for a world with this G and L."""
    told = known(largest, bend)
    return {
        "optimistic_ftrl": Rule("optimistic_ftrl", {}, "optimistic FTRL, knows nothing", DARK),
        "optimistic_omd": Rule("optimistic_omd", {}, "OOMD, knows nothing", PURPLE),
        "optimistic_omd_paper": Rule("optimistic_omd", {"caution": 1.0, **told}, "OOMD", BLUE),
        "optimistic_ftrl_sachs": Rule("optimistic_ftrl", {"steps": "sachs", **told}, "optimistic FTRL (Sachs)", GREEN),
        "gradient_descent": Rule("gradient_descent", {"gradient_max": largest}, "OGD", ORANGE),
        "ftrl": Rule("ftrl", {"gradient_max": largest}, "FTRL", OLIVE),
    }


CONVEX = first_order(2.2, 1.0)
CURVED = first_order(2.2, 0.5) | {
    "optimistic_omd_lambda": Rule("optimistic_omd", {"convexity": 0.5}, "OOMD, 2/(λt)", BLUE),
    "optimistic_ftl": Rule("optimistic_ftrl", {"convexity": 0.5}, "optimistic FTL", GREEN),
    "gradient_descent_lambda": Rule("gradient_descent", {"convexity": 0.5}, "OGD, 1/(λt)", ORANGE),
}
MOVING = first_order(2.4, 1.0) | {
    "optimistic_ensemble": Rule("optimistic_ensemble", known(2.4, 1.0), "ensemble", BLUE),
    "optimistic_omd_paper": Rule("optimistic_omd", {"caution": 1.0, **known(2.4, 1.0)}, "a single OOMD", GREEN),
}


def learners(largest: float, bend: float, diameter: float, horizon: int) -> dict[str, Rule]:
    """Return each learner of the ensemble by itself: mirror descent with one of its steps."""
    pool, least = [], diameter / (largest * math.sqrt(8.0 * horizon))
    while not pool or pool[-1] < 1.0 / (8.0 * bend):
        pool.append(min(1.0 / (8.0 * bend), math.ldexp(least, len(pool))))
    return {
        f"learner_{i}": Rule("optimistic_omd", {"step": step}, f"step {step:.2g}", GREY) for i, step in enumerate(pool)
    }


def newton(largest: float, residual: float) -> dict[str, Rule]:
    """Return the policies of squared losses whose residuals and gradients are at most so large."""
    exact = {"gradient_max": largest, "beta": 1.0 / residual**2}
    return {
        "optimistic_newton_paper": Rule(
            "optimistic_newton", {"gradient_max": largest, "alpha": 1.0 / residual**2}, "optimistic Newton", PURPLE
        ),
        "optimistic_newton": Rule("optimistic_newton", exact, "optimistic Newton, exact β", BLUE),
        "newton": Rule("optimistic_newton", {"hint": "zero", **exact}, "Newton, exact β", OLIVE),
        "gradient_descent": Rule("gradient_descent", {"gradient_max": largest}, "OGD", ORANGE),
    }


ABSOLUTE = {
    "implicit_omd": Rule("implicit_omd", {"loss": "absolute", "gradient_max": 1.1}, "implicit", BLUE),
    "optimistic_omd_paper": Rule("optimistic_omd", {"caution": 1.0, **known(1.1, 0.0)}, "linearised", ORANGE),
}


def barrier(label: str, **params: Any) -> Rule:
    return Rule("log_barrier_omd", params, label, BLUE)


def bandits(eta: float) -> dict[str, Rule]:
    """Return the policies that see one arm; `eta` is theory's step without hints, sqrt(K ln T / T)."""
    rules = {"exp3_ix": Rule("exp3_ix", {}, "Exp3-IX", GREY)}
    for hint in ("arm", "common", "zero"):
        for name, step in (("", {}), ("_1", {"eta": 1.0}), ("_0.3", {"eta": 0.3}), ("_theory", {"eta": eta})):
            rules[f"log_barrier_{hint}{name}"] = barrier(f"log barrier, hint {hint}{name}", hint=hint, **step)
    return rules


def policy_of(rule: Rule) -> Policy:
    """Make the policy of a rule."""
    return catalog.make(rule.policy, **rule.params)
