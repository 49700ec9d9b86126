"""Moved to `onearm.engine.storage.formats.slots`; this name goes with 0.3."""

from ..moved import moved

moved(__name__, "onearm.engine.storage.formats.slots")
