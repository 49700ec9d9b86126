"""What the log of an experiment calls its arms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..vocabulary import Problem


class _Arm(msgspec.Struct):
    id: str


class _Named(msgspec.Struct):
    """What the spec in a header may say: arms of an experiment, or the labels of a table that it was made of."""

    arms: list[_Arm] = []
    labels: list[str] = []


class _Change(msgspec.Struct):
    change: str
    arm: _Arm | None = None


def arm_labels(spec: dict[str, Any], changes: Iterable[str], problem: Problem) -> list[str]:
    """Return the label of each arm: those of a header's `spec`, then of arms that joined by `changes`, JSON in order.

    Nothing where not all arms have one, as where each call lists actions of its own. Changes are asked for where arms
    must have joined, and else not.

    >>> spec = {"arms": [{"id": "cup"}]}
    >>> arm_labels(spec, ['{"change":"arm_added","arm":{"id":"hat"},"number":120}'], Problem(2))
    ['cup', 'hat']
    >>> arm_labels(spec, [], Problem(2))
    []
    """
    try:
        named = msgspec.convert(spec, _Named)
        labels = [arm.id for arm in named.arms] or named.labels
        if 0 < len(labels) < problem.n_arms:
            told = [msgspec.json.decode(change, type=_Change) for change in changes]
            labels = labels + [each.arm.id for each in told if each.change == "arm_added" and each.arm is not None]
    except (msgspec.ValidationError, msgspec.DecodeError):  # of a newer onearm: numbers will do
        return []
    return labels if len(labels) == problem.n_arms else []
