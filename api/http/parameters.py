"""The parameters of requests beside those in their paths, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from ...engine.vectors.hindsight import NUMBERS_MAX
from .. import log_files
from ..experiment.ids import ID_LENGTH_MAX
from ..experiment.weights import TOP_MAX
from . import curves, logs, units

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX},
    "description": "The decision_id, for clients that have a header for it.",
}


def at_most(most: int, default: int) -> dict[str, Any]:
    """Return the parameter that says how long a page is."""
    return {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default},
        "description": "How many at most.",
    }


FORMAT = {
    "name": "format",
    "in": "query",
    "schema": {"enum": list(logs.MEDIA_TYPES), "default": "jsonl"},
    "description": "As what.",
}


def seq_of(name: str, says: str) -> dict[str, Any]:
    """Return the parameter that names an event."""
    schema = {"type": "integer", "minimum": 0, "maximum": logs.SEQ_MAX}
    return {"name": name, "in": "query", "schema": schema, "description": says}


AS = {
    "name": "experiment_id",
    "in": "query",
    "schema": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX},
    "description": "The id that it gets here; default: the one that it had.",
}
ROWS = {
    "name": "rows",
    "in": "query",
    "schema": {"enum": list(log_files.ROWS), "default": log_files.ROWS[0]},
    "description": "A row for each event, or for each decision with its reward.",
}
LOG = (
    FORMAT,
    ROWS,
    seq_of("after", "Only events after this one."),
    seq_of("until", "Only events up to this one."),
    seq_of("epoch", "X-Log-Epoch of what was read before: 409 where the database was restored since."),
)
CONFIRM = {
    "name": "confirm",
    "in": "query",
    "required": True,
    "schema": {"type": "string"},
    "description": "The id of the experiment once more.",
}
AFTER = {
    "name": "after",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Only what follows this experiment: `next` of the page before.",
}
BEFORE = {
    "name": "before",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 2**31},
    "description": "Only what came before this: `next` of the page before.",
}
SPAN = {
    "name": "by",
    "in": "query",
    "schema": {"enum": list(curves.SPANS), "default": "day"},
    "description": "How long each part is.",
}
BEFORE_TIME = {
    "name": "before",
    "in": "query",
    "schema": {"type": "string", "format": "date-time"},
    "description": "Only what begins before this time: `begins` of the first of those that came before.",
}
SEGMENTS = {
    "name": "segments",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": NUMBERS_MAX, "default": 1},
    "description": "Of vectors: tell the regret against the best fixed point of each of so many equal parts, too.",
}
TOP = {
    "name": "top",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": TOP_MAX, "default": 50},
    "description": "How many features are told of each action.",
}
AFTER_NUMBER = {
    "name": "after",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0, "maximum": units.NUMBER_MAX},
    "description": "Only decisions after the one of this number: `next` of the page before.",
}
