"""Moved to `onearm.engine.oracles.chebyshev`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.oracles.chebyshev")
