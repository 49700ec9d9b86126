"""Moved to `onearm.engine.trained.artefact_registry`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.trained.artefact_registry")
