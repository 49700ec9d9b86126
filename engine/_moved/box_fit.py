"""Moved to `onearm.engine.oracles.box_least_squares`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.oracles.box_least_squares")
