"""The constraints of an experiment, by the ids of its arms: who decides in it, now or later, keeps to them.

Its policy, and each that joins, is wrapped alike: floors, caps and groups inside, and what keeps units to their arms
outside. So a spec of a policy holds all that it decides by, and the constraints say it in the words of the client.

>>> said = constraints_of({"floors": {"b": 0.1}, "sticky": {"seconds": 60}}, [{"id": "a"}, {"id": "b"}])
>>> said.around(catalog.make("uniform")).spec["params"]["policy"]["params"]["floors"]
[0.0, 0.1]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import check_param
from ...engine.vocabulary import Policy
from ...policies import catalog
from ...policies.wrappers.constrained import constrained
from ...policies.wrappers.sticky import sticky
from .ids import check_fields, check_id
from .tags import check_tags

CONSTRAINTS = {"floors", "caps", "groups", "sticky"}  # the fields of the `constraints` of a spec
Shares = float | list[float]


class Constraints(NamedTuple):
    """What an experiment says, as it was said, and by the numbers of its arms."""

    said: dict[str, Any]
    floors: Shares
    caps: Shares
    groups: list[dict[str, Any]]

    def around(self, policy: Policy) -> Policy:
        """Return a policy that keeps to these constraints; one that does already, as on record, is left as it is."""
        if policy.constrained is None and policy.repeats is None:
            return self._around(policy)
        inner: Any = policy.spec
        for _ in range(self._has_bounds + ("sticky" in self.said)):
            inner = inner["params"].get("policy") if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inside = catalog.from_stored(inner)
            if inside.constrained is None and inside.repeats is None and self._around(inside).spec == policy.spec:
                return policy
        raise InvalidInput(
            "two_constraints",
            f"policy {policy.name!r} has constraints of its own, and the experiment has constraints: name the policy "
            "inside, and say all in constraints (what was sticky as well)",
        )

    def check_arm(self, arm: dict[str, Any]) -> None:
        """Refuse an arm whose tags cannot be read, where a group is named by one."""
        if any("tag" in group for group in self.groups):
            check_tags(arm)

    @property
    def _has_bounds(self) -> bool:
        return bool(self.said.keys() - {"sticky"})

    def _around(self, policy: Policy) -> Policy:
        if self._has_bounds:
            given = {"floors": self.floors, "caps": self.caps, "groups": self.groups or None}
            policy = catalog.make(constrained.__name__, policy=policy, **given)
        if "sticky" in self.said:
            policy = catalog.make(sticky.__name__, policy=policy, **self.said["sticky"])
        return policy


def constraints_of(said: Any, declared: Sequence[dict[str, Any]]) -> Constraints:
    """Return the constraints that a spec declares for arms by their ids; raises `InvalidInput` where it is none."""
    arms = [arm["id"] for arm in declared]
    check_fields("constraints", said, CONSTRAINTS)
    if not said:
        raise InvalidInput("bad_constraints", "constraints are empty: say floors, caps, groups or sticky, or leave out")
    floors, caps = _shares("floors", said, arms, 0.0), _shares("caps", said, arms, 1.0)
    for number, arm in enumerate(arms):
        floor, cap = (share if isinstance(share, float) else share[number] for share in (floors, caps))
        if floor > cap:
            raise InvalidInput("never_met", f"the floor of {arm!r} is {floor:g}, above its cap of {cap:g}: lower it")
    groups = said.get("groups", [])
    if not isinstance(groups, list):
        raise InvalidInput("bad_constraints", f"constraints.groups is {as_seen(groups)}: it must be a list of groups")
    if "sticky" in said:
        check_fields("constraints.sticky", said["sticky"], {"seconds", "units_max"})
    made = Constraints(said, floors, caps, [_group(group, arms) for group in groups])
    for arm in declared:
        made.check_arm(arm)
    return made


def _shares(name: str, said: dict[str, Any], arms: Sequence[str], other: float) -> Shares:
    """Return one share for every arm, or a list of one for each; `other` is what an arm has that is not named."""
    given, name = said.get(name, other), f"constraints.{name}"
    if not isinstance(given, dict):
        return check_param(name, given, low=0.0, high=1.0)
    for arm in given:
        _number(arm, arms, name)
    return [check_param(f"{name} of {arm!r}", given.get(arm, other), low=0.0, high=1.0) for arm in arms]


def _group(said: Any, arms: Sequence[str]) -> dict[str, Any]:
    """Return a group whose arms are numbers; one of a tag is as it was said."""
    check_fields("a group of constraints", said, {"name", "arms", "tag", "floor", "cap"})
    name = check_id("the name of a group", said.get("name"))
    if "tag" in said:
        return said
    if not isinstance(members := said.get("arms"), list):
        raise InvalidInput(
            "bad_constraints", f"the group {name!r} has no list of arms: name them by ids, or a tag of theirs"
        )
    return {**said, "arms": [_number(arm, arms, f"the group {name!r}") for arm in members]}


def _number(arm: Any, arms: Sequence[str], where: str) -> int:
    if arm not in arms:
        raise InvalidInput(
            "unknown_arm", f"{where} names the arm {as_seen(arm)}, and the arms are {', '.join(arms[:20])}"
        )
    return arms.index(arm)
