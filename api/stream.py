"""Moved to `onearm.api.arms_once`; this name goes with 0.3."""

from ..engine.moved import moved

moved(__name__, "onearm.api.arms_once")
