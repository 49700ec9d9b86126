"""Moved to `onearm.engine.laws.tsallis`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.laws.tsallis")
