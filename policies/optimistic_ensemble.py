"""Moved to `onearm.policies.vectors.optimistic_ensemble`; this name goes with 0.3."""

from ..engine.moved import moved

moved(__name__, "onearm.policies.vectors.optimistic_ensemble")
