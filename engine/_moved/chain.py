"""Moved to `onearm.engine.oracles.arm_chain`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.oracles.arm_chain")
