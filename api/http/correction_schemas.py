"""The bodies of corrections, and of what takes many of them."""

from __future__ import annotations

import msgspec


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """The reward that a decision should have been learned with."""

    value: float


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """To what policies are set back: what they knew after the event of a seq, or before a time (RFC 3339)."""

    to: int | str


class RolledBack(msgspec.Struct):
    """From the event `seq` on policies know what they knew after the event `to`."""

    experiment_id: str
    to: int
    seq: int
