"""Moved to `onearm.engine.solvers.solve_cost`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.solvers.solve_cost")
