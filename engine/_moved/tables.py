"""Moved to `onearm.engine.trained.tables`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.trained.tables")
