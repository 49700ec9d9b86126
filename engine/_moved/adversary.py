"""Moved to `onearm.engine.hardness.adversary`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.hardness.adversary")
