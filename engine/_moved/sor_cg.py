"""Moved to `onearm.engine.solvers.cg`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.solvers.cg")
