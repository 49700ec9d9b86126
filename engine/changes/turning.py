"""What a person may say of the world: that it is another one now, or that the last change was none.

A policy that looks for changes has `Policy.turn`, which writes what was said into its state. What was said is an event
of the log, so whoever folds a log comes upon it at its place.
"""

from __future__ import annotations

from typing import Any

from ..errors import Conflict, InvalidInput, NotFound
from ..vocabulary import Change, Policy, Turn
from .worlds import GONE, KEPT, Worlds, seen_by, standing


def turned(policy: Policy, state: Any, said: Turn) -> None:
    """Write what a person says into the state of a policy; where that cannot be, raise and write nothing."""
    check_turns(policy)
    assert policy.turn is not None
    policy.turn(policy.params, state, said)


def check_turns(policy: Policy) -> None:
    """Refuse a policy that cannot be told that the world has changed."""
    if policy.turn is None:
        raise InvalidInput(
            "notices_no_changes",
            f"policy {policy.name!r} knows one world only: wrap it in adaptive, which notices changes and can be told "
            "of them, or create a new experiment",
        )


def within(policy: Policy) -> dict[str, Any]:
    """Return `found` and `turn` of a wrapper whose params and state hold those of `policy` as `inner`."""
    found, turn = policy.found, policy.turn
    if found is None or turn is None:
        return {}
    return {
        "found": lambda params, state: found(params.inner, state.inner),
        "turn": lambda params, state, said: turn(params.inner, state.inner, said),
    }


def check_model(model: int, used: int, leader: int) -> None:
    """Refuse a model that has not begun, and the one that leads."""
    if not 0 <= model < used:
        raise NotFound("unknown_model", f"there is no model {model}: there are {', '.join(map(str, range(used)))}")
    if model == leader:
        raise Conflict("leads_already", f"model {model} leads already: name another one, or none to begin a new one")


def before_last(seen: Worlds) -> tuple[Change, int]:
    """Return the last change that was not taken back, and the model that led before it."""
    changes = seen_by(seen)
    stand = standing(changes)
    if not stand:
        raise Conflict("no_change", "no change was found, or each was taken back: there is none to take back")
    last = stand[-1]
    before = stand[-2].number if len(stand) > 1 else 0
    is_kept = len(stand) > 1 or changes[0].number == 1
    model = int(seen.model[before % KEPT]) if is_kept else GONE
    if model == GONE:
        raise Conflict(
            "model_gone",
            f"the model that led before change {last.number} has made room for another one: say that a new world began",
        )
    return last, model
