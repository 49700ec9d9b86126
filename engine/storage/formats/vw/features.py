"""The features of an event in Vowpal Wabbit's text, as a context."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....errors import InvalidInput
from ....features import Encoder
from ....vocabulary import Problem
from .. import vw_text
from .labels import BadEvent, Text

DIMENSION = 256  # columns of contexts of numbered arms


def vw_problem(k: int, nonzeros: int, encoder: Encoder, numbered: bool, contexts: bool = True) -> Problem:
    """Return the problem of events of up to k actions, with so many named features."""
    if not contexts:
        return Problem(k)
    if encoder.dimension is None:
        return Problem(k, (k, 1 << encoder.bits), nonzeros=nonzeros)
    return Problem(k, (encoder.dimension,) if numbered else (k, encoder.dimension))


def encoder_of(dimension: int | None, numbered: bool) -> Encoder:
    """Return what makes contexts: of numbered arms always rows of numbers."""
    return Encoder(dimension=dimension or DIMENSION, interactions=()) if numbered else Encoder(dimension=dimension)


def features_of(text: Text, numbered: bool) -> tuple[dict[str, Any], list[dict[str, Any]], list[vw_text.Line]]:
    """Return the shared features (of numbered arms: all), those of each action, and the lines that were parsed."""
    try:
        lines = [vw_text.parse(line.decode()) for line in text.lines]
    except UnicodeDecodeError:
        raise BadEvent("not_text") from None
    except InvalidInput as error:
        raise BadEvent("bad_features", str(error)) from None
    features = [vw_text.as_json(line.features) for line in lines]
    if numbered:
        return features[0], [], lines
    return (features[0], features[1:], lines) if lines[0].words == ["shared"] else ({}, features, lines)


def segment_of(shared: dict[str, Any], wanted: str) -> Any:
    """Return the value of a feature, None where it is not there."""
    space, _, name = wanted.rpartition(".")
    for feature, value in shared.get(space, {}).items():
        if feature == name:
            return value
        if feature.startswith(f"{name}="):
            return feature.removeprefix(f"{name}=")
    return None


def encoded(shared: dict[str, Any], actions: list[dict[str, Any]], encoder: Encoder, numbered: bool) -> Any:
    """Return a context of one row."""
    try:
        if numbered:
            return encoder.dense(None, [shared]) if any(shared.values()) else np.zeros((1, encoder.dimension or 0))
        if encoder.dimension is not None:
            return encoder.dense(shared, actions)[np.newaxis]
        found = encoder.encode(shared, actions)
    except InvalidInput as error:
        raise BadEvent("bad_features", str(error)) from None
    return found._replace(start=found.start[np.newaxis])
