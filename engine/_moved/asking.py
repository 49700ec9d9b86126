"""Moved to `onearm.engine.queries.query_index`; this name goes with 0.3."""

from onearm.engine.moved import moved

moved(__name__, "onearm.engine.queries.query_index")
