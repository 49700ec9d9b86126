"""What an experiment is, fixed at its creation: its policy, its problem, its arms and its seed. `spec.py` reads it."""

from __future__ import annotations

import functools
import json
import platform
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any, NamedTuple

import numba
import numpy as np

from ...engine.draws import POLICY, run_key, run_of
from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import check_range
from ...engine.vocabulary import Policy, Problem
from .constraints import Constraints
from .context_intake import ContextIntake
from .ids import check_fields, check_id
from .intake import Intake
from .window import FIELDS, Window

DEPTH_MAX = 40  # of brackets in a spec: far from where JSON readers and the compiler give up
SAFE_INTEGER_MAX = 2**53  # larger whole numbers lose digits in many JSON readers: they travel as strings

NOBODY = -1  # in place of the number of a policy

Arms = tuple[dict[str, Any], ...]  # each with its "id"; arm number = position


class Declared(NamedTuple):
    """What the problem of a spec says, read by its kind."""

    problem: Problem
    arms: Arms = ()  # none where actions come per call; where queries are asked, these
    intake: Intake = ContextIntake()
    hypotheses: tuple[str, ...] = ()  # the ids of what can be recommended, where queries are asked


@dataclass(frozen=True)
class Definition:
    """The immutable definition of an experiment."""

    id: str
    policy: Policy
    problem: Problem
    arms: Arms  # as `Declared` has them, and so have what follows the seed
    seed: int
    intake: Intake
    hypotheses: tuple[str, ...] = ()
    window: Window | None = None  # in which the rewards of a decision are waited for
    state_bytes: int = field(default=0, compare=False, repr=False)  # of that state with room
    example: Any = field(default=None, compare=False, repr=False)  # a state without room, of the types of the policy's
    constraints: Constraints | None = None  # to which its policy keeps, and every other that joins
    supposed: bool = False  # whether the range of rewards is the policy's, as none was declared
    numbers: tuple[int, ...] = (0,)  # of the policies that decide: the live one; or it, the canary and the control

    @property
    def warnings(self) -> list[str]:
        """What whoever created it must know."""
        return [] if self.window is None else self.window.warnings(self.problem)

    @property
    def deciding(self) -> tuple[int, ...]:
        """The numbers of the policies that decide."""
        return tuple(number for number in self.numbers if number != NOBODY)

    @cached_property
    def run(self) -> np.uint64:
        """The run key of the draws of the policy; where several decide theirs are made of it."""
        return run_of_policy(self, self.numbers[0] if len(self.numbers) == 1 else 0)

    def versions_json(self) -> str:
        """Return the versions as experiments and snapshots keep them."""
        return json.dumps(self.versions(), sort_keys=True)

    def versions(self) -> dict[str, Any]:
        """Return the versions that the bits of a decision depend on."""
        return {
            "onearm": _version(),
            "policy": self.policy.version,
            "numba": numba.__version__,
            "numpy": np.__version__,
            "platform": f"{platform.system()}-{platform.machine()}",
        }


def run_of_policy(spec: Definition, number: int) -> np.uint64:
    """Return the run key of the draws of an experiment's policy by its number."""
    return run_of(run_key(spec.seed, 0, POLICY), number)


@functools.cache
def _version() -> str:
    """Return the version of this package; looking it up takes 1 ms."""
    return version("onearm")


def check_reward_fields(body: Any) -> tuple[float, float] | None:
    """Return the range that the `reward` of a spec declares, None where it declares none."""
    check_fields("reward", body, {"range", "supposed", *FIELDS})
    return check_range("reward.range", body["range"]) if "range" in body else None


def check_arm(arm: Any) -> str:
    """Return the id of an arm, an object that has one."""
    if not isinstance(arm, dict):
        raise InvalidInput("bad_arms", f'an arm is {as_seen(arm)}: it must be an object like {{"id": "a"}}')
    if not is_shallow(arm):
        raise InvalidInput("too_deep", f"the arm has brackets nested deeper than {DEPTH_MAX}: keep it flat")
    return check_id("the id of an arm", arm.get("id"))


def is_shallow(value: Any, depth: int = DEPTH_MAX) -> bool:
    """Tell whether the brackets of a JSON value are nested at most so deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(is_shallow(inner, depth - 1) for inner in value)


def whole(code: str, what: str, value: Any) -> int | None:
    """Return a whole number, None where there is none; refuse anything else with this code."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidInput(code, f"{what} is {as_seen(value)}: it must be a whole number, or left out")
    number: int | None = value
    return number
