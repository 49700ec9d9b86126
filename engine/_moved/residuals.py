"""Moved to `onearm.engine.oracles.residuals`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.oracles.residuals")
