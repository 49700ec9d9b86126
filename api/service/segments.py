"""The segments of an experiment's log by a named feature, which the log keeps as it was sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from ...engine.storage.formats.segments import Segments
from ...engine.storage.records import Event
from ...engine.storage.rows import Page, Rows
from ...engine.vocabulary import DECISIONS

ANY = msgspec.json.Decoder()


def name_segments(rows: Rows, pages: Iterable[list[Event]], feature: str) -> None:
    """Give rows the segments that a feature of their contexts names; `pages` are the events of the same log.

    A decision without that feature is in the segment without a name.
    """
    segments, seqs, places = Segments(rows.segments), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for page in pages:
        decided = [event for event in page if event.kind in DECISIONS]
        seqs.append(np.array([event.seq for event in decided], np.int64))
        places.append(segments.places(_value(event, feature) for event in decided))
    seq, place = np.concatenate(seqs), np.concatenate(places)

    def named(page: Page) -> Page:
        return page._replace(segment=place[np.searchsorted(seq, page.line)])

    rows.finish = named


def _value(event: Event, feature: str) -> Any:
    """Return what a feature was, or with dots one inside of another; None where it is not there, or no single value."""
    value = None if event.sent is None else ANY.decode(event.sent).get("context")
    for name in feature.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str | int | float | bool) else None
