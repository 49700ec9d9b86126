"""What was really shown: decisions that were deferred are activated, and others than were decided take their place.

One may say so by an activation, or with a reward.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...engine.errors import Conflict, InvalidInput
from ...engine.storage.windows import shown_number
from ...engine.vocabulary import EXTERNAL
from ..experiment.intake import check_propensity
from ..service import arriving
from ..service.arriving import Shown
from ..service.live import Live
from ..service.records import Record
from ..service.windows import is_activated, waits
from .requests import iso
from .window_schemas import ActivationRecord


class Said(NamedTuple):
    """What somebody says was shown: an action and the probability with which that was chosen; None where nothing is."""

    action_id: str | None = None
    propensity: float | None = None


class News(NamedTuple):
    """That a decision was shown, or what was in its place."""

    shown: Shown | None


def checked(what: str, action_id: str | None, propensity: float | None) -> Said:
    """Return what a body says was shown; refuse a propensity that is none, or of no action."""
    if propensity is not None:
        check_propensity(propensity)
        if action_id is None:
            raise InvalidInput("unexpected_field", f"{what} has a propensity, but no action_id: send both or none")
    return Said(action_id, propensity)


async def news_of(live: Live, decision_id: str, found: Record, said: Said) -> News | None:
    """Return what a reward says was shown that is not known yet; None where it is.

    Raises `Conflict` ("other_action") where the decision has rewards of another action, or was activated with one.
    """
    assert said.action_id is not None
    shown = shown_of(live, found, said.action_id, said.propensity)
    if waits(found):
        return News(shown)
    if await shown_before(live, found) == shown:
        return None
    if found.activation is not None or found.event.kind == EXTERNAL or found.outcomes:
        raise Conflict(
            "other_action",
            f"the reward says that {said.action_id!r} was shown, and decision {decision_id!r} was activated, or has a "
            "reward, with another action or propensity: that cannot be changed",
        )
    return News(shown)


def put_on_record(live: Live, found: Record, news: News, now: int) -> Record:
    """Activate a decision; return it, or the one of what was shown in its place."""
    if news.shown is not None:
        return arriving.replace(live, found, news.shown, now)
    arriving.activate(live, found, now)
    return found


def shown_of(live: Live, found: Record, action_id: str, propensity: float | None) -> Shown | None:
    """Return what was shown in the place of a decision; None where that is what was decided."""
    labels, decided = live.labels(found.event), found.event
    if action_id not in labels:
        raise InvalidInput(
            "unknown_action", f"there is no action {action_id[:80]!r}: the actions are {', '.join(labels[:20])}"
        )
    action = labels.index(action_id)
    if action == decided.action and propensity in (None, decided.propensity):
        return None
    if not live.mask(decided)[action]:
        raise InvalidInput(
            "unavailable_action",
            f"the action {action_id!r} was not eligible for this decision: nothing is learned of it",
        )
    if propensity is None and live.divides:
        raise InvalidInput(
            "missing_propensity",
            f"the policy {live.spec.policy.name!r} divides by propensities: send the one with which {action_id!r} was "
            "chosen, in (0, 1]; without it nothing can be learned of what was shown",
        )
    return Shown(action, propensity)


async def shown_before(live: Live, found: Record) -> Shown | None:
    """Return what was shown in the place of a decision that was activated; None where nothing was."""
    number = shown_number(found.activation)
    instead = None if number is None else await live.find(number)
    if instead is None:
        return None
    assert instead.event.action is not None
    return Shown(instead.event.action, instead.event.propensity)


def activation_of(found: Record) -> ActivationRecord | None:
    """Return what is on record of the activation of a decision; None where it was not deferred."""
    event = found.activation
    if event is None:
        return None
    if (number := shown_number(event)) is not None:
        return ActivationRecord("replaced", event.seq, iso(event.time), f"~{number}")
    status: Literal["deferred", "activated", "never_shown"] = "deferred" if waits(found) else "never_shown"
    return ActivationRecord("activated" if is_activated(found) else status, event.seq, iso(event.time))
