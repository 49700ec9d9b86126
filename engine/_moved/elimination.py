"""Moved to `onearm.engine.queries.elimination`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.queries.elimination")
