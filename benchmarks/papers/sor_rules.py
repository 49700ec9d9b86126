"""The rules that sor.py compares: which policies, with which params in which world, and how plots show them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Policy
from onearm.policies import catalog as policies

BEST_FIXED = "fixed_omega"  # the grid point that costs least in all
BEST_POINT = "best_grid_point"  # the grid point that costs least, instance by instance
CG = "cg"  # conjugate gradients without a preconditioner: no policy, no omega
POINTS = 20  # of the grid from OMEGA_MIN to OMEGA_MAX
OMEGA_MIN, OMEGA_MAX = 1.0, 1.95
SHIFT_RANGE, HEAT_RANGE = (-0.15, 0.65), (0.0, 10.0)  # of the contexts, as the paper's code has them
SCALED = {"scale": "running_mean", "reward_max": -1.0}


class Rule(NamedTuple):
    """A policy and how it is shown."""

    label: str
    colour: str
    policy: str
    params: Mapping[str, Any] = MappingProxyType({})  # those that have no default here or ought not to have it
    points: int = POINTS
    worlds: tuple[str, ...] = ("shift", "heat")


def fixed(omega: float, colour: str, words: str = "", worlds: tuple[str, ...] = ("shift", "heat")) -> Rule:
    return Rule(f"ω = {omega:g}{words}", colour, "fixed_omega", {"omega": omega}, worlds=worlds)


# Colours are those of Okabe and Ito, which colour-blind people tell apart; what learns nothing is black or grey.
# `low` and `high` are those of the world's contexts, for policies that have them, and need not stand here.
RULES = {
    "young": Rule("Young, each instance", "#000000", "young", points=1901, worlds=("shift",)),
    BEST_POINT: Rule("best of 20, each instance", "#555555", ""),
    "maillard_chain": Rule("Maillard chain", "#D55E00", "maillard_chain"),
    "maillard_chain_96": Rule("Maillard chain, 96 omegas", "#CC79A7", "maillard_chain", points=96),
    "chebcb": Rule("ChebCB", "#0072B2", "chebcb"),
    "tsallis_inf_binned": Rule("Tsallis-INF, in bins", "#56B4E9", "tsallis_inf_binned"),
    BEST_FIXED: Rule("best fixed ω", "#555555", ""),
    "tsallis_inf": Rule("Tsallis-INF", "#009E73", "tsallis_inf", {"estimator": "reduced_variance", **SCALED}),
    "tsallis_inf_weighted": Rule(
        "Tsallis-INF, weighted", "#8FD3BD", "tsallis_inf", {"estimator": "importance_weighted", **SCALED}
    ),
    "uniform": Rule("uniform", "#999999", "uniform"),
    "omega_1.0": fixed(1.0, "#BBBBBB", ", Gauss-Seidel"),
    "omega_1.2": fixed(1.2, "#BBBBBB", worlds=("shift",)),
    "omega_1.4": fixed(1.4, "#BBBBBB", worlds=("shift",)),
    "omega_1.5": fixed(1.5, "#999999", worlds=("heat",)),
    "omega_1.6": fixed(1.6, "#BBBBBB", worlds=("shift",)),
    "omega_1.8": fixed(1.8, "#BBBBBB", worlds=("shift",)),
    CG: Rule("CG, no preconditioner", "#E69F00", "", worlds=("heat",)),
}
IN_HINDSIGHT = (BEST_FIXED, BEST_POINT)
BINS = {"shift": 5, "heat": 6}
OTHERS = ("#E69F00", "#F0E442", "#6A51A3", "#8C6D5A")  # of rules that do not stand above


def read_rules(text: str | None) -> dict[str, Rule]:
    """Return rules by their key: all, or those of a list of keys, of policies' names or name:{json}, by commas."""
    if text is None:
        return dict(RULES)
    found: dict[str, Rule] = {}
    for key in re.split(r",(?![^{]*\})", text):
        if key in RULES:
            found[key] = RULES[key]
            continue
        name, _, params = key.partition(":")
        try:
            given = json.loads(params) if params else {}
        except json.JSONDecodeError as error:
            raise InvalidInput(
                "bad_params", f"the params of {name!r} are not JSON ({error.msg}): write name or name:{{json}}"
            ) from None
        if not isinstance(given, dict):
            raise InvalidInput("bad_params", f"the params of {name!r} are no object: write name or name:{{json}}")
        default = RULES[name].params if name in RULES else {}
        found[key] = Rule(key, OTHERS[len(found) % len(OTHERS)], name, {**default, **given})
        policy_of(found[key], "shift")  # refuses what is unknown
    return found


def policy_of(rule: Rule, world: str) -> Policy:
    """Return the policy of a rule in a world, "shift" or "heat"."""
    known = inspect.signature(policies.factory(rule.policy)).parameters
    low, high = SHIFT_RANGE if world == "shift" else HEAT_RANGE
    own = {"low": low, "high": high, "reward_max": -1.0, "bins": BINS[world]}
    own |= {"omega_min": OMEGA_MIN, "omega_max": OMEGA_MAX}
    return policies.make(rule.policy, **{name: own[name] for name in own if name in known} | dict(rule.params))


def label(key: str) -> str:
    """Return what tables call a rule."""
    return RULES[key].label if key in RULES else key
