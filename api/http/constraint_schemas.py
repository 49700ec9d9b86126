"""The body of constraints: what every decision of an experiment keeps to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Share = Annotated[float, Meta(ge=0, le=1)]


class NewGroup(msgspec.Struct, forbid_unknown_fields=True):
    """Some arms, by their ids or by a tag, and what share of the decisions they have together at least, or at most."""

    name: str
    arms: list[str] | UnsetType = UNSET
    tag: str | UnsetType = UNSET  # of all arms that have it among their `tags`, those that join later too
    floor: Share | UnsetType = UNSET
    cap: Share | UnsetType = UNSET


class NewSticky(msgspec.Struct, forbid_unknown_fields=True):
    """For how many seconds a unit gets the same arm, 0 for ever, and for how many units there is room."""

    seconds: Annotated[int, Meta(ge=0)] = 0
    units_max: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class NewConstraints(msgspec.Struct, forbid_unknown_fields=True):
    """What every decision keeps to: the least and the greatest probability of arms, by id or of each, and of groups."""

    floors: Share | dict[str, Share] | UnsetType = UNSET
    caps: Share | dict[str, Share] | UnsetType = UNSET
    groups: list[NewGroup] | UnsetType = UNSET
    sticky: NewSticky | UnsetType = UNSET
