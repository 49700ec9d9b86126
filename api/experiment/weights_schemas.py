"""Which features weigh most in what a policy expects, as it is told."""

from __future__ import annotations

import msgspec


class Weight(msgspec.Struct, omit_defaults=True):
    """What a feature with the value 1 adds to the reward that is expected."""

    slot: int
    weight: float
    name: str | None = None  # features that share a slot are joined by " + "; None while it is not known


class ActionWeights(msgspec.Struct):
    """The features of one action, and their products with those of the context."""

    action_id: str
    features: list[Weight]


class Weights(msgspec.Struct):
    """The features with the largest weights, the largest first."""

    shared: list[Weight]  # those of the context, which add the same to every action; of listed actions all features
    actions: list[ActionWeights]  # of the arms; none where actions come with each call
    unnamed: list[Weight]  # of slots whose names are not known
