"""Moved to `onearm.engine.hardness.starting_means`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.hardness.starting_means")
