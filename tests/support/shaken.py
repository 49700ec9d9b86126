"""Weights of networks that were not trained and are nowhere zero."""

from __future__ import annotations

import numpy as np

from onearm.api.train.networks import Network, Weights


def shaken(network: Network, scale: float) -> Weights:
    """Return normal weights of every layer, float32."""
    rng = np.random.default_rng(3)
    found: Weights = {}
    for layer, (out, into) in enumerate(network.shapes, start=1):
        found[f"w{layer}"] = (scale * rng.normal(size=(out, into))).astype(np.float32)
        found[f"b{layer}"] = (scale * rng.normal(size=out)).astype(np.float32)
    return found
